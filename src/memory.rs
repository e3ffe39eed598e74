//! How much memory the process may have, and how much of it is left: by its control groups, or else by the machine.
//!
//! Both layouts of control groups are read: version 1, where memory has a hierarchy of its own, and version 2. Groups are
//! nested, and each has a limit; what counts is the one with the least room, be it the process's own or one above it. What
//! is not in the container's view of the hierarchy cannot be seen, and a limit that cannot be read is none.
//!
//! Nothing here is cached: limits are changed while a process runs (in-place resize of pods), and what is left changes with
//! every allocation. It costs a few reads of files that are not files, so it is for loads, never for requests.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What limits the process's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A control group, by its directory.
    Group(PathBuf),
    /// The machine.
    Machine,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(directory) => write!(f, "the control group {}", directory.display()),
            Self::Machine => f.write_str("this machine"),
        }
    }
}

/// A limit and what is left within it, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// What limits.
    pub bound: Bound,
    /// The most that it allows.
    pub limit: u64,
    /// What is in use now and cannot simply be taken back, as clean pages of files can.
    pub used: u64,
}

impl Room {
    /// What is left.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Where the process's memory is counted.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The process's own group and those above it, up to the mount.
    groups: Vec<Group>,
    meminfo: PathBuf,
}

#[derive(Clone, Debug)]
struct Group {
    directory: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Memory {
    /// Of this process.
    pub fn of_this_process() -> Self {
        Self::under(Path::new("/"))
    }

    /// Of the process that a file system below `root` describes: `proc/self/cgroup`, `proc/self/mountinfo`,
    /// `proc/meminfo`, and the groups where the mounts are.
    pub fn under(root: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
        Self {
            groups: groups(root, &read("proc/self/cgroup"), &read("proc/self/mountinfo")),
            meminfo: root.join("proc/meminfo"),
        }
    }

    /// The tightest limit and what is left of it; `None` where nothing tells of memory at all.
    pub fn room(&self) -> Option<Room> {
        let groups = self.groups.iter().filter_map(Group::room);
        let machine = machine(&fs::read_to_string(&self.meminfo).unwrap_or_default());
        // The same room above and below is the one below: the groups come first.
        groups.chain(machine).min_by_key(Room::left)
    }

    /// The least limit and who sets it, whatever is used of it; `None` where nothing tells of memory at all.
    pub fn limit(&self) -> Option<(u64, Bound)> {
        let groups = self.groups.iter().filter_map(Group::room);
        let machine = machine(&fs::read_to_string(&self.meminfo).unwrap_or_default());
        groups
            .chain(machine)
            .map(|room| (room.limit, room.bound))
            .min_by_key(|(limit, _)| *limit)
    }
}

impl Memory {
    /// The most that data may be where nobody says: three quarters of the limit. More cannot be served, since it is held
    /// beside its index; whether less fits is asked while it is loaded. A fixed size where nothing tells of memory.
    pub fn data_bytes_max(&self) -> u64 {
        const UNKNOWN: u64 = 16 << 30;
        self.limit().map_or(UNKNOWN, |(limit, _)| limit / 4 * 3)
    }
}

impl Group {
    fn room(&self) -> Option<Room> {
        let read = |name: &str| fs::read_to_string(self.directory.join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        let (limit, used, file_pages): (_, _, &[&str]) = match self.version {
            Version::One => (
                number("memory.limit_in_bytes")?,
                number("memory.usage_in_bytes")?,
                &["total_inactive_file", "total_active_file"],
            ),
            Version::Two => {
                // "max" is no number, and no limit. Above `high` the kernel does not kill, it stalls.
                let limit = [number("memory.max"), number("memory.high")]
                    .into_iter()
                    .flatten()
                    .min()?;
                (limit, number("memory.current")?, &["inactive_file", "active_file"])
            }
        };
        let statistics = read("memory.stat").unwrap_or_default();
        let reclaimable: u64 = file_pages.iter().filter_map(|name| field(&statistics, name)).sum();
        Some(Room {
            bound: Bound::Group(self.directory.clone()),
            limit,
            used: used.saturating_sub(reclaimable),
        })
    }
}

/// The machine's memory, by proc_meminfo(5).
fn machine(meminfo: &str) -> Option<Room> {
    let bytes = |name| field(meminfo, name).map(|kibibytes| kibibytes << 10);
    let limit = bytes("MemTotal:")?;
    let left = bytes("MemAvailable:").unwrap_or(limit);
    Some(Room {
        bound: Bound::Machine,
        limit,
        used: limit.saturating_sub(left),
    })
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some(name))
            .then(|| words.next()?.parse().ok())
            .flatten()
    })
}

/// The groups that count this process's memory, by cgroups(7) and proc_pid_mountinfo(5).
fn groups(root: &Path, cgroup: &str, mountinfo: &str) -> Vec<Group> {
    // "ID:CONTROLLERS:PATH"; of version 2 the id is 0 and there are no controllers.
    let path_of = |version: Version| {
        cgroup.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let is_it = match version {
                Version::One => controllers.split(',').any(|name| name == "memory"),
                Version::Two => controllers.is_empty(),
            };
            is_it.then_some(path)
        })
    };
    let mounts = mountinfo.lines().filter_map(Mount::parse);
    let mut groups = Vec::new();
    for mount in mounts {
        let Some(path) = path_of(mount.version) else { continue };
        let top = root.join(mount.point.strip_prefix('/').unwrap_or(&mount.point));
        // A container's mount begins at its own group, or shows groups that are not above it, as "/..".
        let below = path
            .strip_prefix(mount.root.trim_end_matches('/'))
            .filter(|below| below.is_empty() || below.starts_with('/'))
            .map(|below| below.trim_matches('/'))
            .filter(|below| !below.split('/').any(|part| part == ".."))
            .unwrap_or_default();
        let own = top.join(below);
        let own = if own.is_dir() { own } else { top.clone() };
        let above = own.ancestors().take_while(|directory| directory.starts_with(&top));
        groups.extend(above.map(|directory| Group {
            directory: directory.to_owned(),
            version: mount.version,
        }));
    }
    groups
}

/// A mount of control groups that may count memory.
struct Mount {
    root: String,
    point: String,
    version: Version,
}

impl Mount {
    /// "ID PARENT DEVICE ROOT POINT OPTIONS [FIELDS...] - TYPE SOURCE SUPER-OPTIONS".
    fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (unescaped(mount.next()?), unescaped(mount.next()?));
        let mut file_system = file_system.split(' ');
        let version = match file_system.next()? {
            "cgroup" if file_system.nth(1)?.split(',').any(|option| option == "memory") => Version::One,
            "cgroup2" => Version::Two,
            _ => return None,
        };
        Some(Self { root, point, version })
    }
}

/// A path of mountinfo: white space and backslashes in it are written in octal.
fn unescaped(path: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(path.to_owned(), |path, (escape, character)| {
            path.replace(escape, character)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system of these files.
    fn machine_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Memory) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let memory = Memory::under(root.path());
        (root, memory)
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       1000 kB\nMemFree:          10 kB\nMemAvailable:    400 kB\n",
    );

    /// limit, used, and the directory of the group below the file system's root.
    fn room(root: &tempfile::TempDir, memory: &Memory) -> Option<(u64, u64, String)> {
        let room = memory.room()?;
        let bound = match room.bound {
            Bound::Group(directory) => directory.strip_prefix(root.path()).unwrap().display().to_string(),
            Bound::Machine => "machine".to_owned(),
        };
        Some((room.limit, room.used, bound))
    }

    #[test]
    fn version_2_takes_the_nested_limit_with_the_least_room() {
        let base = [
            MEMINFO,
            ("proc/self/cgroup", "0::/kubepods/pod1/janus\n"),
            (
                "proc/self/mountinfo",
                "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
            ),
            ("sys/fs/cgroup/kubepods/memory.max", "max\n"),
            ("sys/fs/cgroup/kubepods/memory.current", "999999\n"),
            ("sys/fs/cgroup/kubepods/pod1/memory.max", "200000\n"),
            ("sys/fs/cgroup/kubepods/pod1/memory.current", "190000\n"),
            (
                "sys/fs/cgroup/kubepods/pod1/memory.stat",
                "anon 1\ninactive_file 500\nactive_file 50\n",
            ),
            ("sys/fs/cgroup/kubepods/pod1/janus/memory.max", "100000\n"),
            ("sys/fs/cgroup/kubepods/pod1/janus/memory.current", "60000\n"),
            (
                "sys/fs/cgroup/kubepods/pod1/janus/memory.stat",
                "anon 1\nfile 30000\ninactive_file 20000\nactive_file 1\n",
            ),
        ];
        let (root, memory) = machine_of(&base);
        let pod = "sys/fs/cgroup/kubepods/pod1".to_owned();
        assert_eq!(room(&root, &memory), Some((200_000, 189_450, pod)));
        assert_eq!(memory.limit().map(|(limit, _)| limit), Some(100_000));
        assert_eq!(memory.data_bytes_max(), 75_000);

        fs::write(root.path().join("sys/fs/cgroup/kubepods/pod1/memory.current"), "60000").unwrap();
        let own = "sys/fs/cgroup/kubepods/pod1/janus".to_owned();
        assert_eq!(
            room(&root, &memory),
            Some((100_000, 39_999, own.clone())),
            "nothing is cached"
        );
        fs::write(root.path().join(&own).join("memory.high"), "50000").unwrap();
        assert_eq!(room(&root, &memory), Some((50_000, 39_999, own)));
    }

    #[test]
    fn version_1_has_a_hierarchy_of_its_own_also_beside_version_2() {
        let (root, memory) = machine_of(&[
            MEMINFO,
            (
                "proc/self/cgroup",
                "5:cpu,cpuacct:/x\n4:memory:/docker/a b\n0::/init.scope\n",
            ),
            (
                "proc/self/mountinfo",
                "31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                 32 24 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                 33 24 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n"),
            ("sys/fs/cgroup/memory/docker/a b/memory.limit_in_bytes", "300000\n"),
            ("sys/fs/cgroup/memory/docker/a b/memory.usage_in_bytes", "100000\n"),
            (
                "sys/fs/cgroup/memory/docker/a b/memory.stat",
                "inactive_file 1\ntotal_inactive_file 4000\ntotal_active_file 6000\n",
            ),
        ]);
        let own = "sys/fs/cgroup/memory/docker/a b".to_owned();
        assert_eq!(room(&root, &memory), Some((300_000, 90_000, own)));
    }

    #[test]
    fn a_container_that_sees_its_own_group_as_the_top_finds_it() {
        for (path, root_of_mount) in [
            ("/docker/abc", "/docker/abc"),
            ("/", "/"),
            ("/../../other", "/"),
            // The host's path where the mount is a namespace's.
            ("/kubepods/pod1/abc", "/"),
        ] {
            let cgroup = format!("4:memory:{path}\n");
            let mountinfo = format!("33 24 0:29 {root_of_mount} /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
            let (root, memory) = machine_of(&[
                MEMINFO,
                ("proc/self/cgroup", &cgroup),
                ("proc/self/mountinfo", &mountinfo),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "300000\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n"),
            ]);
            let top = "sys/fs/cgroup/memory".to_owned();
            assert_eq!(room(&root, &memory), Some((300_000, 1, top)), "{path}");
        }
    }

    #[test]
    fn without_a_limit_of_groups_the_machine_limits_and_without_that_nothing() {
        let machine = Some((1000 << 10, 600 << 10, "machine".to_owned()));
        let (root, memory) = machine_of(&[MEMINFO]);
        assert_eq!(room(&root, &memory), machine);
        let (root, memory) = machine_of(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/\n"),
            (
                "proc/self/mountinfo",
                "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            ),
        ]);
        assert_eq!(room(&root, &memory), machine, "the root group has no limit");
        let (_, memory) = machine_of(&[]);
        assert_eq!((memory.room(), memory.limit()), (None, None));
        assert_eq!(memory.data_bytes_max(), 16 << 30);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_left() {
        let room = Memory::of_this_process().room().expect("Linux tells");
        assert!(room.left() > 0 && room.limit > room.used, "{room:?}");
    }
}
