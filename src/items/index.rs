//! The id index: positions in buckets of one cache line, each beside a part of its id's hash.
//!
//! A look-up touches one line of the table and, for an id that is there, its record and the item; ids themselves are not
//! stored a second time. Hashes are keyed at random, so that whoever writes ids cannot make them meet.

use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;

use xxhash_rust::xxh3::xxh3_64_with_secret;

use super::tags::{self, Tags, places_of};

/// Positions in a bucket.
const SLOTS: usize = tags::COUNT;

/// Of a thousand slots so many are taken at the most. Above that, many buckets would overflow into the next; below, the
/// table is larger than it must be.
const LOAD_PER_MILLE: usize = 850;

/// A table that is whole is made anew if its load is less than this, in per mille: it has grown by doubling.
const LOAD_PER_MILLE_MIN: usize = 820;

/// How many look-ups wait for memory together while the table is filled.
const BATCH: usize = 32;

/// What hashes of ids are keyed by: random bytes, made anew for each collection.
///
/// XXH3 is no cryptographic hash, and need not be one here. Ids meet in the table if their hashes do, and no texts are
/// known whose hashes meet under more than a vanishing share of keys: up to 16 bytes, and in each 16 of longer ids, the
/// key is mixed in before any bit of the text is lost. The hashes never leave the process, and the next load has another
/// key, so nothing can be learnt by trying. SipHash would need several times the instructions for each look-up.
#[derive(Clone)]
pub(super) struct HashKey([u8; 192]);

impl HashKey {
    /// A key that nobody can foresee.
    pub(super) fn random() -> Self {
        // The standard library's hasher is SipHash with a key of the system's randomness.
        let source = RandomState::new();
        let mut key = [0; 192];
        for (number, word) in key.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&source.hash_one(number).to_ne_bytes());
        }
        Self(key)
    }

    #[inline]
    pub(super) fn hash(&self, id: &[u8]) -> u64 {
        xxh3_64_with_secret(id, &self.0)
    }
}

impl Default for HashKey {
    fn default() -> Self {
        Self::random()
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

/// Finds positions by hash; whether an id is really the one is the caller's to say.
#[derive(Debug, Default)]
pub(super) struct Index {
    buckets: Vec<Bucket>,
    /// All positions below this are in it.
    count: usize,
}

/// One cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Bucket {
    tags: Tags,
    positions: [u32; SLOTS],
    /// In the lowest bits, how many slots are taken; in the others, which tags' positions had to pass on to the next bucket,
    /// by a part of the tag. So nearly no look-up of an id that is not there goes on to the next.
    state: u32,
}

const _: () = assert!(size_of::<Bucket>() == 64);

/// Bits of a bucket's state that count slots.
const TAKEN_BITS: u32 = 4;

/// The bit of a bucket's state for a tag's position that had to pass on.
#[inline]
fn passed(tag: u16) -> u32 {
    const BITS: u32 = u32::BITS - TAKEN_BITS;
    1 << (TAKEN_BITS + ((u32::from(tag) * BITS) >> u16::BITS))
}

impl Bucket {
    #[inline]
    fn taken(&self) -> usize {
        (self.state & ((1 << TAKEN_BITS) - 1)) as usize
    }

    /// The positions with this tag, and rarely one that has another.
    #[inline]
    fn with_tag(&self, tag: u16) -> impl Iterator<Item = usize> {
        places_of(&self.tags, tag).map(|slot| self.positions[slot] as usize)
    }

    /// Adds a position, if there is room.
    #[inline]
    fn put(&mut self, tag: u16, position: u32) -> bool {
        let slot = self.taken();
        if slot == SLOTS {
            self.state |= passed(tag);
            return false;
        }
        self.tags[slot] = tag;
        self.positions[slot] = position;
        self.state += 1;
        true
    }
}

/// The part of a hash that stands in the table, and is not 0; the bucket goes by its upper bits.
#[inline]
fn tag(hash: u64) -> u16 {
    hash as u16 | 1
}

/// As many buckets as `count` positions need.
fn buckets_for(count: usize) -> usize {
    (count * 1000).div_ceil(LOAD_PER_MILLE * SLOTS)
}

impl Index {
    /// How many positions are in it.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Its memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// The position for which `is_it` holds among those of this hash.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let (place, tag) = (self.place(hash), tag(hash));
        // The table is empty as long as there is nothing to find.
        let bucket = self.buckets.get(place)?;
        match bucket.with_tag(tag).find(|&position| is_it(position)) {
            None if bucket.state >> TAKEN_BITS != 0 => self.find_beyond(place, tag, is_it),
            found => found,
        }
    }

    /// Goes on behind a bucket that some had to pass.
    #[cold]
    fn find_beyond(&self, place: usize, tag: u16, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let mut place = place;
        // Ends, since not every bucket is full.
        while self.buckets[place].state & passed(tag) != 0 {
            place = self.after(place);
            let mut positions = self.buckets[place].with_tag(tag);
            if let Some(found) = positions.find(|&position| is_it(position)) {
                return Some(found);
            }
        }
        None
    }

    /// Makes room for `more` positions, and for some of those that come later if about `expected` are to come in all.
    /// `hash_of` tells the hash of one that was added before.
    pub(super) fn reserve(&mut self, more: usize, expected: Option<usize>, hash_of: impl Fn(usize) -> u64) {
        /// A guess is trusted as far as this: what has been read may be unlike all that comes. While there are few it costs
        /// little to be wrong.
        const GROWTH_MAX: usize = 4;
        const GROWTH_MAX_OF_FEW: usize = 16;
        const FEW: usize = 4_096;
        let needed = buckets_for(self.count + more);
        if needed <= self.buckets.len() {
            return;
        }
        // So that a guess that is a little wrong leaves the table neither too small nor too large to be kept.
        let guess = expected.map(|count| buckets_for(count + count / 64));
        let growth_max = if self.count + more < FEW {
            GROWTH_MAX_OF_FEW
        } else {
            GROWTH_MAX
        };
        self.rebuild(
            match guess {
                Some(guess) if guess > needed => guess.min(growth_max * needed),
                Some(_) => needed.max(self.buckets.len() + self.buckets.len() / 4),
                None => needed.max(2 * self.buckets.len()),
            },
            hash_of,
        );
    }

    /// Adds the next positions, by their hashes, for which there is room. `is_same` tells whether the ids of two positions
    /// are the same; the first two of one id are returned, the older first.
    pub(super) fn extend(
        &mut self,
        hashes: &[u64],
        is_same: impl Fn(usize, usize) -> bool,
    ) -> Result<(), (usize, usize)> {
        for batch in hashes.chunks(BATCH) {
            self.touch(batch);
            for &hash in batch {
                let position = self.count;
                if let Some(found) = self.find(hash, |other| is_same(other, position)) {
                    return Err((found, position));
                }
                self.put(hash, position);
                self.count += 1;
            }
        }
        Ok(())
    }

    /// Lets go of memory that is not needed, once everything has been added.
    pub(super) fn finish(&mut self, hash_of: impl Fn(usize) -> u64) {
        if self.count * 1000 < self.buckets.len() * SLOTS * LOAD_PER_MILLE_MIN {
            self.rebuild(buckets_for(self.count), hash_of);
        }
    }

    fn rebuild(&mut self, buckets: usize, hash_of: impl Fn(usize) -> u64) {
        // There are never two tables.
        self.buckets = Vec::new();
        self.buckets = vec![Bucket::default(); buckets];
        let mut hashes = [0; BATCH];
        for start in (0..self.count).step_by(BATCH) {
            let hashes = &mut hashes[..BATCH.min(self.count - start)];
            for (number, hash) in hashes.iter_mut().enumerate() {
                *hash = hash_of(start + number);
            }
            self.touch(hashes);
            for (number, &hash) in hashes.iter().enumerate() {
                self.put(hash, start + number);
            }
        }
    }

    fn put(&mut self, hash: u64, position: usize) {
        let mut place = self.place(hash);
        while !self.buckets[place].put(tag(hash), position as u32) {
            place = self.after(place);
        }
    }

    /// Reads a word of each hash's bucket. The table is much larger than a core's caches, and reads that do not depend on
    /// each other wait for memory once where look-ups one after the other wait each time.
    fn touch(&self, hashes: &[u64]) {
        let touched = hashes.iter().map(|&hash| self.buckets[self.place(hash)].state);
        black_box(touched.fold(0, |all, one| all | one));
    }

    #[inline]
    fn place(&self, hash: u64) -> usize {
        // The hash as a fraction of the table.
        ((u128::from(hash) * self.buckets.len() as u128) >> 64) as usize
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        if place + 1 == self.buckets.len() { 0 } else { place + 1 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Hashes of which many meet: in their bucket, in their tag, or in both.
    fn hashes() -> impl Strategy<Value = Vec<u64>> {
        let hash = (0..4_u64, 0..3_u64, any::<u64>(), any::<bool>()).prop_map(|(bucket, tag, any, meets)| {
            if meets {
                bucket << 62 | any >> 32 << 20 | tag
            } else {
                any
            }
        });
        prop::collection::vec(hash, 0..600)
    }

    proptest! {
        #[test]
        fn what_was_added_is_found_and_nothing_else(
            hashes in hashes(),
            absent in any::<u64>(),
            step in 1..200_usize,
            expected in prop::option::of(0..2000_usize),
        ) {
            let mut index = Index::default();
            for part in hashes.chunks(step) {
                index.reserve(part.len(), expected, |position| hashes[position]);
                // Positions of one hash have different ids here.
                prop_assert_eq!(index.extend(part, |_, _| false), Ok(()));
            }
            for is_finished in [false, true] {
                if is_finished {
                    index.finish(|position| hashes[position]);
                    prop_assert!(index.bytes() <= hashes.len() * 8 + 64);
                }
                for (position, &hash) in hashes.iter().enumerate() {
                    prop_assert_eq!(index.find(hash, |found| found == position), Some(position));
                }
                for hash in [absent, absent | 1 << 63, absent & 0xffff] {
                    if !hashes.contains(&hash) {
                        prop_assert_eq!(index.find(hash, |found| hashes[found] == hash), None);
                    }
                }
            }
        }

        #[test]
        fn the_first_two_of_one_id_are_told(ids in prop::collection::vec(0..40_u8, 0..60)) {
            let hashes: Vec<u64> = ids.iter().map(|&id| u64::from(id) << 60 | u64::from(id)).collect();
            let mut first = HashMap::new();
            let expected = ids.iter().enumerate().find_map(|(position, id)| match first.get(id) {
                Some(&before) => Some((before, position)),
                None => {
                    first.insert(id, position);
                    None
                }
            });
            let mut index = Index::default();
            index.reserve(hashes.len(), None, |position| hashes[position]);
            prop_assert_eq!(index.extend(&hashes, |one, other| ids[one] == ids[other]), expected.map_or(Ok(()), Err));
        }
    }

    #[test]
    fn keys_differ_and_hashes_with_them() {
        let (one, other) = (HashKey::random(), HashKey::random());
        for id in [&b"1"[..], b"12345678", b"0123456789abcdef", &[b'a'; 100], &[b'a'; 1000]] {
            assert_eq!(one.hash(id), one.clone().hash(id));
            assert_ne!(one.hash(id), other.hash(id));
        }
    }

    #[test]
    fn ids_that_met_without_a_key_are_spread() {
        // Multiples of what any table's length divides, the same in their lower half, and so on, are nothing to a key.
        let key = HashKey::random();
        let mut lowest = [0_u32; 256];
        for number in 0..100_000_u64 {
            let hash = key.hash(&(number << 20).to_le_bytes());
            lowest[(hash >> 56) as usize] += 1;
        }
        // 390 each on average, with a deviation of 20.
        assert!(lowest.iter().all(|count| (200..600).contains(count)), "{lowest:?}");
    }

    /// How many buckets look-ups of all these ids read, once they are all there.
    fn buckets_read(ids: &[String], key: &HashKey) -> usize {
        let hashes: Vec<u64> = ids.iter().map(|id| key.hash(id.as_bytes())).collect();
        let mut index = Index::default();
        for part in hashes.chunks(1000) {
            index.reserve(part.len(), None, |position| hashes[position]);
            index.extend(part, |_, _| false).expect("they are different");
        }
        index.finish(|position| hashes[position]);
        let read = |&hash: &u64| {
            let mut place = index.place(hash);
            let mut count = 1;
            while index.buckets[place].state & passed(tag(hash)) != 0 {
                place = index.after(place);
                count += 1;
            }
            count
        };
        hashes.iter().map(read).sum()
    }

    #[test]
    fn what_is_not_there_is_seen_in_one_bucket() {
        let key = HashKey::random();
        let hashes: Vec<u64> = (0..10_000_u32).map(|number| key.hash(&number.to_le_bytes())).collect();
        let mut index = Index::default();
        index.reserve(hashes.len(), None, |position| hashes[position]);
        index.extend(&hashes, |_, _| false).expect("they are different");
        index.finish(|position| hashes[position]);
        let goes_on = |number: &u32| {
            let hash = key.hash(&number.to_le_bytes());
            index.buckets[index.place(hash)].state & passed(tag(hash)) != 0
        };
        let count = (10_000..20_000).filter(goes_on).count();
        // 6 % go on to a second.
        assert!(count < 1000, "{count} of 10,000 go on");
    }

    #[test]
    fn ids_that_meet_without_a_key_cost_what_others_do() {
        const COUNT: usize = 40_000;
        let numbers = || (0..).map(|number: u32| number.to_string());
        // Of the lower bits, by which a table would go that has no key, all but a few are the same.
        let meets = |id: &String| xxhash_rust::xxh3::xxh3_64(id.as_bytes()) & 0x1_ffff < 0x1000;
        let flood: Vec<String> = numbers().filter(meets).take(COUNT).collect();
        let ordinary: Vec<String> = numbers().take(COUNT).collect();
        let key = HashKey::random();
        let (flood, ordinary) = (buckets_read(&flood, &key), buckets_read(&ordinary, &key));
        assert!(2 * flood <= 3 * ordinary, "{flood} buckets beside {ordinary}");
        // Nearly all are read in their first bucket.
        assert!(ordinary < 2 * COUNT, "{ordinary} buckets for {COUNT} ids");
    }
}
