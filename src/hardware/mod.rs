//! Hardware sensors: read, never made up.
//!
//! Owns what Janus says of the machine it runs on: the temperature of the processor packages and the error counts of
//! disks, file systems and arrays. Input is sysfs and procfs below roots that the operator may move; output is series
//! in [`metrics`](crate::metrics). A sensor that is not there has no series: no value is ever put in its place, not 0
//! and not NaN. No request and no scrape reads a sensor; one named thread does, and it alone waits if one hangs.
//!
//! In the order of the way of a reading: [`tree`] opens the files, [`cpu_temperature`] and [`disk_errors`] know them,
//! [`reading`] is one of them read, [`sensors`] is what was found and read, the [`sampler`] decides when, and [`series`] names
//! what a scrape collects. [`manifest`] and [`simulated`] are machines written down as text.

use std::{path::PathBuf, time::Duration};

pub mod cpu_temperature;
pub mod disk_errors;
pub mod manifest;
pub mod reading;
pub mod sampler;
pub mod sensors;
pub mod series;
pub mod simulated;
pub mod tree;

pub use sampler::{Sampler, SamplerError};

/// Where sensor values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The machine's own sysfs and procfs.
    #[default]
    Real,
    /// The machine of [`simulated`].
    Simulated,
    /// Nowhere: no thread, no series.
    Off,
}

/// How a block device is named in a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceLabel {
    /// `/dev/sda`
    #[default]
    Path,
    /// `sda`
    Kernel,
}

/// Which sensors are read, how often, and where from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HardwareConfig {
    /// Where values come from.
    pub mode: Mode,
    /// From one sample to the next; at least [`sampler::INTERVAL_MIN`].
    pub interval: Duration,
    /// Whether the CPU temperature of a virtual machine is read.
    pub trust_vm: bool,
    /// How devices are named.
    pub device_label: DeviceLabel,
    /// Where sysfs is mounted.
    pub sysfs_root: PathBuf,
    /// Where procfs is mounted.
    pub procfs_root: PathBuf,
}

impl Default for HardwareConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            interval: Duration::from_secs(10),
            trust_vm: false,
            device_label: DeviceLabel::default(),
            sysfs_root: PathBuf::from("/sys"),
            procfs_root: PathBuf::from("/proc"),
        }
    }
}
