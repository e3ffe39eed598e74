//! What was found and what was read.
//!
//! Owns the list of sensors that a discovery found and the readings that one pass over them gave. The list comes from
//! [`cpu_temperature`] and [`disk_errors`]; a value that could not be read is left out and is never replaced by
//! another. It knows neither time nor metrics.

use std::io;

use thiserror::Error;

use super::{
    cpu_temperature::{self, PackageTemperature, TemperatureSensor},
    disk_errors::{self, ErrorCount, ErrorSensor},
    tree::Tree,
};

/// A kind of sensor that is there or not as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Temperatures of the processor packages.
    CpuTemperature,
    /// I/O errors of SCSI and SATA disks.
    DiskErrors,
    /// Errors that ext4 and btrfs have counted.
    FilesystemErrors,
    /// Read errors of the components of md arrays.
    MdErrors,
}

impl Source {
    /// Every source, in the order in which they are read.
    pub const ALL: [Self; 4] = [
        Self::CpuTemperature,
        Self::DiskErrors,
        Self::FilesystemErrors,
        Self::MdErrors,
    ];

    /// The value of the `source` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CpuTemperature => "cpu_temperature",
            Self::DiskErrors => "disk_errors",
            Self::FilesystemErrors => "fs_errors",
            Self::MdErrors => "md_errors",
        }
    }
}

/// Why a sensor gave no value.
#[derive(Debug, Error)]
pub enum SensorError {
    /// The file could not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What reading it gave.
        error: io::Error,
    },
    /// The file says something that is not of its documented form.
    #[error("{path}: not of the documented form: {text:?}")]
    Malformed {
        /// The file.
        path: String,
        /// What it says.
        text: String,
    },
    /// The chip itself says that the sensor is faulty (`tempN_fault`).
    #[error("{path}: the chip reports a fault")]
    Fault {
        /// The file that reports it.
        path: String,
    },
    /// No processor has this temperature.
    #[error("{path}: {celsius} °C is out of range")]
    OutOfRange {
        /// The file.
        path: String,
        /// What it says, in degrees Celsius.
        celsius: f64,
    },
}

impl SensorError {
    /// Whether the sensor itself has gone (unplugged, unmounted, driver unloaded), so that it is time to look around.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let Self::Read { error, .. } = self else { return false };
        // An attribute whose device went while the file was open answers with ENODEV (kernfs) or ENXIO (the driver).
        let gone = [rustix::io::Errno::NODEV, rustix::io::Errno::NXIO].map(|errno| Some(errno.raw_os_error()));
        error.kind() == io::ErrorKind::NotFound || gone.contains(&error.raw_os_error())
    }
}

/// The text of `path`, without white space around it.
pub(super) fn read_text(tree: &dyn Tree, path: &str) -> Result<String, SensorError> {
    let text = tree.read(path).map_err(|error| SensorError::Read {
        path: path.to_owned(),
        error,
    })?;
    Ok(text.trim().to_owned())
}

/// The sensors that a discovery found.
#[derive(Debug, Default)]
pub struct Sensors {
    temperatures: Vec<TemperatureSensor>,
    errors: Vec<ErrorSensor>,
    is_temperature_withheld: bool,
}

/// What one pass over the sensors gave.
#[derive(Debug, Default)]
pub struct Readings {
    /// The temperature of each package that could be read.
    pub packages: Vec<PackageTemperature>,
    /// Each error count that could be read.
    pub errors: Vec<ErrorCount>,
    /// Why the other sensors gave nothing.
    pub failures: Vec<SensorError>,
}

impl Sensors {
    /// Looks for every sensor below `tree`. In a virtual machine CPU temperatures are left out unless `trust_vm`.
    #[must_use]
    pub fn discover(tree: &dyn Tree, trust_vm: bool) -> Self {
        let is_temperature_withheld = !trust_vm && cpu_temperature::is_virtual_machine(tree);
        let temperatures = if is_temperature_withheld {
            Vec::new()
        } else {
            cpu_temperature::discover(tree)
        };
        Self {
            temperatures,
            errors: disk_errors::discover(tree),
            is_temperature_withheld,
        }
    }

    /// Whether CPU temperatures were left out because this is a virtual machine that is not trusted.
    #[must_use]
    pub fn is_temperature_withheld(&self) -> bool {
        self.is_temperature_withheld
    }

    /// Reads every sensor once.
    #[must_use]
    pub fn read(&self, tree: &dyn Tree) -> Readings {
        let mut readings = Readings::default();
        for sensor in &self.temperatures {
            match sensor.read(tree) {
                Ok(temperature) => readings.packages.push(temperature),
                Err(failure) => readings.failures.push(failure),
            }
        }
        for sensor in &self.errors {
            match sensor.read(tree) {
                Ok(count) => readings.errors.push(count),
                Err(failure) => readings.failures.push(failure),
            }
        }
        readings
    }
}

impl Readings {
    /// The temperature of the hottest package in degrees Celsius, or `None` when there is no reading at all.
    #[must_use]
    pub fn hottest_celsius(&self) -> Option<f64> {
        self.packages
            .iter()
            .map(|package| package.celsius)
            .max_by(f64::total_cmp)
    }

    /// Whether the source gave at least one value.
    #[must_use]
    pub fn is_up(&self, source: Source) -> bool {
        match source {
            Source::CpuTemperature => !self.packages.is_empty(),
            _ => self.errors.iter().any(|count| count.counter.source() == source),
        }
    }

    /// Whether a sensor that was there at the last discovery has gone.
    #[must_use]
    pub fn is_any_gone(&self) -> bool {
        self.failures.iter().any(SensorError::is_gone)
    }
}
