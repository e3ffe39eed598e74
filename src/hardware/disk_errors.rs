//! Error counts of disks, file systems and arrays.
//!
//! Owns the knowledge where the kernel counts errors and how it writes the numbers. Files come from a [`Tree`]; none
//! of them asks the device anything: they are numbers that the kernel keeps in memory. It never opens a block device.
//!
//! Kernel sources: `drivers/scsi/scsi_lib.c` (`scsi_complete`: `ioerr_cnt`), `drivers/scsi/scsi_error.c` (`scsi_timeout`:
//! `iotmo_cnt`), `drivers/scsi/scsi_sysfs.c` (both, and `wwid`), `fs/ext4/sysfs.c` (`errors_count`), `fs/btrfs/sysfs.c`
//! (`error_stats`), `Documentation/admin-guide/md.rst` (`dev-XXX/errors`).

use super::{
    reading::{SensorError, Source, read_text},
    tree::Tree,
};

const BLOCK: &str = "sys/block";
const EXT4: &str = "sys/fs/ext4";
const BTRFS: &str = "sys/fs/btrfs";

/// What btrfs counts for each device (`btrfs_dev_stat_values`).
const BTRFS_STATS: [&str; 5] = [
    "write_errs",
    "read_errs",
    "flush_errs",
    "corruption_errs",
    "generation_errs",
];

/// A device as the kernel names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Device {
    /// A block device, by its name in sysfs: `sda`, `md0`, `dm-3`, `cciss!c0d0`.
    Block(String),
    /// A member of a btrfs of several devices. The kernel numbers the members and lists the devices, but nowhere
    /// links a number to a device, so that the number is the only name that is not a guess.
    BtrfsMember {
        /// The file system's UUID.
        filesystem: String,
        /// The device's number in the file system, as `btrfs filesystem show` prints it.
        devid: String,
    },
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ErrorCounter {
    /// Commands of a SCSI or SATA disk that ended with a non-zero result.
    Disk {
        /// The whole disk.
        device: Device,
    },
    /// Commands of a SCSI or SATA disk that timed out.
    DiskTimeouts {
        /// The whole disk.
        device: Device,
    },
    /// Errors that a file system has found.
    Filesystem {
        /// The device that the file system is on.
        device: Device,
        /// `ext4` or `btrfs`.
        fstype: &'static str,
    },
    /// Read errors of one component of an md array that did not cost it its place.
    MdComponent {
        /// The array.
        array: Device,
        /// The component: a disk or a partition.
        device: Device,
    },
}

impl ErrorCounter {
    /// The source that the counter belongs to.
    #[must_use]
    pub const fn source(&self) -> Source {
        match self {
            Self::Disk { .. } | Self::DiskTimeouts { .. } => Source::DiskErrors,
            Self::Filesystem { .. } => Source::FilesystemErrors,
            Self::MdComponent { .. } => Source::MdErrors,
        }
    }
}

/// A counter and what the kernel says that it stands at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorCount {
    /// What is counted.
    pub counter: ErrorCounter,
    /// The kernel's count, which starts again when a device is attached, a file system is made or an operator clears
    /// it.
    pub count: u64,
    /// The disk's world-wide name, where it has one: another disk of the same name is known by it.
    pub wwid: Option<String>,
}

/// How a file writes its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `0x1f`.
    Hexadecimal,
    /// `31`.
    Decimal,
    /// Five lines `name number`, or the word `invalid` before the file system has read its statistics.
    BtrfsStats,
}

impl Format {
    fn parse(self, text: &str) -> Option<u64> {
        match self {
            Self::Hexadecimal => parse_hexadecimal(text),
            Self::Decimal => parse_decimal(text),
            Self::BtrfsStats => parse_btrfs_stats(text),
        }
    }
}

/// A file that holds an error count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorSensor {
    counter: ErrorCounter,
    path: String,
    format: Format,
    wwid: Option<String>,
}

impl ErrorSensor {
    /// Reads the count once.
    ///
    /// # Errors
    /// When the file cannot be read or is not of its documented form.
    pub fn read(&self, tree: &dyn Tree) -> Result<ErrorCount, SensorError> {
        let text = read_text(tree, &self.path)?;
        match self.format.parse(&text) {
            Some(count) => Ok(ErrorCount {
                counter: self.counter.clone(),
                count,
                // Of a disk that has none, the kernel answers with an error.
                wwid: self.wwid.as_ref().and_then(|path| read_text(tree, path).ok()),
            }),
            None => Err(SensorError::Malformed {
                path: self.path.clone(),
                text,
            }),
        }
    }
}

/// Finds every error counter.
#[must_use]
pub fn discover(tree: &dyn Tree) -> Vec<ErrorSensor> {
    let mut sensors = Vec::new();
    for name in tree.list(BLOCK).unwrap_or_default() {
        if is_scsi_disk(&name) {
            sensors.extend(disk(tree, &name));
        } else if name.starts_with("md") {
            sensors.extend(md_components(tree, &name));
        }
    }
    sensors.extend(
        tree.list(EXT4)
            .unwrap_or_default()
            .iter()
            .filter_map(|device| ext4(tree, device)),
    );
    sensors.extend(
        tree.list(BTRFS)
            .unwrap_or_default()
            .iter()
            .flat_map(|uuid| btrfs(tree, uuid)),
    );
    sensors
}

/// How far a counter has gone on since it stood at `old`: a count below it has started again from zero.
#[must_use]
pub const fn increase(old: u64, new: u64) -> u64 {
    if new >= old { new - old } else { new }
}

/// Only disks of the SCSI disk driver (SCSI, SAS, SATA, USB) have an I/O error count, and it names them `sda` to
/// `sdzzz…`. An allow list keeps loop, ram, zram, device mapper, optical (`sr0`), floppy and NVMe devices out without
/// a look at their files, and partitions (`sda1`) too.
fn is_scsi_disk(name: &str) -> bool {
    name.strip_prefix("sd")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase()))
}

fn has(tree: &dyn Tree, directory: &str, file: &str) -> bool {
    tree.list(directory)
        .is_ok_and(|files| files.iter().any(|name| name == file))
}

fn disk(tree: &dyn Tree, name: &str) -> Vec<ErrorSensor> {
    let directory = format!("{BLOCK}/{name}/device");
    let files = tree.list(&directory).unwrap_or_default();
    let path = |file: &str| {
        files
            .iter()
            .any(|name| name == file)
            .then(|| format!("{directory}/{file}"))
    };
    let device = || Device::Block(name.to_owned());
    let counters = [
        ("ioerr_cnt", ErrorCounter::Disk { device: device() }),
        ("iotmo_cnt", ErrorCounter::DiskTimeouts { device: device() }),
    ];
    let sensor = |(file, counter)| {
        Some(ErrorSensor {
            counter,
            path: path(file)?,
            format: Format::Hexadecimal,
            wwid: path("wwid"),
        })
    };
    counters.into_iter().filter_map(sensor).collect()
}

fn md_components(tree: &dyn Tree, array: &str) -> Vec<ErrorSensor> {
    let directory = format!("{BLOCK}/{array}/md");
    let entries = tree.list(&directory).unwrap_or_default();
    let components = entries.iter().filter_map(|entry| entry.strip_prefix("dev-"));
    let sensor = |component: &str| ErrorSensor {
        counter: ErrorCounter::MdComponent {
            array: Device::Block(array.to_owned()),
            device: Device::Block(component.to_owned()),
        },
        path: format!("{directory}/dev-{component}/errors"),
        format: Format::Decimal,
        wwid: None,
    };
    components.map(sensor).collect()
}

fn ext4(tree: &dyn Tree, device: &str) -> Option<ErrorSensor> {
    // Beside the mounted file systems there is `features`, which has no such file.
    let directory = format!("{EXT4}/{device}");
    has(tree, &directory, "errors_count").then(|| ErrorSensor {
        counter: ErrorCounter::Filesystem {
            device: Device::Block(device.to_owned()),
            fstype: "ext4",
        },
        path: format!("{directory}/errors_count"),
        format: Format::Decimal,
        wwid: None,
    })
}

fn btrfs(tree: &dyn Tree, uuid: &str) -> Vec<ErrorSensor> {
    // `devinfo/<devid>/error_stats` since Linux 5.14; `features` and older kernels have no `devinfo`.
    let directory = format!("{BTRFS}/{uuid}/devinfo");
    let devids = tree.list(&directory).unwrap_or_default();
    let devices = tree.list(&format!("{BTRFS}/{uuid}/devices")).unwrap_or_default();
    let device = |devid: &str| match (devids.as_slice(), devices.as_slice()) {
        ([_], [only]) => Device::Block(only.clone()),
        _ => Device::BtrfsMember {
            filesystem: uuid.to_owned(),
            devid: devid.to_owned(),
        },
    };
    let with_stats = devids
        .iter()
        .filter(|devid| has(tree, &format!("{directory}/{devid}"), "error_stats"));
    let sensor = |devid: &String| ErrorSensor {
        counter: ErrorCounter::Filesystem {
            device: device(devid),
            fstype: "btrfs",
        },
        path: format!("{directory}/{devid}/error_stats"),
        format: Format::BtrfsStats,
        wwid: None,
    };
    with_stats.map(sensor).collect()
}

/// All these counts are 32-bit in the kernel, and most are signed there: past 2^31 a hexadecimal one is written
/// sign-extended to 64 bits (`0xffffffff80000000`) and a decimal one as negative. The low 32 bits are the count.
const COUNT_MASK: u64 = 0xffff_ffff;

fn parse_hexadecimal(text: &str) -> Option<u64> {
    let digits = text
        .strip_prefix("0x")
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u64::from_str_radix(digits, 16).ok().map(|count| count & COUNT_MASK)
}

fn parse_decimal(text: &str) -> Option<u64> {
    let is_count = |count: &i64| (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(count);
    text.parse::<i64>()
        .ok()
        .filter(is_count)
        .map(|count| count.cast_unsigned() & COUNT_MASK)
}

/// The sum of the five counts; a file that lacks one of them is not the file that this code knows.
fn parse_btrfs_stats(text: &str) -> Option<u64> {
    let stat = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(key, _)| *key == name)
            .and_then(|(_, count)| parse_decimal(count.trim()))
    };
    BTRFS_STATS.into_iter().map(stat).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_are_the_low_32_bits() {
        let check = |format: Format, text: &str, expected: Option<u64>| {
            assert_eq!(format.parse(text), expected, "{format:?} {text:?}");
        };
        check(Format::Hexadecimal, "0x0", Some(0));
        check(Format::Hexadecimal, "0x1f", Some(31));
        check(Format::Hexadecimal, "0xffffffff80000001", Some(0x8000_0001));
        check(Format::Hexadecimal, "31", None);
        check(Format::Hexadecimal, "0x", None);
        check(Format::Hexadecimal, "0x+1", None);
        check(Format::Hexadecimal, "0x1ffffffffffffffff", None);
        check(Format::Decimal, "31", Some(31));
        check(Format::Decimal, "-2147483648", Some(0x8000_0000));
        check(Format::Decimal, "4294967296", None);
        check(Format::Decimal, "0x1f", None);
        check(Format::Decimal, "", None);
        let stats = "write_errs 1\nread_errs 2\nflush_errs 0\ncorruption_errs 4\ngeneration_errs -1\n";
        check(Format::BtrfsStats, stats, Some(7 + 0xffff_ffff));
        check(Format::BtrfsStats, "write_errs 1\nread_errs 2\n", None);
        check(Format::BtrfsStats, "invalid", None);
    }

    #[test]
    fn a_count_that_falls_has_started_again() {
        let check = |old: u64, new: u64, expected: u64| assert_eq!(increase(old, new), expected, "{old} to {new}");
        check(0, 7, 7);
        check(7, 7, 0);
        check(7, 9, 2);
        check(9, 2, 2);
        check(9, 0, 0);
    }

    #[test]
    fn only_whole_scsi_disks_are_disks() {
        let check = |name: &str, expected: bool| assert_eq!(is_scsi_disk(name), expected, "{name}");
        for disk in ["sda", "sdz", "sdaa", "sdxyz"] {
            check(disk, true);
        }
        for other in [
            "sd", "sda1", "sr0", "nvme0n1", "loop0", "ram0", "zram0", "dm-0", "md0", "fd0", "vda", "mmcblk0",
        ] {
            check(other, false);
        }
    }

    proptest! {
        #[test]
        fn hexadecimal_counts_survive_the_kernels_way_of_writing(count in any::<i32>()) {
            let written = format!("{:#x}", i64::from(count));
            prop_assert_eq!(parse_hexadecimal(&written), Some(u64::from(count.cast_unsigned())));
        }

        #[test]
        fn decimal_counts_survive_the_kernels_way_of_writing(count in any::<i32>()) {
            prop_assert_eq!(parse_decimal(&count.to_string()), Some(u64::from(count.cast_unsigned())));
        }

        #[test]
        fn any_text_is_a_count_of_32_bits_or_nothing(text in "(0x)?-?[0-9a-fxX ]{0,20}|.*") {
            for format in [Format::Hexadecimal, Format::Decimal] {
                prop_assert!(format.parse(&text).is_none_or(|count| count <= COUNT_MASK));
            }
            prop_assert!(parse_btrfs_stats(&text).is_none());
        }

        #[test]
        fn btrfs_stats_add_up(counts in any::<[u16; 5]>()) {
            let lines = BTRFS_STATS.iter().zip(counts).map(|(name, count)| format!("{name} {count}\n"));
            let expected = counts.iter().map(|count| u64::from(*count)).sum();
            prop_assert_eq!(parse_btrfs_stats(&lines.collect::<String>()), Some(expected));
        }

        #[test]
        fn totals_never_fall(counts in proptest::collection::vec(any::<u32>(), 1..32)) {
            let mut old = 0;
            for new in counts.into_iter().map(u64::from) {
                prop_assert!(increase(old, new) <= new);
                old = new;
            }
        }
    }
}
