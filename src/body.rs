//! Bodies: bytes that never change, where the kernel may send them from, and who frees them.
//!
//! A write copies what it sends into the kernel. A file's pages it can send as they are (sendfile(2)), so a body that is
//! worth it is moved to memory that is a file of no name (memfd_create(2)), sealed against every change (fcntl(2),
//! `F_SEAL_WRITE`). Pages that are on their way to a client are the kernel's: they stay as they were when the snapshot
//! they belonged to is long gone.
//!
//! A body of data is in the [ledger](crate::ledger) for as long as its memory is there, whoever holds the last handle.

#![allow(unsafe_code)] // A sealed file is mapped; the block says why that is sound.

use std::io;
use std::ops::{Deref, Range};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::ledger::{Account, Credit, Entry};

/// From this length on, in bytes, a body is sealed: below it a write is as cheap as two calls that copy nothing.
pub const SEALED_LENGTH_MIN: usize = 32 << 10;

/// Up to this length, in bytes, a body is sealed: while it is moved there are two of it.
pub const SEALED_LENGTH_MAX: usize = 20 << 20;

/// A body, or a part of one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Body {
    bytes: Bytes,
    /// The owner of the bytes, where it is more than they are: in the ledger, or a sealed file.
    memory: Option<Arc<Memory>>,
}

/// What owns the bytes of bodies; `Bytes` made of it hold it too.
#[derive(Debug)]
struct Memory {
    store: Store,
    credit: Option<Credit>,
}

#[derive(Debug)]
enum Store {
    Heap(Bytes),
    /// The file, and where it is mapped.
    #[cfg(target_os = "linux")]
    Sealed(OwnedFd, memmap2::Mmap),
}

impl Store {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            #[cfg(target_os = "linux")]
            Self::Sealed(_, mapping) => mapping,
        }
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Heap(_) => None,
            #[cfg(target_os = "linux")]
            Self::Sealed(file, _) => Some(file.as_fd()),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(credit) = self.credit.take() {
            credit.hand_back(std::mem::replace(&mut self.store, Store::Heap(Bytes::new())));
        }
    }
}

/// A handle of memory, for `Bytes` to hold.
struct Held(Arc<Memory>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.0.store.bytes()
    }
}

impl Body {
    /// No bytes.
    pub const fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
            memory: None,
        }
    }

    /// A body whose memory is in the ledger by `credit` until it is freed.
    pub fn credited(bytes: impl Into<Bytes>, credit: Credit) -> Self {
        Self::of(Store::Heap(bytes.into()), Some(credit))
    }

    fn of(store: Store, credit: Option<Credit>) -> Self {
        let memory = Arc::new(Memory { store, credit });
        Self {
            bytes: Bytes::from_owner(Held(Arc::clone(&memory))),
            memory: Some(memory),
        }
    }

    /// The same bytes in a sealed file, if their length is in the bounds, there is memory for both, and the system lends one.
    pub fn sealed(self) -> Self {
        let length = self.bytes.len();
        if self.file().is_some() || !(SEALED_LENGTH_MIN..=SEALED_LENGTH_MAX).contains(&length) {
            return self;
        }
        let ledger = self.credit().map(Credit::ledger);
        // For a while there are two of it.
        if ledger.is_some_and(|ledger| ledger.room() < length as u64) {
            return self;
        }
        match seal(&self.bytes) {
            Ok(store) => Self::of(
                store,
                ledger.map(|ledger| ledger.credit(Account::Building, length.next_multiple_of(PAGE))),
            ),
            Err(error) => {
                tracing::debug!(%error, length, "a body stays in memory that is no file");
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
        Self {
            bytes: self.bytes.slice(range),
            memory: self.memory.clone(),
        }
    }

    /// Leaves out the first `length` bytes.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn advance(&mut self, length: usize) {
        self.bytes.advance(length);
    }

    /// The sealed file that holds the bytes, if one does, and where in it they begin.
    pub fn file(&self) -> Option<(BorrowedFd<'_>, u64)> {
        let store = &self.memory.as_ref()?.store;
        let file = store.file()?;
        let start = match self.bytes.is_empty() {
            // An empty part may point anywhere.
            true => 0,
            false => self.bytes.as_ptr() as usize - store.bytes().as_ptr() as usize,
        };
        Some((file, start as u64))
    }

    /// Names the whole memory that it is a part of, in the ledger.
    pub fn entry(&self) -> Option<&Entry> {
        self.credit().map(Credit::entry)
    }

    /// Whether its memory is of data that is served no more. Takes a lock: not for each request.
    pub fn is_retired(&self) -> bool {
        let account = self.entry().map(Entry::account);
        matches!(account, Some(Account::Retired | Account::HalfSent))
    }

    fn credit(&self) -> Option<&Credit> {
        self.memory.as_ref()?.credit.as_ref()
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
            memory: None,
        }
    }
}

/// What the kernel gives a file in memory by, in bytes; where its pages are larger, a body counts as a little less.
const PAGE: usize = 4096;

/// Makes a file in memory that nobody can change any more, and maps it.
#[cfg(target_os = "linux")]
fn seal(bytes: &[u8]) -> io::Result<Store> {
    use memmap2::MmapOptions;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use rustix::process::{Resource, getrlimit};

    // A file in memory is one: a write beyond the limit is a signal that ends the process (setrlimit(2)).
    let limit = getrlimit(Resource::Fsize).current;
    if limit.is_some_and(|limit| limit < bytes.len() as u64) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
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
    Ok(Store::Sealed(file, mapping))
}

#[cfg(not(target_os = "linux"))]
fn seal(_: &[u8]) -> io::Result<Store> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

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
        part.advance(part.len());
        assert_eq!((part.len(), read(&part)), (0, Vec::new()));
        assert_eq!(read(&sealed.slice(5..5)), b"");
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

    #[test]
    fn memory_is_debited_when_the_last_handle_of_it_is_dropped() {
        let ledger = Ledger::default();
        for length in [100, SEALED_LENGTH_MIN + 100] {
            let whole = Body::credited(vec![b'a'; length], ledger.credit(Account::Building, length)).sealed();
            let held = ledger.total();
            assert!(
                (length as u64..length as u64 + 4096).contains(&held),
                "{held} for {length}"
            );
            let entry = whole.entry().unwrap().clone();
            entry.join(Account::Current);
            let part = whole.slice(10..20);
            drop(whole);
            assert_eq!(ledger.bytes(Account::Current), held);
            assert!(!part.is_retired());
            entry.leave();
            assert!(part.is_retired());
            let bytes = part.into_bytes();
            assert_eq!((ledger.bytes(Account::HalfSent), ledger.total()), (held, held));
            drop(bytes);
            assert_eq!(ledger.total(), 0);
        }
    }
}
