//! Which series the readings make.
//!
//! Owns the names, labels and values of the hardware metrics and the totals of the error counters. Its input is
//! [`Readings`]; its output is the whole set of series that exist after a sample, which scrapes collect until the next.

use std::collections::HashMap;

use super::{
    DeviceLabel,
    disk_errors::{Device, ErrorCount, ErrorCounter, increase},
    reading::Source,
    sensors::Readings,
};
use crate::metrics::collected::{Family, Samples, SeriesId, Value};

const CPU: Family = Family::gauge(
    "cpu_temperature_celsius",
    Some("celsius"),
    "Temperature of the hottest processor package.",
);
const CPU_PACKAGE: Family = Family::gauge(
    "cpu_package_temperature_celsius",
    Some("celsius"),
    "Temperature of a processor package.",
);
const DISK: Family = Family::counter(
    "hd_errors_total",
    None,
    "Commands of a SCSI or SATA disk that ended with a non-zero result (ioerr_cnt: media and transport errors, but also unit attentions and what a SMART tool asks in vain) or timed out (iotmo_cnt, where the kernel counts it).",
);
const TIMEOUTS: Family = Family::counter(
    "hd_timeouts_total",
    None,
    "Commands of a SCSI or SATA disk that timed out (iotmo_cnt, since Linux 6.2), which hd_errors_total counts too; 0 says nothing of errors that the disk answers with.",
);
const FILESYSTEM: Family = Family::counter(
    "fs_errors_total",
    None,
    "Errors that a file system has found on a device.",
);
const MD: Family = Family::counter(
    "md_component_read_errors_total",
    None,
    "Read errors of a component of an md array that did not cost it its place.",
);
const SOURCE_UP: Family = Family::gauge(
    "janus_hardware_source_up",
    None,
    "Whether the last sample read at least one value from the source.",
);
const LAST_SAMPLE: Family = Family::gauge(
    "janus_hardware_last_sample_timestamp_seconds",
    Some("seconds"),
    "When the last finished sample of the sensors was begun, since the epoch.",
);
const SIMULATED: Family = Family::gauge(
    "janus_hardware_simulated",
    None,
    "Whether the sensors are simulated: 1 if no value was measured.",
);

/// Every metric of the hardware.
pub const FAMILIES: [Family; 9] = [
    CPU,
    CPU_PACKAGE,
    DISK,
    TIMEOUTS,
    FILESYSTEM,
    MD,
    SOURCE_UP,
    LAST_SAMPLE,
    SIMULATED,
];

/// Makes series of readings, and keeps the totals of the counters from one sample to the next.
#[derive(Debug)]
pub struct SeriesOfReadings {
    device_label: DeviceLabel,
    is_simulated: bool,
    /// Kept for a counter that is missing too: when it comes back it goes on from here.
    totals: HashMap<ErrorCounter, Total>,
}

/// What the kernel said last, and how far the counter has gone since the process began.
#[derive(Debug, Default)]
struct Total {
    /// Of which disk, where that is known.
    wwid: Option<String>,
    kernel_count: u64,
    total: u64,
}

impl SeriesOfReadings {
    /// With no total yet: the kernel's first count is the first total.
    #[must_use]
    pub fn new(device_label: DeviceLabel, is_simulated: bool) -> Self {
        Self {
            device_label,
            is_simulated,
            totals: HashMap::new(),
        }
    }

    /// All series that exist after this sample; one that is not among them has no value now.
    pub fn after_sample(&mut self, readings: &Readings, unix_seconds: f64) -> Samples {
        let mut series = Samples::new();
        let mut state = |family: Family, labels, value: f64| {
            series.insert(family.series(labels), Value::Gauge(value));
        };
        state(SIMULATED, vec![], f64::from(self.is_simulated));
        state(LAST_SAMPLE, vec![], unix_seconds);
        for source in Source::ALL {
            let labels = vec![("source", source.as_str().to_owned())];
            state(SOURCE_UP, labels, f64::from(readings.is_up(source)));
        }
        if let Some(celsius) = readings.hottest_celsius() {
            series.insert(self.sensor_series(CPU, vec![]), Value::Gauge(celsius));
        }
        for package in &readings.packages {
            let labels = vec![("package", package.package.clone())];
            series.insert(self.sensor_series(CPU_PACKAGE, labels), Value::Gauge(package.celsius));
        }
        for count in &readings.errors {
            self.add(count);
        }
        for ErrorCount { counter, .. } in &readings.errors {
            series.insert(self.error_series(counter), Value::Counter(self.total(counter)));
        }
        series
    }

    fn add(&mut self, ErrorCount { counter, count, wwid }: &ErrorCount) {
        let total = self.totals.entry(counter.clone()).or_default();
        let is_swapped = matches!((&total.wwid, wwid), (Some(old), Some(new)) if old != new);
        // Another disk of this name counts from 0, however far it has come meanwhile.
        let before = if is_swapped { 0 } else { total.kernel_count };
        total.total += increase(before, *count);
        total.kernel_count = *count;
        if wwid.is_some() {
            total.wwid.clone_from(wwid);
        }
    }

    /// How far a counter has gone. The kernel counts time-outs apart, and never a command in both: what timed out is ended
    /// by the error handler, which does not count it.
    fn total(&self, counter: &ErrorCounter) -> u64 {
        let of = |counter: &ErrorCounter| self.totals.get(counter).map_or(0, |total| total.total);
        match counter {
            ErrorCounter::Disk { device } => of(counter) + of(&ErrorCounter::DiskTimeouts { device: device.clone() }),
            _ => of(counter),
        }
    }

    fn error_series(&self, counter: &ErrorCounter) -> SeriesId {
        match counter {
            ErrorCounter::Disk { device } => self.sensor_series(DISK, vec![("device", self.label(device))]),
            ErrorCounter::DiskTimeouts { device } => self.sensor_series(TIMEOUTS, vec![("device", self.label(device))]),
            ErrorCounter::Filesystem { device, fstype } => {
                let labels = vec![("device", self.label(device)), ("fstype", (*fstype).to_owned())];
                self.sensor_series(FILESYSTEM, labels)
            }
            ErrorCounter::MdComponent { array, device } => {
                let labels = vec![("array", self.label(array)), ("device", self.label(device))];
                self.sensor_series(MD, labels)
            }
        }
    }

    fn sensor_series(&self, family: Family, mut labels: Vec<(&'static str, String)>) -> SeriesId {
        if self.is_simulated {
            labels.push(("simulated", "true".to_owned()));
        }
        family.series(labels)
    }

    fn label(&self, device: &Device) -> String {
        match (device, self.device_label) {
            (Device::Block(name), DeviceLabel::Kernel) => name.clone(),
            // A slash in a device's name is written `!` in sysfs: `cciss!c0d0` is `/dev/cciss/c0d0`.
            (Device::Block(name), DeviceLabel::Path) => format!("/dev/{}", name.replace('!', "/")),
            (Device::BtrfsMember { filesystem, devid }, _) => format!("{filesystem}/{devid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::cpu_temperature::PackageTemperature;
    use crate::metrics::collected::Kind;

    fn disk(name: &str, count: u64) -> ErrorCount {
        ErrorCount {
            counter: ErrorCounter::Disk {
                device: Device::Block(name.to_owned()),
            },
            count,
            wwid: None,
        }
    }

    /// What `hd_errors_total` and `hd_timeouts_total` are after each of these samples of `ioerr_cnt` and `iotmo_cnt` of `sda`
    /// and its WWID.
    fn errors_and_timeouts(samples: &[(Option<u64>, Option<u64>, &str)]) -> Vec<(Option<u64>, Option<u64>)> {
        let mut series = SeriesOfReadings::new(DeviceLabel::Kernel, false);
        let device = Device::Block("sda".to_owned());
        let mut after = |&(errors, timeouts, wwid): &(Option<u64>, Option<u64>, &str)| {
            let count = |counter, count: Option<u64>| {
                let wwid = (!wwid.is_empty()).then(|| wwid.to_owned());
                count.map(|count| ErrorCount { counter, count, wwid })
            };
            let errors = count(ErrorCounter::Disk { device: device.clone() }, errors);
            let timeouts = count(ErrorCounter::DiskTimeouts { device: device.clone() }, timeouts);
            let readings = Readings {
                errors: errors.into_iter().chain(timeouts).collect(),
                ..Readings::default()
            };
            let all = series.after_sample(&readings, 1.0);
            let of = |family: Family| match all.get(&family.series(vec![("device", "sda".to_owned())])) {
                Some(Value::Counter(total)) => Some(*total),
                _ => None,
            };
            (of(DISK), of(TIMEOUTS))
        };
        samples.iter().map(&mut after).collect()
    }

    #[test]
    fn time_outs_are_errors_and_are_told_apart_too() {
        let both = [(Some(5), Some(0), ""), (Some(5), Some(2), ""), (Some(6), Some(2), "")];
        let expected = [(Some(5), Some(0)), (Some(7), Some(2)), (Some(8), Some(2))];
        assert_eq!(errors_and_timeouts(&both), expected);
        // An older kernel counts none.
        assert_eq!(errors_and_timeouts(&[(Some(5), None, "")]), [(Some(5), None)]);
        // One that cannot be read for once has no series, and does not make the other fall.
        let gaps = [(Some(5), Some(2), ""), (None, Some(3), ""), (Some(6), None, "")];
        assert_eq!(
            errors_and_timeouts(&gaps),
            [(Some(7), Some(2)), (None, Some(3)), (Some(9), None)]
        );
    }

    #[test]
    fn another_disk_of_the_same_name_is_known_by_its_wwid() {
        let swapped = [
            (Some(5), Some(1), "naa.1"),
            (Some(9), Some(1), "naa.2"),
            (Some(10), Some(1), "naa.2"),
        ];
        let expected = [(Some(6), Some(1)), (Some(16), Some(2)), (Some(17), Some(2))];
        assert_eq!(errors_and_timeouts(&swapped), expected);
        // The same one, also where its name cannot be read for once.
        let same = [(Some(5), None, "naa.1"), (Some(7), None, ""), (Some(9), None, "naa.1")];
        assert_eq!(
            errors_and_timeouts(&same),
            [(Some(5), None), (Some(7), None), (Some(9), None)]
        );
    }

    fn totals_of(readings: &[&[ErrorCount]]) -> Vec<Vec<(String, u64)>> {
        let mut series = SeriesOfReadings::new(DeviceLabel::Kernel, false);
        let mut after = |errors: &[ErrorCount]| {
            let readings = Readings {
                errors: errors.to_vec(),
                ..Readings::default()
            };
            let all = series.after_sample(&readings, 1.0);
            let total = |(id, value): (SeriesId, Value)| match value {
                Value::Counter(total) => Some((id.labels[0].1.clone(), total)),
                Value::Gauge(_) | Value::Nanoseconds(_) => None,
            };
            all.into_iter().filter_map(total).collect()
        };
        readings.iter().map(|errors| after(errors)).collect()
    }

    #[test]
    fn counters_go_on_over_a_reset_and_over_an_absence() {
        let check = |counts: &[Option<u64>], expected: &[Option<u64>]| {
            let readings: Vec<Vec<_>> = counts
                .iter()
                .map(|it| it.map(|it| disk("sda", it)).into_iter().collect())
                .collect();
            let totals = totals_of(&readings.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let totals: Vec<_> = totals.iter().map(|it| it.first().map(|(_, total)| *total)).collect();
            assert_eq!(totals, expected, "{counts:?}");
        };
        check(&[Some(5), Some(5), Some(7)], &[Some(5), Some(5), Some(7)]);
        check(&[Some(5), Some(2), Some(3)], &[Some(5), Some(7), Some(8)]);
        check(&[Some(5), None, Some(6)], &[Some(5), None, Some(6)]);
        check(&[Some(5), None, Some(0), Some(1)], &[Some(5), None, Some(5), Some(6)]);
        check(&[None, Some(0)], &[None, Some(0)]);
    }

    #[test]
    fn devices_are_named_as_asked() {
        let check = |device: Device, path: &str, kernel: &str| {
            assert_eq!(SeriesOfReadings::new(DeviceLabel::Path, false).label(&device), path);
            assert_eq!(SeriesOfReadings::new(DeviceLabel::Kernel, false).label(&device), kernel);
        };
        check(Device::Block("sda".to_owned()), "/dev/sda", "sda");
        check(Device::Block("cciss!c0d0".to_owned()), "/dev/cciss/c0d0", "cciss!c0d0");
        let member = Device::BtrfsMember {
            filesystem: "a7c2".to_owned(),
            devid: "2".to_owned(),
        };
        check(member, "a7c2/2", "a7c2/2");
    }

    #[test]
    fn every_sensor_series_of_a_simulation_says_so() {
        let package = PackageTemperature {
            package: "0".to_owned(),
            celsius: 45.0,
        };
        let readings = Readings {
            packages: vec![package],
            errors: vec![disk("sda", 1)],
            failures: vec![],
        };
        let check = |is_simulated: bool| {
            let series = SeriesOfReadings::new(DeviceLabel::Path, is_simulated).after_sample(&readings, 1.0);
            for id in series.keys() {
                let says_so = id.labels.contains(&("simulated", "true".to_owned()));
                assert_eq!(
                    says_so,
                    is_simulated && !id.name.starts_with("janus_hardware_"),
                    "{id:?}"
                );
            }
            let simulated = SeriesId {
                name: "janus_hardware_simulated",
                labels: vec![],
            };
            assert_eq!(series[&simulated], Value::Gauge(f64::from(is_simulated)));
        };
        check(true);
        check(false);
    }

    #[test]
    fn every_series_is_of_a_known_metric_of_its_kind() {
        let machine = crate::hardware::simulated::machine();
        let readings = crate::hardware::sensors::Sensors::discover(&machine, false).read(&machine);
        let series = SeriesOfReadings::new(DeviceLabel::Path, false).after_sample(&readings, 1.0);
        let mut unseen: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        for (id, value) in &series {
            let family = FAMILIES
                .iter()
                .find(|family| family.name == id.name)
                .expect("is a known metric");
            assert_eq!(
                family.kind == Kind::Counter,
                matches!(value, Value::Counter(_)),
                "{id:?}"
            );
            unseen.retain(|name| *name != id.name);
        }
        assert_eq!(unseen, [""; 0], "the simulated machine shows every metric");
    }
}
