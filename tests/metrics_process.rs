//! `process_*` from a procfs: exact values from a fixture, no series where a file is missing.

use std::fs;
use std::path::Path;

use janus::metrics::{Format, Registry, process};

/// A procfs of one process: 2.5 s of user and 0.5 s of system time at the clock tick of this system.
fn fixture(root: &Path, ticks: u64) {
    let own = root.join("self");
    fs::create_dir_all(own.join("fd")).unwrap();
    for fd in 0..4 {
        fs::write(own.join("fd").join(fd.to_string()), "").unwrap();
    }
    let (user, system, start) = (ticks * 5 / 2, ticks / 2, ticks * 100);
    let stat = format!("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 {user} {system} 0 0 20 0 3 0 {start} 1048576 16 0\n");
    fs::write(own.join("stat"), stat).unwrap();
    fs::write(
        own.join("limits"),
        "Limit Soft Hard Units\nMax open files            1024     4096     files\n",
    )
    .unwrap();
    fs::write(root.join("stat"), "cpu 1 2 3\nbtime 1700000000\n").unwrap();
}

/// The samples of the process, in order.
fn samples(registry: &Registry) -> Vec<String> {
    let mut out = Vec::new();
    registry.render(Format::Text, &mut out);
    let text = String::from_utf8(out).expect("the text format is UTF-8");
    text.lines()
        .filter(|line| line.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_procfs_is_read_at_each_scrape() {
    let root = tempfile::tempdir().unwrap();
    fixture(root.path(), rustix::param::clock_ticks_per_second());
    let registry = Registry::new();
    process::register(&registry, root.path()).unwrap();
    let resident = 16 * rustix::param::page_size();
    // One descriptor less than there are: a process that counts its own has the directory open.
    let all = [
        "process_cpu_seconds_total 3".to_owned(),
        "process_max_fds 1024".to_owned(),
        "process_open_fds 3".to_owned(),
        format!("process_resident_memory_bytes {resident}"),
        "process_start_time_seconds 1700000100".to_owned(),
        "process_threads 3".to_owned(),
        "process_virtual_memory_bytes 1048576".to_owned(),
    ];
    assert_eq!(samples(&registry), all);

    fs::remove_file(root.path().join("self/limits")).unwrap();
    fs::remove_dir_all(root.path().join("self/fd")).unwrap();
    fs::write(root.path().join("stat"), "no time\n").unwrap();
    assert_eq!(
        samples(&registry),
        [all[0].clone(), all[3].clone(), all[5].clone(), all[6].clone()]
    );

    fs::write(root.path().join("self/stat"), "nonsense").unwrap();
    assert_eq!(samples(&registry), [""; 0]);

    fixture(root.path(), rustix::param::clock_ticks_per_second());
    assert_eq!(samples(&registry), all, "what comes back is shown again");
}

#[test]
fn this_process_has_every_series() {
    let registry = Registry::new();
    process::register(&registry, Path::new("/proc")).unwrap();
    let samples = samples(&registry);
    assert_eq!(samples.len(), 7, "{samples:?}");
}

#[test]
fn descriptors_are_counted_as_they_are_opened() {
    let registry = Registry::new();
    process::register(&registry, Path::new("/proc")).unwrap();
    let open = || {
        let samples = samples(&registry);
        let value = samples.iter().find_map(|line| line.strip_prefix("process_open_fds "));
        value.expect("the series is there").parse::<i64>().unwrap()
    };
    // Other tests of this process open some too, and far fewer.
    let before = open();
    let files: Vec<_> = (0..500).map(|_| fs::File::open("/dev/null").unwrap()).collect();
    let with_them = open();
    assert!(
        (480..=520).contains(&(with_them - before)),
        "{before}, then {with_them}"
    );
    drop(files);
    assert!((-20..=20).contains(&(open() - before)));
}
