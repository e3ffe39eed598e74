//! An opened source: decompressed bytes in chunks, counted, bounded and hashed.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

use super::{Identity, Revision, SourceError};

/// How much is read at a time, in bytes.
pub(super) const CHUNK: usize = 256 << 10;

/// The window of a zstd frame is at most 2^27 bytes, as of `zstd -d`: memory is not the source's to choose.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Bytes that tell a compression.
const MAGIC_LENGTH: usize = 4;

/// Compressions, told by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// That a file's name promises.
    pub(super) fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "gz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// That the first bytes show: RFC 1952, section 2.3.1; RFC 8878, sections 3.1.1 and 3.1.2 (skippable frames).
    fn of_bytes(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The file behind an input, to see afterwards whether it stayed as it was.
#[derive(Debug)]
pub(super) struct OpenedFile {
    pub(super) path: PathBuf,
    pub(super) before: Identity,
}

/// The bytes of a source, decompressed.
pub struct Input {
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    compression: Option<Compression>,
    raw: Arc<Raw>,
    file: Option<OpenedFile>,
    read: u64,
    bytes_max: u64,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

/// What is known of the bytes as they are stored.
struct Raw {
    read: AtomicU64,
    total: Option<u64>,
    /// Of one thread at a time: a mutex only because the reader below the decoder and the input share it.
    hasher: Mutex<Xxh3>,
}

/// How far the reading of a source has come, for another thread to look at.
#[derive(Clone)]
pub struct ReadProgress(Arc<Raw>);

impl std::fmt::Debug for ReadProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadProgress")
            .field("read", &self.read())
            .field("total", &self.total())
            .finish()
    }
}

impl ReadProgress {
    /// Bytes that have been read, as stored.
    pub fn read(&self) -> u64 {
        // Relaxed: a number to be shown.
        self.0.read.load(Ordering::Relaxed)
    }

    /// Bytes that there are, as stored, if that is known.
    pub fn total(&self) -> Option<u64> {
        self.0.total
    }
}

/// Counts and hashes what passes.
struct Tap<R> {
    inner: R,
    raw: Arc<Raw>,
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.raw.hasher.lock().update(&buffer[..length]);
        // Relaxed: see `ReadProgress`.
        self.raw.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

impl Input {
    pub(super) fn new(
        name: String,
        bytes: Box<dyn Read + Send>,
        promised: Option<Compression>,
        total: Option<u64>,
        bytes_max: u64,
    ) -> Result<Self, SourceError> {
        let raw = Arc::new(Raw {
            read: AtomicU64::new(0),
            total,
            hasher: Mutex::new(Xxh3::new()),
        });
        let mut tap = Tap {
            inner: bytes,
            raw: Arc::clone(&raw),
        };
        let fail = |error| SourceError::Io {
            name: name.clone(),
            error,
        };
        // A pipe may give them one by one.
        let mut start = Vec::with_capacity(MAGIC_LENGTH);
        tap.by_ref()
            .take(MAGIC_LENGTH as u64)
            .read_to_end(&mut start)
            .map_err(fail)?;
        let found = Compression::of_bytes(&start);
        let stored = BufReader::with_capacity(CHUNK, io::Cursor::new(start).chain(tap));
        if let (Some(promised), true) = (promised, promised != found) {
            return Err(SourceError::NotCompressed {
                name,
                coding: promised.name(),
            });
        }
        let decoded: Box<dyn Read + Send> = match found {
            None => Box::new(stored),
            Some(Compression::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
            Some(Compression::Zstd) => {
                let mut decoder = zstd::Decoder::with_buffer(stored).map_err(fail)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(fail)?;
                Box::new(decoder)
            }
        };
        let reader = BufReader::with_capacity(CHUNK, decoded);
        Ok(Self {
            name,
            reader,
            compression: found,
            raw,
            file: None,
            read: 0,
            bytes_max,
        })
    }

    pub(super) fn set_file(&mut self, file: OpenedFile) {
        self.file = Some(file);
    }

    /// A guess of the length after decompression, in bytes, where there is a good one.
    pub fn size_hint(&self) -> Option<u64> {
        self.raw
            .total
            .filter(|_| self.compression.is_none())
            .map(|total| total.min(self.bytes_max))
    }

    /// A handle to watch the reading by.
    pub fn progress(&self) -> ReadProgress {
        ReadProgress(Arc::clone(&self.raw))
    }

    /// The first bytes, up to `length` of them, which stay to be read.
    ///
    /// # Errors
    ///
    /// As of a read; see [`SourceError::from_io`].
    pub fn peek(&mut self, length: usize) -> io::Result<&[u8]> {
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(self.wrap(error));
            }
        }
        let start = self.reader.buffer();
        Ok(&start[..start.len().min(length)])
    }

    /// Ends the reading, and tells what has been read.
    ///
    /// # Errors
    ///
    /// If the file is not what it was when it was opened.
    pub fn finish(self) -> Result<Revision, SourceError> {
        if let Some(file) = &self.file
            && Identity::at(&file.path) != Some(file.before)
        {
            return Err(SourceError::Changed { name: self.name });
        }
        Ok(Revision(self.raw.hasher.lock().digest128()))
    }

    /// Tells a decoder's complaint from the kernel's.
    fn wrap(&self, error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        let name = self.name.clone();
        let error = match self.compression {
            // What the kernel says has a number.
            Some(compression) if error.raw_os_error().is_none() => {
                let offset = ReadProgress(Arc::clone(&self.raw)).read();
                SourceError::Damaged {
                    name,
                    coding: compression.name(),
                    offset,
                    error,
                }
            }
            _ => SourceError::Io { name, error },
        };
        io::Error::other(error)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer).map_err(|error| self.wrap(error))?;
        self.read += length as u64;
        if self.read > self.bytes_max {
            let (name, bytes_max) = (self.name.clone(), self.bytes_max);
            return Err(io::Error::other(SourceError::TooLarge { name, bytes_max }));
        }
        Ok(length)
    }
}
