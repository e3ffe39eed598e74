//! An append-only hash table that is read and extended without a lock.
//!
//! It holds what is registered: series, names, descriptions, and the facade's keys. Entries are never changed, moved
//! or taken out before the table itself goes, so a reference to one lives as long as the table. The number of
//! entries is bounded when it is made; slots are twice that, so a search always ends at an empty one.

#![allow(unsafe_code)] // Entries are published as raw pointers; each block says why it is sound.

use std::ptr;

use super::sync::{AtomicPtr, AtomicUsize, Ordering};

/// No more entries fit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

struct Entry<T> {
    hash: u64,
    value: T,
}

/// See the module.
pub(crate) struct Table<T> {
    /// Length is a power of two. A slot goes from null to an entry once, and stays.
    slots: Box<[AtomicPtr<Entry<T>>]>,
    /// Entries promised a place; never above `limit`.
    reserved: AtomicUsize,
    /// Entries that a reader can find.
    published: AtomicUsize,
    limit: usize,
}

// SAFETY: the table owns its entries and gives out shared references to them only, so it may be shared where `&T`
// may, and sent where `T` may.
unsafe impl<T: Send + Sync> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Table<T> {}

impl<T> Table<T> {
    /// A table for at most `limit` entries.
    pub(crate) fn new(limit: usize) -> Self {
        let slots = (limit.max(1) * 2).next_power_of_two();
        Self {
            slots: null_slots(slots),
            reserved: AtomicUsize::new(0),
            published: AtomicUsize::new(0),
            limit,
        }
    }

    /// How many entries are certainly there for [`Table::iter`]. It only grows.
    pub(crate) fn len(&self) -> usize {
        // Acquire pairs with the Release in `get_or_insert`: who sees the count finds the entries.
        self.published.load(Ordering::Acquire)
    }

    /// The entry with this hash that `is` recognises.
    #[inline]
    pub(crate) fn get(&self, hash: u64, is: impl Fn(&T) -> bool) -> Option<&T> {
        self.search(hash, &is, self.start(hash)).ok()
    }

    /// The entry that `is` recognises, or else the one that `make` makes, published. Of threads that race with the
    /// same key one wins, and all get the winner's entry; `make` of a loser was called in vain.
    pub(crate) fn get_or_insert(
        &self,
        hash: u64,
        is: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Result<T, Full>,
    ) -> Result<&T, Full> {
        let mut slot = match self.search(hash, &is, self.start(hash)) {
            Ok(found) => return Ok(found),
            Err(empty) => empty,
        };
        let place = Reservation::take(&self.reserved, self.limit)?;
        let fresh = Box::into_raw(Box::new(Entry { hash, value: make()? }));
        loop {
            // Release publishes the entry's content to the Acquire of `entry`. A failure's result is not used.
            match self.slots[slot].compare_exchange(ptr::null_mut(), fresh, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    place.keep();
                    self.published.fetch_add(1, Ordering::Release);
                    // SAFETY: `fresh` came from `Box::into_raw`, is now owned by the table and freed in `drop` only.
                    return Ok(unsafe { &(*fresh).value });
                }
                // Another thread took this slot, perhaps for the same key: look again from here on.
                Err(_) => match self.search(hash, &is, slot) {
                    Ok(found) => {
                        // SAFETY: `fresh` came from `Box::into_raw` above and was never published.
                        drop(unsafe { Box::from_raw(fresh) });
                        return Ok(found);
                    }
                    Err(empty) => slot = empty,
                },
            }
        }
    }

    /// All entries, in no order. Entries that come while it runs may be among them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots
            .iter()
            .filter_map(|slot| self.entry(slot))
            .map(|entry| &entry.value)
    }

    fn start(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    /// The entry looked for, or the empty slot where the search ended.
    #[inline]
    fn search(&self, hash: u64, is: &impl Fn(&T) -> bool, start: usize) -> Result<&T, usize> {
        let mut slot = start;
        loop {
            match self.entry(&self.slots[slot]) {
                Some(entry) if entry.hash == hash && is(&entry.value) => return Ok(&entry.value),
                Some(_) => slot = (slot + 1) & (self.slots.len() - 1),
                None => return Err(slot),
            }
        }
    }

    #[inline]
    fn entry<'a>(&'a self, slot: &AtomicPtr<Entry<T>>) -> Option<&'a Entry<T>> {
        // Acquire pairs with the Release that published the entry.
        // SAFETY: a slot is null or holds an entry that lives, unchanged, until the table is dropped.
        unsafe { slot.load(Ordering::Acquire).as_ref() }
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        for slot in &self.slots {
            let entry = slot.load(Ordering::Acquire);
            if !entry.is_null() {
                // SAFETY: published entries came from `Box::into_raw`, each is in one slot, and `&mut self` says that
                // no reference to it is left.
                drop(unsafe { Box::from_raw(entry) });
            }
        }
    }
}

/// A place counted against the limit, given back unless it is kept.
struct Reservation<'a>(Option<&'a AtomicUsize>);

impl<'a> Reservation<'a> {
    /// Relaxed: the count guards no memory, it is a bound only.
    fn take(reserved: &'a AtomicUsize, limit: usize) -> Result<Self, Full> {
        if reserved.fetch_add(1, Ordering::Relaxed) >= limit {
            reserved.fetch_sub(1, Ordering::Relaxed);
            return Err(Full);
        }
        Ok(Self(Some(reserved)))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(reserved) = self.0 {
            reserved.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Null pointers from zeroed memory: the system gives such pages when they are first touched, so the bound on
/// entries can be generous and an empty table costs no memory.
#[cfg(not(loom))]
fn null_slots<T>(len: usize) -> Box<[AtomicPtr<T>]> {
    let slots = Box::new_zeroed_slice(len);
    // SAFETY: `AtomicPtr<T>` has the representation of `*mut T`, for which all zeros is the null pointer.
    unsafe { slots.assume_init() }
}

#[cfg(loom)]
fn null_slots<T>(len: usize) -> Box<[AtomicPtr<T>]> {
    (0..len).map(|_| AtomicPtr::new(ptr::null_mut())).collect()
}
