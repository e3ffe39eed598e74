//! The id index: open addressing over positions, with a part of the hash beside each.
//!
//! A look-up touches one cache line of the table and, for an id that is there, the item; ids themselves are not stored
//! a second time.

/// Finds positions by hash; whether an id is really the one is the caller's to say.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of slots, at most half of them taken.
    slots: Vec<Slot>,
    count: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The hash's upper half.
    tag: u32,
    /// The position plus one; 0 for a free slot.
    position: u32,
}

/// The least number of slots.
const SLOTS_MIN: usize = 16;

impl Index {
    /// Its memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>()
    }

    /// The position for which `is_it` holds among those of this hash.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut place = hash as usize & mask;
        loop {
            let slot = self.slots[place];
            if slot.position == 0 {
                return None;
            }
            let position = slot.position as usize - 1;
            if slot.tag == (hash >> 32) as u32 && is_it(position) {
                return Some(position);
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds a position, or returns the one for which `is_it` holds. `hash_of` tells the hash of one that was added
    /// before, for when the table grows.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        position: usize,
        is_it: impl Fn(usize) -> bool,
        hash_of: impl Fn(usize) -> u64,
    ) -> Result<(), usize> {
        if self.count * 2 >= self.slots.len() {
            self.grow(hash_of);
        }
        if let Some(found) = self.find(hash, is_it) {
            return Err(found);
        }
        self.put(hash, position as u32 + 1);
        self.count += 1;
        Ok(())
    }

    fn put(&mut self, hash: u64, position: u32) {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        while self.slots[place].position != 0 {
            place = (place + 1) & mask;
        }
        self.slots[place] = Slot {
            tag: (hash >> 32) as u32,
            position,
        };
    }

    fn grow(&mut self, hash_of: impl Fn(usize) -> u64) {
        let length = (self.slots.len() * 2).max(SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); length]);
        for slot in old.into_iter().filter(|slot| slot.position != 0) {
            self.put(hash_of(slot.position as usize - 1), slot.position);
        }
    }
}
