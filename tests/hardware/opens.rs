//! Which files are opened: by the reader's own account, and by the kernel's.
//!
//! To read a temperature of an NVMe or SATA drive is a command to the drive, so that no test of values can show that
//! it did not happen. These tests look at the opens.

use std::{
    collections::BTreeSet,
    fs,
    mem::MaybeUninit,
    path::{Path, PathBuf},
};

use janus::hardware::{sensors::Sensors, tree::Tree};
use rustix::fs::inotify;

use crate::machine::{Faulty, MachineDir, Recording, fixture_names, manifest};

/// Everything that a sampler does with a tree.
fn discover_and_read(tree: &dyn Tree) {
    for trust_vm in [false, true] {
        drop(Sensors::discover(tree, trust_vm).read(tree));
    }
}

#[test]
fn of_other_chips_only_the_name_is_opened_on_any_machine() {
    const MEASURES_A_PROCESSOR: [&str; 6] = [
        "coretemp",
        "k10temp",
        "zenpower",
        "cpu_thermal",
        "smpro_hwmon",
        "apm_xgene",
    ];
    for fixture in fixture_names() {
        let chips = manifest(&fixture);
        let (tree, opened) = Recording::new(Faulty(manifest(&fixture)));
        discover_and_read(&tree);
        for path in opened.lock().expect("no test panicked with it").iter() {
            let Some((directory, file)) = path.rsplit_once('/').filter(|_| path.starts_with("sys/class/hwmon/")) else {
                continue;
            };
            let chip = chips.read(&format!("{directory}/name")).expect("a chip has a name");
            let is_processor = MEASURES_A_PROCESSOR.contains(&chip.trim());
            assert!(
                is_processor || file == "name",
                "{fixture}: opened {path} of {}",
                chip.trim()
            );
        }
    }
}

#[test]
fn a_virtual_machines_sensors_are_not_even_opened() {
    let (tree, opened) = Recording::new(manifest("vm_false_coretemp"));
    drop(Sensors::discover(&tree, false).read(&tree));
    assert_eq!(*opened.lock().expect("no test panicked with it"), ["proc/cpuinfo"]);
}

/// The files opened below `directories` while `act` runs, as the kernel reports them.
fn opened_by(directories: &[PathBuf], act: impl FnOnce()) -> BTreeSet<PathBuf> {
    let queue = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).expect("inotify");
    let mut watched = Vec::new();
    for directory in directories {
        let descriptor = inotify::add_watch(&queue, directory, inotify::WatchFlags::OPEN).expect("can be watched");
        watched.push((descriptor, directory));
    }
    act();
    let mut opened = BTreeSet::new();
    let mut buffer = [MaybeUninit::uninit(); 64 * 1024];
    let mut events = inotify::Reader::new(&queue, &mut buffer);
    // The queue does not block: it ends with EAGAIN when every event has been taken.
    while let Ok(event) = events.next() {
        let (_, directory) = watched
            .iter()
            .find(|(descriptor, _)| *descriptor == event.wd())
            .expect("is watched");
        // An event without a name, or with ISDIR, is the listing of a directory, which asks the drive nothing.
        if let Some(name) = event.file_name()
            && !event.events().contains(inotify::ReadFlags::ISDIR)
        {
            opened.insert(directory.join(name.to_str().expect("is UTF-8")));
        }
    }
    opened
}

/// `directory` and all directories below it, no link followed.
fn directories_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    let mut next = 0;
    while next < found.len() {
        for entry in fs::read_dir(&found[next]).expect("can be listed") {
            let entry = entry.expect("can be listed");
            if entry.file_type().expect("has a type").is_dir() {
                found.push(entry.path());
            }
        }
        next += 1;
    }
    found
}

#[test]
fn the_kernel_saw_only_names_of_nvme_and_drivetemp_opened() {
    const NVME: &str = "sys/devices/pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0";
    const DISK: &str = "sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0";
    let check = |fixture: &str, expected: &[&str]| {
        let machine = MachineDir::of_fixture(fixture);
        let mut watched = directories_below(&machine.path(NVME));
        watched.extend(directories_below(&machine.path(DISK)));
        let opened = opened_by(&watched, || discover_and_read(&machine.tree()));
        assert_eq!(
            opened,
            expected.iter().map(|path| machine.path(path)).collect(),
            "{fixture}"
        );
    };
    // Of a disk one file is read: the number of errors, which the SCSI layer keeps in memory.
    let (nvme, drivetemp) = (format!("{NVME}/hwmon/hwmon0/name"), format!("{DISK}/hwmon/hwmon1/name"));
    check("two_socket_intel", &[&nvme, &drivetemp, &format!("{DISK}/ioerr_cnt")]);
    // The chips of the drives are the only ones: still nothing of them is taken for a processor.
    let (nvme, drivetemp) = (format!("{NVME}/hwmon/hwmon5/name"), format!("{DISK}/hwmon/hwmon6/name"));
    check("thermal_zones", &[&nvme, &drivetemp]);
}
