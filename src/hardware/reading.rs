//! Reading one sensor: which kinds there are, and why one gives no value.

use std::io;

use thiserror::Error;

use super::tree::Tree;

/// A kind of sensor that is there or not as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Temperatures of the processor packages.
    CpuTemperature,
    /// I/O errors and time-outs of SCSI and SATA disks.
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
