//! An opened source: decompressed bytes in chunks, counted, bounded and hashed.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

use super::{Extent, Identity, Revision, SourceError};

/// How much is read at a time, in bytes.
pub(super) const CHUNK: usize = 256 << 10;

/// The window of a zstd frame is at most 2^27 bytes, as of `zstd -d`, and a quarter of what may be read at all: memory is
/// not the source's to choose. Every decoder is to know 2^23 (RFC 8878, section 3.1.1.1.2).
fn zstd_window_log_max(bytes_max: u64) -> u32 {
    (bytes_max / 4).max(1).ilog2().clamp(23, 27)
}

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

/// How much is read between two looks at whether the file is still what it was, in bytes.
const LOOK_INTERVAL: u64 = 16 << 20;

/// The file behind an input, to see whether it stays as it was.
#[derive(Debug)]
pub(super) struct OpenedFile {
    pub(super) path: PathBuf,
    pub(super) before: Identity,
    pub(super) extent: Extent,
    /// What it held before it grew.
    pub(super) begins_with: Option<Revision>,
}

impl OpenedFile {
    /// Sees whether what has been and will be read is what was there when it was opened.
    fn check(&self, name: &str) -> Result<(), SourceError> {
        let now = Identity::at(&self.path);
        let grew = now.is_some_and(|now| now.is_same_file(&self.before) && now.length >= self.before.length);
        if now == Some(self.before) || (grew && self.extent == Extent::Grown) {
            return Ok(());
        }
        let name = name.to_owned();
        Err(SourceError::Changed { name, grew })
    }
}

/// The bytes of a source, decompressed.
pub struct Input {
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    compression: Option<Compression>,
    raw: Arc<Raw>,
    file: Option<Arc<OpenedFile>>,
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

/// Counts and hashes what passes, and gives up when its file changes.
struct Tap<R> {
    inner: R,
    raw: Arc<Raw>,
    name: String,
    file: Option<Arc<OpenedFile>>,
    /// When this much has been read the file is looked at.
    look_at: u64,
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Relaxed: see `ReadProgress`; this is the only thread that writes it.
        let before = self.raw.read.load(Ordering::Relaxed);
        let begins_with = self.file.as_ref().and_then(|file| file.begins_with);
        // Up to where the hash is known, and from there.
        let known = begins_with.filter(|known| known.length > before);
        let length_max = known.map_or(usize::MAX, |known| {
            usize::try_from(known.length - before).unwrap_or(usize::MAX)
        });
        let length_max = buffer.len().min(length_max);
        let length = self.inner.read(&mut buffer[..length_max])?;
        let read = before + length as u64;
        let mut hasher = self.raw.hasher.lock();
        hasher.update(&buffer[..length]);
        self.raw.read.store(read, Ordering::Relaxed);
        if known.is_some_and(|known| known.length == read && known.hash != hasher.digest128()) {
            let name = self.name.clone();
            return Err(io::Error::other(SourceError::Rewritten { name }));
        }
        drop(hasher);
        if read >= self.look_at {
            self.look_at = read + LOOK_INTERVAL;
            if let Some(file) = &self.file {
                file.check(&self.name).map_err(io::Error::other)?;
            }
        }
        Ok(length)
    }
}

impl Input {
    pub(super) fn new(
        name: String,
        bytes: Box<dyn Read + Send>,
        file: Option<OpenedFile>,
        bytes_max: u64,
    ) -> Result<Self, SourceError> {
        let file = file.map(Arc::new);
        let total = file.as_ref().map(|file| file.before.length);
        let promised = file.as_ref().and_then(|file| Compression::of_name(&file.path));
        // What has grown goes on growing: as much is read as there was. What is whole is read to its end.
        let is_grown = file.as_ref().is_some_and(|file| file.extent == Extent::Grown);
        let length_max = total.filter(|_| is_grown).unwrap_or(u64::MAX);
        let raw = Arc::new(Raw {
            read: AtomicU64::new(0),
            total,
            hasher: Mutex::new(Xxh3::new()),
        });
        let mut tap = Tap {
            inner: bytes.take(length_max),
            raw: Arc::clone(&raw),
            name: name.clone(),
            file: file.clone(),
            look_at: LOOK_INTERVAL,
        };
        let known = file.as_ref().and_then(|file| file.begins_with);
        if known.is_some_and(|known| total.is_some_and(|total| total < known.length)) {
            return Err(SourceError::Rewritten { name });
        }
        let fail = |error: io::Error| match error.downcast() {
            Ok(error) => error,
            Err(error) => SourceError::Io {
                name: name.clone(),
                error,
            },
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
        // Refused by its size alone, before all of it is read.
        if found.is_none() && total.is_some_and(|total| total > bytes_max) {
            return Err(SourceError::TooLarge { name, bytes_max });
        }
        let decoded: Box<dyn Read + Send> = match found {
            None => Box::new(stored),
            Some(Compression::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
            Some(Compression::Zstd) => {
                let mut decoder = zstd::Decoder::with_buffer(stored).map_err(fail)?;
                decoder.window_log_max(zstd_window_log_max(bytes_max)).map_err(fail)?;
                Box::new(decoder)
            }
        };
        let reader = BufReader::with_capacity(CHUNK, decoded);
        Ok(Self {
            name,
            reader,
            compression: found,
            raw,
            file,
            read: 0,
            bytes_max,
        })
    }

    /// Whether it is decompressed.
    pub fn is_compressed(&self) -> bool {
        self.compression.is_some()
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
        if let Some(file) = &self.file {
            file.check(&self.name)?;
        }
        Ok(Revision {
            length: self.progress().read(),
            hash: self.raw.hasher.lock().digest128(),
        })
    }

    /// Tells a decoder's complaint from the kernel's.
    fn wrap(&self, error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        let name = self.name.clone();
        let error = match error.downcast() {
            Ok(error) => return io::Error::other::<SourceError>(error),
            Err(error) => error,
        };
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
