//! Control groups of memory to start the program in, of version 1 or 2, whichever counts memory on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A group of its own, which is removed when it is dropped; what runs in it must have ended by then.
///
/// For time it is a group as well, as a container is: codings are made at the lowest priority, which counts within a group,
/// and on a busy machine would get next to nothing beside everybody else.
pub struct Group {
    directory: PathBuf,
    /// The same where version 1 has the controller of time in a hierarchy of its own.
    time: Option<PathBuf>,
    is_version_1: bool,
}

impl Group {
    /// Makes a group with a limit in bytes, and swap for none of it.
    ///
    /// `None`, and a word about it, where that cannot be: it takes root. `JANUS_GROUPS=required` makes that a failure, and
    /// so does CI for who is root.
    pub fn new(limit: u64) -> Option<Self> {
        match Self::make(limit) {
            Ok(group) => Some(group),
            Err(why) => {
                let is_root = rustix::process::geteuid().is_root();
                let is_required = std::env::var("JANUS_GROUPS").is_ok_and(|value| value == "required")
                    || (is_root && std::env::var("CI").is_ok_and(|value| value == "true"));
                assert!(!is_required, "a control group of memory is required, and {why}");
                eprintln!("SKIPPED: no control group of memory: {why}");
                None
            }
        }
    }

    fn make(limit: u64) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (top, is_version_1) = hierarchy().ok_or("no hierarchy of control groups that counts memory is mounted")?;
        let name = format!("janus-test-{}-{number}", std::process::id());
        let directory = top.join(&name);
        fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let time = is_version_1.then(|| mount_of("cgroup", "cpu")).flatten();
        let time = time.map(|top| top.join(&name)).filter(|time| *time != directory);
        let group = Self {
            time: time.filter(|time| fs::create_dir(time).is_ok()),
            directory,
            is_version_1,
        };
        group
            .set_limit(limit)
            .map_err(|error| format!("its limit cannot be set: {error}"))?;
        Ok(group)
    }

    /// Changes the limit, in bytes.
    pub fn set_limit(&self, limit: u64) -> std::io::Result<()> {
        let (names, swap) = if self.is_version_1 {
            ("memory.limit_in_bytes", ("memory.swappiness", "0"))
        } else {
            ("memory.max", ("memory.swap.max", "0"))
        };
        // A kernel without swap has no file for it.
        let _ = fs::write(self.directory.join(swap.0), swap.1);
        fs::write(self.directory.join(names), limit.to_string())
    }

    /// A command that begins in the group, by a shell that becomes the program.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo $$ > \"$0\" && echo $$ > \"$1\" && shift && exec \"$@\""]);
        let time = self.time.as_ref().unwrap_or(&self.directory);
        command.args([&self.directory, time].map(|directory| directory.join("cgroup.procs")));
        command.arg(program);
        command
    }

    /// The most that was ever in use, in bytes, clean pages of files included.
    pub fn peak(&self) -> u64 {
        self.number(if self.is_version_1 {
            "memory.max_usage_in_bytes"
        } else {
            "memory.peak"
        })
    }

    /// What is in use, in bytes, without clean pages of files.
    pub fn used(&self) -> u64 {
        let (usage, pages) = if self.is_version_1 {
            ("memory.usage_in_bytes", ["total_inactive_file", "total_active_file"])
        } else {
            ("memory.current", ["inactive_file", "active_file"])
        };
        let pages: u64 = pages.iter().map(|name| self.entry("memory.stat", name)).sum();
        self.number(usage).saturating_sub(pages)
    }

    /// Processes that the kernel has killed for want of memory.
    pub fn kills(&self) -> u64 {
        self.entry(
            if self.is_version_1 {
                "memory.oom_control"
            } else {
                "memory.events"
            },
            "oom_kill",
        )
    }

    fn number(&self, file: &str) -> u64 {
        let text = fs::read_to_string(self.directory.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        text.trim()
            .parse()
            .unwrap_or_else(|error| panic!("{file}: {error}: {text}"))
    }

    fn entry(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(self.directory.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let line = line.unwrap_or_else(|| panic!("{file} has no {name}: {text}"));
        line.trim().parse().expect("a number")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has been waited for may be in the group for a moment longer.
        let deadline = Instant::now() + Duration::from_secs(2);
        for directory in std::iter::once(&self.directory).chain(&self.time) {
            while fs::remove_dir(directory).is_err() {
                if Instant::now() > deadline {
                    eprintln!("{} stays", directory.display());
                    break;
                }
                std::thread::yield_now();
            }
        }
    }
}

/// Where a hierarchy of this kind is mounted that has this controller, or any with an empty name.
fn mount_of(kind: &str, controller: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut words = file_system.split(' ');
        let is_it = words.next() == Some(kind)
            && words
                .nth(1)?
                .split(',')
                .any(|word| controller.is_empty() || word == controller);
        is_it.then(|| PathBuf::from(mount.split(' ').nth(4).unwrap_or("/")))
    })
}

/// Where groups that count memory are made, and whether they are of version 1.
fn hierarchy() -> Option<(PathBuf, bool)> {
    if let Some(top) = mount_of("cgroup", "memory") {
        return Some((top, true));
    }
    let top = mount_of("cgroup2", "")?;
    let has = |file: &str, controller: &str| {
        fs::read_to_string(top.join(file)).is_ok_and(|list| list.split_whitespace().any(|name| name == controller))
    };
    for controller in ["memory", "cpu"] {
        if !has("cgroup.subtree_control", controller) {
            // Who is not root is told so when the group is made.
            let _ = fs::write(top.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    has("cgroup.subtree_control", "memory").then_some((top, false))
}
