//! The sampling thread, driven by moments that the tests choose, and what it publishes in a real registry.

use std::{
    fs,
    io::Write,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use janus::{
    hardware::{DeviceLabel, HardwareConfig, Mode, Sampler, SamplerError, series::FAMILIES},
    metrics::{Format, Registry},
};
use rustix::fs::{CWD, FileType, Mode as FileMode, mknodat};

use crate::{
    machine::MachineDir,
    rig::{PATIENCE, Rig, config_of, exposed},
};

/// Starts the sampler by the system's clocks.
fn start(config: HardwareConfig) -> (Sampler, Arc<Registry>) {
    let registry = Arc::new(Registry::new());
    (
        Sampler::start(config, Arc::clone(&registry)).expect("a thread"),
        registry,
    )
}

const SDB: &str = "sys/devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0";
const PACKAGE: &str = "sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_input";

#[test]
fn a_sample_publishes_what_is_there_and_nothing_else() {
    let rig = Rig::on("two_socket_intel");
    rig.sample(0);
    let expected = [
        "cpu_package_temperature_celsius{package=\"0\"} 54",
        "cpu_package_temperature_celsius{package=\"1\"} 61",
        "cpu_temperature_celsius 61",
        "hd_errors_total{device=\"/dev/sda\"} 2",
        "janus_hardware_last_sample_timestamp_seconds 1700000000",
        "janus_hardware_simulated 0",
        "janus_hardware_source_up{source=\"cpu_temperature\"} 1",
        "janus_hardware_source_up{source=\"disk_errors\"} 1",
        "janus_hardware_source_up{source=\"fs_errors\"} 0",
        "janus_hardware_source_up{source=\"md_errors\"} 0",
    ];
    rig.check("", &expected);
}

#[test]
fn a_machine_without_sensors_has_no_sensor_series() {
    let rig = Rig::on("vm_false_coretemp");
    rig.sample(0);
    rig.check("cpu_", &[]);
    rig.check("hd_", &[]);
    rig.check("fs_", &[]);
    rig.check("md_", &[]);
    rig.check(
        "janus_hardware_source_up{source=\"cpu",
        &["janus_hardware_source_up{source=\"cpu_temperature\"} 0"],
    );
}

#[test]
fn the_first_sample_is_waited_for() {
    let rig = Rig::on("two_socket_intel");
    let sampler = rig.sampler.as_ref().expect("runs");
    assert!(!sampler.wait_first(Duration::ZERO), "no moment has come");
    rig.begin_sample(0);
    assert!(sampler.wait_first(PATIENCE));
    rig.check("cpu_temperature", &["cpu_temperature_celsius 61"]);
}

#[test]
fn what_is_plugged_in_is_found_at_the_next_discovery() {
    let rig = Rig::on("hot_plug");
    rig.sample(0);
    rig.write("sys/block/sdc/device/ioerr_cnt", "0x7\n");
    rig.sample(59);
    rig.check(
        "hd_",
        &[
            "hd_errors_total{device=\"/dev/sda\"} 2",
            "hd_errors_total{device=\"/dev/sdb\"} 5",
            "hd_timeouts_total{device=\"/dev/sda\"} 0",
            "hd_timeouts_total{device=\"/dev/sdb\"} 0",
        ],
    );
    rig.sample(60);
    rig.check(
        "hd_errors_total{device=\"/dev/sdc",
        &["hd_errors_total{device=\"/dev/sdc\"} 7"],
    );
}

#[test]
fn what_is_unplugged_has_no_series_and_is_cause_to_look_around() {
    let rig = Rig::on("hot_plug");
    rig.sample(0);
    fs::remove_dir_all(rig.machine.path(SDB)).expect("is there");
    fs::remove_file(rig.machine.path("sys/block/sdb")).expect("is there");
    fs::remove_dir_all(rig.machine.path("sys/block/md0/md/dev-sdb1")).expect("is there");
    rig.write("sys/block/sdc/device/ioerr_cnt", "0x7\n");
    rig.sample(10);
    rig.check(
        "hd_",
        &[
            "hd_errors_total{device=\"/dev/sda\"} 2",
            "hd_errors_total{device=\"/dev/sdc\"} 7",
            "hd_timeouts_total{device=\"/dev/sda\"} 0",
        ],
    );
    rig.check(
        "md_",
        &["md_component_read_errors_total{array=\"/dev/md0\",device=\"/dev/sda1\"} 0"],
    );
    // It comes back with the kernel's count at zero: the total goes on.
    rig.write("sys/block/sdb/device/ioerr_cnt", "0x0\n");
    rig.sample(70);
    rig.check(
        "hd_errors_total{device=\"/dev/sdb",
        &["hd_errors_total{device=\"/dev/sdb\"} 5"],
    );
}

#[test]
fn counters_go_on_over_a_reset_of_the_kernels_count() {
    let rig = Rig::on("hot_plug");
    for (seconds, kernel, total) in [
        (0, "0x5", 5_u64),
        (10, "0x8", 8),
        (20, "0x1", 9),
        (30, "0xffffffff80000000", 2_147_483_656),
    ] {
        rig.write(&format!("{SDB}/ioerr_cnt"), kernel);
        rig.sample(seconds);
        rig.check(
            "hd_errors_total{device=\"/dev/sdb",
            &[&format!("hd_errors_total{{device=\"/dev/sdb\"}} {total}")],
        );
    }
}

#[test]
fn a_sensor_that_fails_has_no_series_until_it_is_well() {
    let rig = Rig::on("hot_plug");
    rig.sample(0);
    rig.check("cpu_temperature", &["cpu_temperature_celsius 41"]);
    for (seconds, broken) in [(10, ""), (20, "N/A"), (30, "0x29"), (40, "255000"), (50, "-127000")] {
        rig.write(PACKAGE, broken);
        rig.sample(seconds);
        rig.check("cpu_", &[]);
        rig.check(
            "janus_hardware_source_up{source=\"cpu",
            &["janus_hardware_source_up{source=\"cpu_temperature\"} 0"],
        );
    }
    rig.write(PACKAGE, "42000");
    rig.sample(55);
    rig.check("cpu_temperature", &["cpu_temperature_celsius 42"]);
}

#[test]
fn a_read_that_hangs_holds_up_nothing_but_its_thread() {
    let mut rig = Rig::on("hang");
    rig.begin_sample(0);
    // A FIFO opens for writing once somebody opens it for reading: then the thread is in the read.
    let mut fifo = fs::File::options()
        .write(true)
        .open(rig.machine.path(PACKAGE))
        .expect("a FIFO");
    let sampler = rig.sampler.take().expect("runs");
    assert!(!sampler.wait_first(Duration::from_millis(1)), "the sample is not done");
    rig.check("", &[]);
    drop(sampler);
    // Only now may the read end: dropping did not wait for it.
    fifo.write_all(b"47000\n").expect("the thread still reads");
    drop(fifo);
    rig.await_idle();
    rig.end();
}

#[test]
fn while_a_read_hangs_the_timestamp_stands_still() {
    const TIMESTAMP: &str = "janus_hardware_last_sample_timestamp_seconds";
    let rig = Rig::on("hot_plug");
    rig.sample(0);
    let path = rig.machine.path(PACKAGE);
    fs::remove_file(&path).expect("is there");
    mknodat(CWD, &path, FileType::Fifo, FileMode::RUSR | FileMode::WUSR, 0).expect("a FIFO");
    rig.begin_sample(10);
    let mut fifo = fs::File::options().write(true).open(&path).expect("a FIFO");
    rig.check(TIMESTAMP, &[&format!("{TIMESTAMP} 1700000000")]);
    rig.check("cpu_temperature", &["cpu_temperature_celsius 41"]);
    fifo.write_all(b"47000\n").expect("the thread still reads");
    drop(fifo);
    rig.await_idle();
    rig.check(TIMESTAMP, &[&format!("{TIMESTAMP} 1700000010")]);
    rig.check("cpu_temperature", &["cpu_temperature_celsius 47"]);
}

#[test]
fn by_the_systems_clocks_the_first_sample_comes_at_once_and_dropping_ends_the_thread() {
    let machine = MachineDir::of_fixture("two_socket_epyc");
    let hour = Duration::from_secs(3600);
    let config = HardwareConfig {
        interval: hour,
        device_label: DeviceLabel::Kernel,
        ..config_of(&machine)
    };
    let (sampler, registry) = start(config);
    assert!(sampler.wait_first(PATIENCE));
    assert_eq!(
        exposed(&registry, "cpu_temperature"),
        ["cpu_temperature_celsius 51.625"]
    );
    drop(sampler);
    // The thread holds the registry until it ends.
    let dropped = Instant::now();
    while Arc::strong_count(&registry) > 1 {
        assert!(dropped.elapsed() < PATIENCE, "the thread has ended");
        thread::yield_now();
    }
}

#[test]
fn a_simulation_is_labelled_on_every_sensor_series() {
    let (sampler, registry) = start(HardwareConfig {
        mode: Mode::Simulated,
        ..HardwareConfig::default()
    });
    assert!(sampler.wait_first(PATIENCE));
    for line in exposed(&registry, "") {
        assert_eq!(
            line.contains("simulated=\"true\""),
            !line.starts_with("janus_hardware_"),
            "{line}"
        );
    }
    assert_eq!(
        exposed(&registry, "janus_hardware_simulated"),
        ["janus_hardware_simulated 1"]
    );
    assert_eq!(
        exposed(&registry, "cpu_temperature"),
        ["cpu_temperature_celsius{simulated=\"true\"} 50"]
    );
}

#[test]
fn switched_off_there_is_no_thread_and_no_series() {
    let (sampler, registry) = start(HardwareConfig {
        mode: Mode::Off,
        ..HardwareConfig::default()
    });
    assert!(sampler.wait_first(Duration::ZERO), "there is nothing to wait for");
    assert_eq!(Arc::strong_count(&registry), 1, "no thread holds it");
    assert_eq!(exposed(&registry, ""), [""; 0]);
}

#[test]
fn an_interval_below_a_second_is_refused() {
    let interval = Duration::from_millis(999);
    let config = HardwareConfig {
        interval,
        ..HardwareConfig::default()
    };
    let error = Sampler::start(config, Arc::new(Registry::new())).expect_err("is too short");
    assert!(matches!(error, SamplerError::IntervalTooShort { .. }));
    assert_eq!(
        error.to_string(),
        "the interval between samples is 999ms; the least is 1s"
    );
}

#[test]
fn a_registry_that_is_full_leaves_out_what_is_too_much_and_samples_go_on() {
    let machine = MachineDir::of_fixture("two_socket_intel");
    // Three are the registry's own, in which it counts refusals.
    let registry = Arc::new(Registry::with_max_series(3 + 4));
    let config = HardwareConfig {
        interval: Duration::from_secs(3600),
        ..config_of(&machine)
    };
    let sampler = Sampler::start(config, Arc::clone(&registry)).expect("a thread");
    assert!(sampler.wait_first(PATIENCE), "the sample is finished");
    // The first four by name: two packages, the processor and the disk. Refused are the other six.
    assert_eq!(exposed(&registry, "janus_hardware"), [""; 0]);
    assert_eq!(exposed(&registry, "").len(), 4);
}

#[test]
fn every_metric_is_described() {
    let (sampler, registry) = start(HardwareConfig {
        mode: Mode::Simulated,
        ..HardwareConfig::default()
    });
    assert!(sampler.wait_first(PATIENCE));
    let mut text = Vec::new();
    registry.render(Format::OpenMetrics, &mut text);
    let text = String::from_utf8(text).expect("an exposition is UTF-8");
    for family in FAMILIES {
        let name = family.name.strip_suffix("_total").unwrap_or(family.name);
        assert!(
            text.contains(&format!("# HELP {name} {}\n", family.help)),
            "{name} in {text}"
        );
        let unit = family.unit.map(|unit| format!("# UNIT {name} {unit}\n"));
        assert!(unit.is_none_or(|unit| text.contains(&unit)), "{name} in {text}");
    }
}
