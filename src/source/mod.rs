//! The only place that reads item data from outside.
//!
//! A [`Source`] names a file, standard input or the built-in sample; [`Source::open`] gives its bytes, decompressed, in
//! chunks, with a hash of what was read. What the bytes mean is not known here. [`watch`] tells when to look again.

mod input;
mod sample;
pub mod watch;

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use xxhash_rust::xxh3::Xxh3;

pub use input::{Input, ReadProgress};

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

/// The XXH3 hash, 128 bits, of a source's bytes as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision(pub(crate) u128);

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
    #[error("{name}: more than {bytes_max} bytes; --max-data-bytes (JANUS_MAX_DATA_BYTES) sets the limit")]
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

    /// Opens what is there now.
    ///
    /// # Errors
    ///
    /// If there is nothing, it is not a file, or it may not be read.
    pub fn open(&self) -> Result<Input, SourceError> {
        let name = self.name();
        match &self.location {
            Location::Sample => Input::new(name, Box::new(sample::JSON), None, None, self.bytes_max),
            Location::Stdin => {
                // Relaxed: only that it is true once matters.
                if self.spent.swap(true, Ordering::Relaxed) {
                    return Err(SourceError::Spent);
                }
                Input::new(name, Box::new(io::stdin()), None, None, self.bytes_max)
            }
            Location::File(path) => {
                let (file, metadata) = open_file(path, &name)?;
                let opened = input::OpenedFile {
                    path: path.clone(),
                    before: Identity::of(&metadata),
                };
                let coding = input::Compression::of_name(path);
                let progress_total = metadata.len();
                let mut input = Input::new(name, Box::new(file), coding, Some(progress_total), self.bytes_max)?;
                input.set_file(opened);
                Ok(input)
            }
        }
    }

    /// The revision of what is there now: reads the bytes, and does nothing else with them. `None` for standard input.
    ///
    /// # Errors
    ///
    /// As [`Source::open`], and what reading meets.
    pub fn revision(&self) -> Result<Option<Revision>, SourceError> {
        match &self.location {
            Location::Stdin => Ok(None),
            Location::Sample => Ok(Some(Revision(xxhash_rust::xxh3::xxh3_128(sample::JSON)))),
            Location::File(path) => {
                let name = self.name();
                let (mut file, _) = open_file(path, &name)?;
                let mut hasher = Xxh3::new();
                let mut chunk = vec![0; input::CHUNK];
                loop {
                    match file.read(&mut chunk) {
                        Ok(0) => return Ok(Some(Revision(hasher.digest128()))),
                        Ok(length) => hasher.update(&chunk[..length]),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(SourceError::Io { name, error }),
                    }
                }
            }
        }
    }
}

/// Opens a regular file. Anything else is refused without waiting: the open of a FIFO would wait for a writer.
fn open_file(path: &Path, name: &str) -> Result<(File, Metadata), SourceError> {
    let fail = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::NotFound { name: name.to_owned() },
        _ => SourceError::Io {
            name: name.to_owned(),
            error,
        },
    };
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if metadata.is_file() {
        return Ok((file, metadata));
    }
    let what = if metadata.is_dir() {
        "a directory"
    } else {
        "a pipe or device"
    };
    Err(SourceError::NotAFile {
        name: name.to_owned(),
        what,
    })
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Of what the path leads to now, through all symbolic links.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().as_ref().map(Self::of)
    }
}
