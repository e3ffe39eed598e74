//! Where a number lives: cells, rows of cells, and the numbering of them.
//!
//! A cell is one `u64`. Every shard has the same cells under the same numbers, so a [`CellRef`] is valid in all of
//! them. Cells lie in chunks, each twice as long as the one before: a directory of twelve pointers reaches four
//! million cells, and a thread pays only for the chunks that it touches. This module numbers; it owns no memory.

use super::sync::{AtomicU64, Ordering};

/// Cells of the first chunk; chunk `k` has `FIRST_CHUNK << k`.
pub(crate) const FIRST_CHUNK: usize = if cfg!(loom) { 2 } else { 1024 };

/// Chunks of a shard.
pub(crate) const CHUNKS: usize = if cfg!(loom) { 2 } else { 12 };

/// Cells of one block: what a histogram takes. `FIRST_CHUNK` is a multiple of it, so no block lies in two chunks.
pub(crate) const BLOCK: usize = if cfg!(loom) { 2 } else { 256 };

const BLOCKS: u32 = (FIRST_CHUNK * ((1 << CHUNKS) - 1) / BLOCK) as u32;
const _: () = assert!(FIRST_CHUNK.is_multiple_of(BLOCK));

/// Number of the first cell of chunk `chunk`.
pub(crate) const fn chunk_start(chunk: usize) -> usize {
    FIRST_CHUNK * ((1 << chunk) - 1)
}

/// Number of cells of chunk `chunk`.
pub(crate) const fn chunk_len(chunk: usize) -> usize {
    FIRST_CHUNK << chunk
}

/// The place of `WIDTH` neighbouring cells, the same in every shard.
///
/// Invariant, made here and relied on by the pointer code of the shard: `chunk < CHUNKS` and
/// `offset + WIDTH <= chunk_len(chunk)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellRef<const WIDTH: usize> {
    chunk: u32,
    offset: u32,
}

impl<const WIDTH: usize> CellRef<WIDTH> {
    fn at(number: usize) -> Self {
        let chunk = (number / FIRST_CHUNK + 1).ilog2() as usize;
        let offset = number - chunk_start(chunk);
        assert!(
            chunk < CHUNKS && offset + WIDTH <= chunk_len(chunk),
            "a row lies within one chunk"
        );
        Self {
            chunk: chunk as u32,
            offset: offset as u32,
        }
    }

    /// Index of the chunk, less than [`CHUNKS`].
    #[inline]
    pub(crate) fn chunk(self) -> usize {
        self.chunk as usize
    }

    /// Index of the first cell within the chunk.
    #[inline]
    pub(crate) fn offset(self) -> usize {
        self.offset as usize
    }

    /// The number of the first cell, counted over all chunks.
    pub(crate) fn number(self) -> usize {
        chunk_start(self.chunk()) + self.offset()
    }
}

/// Gives out cells, one by one or a block at a time, without a lock. What was given out is never taken back.
///
/// One word holds both positions: the number of the next single cell in its high half and the next free block in its
/// low half. So single cells fill blocks of their own, and no hole is left where counters and histograms alternate.
#[derive(Debug)]
pub(crate) struct Numbering {
    state: AtomicU64,
}

impl Numbering {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
        }
    }

    /// One cell, or `None` where all are given out.
    pub(crate) fn one(&self) -> Option<CellRef<1>> {
        self.advance(|single, block| {
            if !(single as usize).is_multiple_of(BLOCK) {
                Some((single, single + 1, block))
            } else if block < BLOCKS {
                let first = block * BLOCK as u32;
                Some((first, first + 1, block + 1))
            } else {
                None
            }
        })
        .map(CellRef::at)
    }

    /// One block of cells, or `None` where all are given out.
    pub(crate) fn block(&self) -> Option<CellRef<BLOCK>> {
        self.advance(|single, block| (block < BLOCKS).then_some((block * BLOCK as u32, single, block + 1)))
            .map(CellRef::at)
    }

    /// All cells given out have a number less than this.
    pub(crate) fn end(&self) -> usize {
        (self.state.load(Ordering::Relaxed) as u32) as usize * BLOCK
    }

    /// Relaxed throughout: the word is all the state there is, and whoever reads a `CellRef` got it through the
    /// registration table, whose Release/Acquire pair also makes the growth of `end` visible.
    fn advance(&self, step: impl Fn(u32, u32) -> Option<(u32, u32, u32)>) -> Option<usize> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let (taken, single, block) = step((state >> 32) as u32, state as u32)?;
            let next = u64::from(single) << 32 | u64::from(block);
            match self
                .state
                .compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(taken as usize),
                Err(seen) => state = seen,
            }
        }
    }
}

/// `WIDTH` cells of one shard, as their writer sees them.
pub(crate) struct Row<'a, const WIDTH: usize> {
    cells: &'a [AtomicU64; WIDTH],
    /// Whether other threads write these cells too.
    shared: bool,
}

impl<'a, const WIDTH: usize> Row<'a, WIDTH> {
    /// Cells that only the calling thread writes.
    #[inline]
    pub(crate) fn own(cells: &'a [AtomicU64; WIDTH]) -> Self {
        Self { cells, shared: false }
    }

    /// Cells that any thread may write.
    pub(crate) fn shared(cells: &'a [AtomicU64; WIDTH]) -> Self {
        Self { cells, shared: true }
    }

    /// Adds, and returns what the cell held before.
    ///
    /// The owner of a shard is its only writer, so a load and a store lose nothing and need no locked instruction.
    /// `order` is that of the store: Relaxed unless the reader must see what was written before it.
    #[inline]
    pub(crate) fn add(&self, index: usize, n: u64, order: Ordering) -> u64 {
        let cell = &self.cells[index];
        if self.shared {
            cell.fetch_add(n, order)
        } else {
            let old = cell.load(Ordering::Relaxed);
            cell.store(old.wrapping_add(n), order);
            old
        }
    }

    /// Adds to a sum that is wider than a cell: its low 64 bits are in cell `low`, and the next cell counts how often
    /// the top bit of the low cell has flipped, that is the sum divided by 2^63.
    ///
    /// `n` must be less than 2^63, so one addition flips the bit once at most. The count is stored after, with
    /// Release: a reader that sees it sees the low cell at least as new, and [`wide_sum`] mends the other order.
    #[inline]
    pub(crate) fn add_wide(&self, low: usize, n: u64) {
        debug_assert!(n < 1 << 63);
        let old = self.add(low, n, Ordering::Relaxed);
        if (old ^ old.wrapping_add(n)) >> 63 != 0 {
            self.add(low + 1, 1, Ordering::Release);
        }
    }
}

/// Reads a sum written by [`Row::add_wide`] while its writer goes on.
///
/// The count of flips is read first. If its parity is not that of the low cell's top bit, the low cell has flipped
/// once since (it cannot have flipped twice: that takes 2^63 more), so the true count is one more.
pub(crate) fn wide_sum(low: &AtomicU64, flips: &AtomicU64) -> u128 {
    // Acquire pairs with the Release of `add_wide`: the low cell is read at least as new as the count.
    let flips = flips.load(Ordering::Acquire);
    let low = low.load(Ordering::Relaxed);
    let lag = (flips ^ (low >> 63)) & 1;
    (u128::from(flips + lag) << 63) + u128::from(low & (u64::MAX >> 1))
}
