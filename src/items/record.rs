//! What is kept of each item: 16 bytes, and a little more for what is rare.

/// Where an item ends, where its id stands, and the hash of its text.
///
/// The next item begins after a comma, so one end is enough. An id further into its item than 64 KiB, or longer than 255
/// bytes, stands in a list of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// From the lowest bit on: 40 bits of the end in the arena, 24 that tell of the id.
    end_and_id: u64,
    /// XXH3 of the item's text.
    pub(super) hash: u64,
}

const _: () = assert!(size_of::<Record>() == 16);

/// Where an id's token stands in its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) length: usize,
}

impl Record {
    const END_BITS: u32 = 40;

    /// The furthest that an item can end.
    pub(super) const END_MAX: usize = (1 << Self::END_BITS) - 1;

    /// `id_bits` are 24.
    ///
    /// # Panics
    ///
    /// If the end is beyond [`Record::END_MAX`].
    pub(super) fn new(end: usize, id_bits: u32, hash: u64) -> Self {
        assert!(
            end <= Self::END_MAX && id_bits < 1 << 24,
            "the builder refuses what is longer"
        );
        Self {
            end_and_id: end as u64 | u64::from(id_bits) << Self::END_BITS,
            hash,
        }
    }

    #[inline]
    pub(super) fn end(self) -> usize {
        (self.end_and_id & Self::END_MAX as u64) as usize
    }

    #[inline]
    fn id_bits(self) -> u32 {
        (self.end_and_id >> Self::END_BITS) as u32
    }

    /// Where the id stands in the item, unless that is in the list of those that are far.
    #[inline]
    pub(super) fn id(self) -> Option<Place> {
        let (start, length) = (self.id_bits() & 0xffff, self.id_bits() >> 16);
        // No id is empty: a number has a digit, a string its quotes.
        (length != 0).then_some(Place {
            start: start as usize,
            length: length as usize,
        })
    }
}

/// Where the ids of a collection are.
#[derive(Debug)]
pub(super) enum Ids {
    /// Its items have none.
    None,
    /// Each is a token in its item.
    Within(Far),
    /// They are no part of the items.
    Apart(Keys),
}

impl Ids {
    /// The memory that is in use, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Within(far) => size_of_val(&*far.0),
            Self::Apart(keys) => keys.text.len() + size_of_val(&*keys.bases) + size_of_val(&*keys.far.0),
        }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        match self {
            Self::None => {}
            Self::Within(far) => far.0.shrink_to_fit(),
            Self::Apart(keys) => {
                keys.text.shrink_to_fit();
                keys.bases.shrink_to_fit();
                keys.far.0.shrink_to_fit();
            }
        }
    }
}

/// The ids that records have no room for, by ascending position.
#[derive(Debug, Default)]
pub(super) struct Far(Vec<(u32, Place)>);

impl Far {
    /// What the record of an item is to know of its id.
    pub(super) fn bits(&mut self, position: usize, id: Place) -> u32 {
        match (u16::try_from(id.start), u8::try_from(id.length)) {
            (Ok(start), Ok(length)) => u32::from(start) | u32::from(length) << 16,
            _ => {
                self.0.push((position as u32, id));
                0
            }
        }
    }

    /// Where the id stands that the record has no room for.
    pub(super) fn place(&self, position: usize) -> Place {
        let found = self
            .0
            .binary_search_by_key(&(position as u32), |&(position, _)| position);
        self.0[found.expect("an id is in its record or here")].1
    }
}

/// Keys that are no part of the items: one after the other, each after its length.
#[derive(Debug, Default)]
pub(super) struct Keys {
    text: Vec<u8>,
    /// Where each group's keys begin; a record tells how much further its key does.
    bases: Vec<u64>,
    /// Those that begin further on than a record can tell.
    far: Far,
}

impl Keys {
    /// Items of a group.
    const GROUP: usize = 64;

    /// What the record of a key in the list of far ones has.
    const FAR: u32 = (1 << 24) - 1;

    /// Adds the key of the next item, and returns what its record is to know of it.
    pub(super) fn push(&mut self, position: usize, key: &[u8]) -> u32 {
        let start = self.text.len();
        if position.is_multiple_of(Self::GROUP) {
            self.bases.push(start as u64);
        }
        write_number(key.len() as u64, &mut self.text);
        self.text.extend_from_slice(key);
        match start - self.bases[position / Self::GROUP] as usize {
            near if near < Self::FAR as usize => near as u32,
            _ => {
                let length = key.len();
                self.far.0.push((position as u32, Place { start, length }));
                Self::FAR
            }
        }
    }

    /// The key of an item.
    pub(super) fn key(&self, position: usize, record: Record) -> &[u8] {
        let start = match record.id_bits() {
            Self::FAR => self.far.place(position).start,
            near => self.bases[position / Self::GROUP] as usize + near as usize,
        };
        let (length, key) = read_number(&self.text[start..]);
        &key[..length as usize]
    }
}

/// Numbers of which none is less than the one before it, in about a byte each. They can be read from the first on only.
#[derive(Debug, Default)]
pub(super) struct Ascending {
    /// How much more each is than the one before it.
    steps: Vec<u8>,
    last: u64,
    count: usize,
}

impl Ascending {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The memory that is in use, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn push(&mut self, number: u64) {
        debug_assert!(number >= self.last);
        write_number(number - self.last, &mut self.steps);
        self.last = number;
        self.count += 1;
    }

    /// The number at `place`, from 0.
    pub(super) fn get(&self, place: usize) -> u64 {
        let mut steps = &self.steps[..];
        let mut number = 0;
        for _ in 0..=place {
            let (step, rest) = read_number(steps);
            (number, steps) = (number + step, rest);
        }
        number
    }
}

/// Seven bits a byte, the lowest first; the upper bit says that more come (LEB128).
fn write_number(number: u64, out: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The number that `text` begins with, and what follows it.
fn read_number(text: &[u8]) -> (u64, &[u8]) {
    let mut number = 0;
    for (place, &byte) in text.iter().enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return (number, &text[place + 1..]);
        }
    }
    (number, b"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_holds_the_longest_that_it_can() {
        let mut far = Far::default();
        let (near, beyond) = (
            Place {
                start: 65_535,
                length: 255,
            },
            [
                Place {
                    start: 65_536,
                    length: 3,
                },
                Place { start: 0, length: 256 },
            ],
        );
        let bits = far.bits(0, near);
        let record = Record::new(Record::END_MAX, bits, u64::MAX);
        assert_eq!(
            (record.end(), record.id(), record.hash),
            ((1 << 40) - 1, Some(near), u64::MAX)
        );
        for (number, place) in beyond.into_iter().enumerate() {
            let position = 7 * number + 1;
            let record = Record::new(0, far.bits(position, place), 0);
            assert_eq!((record.end(), record.id()), (0, None));
        }
        assert_eq!([far.place(1), far.place(8)], beyond);
    }

    #[test]
    #[should_panic(expected = "the builder refuses")]
    fn an_end_that_does_not_fit_is_not_cut_off() {
        Record::new(Record::END_MAX + 1, 0, 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn numbers_come_back(steps in prop::collection::vec(prop_oneof![0..3_u64, 0..1_u64 << 40], 1..200)) {
            let mut ascending = Ascending::default();
            let mut numbers = Vec::new();
            let mut last = 0;
            for step in steps {
                last += step;
                numbers.push(last);
                ascending.push(last);
            }
            prop_assert_eq!(ascending.len(), numbers.len());
            for (place, number) in numbers.into_iter().enumerate() {
                prop_assert_eq!(ascending.get(place), number);
            }
        }

        #[test]
        fn keys_come_back(lengths in prop::collection::vec(prop_oneof![20 => 1..300_usize, 1 => 1..1_usize << 23], 1..150)) {
            let mut keys = Keys::default();
            let key = |position: usize, length: usize| vec![position as u8; length];
            let records: Vec<Record> = lengths
                .iter()
                .enumerate()
                .map(|(position, &length)| Record::new(0, keys.push(position, &key(position, length)), 0))
                .collect();
            for (position, (&length, record)) in lengths.iter().zip(records).enumerate() {
                prop_assert!(keys.key(position, record) == key(position, length));
            }
        }
    }
}
