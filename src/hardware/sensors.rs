//! What was found and what was read.
//!
//! Owns the list of sensors that a discovery found and the readings that one pass over them gave. The list comes from
//! [`cpu_temperature`] and [`disk_errors`]; a value that could not be read is left out and is never replaced by
//! another. It knows neither time nor metrics.

use super::{
    cpu_temperature::{self, PackageTemperature, TemperatureSensor},
    disk_errors::{self, ErrorCount, ErrorSensor},
    reading::{SensorError, Source},
    tree::Tree,
};

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
