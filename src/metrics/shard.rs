//! Shards: each recording thread's own cells, and the sum over all of them.
//!
//! A thread that records for the first time takes a shard that an ended thread left behind, or makes one. From then
//! on it is the only writer there: no locked instruction, no cache line that two threads write. Values stay when the
//! shard changes hands. A thread whose thread-locals are being destroyed can own nothing any more; it adds to one
//! shard that all such threads share.

#![allow(unsafe_code)] // Shards and chunks are reached through raw pointers; each block says why it is sound.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::{Arc, Weak};

use super::cell::{self, BLOCK, CHUNKS, CellRef, Numbering, Row};
use super::sync::{AtomicBool, AtomicPtr, AtomicU64, Ordering, thread_local};

/// One thread's cells. 128 bytes: two cache lines, since processors prefetch them in pairs.
#[repr(align(128))]
pub(crate) struct Shard {
    /// Each null until its owner first writes to a cell of it.
    chunks: [AtomicPtr<AtomicU64>; CHUNKS],
    owned: AtomicBool,
    /// The shard that was made before this one; written before this one is published, and never after.
    next: AtomicPtr<Shard>,
}

impl Shard {
    fn new(owned: bool) -> Self {
        Self {
            chunks: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            owned: AtomicBool::new(owned),
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The cells at `at`, if their chunk is there.
    ///
    /// With `Relaxed` only the owner may call it: it, or the owner before it, published the chunk.
    #[inline]
    fn cells<const WIDTH: usize>(&self, at: CellRef<WIDTH>, order: Ordering) -> Option<&[AtomicU64; WIDTH]> {
        let chunk = self.chunks[at.chunk()].load(order);
        if chunk.is_null() {
            return None;
        }
        // SAFETY: a chunk that is not null has `chunk_len` cells, and `CellRef` guarantees that `WIDTH` cells from
        // `offset` on are within it.
        let first = unsafe { chunk.add(at.offset()) };
        // SAFETY: as above; the chunk is initialised and lives as long as its shard, which `&self` borrows.
        Some(unsafe { &*first.cast::<[AtomicU64; WIDTH]>() })
    }

    /// The cells at `at`; their chunk is made if it is not there. Any thread may call it.
    fn cells_or_allocate<const WIDTH: usize>(&self, at: CellRef<WIDTH>) -> &[AtomicU64; WIDTH] {
        let slot = &self.chunks[at.chunk()];
        if slot.load(Ordering::Acquire).is_null() {
            let fresh = allocate_chunk(at.chunk());
            // Release publishes the zeroed cells to the Acquire of a scraper. Threads race here in the shared shard
            // only; the loser takes the winner's chunk.
            if slot
                .compare_exchange(ptr::null_mut(), fresh, Ordering::Release, Ordering::Relaxed)
                .is_err()
            {
                // SAFETY: `fresh` was made one line above for this very chunk and was not published.
                unsafe { free_chunk(fresh, at.chunk()) };
            }
        }
        self.cells(at, Ordering::Acquire)
            .expect("the chunk was published above")
    }

    /// The cells of a whole chunk, for the scraper.
    fn chunk(&self, chunk: usize) -> &[AtomicU64] {
        let first = self.chunks[chunk].load(Ordering::Acquire);
        if first.is_null() {
            return &[];
        }
        // SAFETY: a chunk that is not null has `chunk_len` initialised cells and lives as long as its shard.
        unsafe { std::slice::from_raw_parts(first, cell::chunk_len(chunk)) }
    }

    /// Takes the shard if nobody owns it. Acquire pairs with the Release of `release`, so that the plain load of the
    /// new owner's first addition reads what the last owner stored.
    fn acquire(&self) -> bool {
        !self.owned.load(Ordering::Relaxed)
            && self
                .owned
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    fn release(&self) {
        self.owned.store(false, Ordering::Release);
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        for (index, slot) in self.chunks.iter().enumerate() {
            let chunk = slot.load(Ordering::Acquire);
            if !chunk.is_null() {
                // SAFETY: the chunk in slot `index` was made by `allocate_chunk(index)`, and nobody borrows the shard.
                unsafe { free_chunk(chunk, index) };
            }
        }
    }
}

/// All shards of one registry, and the numbering of the cells in them.
pub(crate) struct Cells {
    numbering: Numbering,
    /// The newest shard; a list that only grows.
    newest: AtomicPtr<Shard>,
    /// For threads that can own no shard.
    shared: Shard,
}

impl Cells {
    pub(crate) fn new() -> Self {
        Self {
            numbering: Numbering::new(),
            newest: AtomicPtr::new(ptr::null_mut()),
            shared: Shard::new(true),
        }
    }

    /// A cell of its own for a counter.
    pub(crate) fn allocate_one(&self) -> Option<CellRef<1>> {
        self.numbering.one()
    }

    /// The cells of a histogram.
    pub(crate) fn allocate_block(&self) -> Option<CellRef<BLOCK>> {
        self.numbering.block()
    }

    /// Lets `write` write to the calling thread's cells at `at`.
    #[inline]
    pub(crate) fn write<const WIDTH: usize>(self: &Arc<Self>, at: CellRef<WIDTH>, write: impl Fn(Row<'_, WIDTH>)) {
        match self.own_shard().and_then(|shard| shard.cells(at, Ordering::Relaxed)) {
            Some(cells) => write(Row::own(cells)),
            None => self.write_first(at, write),
        }
    }

    /// The shard that the calling thread wrote to last, if it is of this registry.
    #[inline]
    fn own_shard(&self) -> Option<&Shard> {
        let current = CURRENT.try_with(Cell::get).ok()?;
        if !ptr::eq(current.cells, self) {
            return None;
        }
        // SAFETY: `current` names a shard of these cells that this thread owns. The shard lives as long as the
        // cells, which `self` borrows. The address cannot be that of older cells that are gone: `OWNED` keeps a weak
        // reference, hence the allocation, for as long as `CURRENT` may name it.
        Some(unsafe { &*current.shard })
    }

    /// The first write to a chunk, or after a write to another registry, or in a thread's last moments.
    #[cold]
    fn write_first<const WIDTH: usize>(self: &Arc<Self>, at: CellRef<WIDTH>, write: impl Fn(Row<'_, WIDTH>)) {
        if self.take_shard()
            && let Some(shard) = self.own_shard()
        {
            write(Row::own(shard.cells_or_allocate(at)));
        } else {
            self.write_shared(at, write);
        }
    }

    /// What a thread does that can own no shard.
    pub(crate) fn write_shared<const WIDTH: usize>(&self, at: CellRef<WIDTH>, write: impl Fn(Row<'_, WIDTH>)) {
        write(Row::shared(self.shared.cells_or_allocate(at)));
    }

    /// Makes `CURRENT` name this thread's shard of these cells. False where the thread can own none, because its
    /// thread-locals are gone.
    fn take_shard(self: &Arc<Self>) -> bool {
        OWNED
            .try_with(|owned| {
                let mut owned = owned.borrow_mut();
                let known = owned
                    .iter()
                    .find(|ownership| ptr::eq(ownership.cells.as_ptr(), Arc::as_ptr(self)));
                let shard = match known {
                    Some(ownership) => ownership.shard,
                    None => {
                        owned.retain(|ownership| ownership.cells.strong_count() > 0);
                        let shard = self.free_or_new_shard();
                        owned.push(Ownership {
                            cells: Arc::downgrade(self),
                            shard,
                        });
                        shard
                    }
                };
                CURRENT
                    .try_with(|current| {
                        current.set(Current {
                            cells: Arc::as_ptr(self),
                            shard,
                        })
                    })
                    .is_ok()
            })
            .unwrap_or(false)
    }

    fn free_or_new_shard(&self) -> *const Shard {
        if let Some(shard) = self.shards().find(|shard| shard.acquire()) {
            return shard;
        }
        let fresh = Box::into_raw(Box::new(Shard::new(true)));
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: `fresh` came from `Box::into_raw` and is not published yet.
            unsafe { &*fresh }.next.store(newest, Ordering::Relaxed);
            // Release publishes the shard and its `next` to the Acquire of `shards`; the shards behind it were
            // published by their own Release, which this read-modify-write carries on.
            match self
                .newest
                .compare_exchange_weak(newest, fresh, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return fresh,
                Err(seen) => newest = seen,
            }
        }
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        let mut next: *const Shard = self.newest.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY: the list holds null or shards made by `free_or_new_shard`, which live until `self` is dropped.
            let shard = unsafe { next.as_ref() }?;
            next = shard.next.load(Ordering::Relaxed);
            Some(shard)
        })
    }

    /// Adds up every cell over all shards into `totals`, by number.
    ///
    /// Relaxed loads: each cell only grows and has one location per shard, so a later scrape that happens after this
    /// one reads no less. Cells of one moment are not promised.
    pub(crate) fn sum_into(&self, totals: &mut Vec<u64>) {
        totals.clear();
        totals.resize(self.numbering.end(), 0);
        for shard in self.shards().chain([&self.shared]) {
            for chunk in 0..CHUNKS {
                let start = cell::chunk_start(chunk).min(totals.len());
                for (total, cell) in totals[start..].iter_mut().zip(shard.chunk(chunk)) {
                    *total = total.wrapping_add(cell.load(Ordering::Relaxed));
                }
            }
        }
    }

    /// The sum of one cell over all shards.
    pub(crate) fn sum_one(&self, at: CellRef<1>) -> u64 {
        self.rows(at)
            .fold(0, |sum: u64, [cell]| sum.wrapping_add(cell.load(Ordering::Relaxed)))
    }

    /// The sum over all shards of a sum that takes two cells, the first of them being cell `low` of the row.
    pub(crate) fn sum_wide<const WIDTH: usize>(&self, at: CellRef<WIDTH>, low: usize) -> u128 {
        self.rows(at)
            .map(|cells| cell::wide_sum(&cells[low], &cells[low + 1]))
            .sum()
    }

    /// How many threads have recorded at one time, at most.
    #[cfg(test)]
    pub(crate) fn shard_count(&self) -> usize {
        self.shards().count()
    }

    fn rows<const WIDTH: usize>(&self, at: CellRef<WIDTH>) -> impl Iterator<Item = &[AtomicU64; WIDTH]> {
        self.shards()
            .chain([&self.shared])
            .filter_map(move |shard| shard.cells(at, Ordering::Acquire))
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        let mut next = self.newest.load(Ordering::Acquire);
        while !next.is_null() {
            // SAFETY: each shard of the list came from `Box::into_raw` and is in it once. No thread uses it: writers
            // and scrapers hold an `Arc` of these cells, and the last one is being dropped.
            let shard = unsafe { Box::from_raw(next) };
            next = shard.next.load(Ordering::Relaxed);
        }
    }
}

/// The shard that a thread wrote to last. A process has one registry, but its tests have many.
#[derive(Clone, Copy)]
struct Current {
    cells: *const Cells,
    shard: *const Shard,
}

const NOTHING: Current = Current {
    cells: ptr::null(),
    shard: ptr::null(),
};

/// A thread's right to be the only writer of a shard, given back at its end.
struct Ownership {
    cells: Weak<Cells>,
    shard: *const Shard,
}

impl Drop for Ownership {
    fn drop(&mut self) {
        // First this thread forgets the shard, then others may have it.
        let _ = CURRENT.try_with(|current| {
            if ptr::eq(current.get().shard, self.shard) {
                current.set(NOTHING);
            }
        });
        if let Some(cells) = self.cells.upgrade() {
            // SAFETY: the shard is one of `cells`, which is alive and held here.
            unsafe { &*self.shard }.release();
            drop(cells);
        }
    }
}

thread_local! {
    /// Needs neither initialisation nor destruction, so reading it is one access relative to the thread pointer.
    static CURRENT: Cell<Current> = const { Cell::new(NOTHING) };
    /// Every shard that this thread owns, of any registry.
    static OWNED: RefCell<Vec<Ownership>> = const { RefCell::new(Vec::new()) };
}

/// A unit of allocation that no other thread's cells share a pair of cache lines with.
#[cfg(not(loom))]
#[repr(C, align(128))]
struct Line([AtomicU64; 16]);

/// Zeroed cells for chunk `chunk`: the system gives pages of a large one when they are first touched.
#[cfg(not(loom))]
fn allocate_chunk(chunk: usize) -> *mut AtomicU64 {
    let lines = Box::<[Line]>::new_zeroed_slice(cell::chunk_len(chunk) / 16);
    // SAFETY: all zeros is a valid `AtomicU64`.
    let lines = unsafe { lines.assume_init() };
    Box::into_raw(lines).cast()
}

/// # Safety
/// `first` came from `allocate_chunk(chunk)`, and nobody uses it any more.
#[cfg(not(loom))]
unsafe fn free_chunk(first: *mut AtomicU64, chunk: usize) {
    let lines = ptr::slice_from_raw_parts_mut(first.cast::<Line>(), cell::chunk_len(chunk) / 16);
    // SAFETY: the caller's promise, and the same length as in `allocate_chunk`.
    drop(unsafe { Box::from_raw(lines) });
}

#[cfg(loom)]
fn allocate_chunk(chunk: usize) -> *mut AtomicU64 {
    let cells: Box<[AtomicU64]> = (0..cell::chunk_len(chunk)).map(|_| AtomicU64::new(0)).collect();
    Box::into_raw(cells).cast()
}

/// # Safety
/// `first` came from `allocate_chunk(chunk)`, and nobody uses it any more.
#[cfg(loom)]
unsafe fn free_chunk(first: *mut AtomicU64, chunk: usize) {
    let cells = ptr::slice_from_raw_parts_mut(first, cell::chunk_len(chunk));
    // SAFETY: the caller's promise, and the same length as in `allocate_chunk`.
    drop(unsafe { Box::from_raw(cells) });
}
