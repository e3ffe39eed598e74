//! Bodies: bytes that never change, and where the kernel may send them from.
//!
//! A write copies what it sends into the kernel. A file's pages it can send as they are (sendfile(2)), so a body that is
//! worth it is moved to memory that is a file of no name (memfd_create(2)), sealed against every change (fcntl(2),
//! `F_SEAL_WRITE`). Pages that are on their way to a client are the kernel's: they stay as they were when the snapshot
//! they belonged to is long gone.

#![allow(unsafe_code)] // A sealed file is mapped; the block says why that is sound.

use std::io;
use std::ops::{Deref, Range};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::{Buf, Bytes};

/// From this length on, in bytes, a body is sealed: below it a write is as cheap as two calls that copy nothing.
pub const SEALED_LENGTH_MIN: usize = 32 << 10;

/// Up to this length, in bytes, a body is sealed: while it is moved there are two of it.
pub const SEALED_LENGTH_MAX: usize = 20 << 20;

/// A body, or a part of one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Body {
    bytes: Bytes,
    sealed: Option<Sealed>,
}

/// Where the bytes stand in a sealed file.
#[derive(Clone, Debug)]
struct Sealed {
    file: Arc<OwnedFd>,
    start: usize,
}

impl Body {
    /// No bytes.
    pub const fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
            sealed: None,
        }
    }

    /// The same bytes in a sealed file, if their length is in the bounds and the system lends one.
    pub fn sealed(self) -> Self {
        if self.sealed.is_some() || !(SEALED_LENGTH_MIN..=SEALED_LENGTH_MAX).contains(&self.bytes.len()) {
            return self;
        }
        match seal(&self.bytes) {
            Ok((bytes, file)) => {
                let sealed = Sealed {
                    file: Arc::new(file),
                    start: 0,
                };
                Self {
                    bytes,
                    sealed: Some(sealed),
                }
            }
            Err(error) => {
                tracing::debug!(%error, length = self.bytes.len(), "a body stays in memory that is no file");
                self
            }
        }
    }

    /// The bytes alone.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// A part of it, from the same memory.
    ///
    /// # Panics
    ///
    /// If the range is not within it.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let sealed = self.sealed.clone().map(|Sealed { file, start }| Sealed {
            file,
            start: start + range.start,
        });
        Self {
            bytes: self.bytes.slice(range),
            sealed,
        }
    }

    /// Leaves out the first `length` bytes.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn advance(&mut self, length: usize) {
        self.bytes.advance(length);
        if let Some(sealed) = &mut self.sealed {
            sealed.start += length;
        }
    }

    /// The sealed file that holds the bytes, if one does, and where in it they begin.
    pub fn file(&self) -> Option<(BorrowedFd<'_>, u64)> {
        let sealed = self.sealed.as_ref()?;
        Some((sealed.file.as_fd(), sealed.start as u64))
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Body {}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Self {
            bytes: bytes.into(),
            sealed: None,
        }
    }
}

/// Makes a file in memory that nobody can change any more, and maps it.
#[cfg(target_os = "linux")]
fn seal(bytes: &[u8]) -> io::Result<(Bytes, OwnedFd)> {
    use memmap2::MmapOptions;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let file = memfd_create("janus-body", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = rustix::io::write(&file, rest)?;
        rest = &rest[length..];
    }
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    // Before Linux 6.7 what is sealed can be mapped as a private copy only; of one that is not written to no page is copied.
    // SAFETY: the seals, which cannot be taken off, keep every process from changing or shortening the file.
    let mapping = unsafe { MmapOptions::new().populate().map_copy_read_only(&file)? };
    Ok((Bytes::from_owner(mapping), file))
}

#[cfg(not(target_os = "linux"))]
fn seal(_: &[u8]) -> io::Result<(Bytes, OwnedFd)> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn body(length: usize) -> Body {
        Body::from((0..length).map(|place| place as u8).collect::<Vec<_>>())
    }

    /// What the file holds where the body is said to be.
    fn read(body: &Body) -> Vec<u8> {
        let (file, start) = body.file().expect("it is sealed");
        let mut bytes = vec![0; body.len()];
        let length = rustix::io::pread(file, &mut bytes, start).unwrap();
        assert_eq!(length, bytes.len());
        bytes
    }

    #[test]
    fn what_is_sealed_is_the_same_in_memory_and_in_its_file() {
        let plain = body(SEALED_LENGTH_MIN);
        let sealed = plain.clone().sealed();
        assert_eq!(sealed[..], plain[..]);
        assert_eq!(read(&sealed), plain[..]);
        let mut part = sealed.slice(300..20_000);
        assert_eq!(read(&part), plain[300..20_000]);
        part.advance(7);
        assert_eq!(read(&part), plain[307..20_000]);
    }

    #[test]
    fn only_what_is_worth_it_is_sealed() {
        assert!(body(SEALED_LENGTH_MIN - 1).sealed().file().is_none());
        assert!(body(SEALED_LENGTH_MAX + 1).sealed().file().is_none());
        let sealed = body(SEALED_LENGTH_MIN).sealed();
        let again = sealed.clone().sealed();
        assert_eq!(again.as_ptr(), sealed.as_ptr(), "what is sealed is not moved again");
    }

    #[test]
    fn what_is_sealed_cannot_be_changed() {
        let sealed = body(SEALED_LENGTH_MIN).sealed();
        let (file, _) = sealed.file().unwrap();
        assert_eq!(rustix::io::write(file, b"x"), Err(rustix::io::Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(file, 0), Err(rustix::io::Errno::PERM));
    }
}
