//! Which series the readings make.
//!
//! Owns the names, labels and values of the hardware metrics and the totals of the error counters. Its input is
//! [`Readings`]; its output is the whole set of series that exist after a sample, so that what is not in it is to be
//! hidden. It knows nothing of how series are recorded.

use std::collections::{BTreeMap, HashMap};

use super::{
    DeviceLabel,
    disk_errors::{Device, ErrorCount, ErrorCounter, increase},
    sensors::{Readings, Source},
};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A count that only goes up.
    Counter,
}

/// A metric: what stands behind its `# HELP`, `# TYPE` and `# UNIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The metric's name.
    pub name: &'static str,
    /// Gauge or counter.
    pub kind: Kind,
    /// The unit that the name ends with (before `_total`), if it has one.
    pub unit: Option<&'static str>,
    /// One sentence.
    pub help: &'static str,
}

const fn gauge(name: &'static str, unit: Option<&'static str>, help: &'static str) -> Family {
    Family {
        name,
        kind: Kind::Gauge,
        unit,
        help,
    }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family {
        name,
        kind: Kind::Counter,
        unit: None,
        help,
    }
}

const CPU: Family = gauge(
    "cpu_temperature_celsius",
    Some("celsius"),
    "Temperature of the hottest processor package.",
);
const CPU_PACKAGE: Family = gauge(
    "cpu_package_temperature_celsius",
    Some("celsius"),
    "Temperature of a processor package.",
);
const DISK: Family = counter(
    "hd_errors_total",
    "Commands that a SCSI or SATA disk ended with an error.",
);
const FILESYSTEM: Family = counter("fs_errors_total", "Errors that a file system has found on a device.");
const MD: Family = counter(
    "md_component_read_errors_total",
    "Read errors of a component of an md array that did not cost it its place.",
);
const SOURCE_UP: Family = gauge(
    "janus_hardware_source_up",
    None,
    "Whether the last sample read at least one value from the source.",
);
const LAST_SAMPLE: Family = gauge(
    "janus_hardware_last_sample_timestamp_seconds",
    Some("seconds"),
    "When the last finished sample of the sensors was begun, since the epoch.",
);
const SIMULATED: Family = gauge(
    "janus_hardware_simulated",
    None,
    "Whether the sensors are simulated: 1 if no value was measured.",
);

/// Every metric of the hardware.
pub const FAMILIES: [Family; 8] = [
    CPU,
    CPU_PACKAGE,
    DISK,
    FILESYSTEM,
    MD,
    SOURCE_UP,
    LAST_SAMPLE,
    SIMULATED,
];

/// A series: a metric and its labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId {
    /// The metric's name.
    pub name: &'static str,
    /// Names and values of the labels.
    pub labels: Vec<(&'static str, String)>,
}

/// What a series stands at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// The value of a gauge.
    Gauge(f64),
    /// The total of a counter; over the life of the process it never falls.
    Counter(u64),
}

impl Value {
    /// What the metric is that has this value.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Gauge(_) => Kind::Gauge,
            Self::Counter(_) => Kind::Counter,
        }
    }
}

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
    pub fn after_sample(&mut self, readings: &Readings, unix_seconds: f64) -> BTreeMap<SeriesId, Value> {
        let mut series = BTreeMap::new();
        let mut state = |family: Family, labels, value| {
            series.insert(
                SeriesId {
                    name: family.name,
                    labels,
                },
                Value::Gauge(value),
            );
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
            let total = self.add(count);
            series.insert(self.error_series(&count.counter), Value::Counter(total));
        }
        series
    }

    fn add(&mut self, ErrorCount { counter, count }: &ErrorCount) -> u64 {
        let total = self.totals.entry(counter.clone()).or_default();
        total.total += increase(total.kernel_count, *count);
        total.kernel_count = *count;
        total.total
    }

    fn error_series(&self, counter: &ErrorCounter) -> SeriesId {
        match counter {
            ErrorCounter::Disk { device } => self.sensor_series(DISK, vec![("device", self.label(device))]),
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
        SeriesId {
            name: family.name,
            labels,
        }
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

    fn disk(name: &str, count: u64) -> ErrorCount {
        ErrorCount {
            counter: ErrorCounter::Disk {
                device: Device::Block(name.to_owned()),
            },
            count,
        }
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
                Value::Gauge(_) => None,
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
