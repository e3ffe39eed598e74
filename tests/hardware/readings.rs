//! What each machine's sensors say.

use janus::hardware::{
    disk_errors::{Device, ErrorCounter},
    reading::Source,
    sensors::{Readings, Sensors},
    tree::Tree,
};

use crate::machine::{Faulty, MachineDir, fixture_names, manifest};

fn name(device: &Device) -> String {
    match device {
        Device::Block(name) => name.clone(),
        Device::BtrfsMember { filesystem, devid } => format!("{filesystem}/{devid}"),
    }
}

/// One line a reading, then one a source that is up.
fn render(readings: &Readings) -> Vec<String> {
    let packages = readings
        .packages
        .iter()
        .map(|it| format!("package {} {}", it.package, it.celsius));
    let errors = readings.errors.iter().map(|it| match &it.counter {
        ErrorCounter::Disk { device } => format!("disk {} {}", name(device), it.count),
        ErrorCounter::DiskTimeouts { device } => format!("timeouts {} {}", name(device), it.count),
        ErrorCounter::Filesystem { device, fstype } => format!("{fstype} {} {}", name(device), it.count),
        ErrorCounter::MdComponent { array, device } => format!("md {} {} {}", name(array), name(device), it.count),
    });
    let up = Source::ALL.into_iter().filter(|source| readings.is_up(*source));
    packages
        .chain(errors)
        .chain(up.map(|source| format!("up {}", source.as_str())))
        .collect()
}

fn read(tree: &dyn Tree, trust_vm: bool) -> Vec<String> {
    render(&Sensors::discover(tree, trust_vm).read(tree))
}

/// The fixture gives these readings, in memory and as real files.
fn check_trusting(fixture: &str, trust_vm: bool, expected: &[&str]) {
    assert_eq!(
        read(&Faulty(manifest(fixture)), trust_vm),
        expected,
        "{fixture} in memory"
    );
    let machine = MachineDir::of_fixture(fixture);
    assert_eq!(
        read(&Faulty(machine.tree()), trust_vm),
        expected,
        "{fixture} on the file system"
    );
}

fn check(fixture: &str, expected: &[&str]) {
    check_trusting(fixture, false, expected);
}

#[test]
fn intel_packages_are_told_by_their_label_and_cores_are_not_packages() {
    check(
        "two_socket_intel",
        &[
            "package 0 54",
            "package 1 61",
            "disk sda 2",
            "up cpu_temperature",
            "up disk_errors",
        ],
    );
    check("coretemp_without_package", &[]);
}

#[test]
fn boards_are_known_by_the_names_of_their_chips_and_zones() {
    check("rk3588", &["package 0 47.153", "up cpu_temperature"]);
    // The hottest of the cores, whatever is hotter beside them.
    check("qualcomm", &["package 0 44.5", "up cpu_temperature"]);
    check("ampere_altra", &["package 0 52", "package 1 57", "up cpu_temperature"]);
}

#[test]
fn time_outs_of_disks_are_read_where_the_kernel_counts_them() {
    check(
        "ampere_acpi",
        &[
            "package 0 48",
            "disk sda 5",
            "timeouts sda 2",
            "disk sdb 1",
            "up cpu_temperature",
            "up disk_errors",
        ],
    );
}

#[test]
fn amd_packages_are_ranked_by_bus_address() {
    check(
        "two_socket_epyc",
        &["package 0 48.25", "package 1 51.625", "up cpu_temperature"],
    );
    check(
        "opteron_unlabelled",
        &["package 0 32.125", "package 1 33.5", "up cpu_temperature"],
    );
}

#[test]
fn the_die_is_taken_before_the_control_value() {
    check("ryzen_offset", &["package 0 50.5", "up cpu_temperature"]);
    check("zenpower", &["package 0 44.125", "up cpu_temperature"]);
}

#[test]
fn a_system_on_chip_has_one_package() {
    check("raspberry_pi", &["package 0 42.355", "up cpu_temperature"]);
}

#[test]
fn thermal_zones_stand_in_where_no_chip_measures_a_processor() {
    check("thermal_zones", &["package 0 47", "package 1 49", "up cpu_temperature"]);
}

#[test]
fn a_virtual_machine_has_a_temperature_only_if_it_is_trusted() {
    check("vm_without_sensors", &["ext4 vda1 0", "up fs_errors"]);
    check("vm_false_coretemp", &[]);
    check_trusting("vm_false_coretemp", true, &["package 0 100", "up cpu_temperature"]);
}

#[test]
fn disks_arrays_and_file_systems_are_counted() {
    check(
        "sata_md_btrfs",
        &[
            "package 0 41",
            "disk sda 2",
            "timeouts sda 0",
            "disk sdb 31",
            "timeouts sdb 0",
            "disk sdc 2147483649",
            "timeouts sdc 0",
            "disk sdd 0",
            "timeouts sdd 0",
            "md md127 sda1 3",
            "md md127 sdb1 0",
            "ext4 dm-0 12",
            "ext4 md127 1",
            "btrfs sdc1 15",
            "btrfs a7c2-two/1 0",
            "btrfs a7c2-two/2 7",
            "up cpu_temperature",
            "up disk_errors",
            "up fs_errors",
            "up md_errors",
        ],
    );
}

#[test]
fn a_sensor_that_fails_is_left_out_and_the_others_stay() {
    check("eagain", &["package 1 47", "up cpu_temperature"]);
    check(
        "eio",
        &[
            "package 1 47",
            "timeouts sda 0",
            "disk sdb 1",
            "timeouts sdb 0",
            "up cpu_temperature",
            "up disk_errors",
        ],
    );
}

#[test]
fn the_failure_says_which_file_and_why() {
    let machine = MachineDir::of_fixture("eio");
    let tree = machine.tree();
    let failures = Sensors::discover(&tree, false).read(&tree).failures;
    let said: Vec<_> = failures.iter().map(ToString::to_string).collect();
    let expected = [
        "sys/class/hwmon/hwmon0/temp1_input: Input/output error (os error 5)",
        "sys/block/sda/device/ioerr_cnt: Input/output error (os error 5)",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_sensor_that_was_not_ready_is_read_at_the_next_pass() {
    let tree = Faulty(manifest("eagain"));
    let sensors = Sensors::discover(&tree, false);
    assert_eq!(render(&sensors.read(&tree)), ["package 1 47", "up cpu_temperature"]);
    assert_eq!(
        render(&sensors.read(&tree)),
        ["package 0 52", "package 1 47", "up cpu_temperature"]
    );
}

#[test]
fn what_no_processor_says_is_dropped() {
    check(
        "implausible",
        &["package 1 -40", "package 2 150", "package 5 46", "up cpu_temperature"],
    );
    let tree = manifest("implausible");
    let failures = Sensors::discover(&tree, false).read(&tree).failures;
    assert_eq!(failures.len(), 5, "each of the others says why: {failures:?}");
}

#[test]
fn a_machine_with_nothing_has_no_reading() {
    let empty = tempfile::tempdir().expect("a temporary directory");
    let tree = janus::hardware::tree::HostTree::new(empty.path().join("sys"), empty.path().join("proc"));
    let readings = Sensors::discover(&tree, false).read(&tree);
    assert_eq!(render(&readings), [""; 0]);
    assert_eq!(readings.hottest_celsius(), None);
    assert!(
        readings.failures.is_empty(),
        "what is not there is no failure: {:?}",
        readings.failures
    );
}

#[test]
fn the_hottest_package_is_the_processors_temperature() {
    let tree = manifest("two_socket_intel");
    assert_eq!(
        Sensors::discover(&tree, false).read(&tree).hottest_celsius(),
        Some(61.0)
    );
}

#[test]
fn only_a_sensor_that_went_calls_for_a_look_around() {
    let check = |fixture: &str, lost: &str, expected: bool| {
        let machine = MachineDir::of_fixture(fixture);
        let tree = Faulty(machine.tree());
        let sensors = Sensors::discover(&tree, false);
        if !lost.is_empty() {
            std::fs::remove_file(machine.path(lost)).expect("the file is there");
        }
        assert_eq!(
            sensors.read(&tree).is_any_gone(),
            expected,
            "{fixture} without {lost:?}"
        );
    };
    check("hot_plug", "", false);
    check("hot_plug", "sys/block/md0/md/dev-sdb1/errors", true);
    check(
        "hot_plug",
        "sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_input",
        true,
    );
    check("eagain", "", false);
    check("eio", "", false);
}

#[test]
fn every_fixture_is_read_the_same_in_memory_and_as_files() {
    for fixture in fixture_names().into_iter().filter(|name| name != "hang") {
        let machine = MachineDir::of_fixture(&fixture);
        let in_memory = read(&Faulty(manifest(&fixture)), true);
        assert_eq!(in_memory, read(&Faulty(machine.tree()), true), "{fixture}");
    }
}
