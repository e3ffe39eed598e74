//! `process_*`: what the kernel knows of this process, under the names that Prometheus's client libraries use.
//!
//! Input is the procfs, read when a scrape asks and at no other time. This is the one file of the recorder that
//! reads files: what it reads exists for these six series alone, and a reader handed in from outside would be an
//! interface with one caller. What follows the reading is pure. A file that is missing or not understood gives no
//! series, never a 0.

use std::fs;
use std::path::Path;

use super::collected::{Family, Samples, Value};
use super::error::RegisterError;
use super::registry::Registry;

const CPU: Family = Family::counter(
    "process_cpu_seconds_total",
    Some("seconds"),
    "Total user and system CPU time spent in seconds.",
);
const RESIDENT: Family = Family::gauge(
    "process_resident_memory_bytes",
    Some("bytes"),
    "Resident memory size in bytes.",
);
const VIRTUAL: Family = Family::gauge(
    "process_virtual_memory_bytes",
    Some("bytes"),
    "Virtual memory size in bytes.",
);
const OPEN_FDS: Family = Family::gauge("process_open_fds", None, "Number of open file descriptors.");
const MAX_FDS: Family = Family::gauge("process_max_fds", None, "Maximum number of open file descriptors.");
const THREADS: Family = Family::gauge("process_threads", None, "Number of threads.");
const START: Family = Family::gauge(
    "process_start_time_seconds",
    Some("seconds"),
    "Start time of the process since unix epoch in seconds.",
);

/// Registers the `process_*` metrics, to be read under `procfs` (`/proc`) at every scrape.
///
/// # Errors
/// As [`Registry::collect`].
pub fn register(registry: &Registry, procfs: &Path) -> Result<(), RegisterError> {
    let procfs = procfs.to_owned();
    let families = [CPU, RESIDENT, VIRTUAL, OPEN_FDS, MAX_FDS, THREADS, START];
    registry.collect(&families, move |samples| collect(&procfs, samples))
}

fn collect(procfs: &Path, samples: &mut Samples) {
    let own = procfs.join("self");
    let clock = rustix::param::clock_ticks_per_second();
    let stat = fs::read_to_string(own.join("stat"))
        .ok()
        .and_then(|text| Stat::parse(&text));
    let page = rustix::param::page_size() as u64;
    let boot = fs::read_to_string(procfs.join("stat"))
        .ok()
        .and_then(|text| boot_time(&text));
    let limits = fs::read_to_string(own.join("limits")).ok();
    let count = |value: Option<u64>| value.map(|value| Value::Gauge(value as f64));
    let resident = stat.and_then(|stat| stat.resident_pages.checked_mul(page));
    let start = stat
        .zip(boot)
        .map(|(stat, boot)| Value::Gauge(boot as f64 + stat.start_ticks as f64 / clock as f64));
    for (family, value) in [
        (CPU, stat.and_then(|stat| stat.cpu_ns(clock)).map(Value::Nanoseconds)),
        (RESIDENT, count(resident)),
        (VIRTUAL, count(stat.map(|stat| stat.virtual_bytes))),
        (THREADS, count(stat.map(|stat| stat.threads))),
        (START, start),
        (OPEN_FDS, count(open_descriptors(&own.join("fd")))),
        (MAX_FDS, count(limits.and_then(|text| max_open_files(&text)))),
    ] {
        samples.extend(value.map(|value| (family.series(Vec::new()), value)));
    }
}

/// How many descriptors are open: told by the kernel where it does, and else counted, which takes milliseconds of thousands.
fn open_descriptors(directory: &Path) -> Option<u64> {
    told_descriptors(directory).or_else(|| {
        // The directory that is being read is open itself while it is counted.
        let all = fs::read_dir(directory).ok()?;
        Some(all.count().saturating_sub(1) as u64)
    })
}

/// Since Linux 6.2 it is the directory's size (proc_pid_fd(5)), before that always 0; of a directory elsewhere the size is
/// something else.
#[cfg(target_os = "linux")]
fn told_descriptors(directory: &Path) -> Option<u64> {
    let is_procfs = rustix::fs::statfs(directory).ok()?.f_type == rustix::fs::PROC_SUPER_MAGIC;
    let size = fs::metadata(directory).ok()?.len();
    (is_procfs && size > 0).then_some(size)
}

#[cfg(not(target_os = "linux"))]
fn told_descriptors(_: &Path) -> Option<u64> {
    None
}

/// What is used of `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    /// Time in user and in kernel mode, in clock ticks.
    cpu_ticks: u64,
    threads: u64,
    /// Since the system's start.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, and may itself hold spaces and parentheses.
        let (_, after_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // Numbered as in the manual, where the first field after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)?.checked_add(field(15)?)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }

    fn cpu_ns(self, ticks_per_second: u64) -> Option<u64> {
        u64::try_from(u128::from(self.cpu_ticks) * 1_000_000_000 / u128::from(ticks_per_second)).ok()
    }
}

/// Seconds since the epoch at which the system started: `btime` of `/proc/stat`.
fn boot_time(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// The soft limit of `Max open files` in `/proc/PID/limits`; an unlimited one has no number.
fn max_open_files(text: &str) -> Option<u64> {
    let limits = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    limits.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn stat_is_parsed_behind_a_name_with_parentheses() {
        let text =
            "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 8 0 12345 1048576 256 18446744073709551615";
        let stat = Stat {
            cpu_ticks: 300,
            threads: 8,
            start_ticks: 12345,
            virtual_bytes: 1_048_576,
            resident_pages: 256,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(stat.cpu_ns(100), Some(3_000_000_000));
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        for text in [
            "",
            "42",
            "42 (x",
            "42 (x) S 1 2",
            "42 (x) S 1 42 42 0 -1 0 0 0 0 0 -1 0 0 0 20 0 8 0 1 1 1",
        ] {
            assert_eq!(Stat::parse(text), None, "{text}");
        }
        assert_eq!(boot_time("cpu 1 2 3\n"), None);
        assert_eq!(
            max_open_files("Max open files            unlimited            unlimited            files\n"),
            None
        );
    }

    #[test]
    fn limits_and_boot_time_are_found_among_other_lines() {
        assert_eq!(
            boot_time("cpu  1 2\nintr 5\nbtime 1700000000\nprocesses 3\n"),
            Some(1_700_000_000)
        );
        let limits = "Limit   Soft Limit   Hard Limit   Units\nMax open files            1024      4096      files\n";
        assert_eq!(max_open_files(limits), Some(1024));
    }
}
