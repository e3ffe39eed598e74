//! The only place that reads item data from outside.
//!
//! A [`Source`] names a file, standard input or the built-in sample; [`Source::open`] gives its bytes, decompressed, in
//! chunks, with a hash of what was read. What the bytes mean is not known here. [`watch`] tells when to look again.

mod input;
mod sample;
mod settle;
pub mod watch;

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use input::{Input, ReadProgress};
pub use settle::{Change, Extent, Shape, Standing};

/// Where item data comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A few items that the program brings along.
    Sample,
    /// Standard input, which can be read once.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// A source's bytes as they are stored: how many, and their XXH3 hash, 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    length: u64,
    hash: u128,
}

/// What can be read, and how much of it at most.
#[derive(Debug)]
pub struct Source {
    location: Location,
    bytes_max: u64,
    /// Whether standard input has been read.
    spent: AtomicBool,
}

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is nothing of that name.
    #[error("{name}: there is no such file")]
    NotFound {
        /// The source's name.
        name: String,
    },
    /// Something of that name that is not a file.
    #[error("{name}: {what}, not a file; data from a pipe comes by standard input: --data -")]
    NotAFile {
        /// The source's name.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// The kernel refuses.
    #[error("{name}: {error}")]
    Io {
        /// The source's name.
        name: String,
        /// What the kernel says.
        error: io::Error,
    },
    /// Compressed data that is not whole or not right.
    #[error("{name}: {coding} data is damaged or cut off near byte {offset}: {error}")]
    Damaged {
        /// The source's name.
        name: String,
        /// The compression.
        coding: &'static str,
        /// How much had been read, in bytes as stored.
        offset: u64,
        /// What the decoder says.
        error: io::Error,
    },
    /// The name says compressed, the bytes do not.
    #[error("{name}: named as {coding} data, and its first bytes are not that")]
    NotCompressed {
        /// The source's name.
        name: String,
        /// The compression.
        coding: &'static str,
    },
    /// More than is allowed.
    #[error(
        "{name}: more than {bytes_max} bytes to read, after decompression; --max-data-bytes (JANUS_MAX_DATA_BYTES) sets the limit"
    )]
    TooLarge {
        /// The source's name.
        name: String,
        /// The limit.
        bytes_max: u64,
    },
    /// The file was written to, or replaced, while it was read.
    #[error("{name}: changed while it was read")]
    Changed {
        /// The source's name.
        name: String,
        /// Whether it is the same file and has only become longer.
        grew: bool,
    },
    /// What was to have grown does not begin with what it held before.
    #[error("{name}: written anew, and its writer is not done")]
    Rewritten {
        /// The source's name.
        name: String,
    },
    /// Its writer was not done for as long as whoever asked was ready to wait.
    #[error("{name}: it is being written: its writer has not closed it; POST /-/reload?force=true reads it as it is")]
    Written {
        /// The source's name.
        name: String,
    },
    /// Standard input has been read before.
    #[error("standard input can be read only once")]
    Spent,
}

impl SourceError {
    /// Gets back what [`Input`] wrapped in an [`io::Error`], for that is all that a reader can return.
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<SourceError>() {
            Ok(error) => error,
            Err(error) => Self::Io {
                name: "data".to_owned(),
                error,
            },
        }
    }

    /// Whether there is nothing of that name that could be read.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::NotAFile { .. } => true,
            Self::Io { error, .. } => error.kind() == io::ErrorKind::NotADirectory,
            _ => false,
        }
    }

    /// Whether it is there, and reading it is not permitted.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// A stable name of what is wrong.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } if self.is_forbidden() => "not_permitted",
            Self::Io { .. } if self.is_missing() => "not_found",
            Self::Io { .. } => "io",
            Self::NotFound { .. } => "not_found",
            Self::NotAFile { .. } => "not_a_file",
            Self::Damaged { .. } => "damaged",
            Self::NotCompressed { .. } => "not_compressed",
            Self::TooLarge { .. } => "too_large",
            Self::Changed { .. } => "changed",
            Self::Rewritten { .. } | Self::Written { .. } => "being_written",
            Self::Spent => "spent",
        }
    }

    /// Whether the source is there and its bytes are wrong, rather than out of reach.
    pub fn is_bad_data(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::NotCompressed { .. } | Self::TooLarge { .. }
        )
    }
}

impl Source {
    /// `bytes_max` bounds what is read, after decompression.
    pub fn new(location: Location, bytes_max: u64) -> Self {
        Self {
            location,
            bytes_max,
            spent: AtomicBool::new(false),
        }
    }

    /// A name for logs and errors.
    pub fn name(&self) -> String {
        match &self.location {
            Location::Sample => "built-in sample".to_owned(),
            Location::Stdin => "standard input".to_owned(),
            Location::File(path) => path.display().to_string(),
        }
    }

    /// What kind of source it is: `sample`, `stdin` or `file`.
    pub fn kind(&self) -> &'static str {
        match &self.location {
            Location::Sample => "sample",
            Location::Stdin => "stdin",
            Location::File(_) => "file",
        }
    }

    /// The extension that tells the format, in lower case, without that of a compression: `json` of `items.json.gz`.
    pub fn extension(&self) -> Option<String> {
        let Location::File(path) = &self.location else {
            return (self.location == Location::Sample).then(|| "json".to_owned());
        };
        let extension = |path: &Path| Some(path.extension()?.to_str()?.to_ascii_lowercase());
        match extension(path).as_deref() {
            Some("gz" | "zst") => extension(Path::new(path.file_stem()?)),
            other => other.map(str::to_owned),
        }
    }

    /// The file that may change, if it is one.
    pub fn watchable(&self) -> Option<&Path> {
        match &self.location {
            Location::File(path) => Some(path),
            Location::Sample | Location::Stdin => None,
        }
    }

    /// Whether it can be read once more.
    pub fn is_spent(&self) -> bool {
        // Relaxed: only that it is true once matters.
        self.spent.load(Ordering::Relaxed)
    }

    /// The length of what is there now, in bytes as stored, if it is a file that may be read.
    pub fn length(&self) -> Option<u64> {
        let metadata = std::fs::metadata(self.watchable()?).ok()?;
        let length = metadata.len();
        (metadata.is_file() && length <= self.bytes_max).then_some(length)
    }

    /// Sees whether it is there and may be read, and reads nothing. Standard input is left alone.
    ///
    /// # Errors
    ///
    /// As of [`Source::open`].
    pub fn probe(&self) -> Result<(), SourceError> {
        match &self.location {
            Location::File(_) => self.open().map(drop),
            Location::Sample | Location::Stdin => Ok(()),
        }
    }

    /// Opens what is there now.
    ///
    /// # Errors
    ///
    /// If there is nothing, it is not a file, it may not be read, or its size is over the limit.
    pub fn open(&self) -> Result<Input, SourceError> {
        self.open_extent(Extent::Whole, None)
    }

    /// Opens as much of what is there now as `extent` says. What has [`Extent::Grown`] is to begin with what had the
    /// revision `known`; that is checked while it is read.
    ///
    /// # Errors
    ///
    /// As of [`Source::open`].
    pub fn open_extent(&self, extent: Extent, known: Option<Revision>) -> Result<Input, SourceError> {
        let name = self.name();
        match &self.location {
            Location::Sample => Input::new(name, Box::new(sample::JSON), None, self.bytes_max),
            Location::Stdin => {
                // Relaxed: only that it is true once matters.
                if self.spent.swap(true, Ordering::Relaxed) {
                    return Err(SourceError::Spent);
                }
                Input::new(name, Box::new(io::stdin()), None, self.bytes_max)
            }
            Location::File(path) => {
                let (file, metadata) = open_file(path, &name)?;
                let opened = input::OpenedFile {
                    path: path.clone(),
                    before: Identity::of(&metadata),
                    extent,
                    begins_with: known.filter(|_| extent == Extent::Grown),
                };
                Input::new(name, Box::new(file), Some(opened), self.bytes_max)
            }
        }
    }
}

/// Opens a regular file. Anything else is refused without being opened, for that alone does something to some devices;
/// and without waiting, should it be put there meanwhile: the open of a FIFO would wait for a writer.
fn open_file(path: &Path, name: &str) -> Result<(File, Metadata), SourceError> {
    let fail = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::NotFound { name: name.to_owned() },
        _ => SourceError::Io {
            name: name.to_owned(),
            error,
        },
    };
    let check = |metadata: &Metadata| {
        let what = if metadata.is_file() {
            return Ok(());
        } else if metadata.is_dir() {
            "a directory"
        } else {
            "a pipe or device"
        };
        let name = name.to_owned();
        Err(SourceError::NotAFile { name, what })
    };
    check(&std::fs::metadata(path).map_err(fail)?)?;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
        .map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    check(&metadata)?;
    Ok((file, metadata))
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    links: u64,
    length: u64,
    /// Seconds and nanoseconds since 1970, of the last change of its bytes, and of these or of anything else.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Of what the path leads to now, through all symbolic links.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().as_ref().map(Self::of)
    }

    /// Device and inode.
    fn file(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    fn is_same_file(&self, other: &Self) -> bool {
        self.file() == other.file()
    }

    fn modified_at(&self) -> SystemTime {
        let (seconds, nanoseconds) = self.modified;
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let whole = if seconds < 0 {
            UNIX_EPOCH - whole
        } else {
            UNIX_EPOCH + whole
        };
        whole + Duration::from_nanos(nanoseconds.unsigned_abs())
    }
}
