//! The collection: one contiguous arena of item text, where each item ends, and the id index.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::ParseOptions;
use super::error::{Fault, ParseError};
use super::faults::Collector;
use super::id::IdField;
use super::index::{HashKey, Index};
use super::record::{Ascending, Far, Ids, Keys, Place, Record};
use super::scan::{Scanned, Token, decode};
use super::structure::{PADDING, Structure};
use super::tokens::Value;
use super::walk::first_scalar;
use crate::body::Body;
use crate::ledger::{Account, Credit, Entry, Ledger};

/// Items, and how to find them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Collection {
    arena: Body,
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    records: Vec<Record>,
    ids: Ids,
    index: Index,
    hash_key: HashKey,
    content_hash: u64,
    id_field: String,
    /// Of all of these.
    credit: Credit,
}

impl Collection {
    /// The number of items.
    pub fn len(&self) -> usize {
        self.parts.records.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.parts.records.is_empty()
    }

    /// The whole collection as JSON text: `[item,item,...]`.
    pub fn arena(&self) -> &Body {
        &self.arena
    }

    /// The same collection, in a sealed file if that is worth it.
    pub fn sealed(self) -> Self {
        Self {
            arena: self.arena.sealed(),
            ..self
        }
    }

    /// Where its memory is taken note of.
    pub fn ledger(&self) -> &Ledger {
        self.parts.credit.ledger()
    }

    /// Names all of its memory in the ledger.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.arena.entry().into_iter().chain([self.parts.credit.entry()])
    }

    /// Where an item's text stands in the arena.
    ///
    /// # Panics
    ///
    /// If there is no such position; so do all that take one.
    pub fn item_range(&self, position: usize) -> Range<usize> {
        self.parts.range(position)
    }

    /// An item's text.
    pub fn item(&self, position: usize) -> &[u8] {
        &self.arena[self.item_range(position)]
    }

    /// A shared handle of an item's text.
    pub fn item_body(&self, position: usize) -> Body {
        self.arena.slice(self.item_range(position))
    }

    /// The XXH3 hash of an item's text.
    pub fn item_hash(&self, position: usize) -> u64 {
        self.parts.records[position].hash
    }

    /// The XXH3 hash of all items' hashes, and of keys that do not stand in the items.
    pub fn content_hash(&self) -> u64 {
        self.parts.content_hash
    }

    /// Whether every item has an id.
    pub fn has_ids(&self) -> bool {
        !matches!(self.parts.ids, Ids::None)
    }

    /// Why items cannot be asked for by id, if they cannot.
    pub fn no_ids_reason(&self) -> Option<String> {
        (!self.has_ids()).then(|| match self.is_empty() {
            true => "the collection is empty".to_owned(),
            false if self.parts.id_field.is_empty() => "none is named (--id-field \"\")".to_owned(),
            false => format!(
                "the items have no member {:?} to be asked for by (--id-field)",
                self.parts.id_field
            ),
        })
    }

    /// The key text of an item's id: a number as it is spelled, a string decoded.
    pub fn id(&self, position: usize) -> Option<Cow<'_, str>> {
        // The scanner has seen to it that keys are text.
        self.has_ids().then(|| match self.parts.key(&self.arena, position) {
            Cow::Borrowed(key) => String::from_utf8_lossy(key),
            Cow::Owned(key) => Cow::Owned(String::from_utf8_lossy(&key).into_owned()),
        })
    }

    /// The position of the item with this key text.
    pub fn find(&self, id: &str) -> Option<usize> {
        let (parts, id) = (&*self.parts, id.as_bytes());
        parts.index.find(parts.hash_key.hash(id), |position| {
            parts.has_plain_key(&self.arena, position, id) || parts.has_key(&self.arena, position, id)
        })
    }
}

impl Parts {
    /// The memory that is in use, in bytes.
    fn bytes(&self) -> usize {
        size_of_val(&*self.records) + self.ids.bytes() + self.index.bytes()
    }

    fn range(&self, position: usize) -> Range<usize> {
        let start = position
            .checked_sub(1)
            .map_or(1, |before| self.records[before].end() + 1);
        start..self.records[position].end()
    }

    /// The hash of what a client can ask for: of all items, by their hashes, which stand for their bytes and for where they
    /// end, and of ids too, where those do not stand in the items.
    fn hash_content(&self, arena: &[u8]) -> u64 {
        const SOME: usize = 128;
        let mut content = Xxh3::new();
        let mut bytes = [0; SOME * size_of::<u64>()];
        for records in self.records.chunks(SOME) {
            let (hashes, _) = bytes.as_chunks_mut::<8>();
            for (to, record) in hashes.iter_mut().zip(records) {
                *to = record.hash.to_le_bytes();
            }
            content.update(&bytes[..size_of::<u64>() * records.len()]);
        }
        let content = content.digest();
        if !matches!(self.ids, Ids::Apart(_)) {
            return content;
        }
        let mut keys = Xxh3::with_seed(content);
        for position in 0..self.records.len() {
            let key = self.key(arena, position);
            // With its length: `ab`, `c` are other keys than `a`, `bc`.
            keys.update(&(key.len() as u64).to_le_bytes());
            keys.update(&key);
        }
        keys.digest()
    }

    fn key<'a>(&'a self, arena: &'a [u8], position: usize) -> Cow<'a, [u8]> {
        let record = self.records[position];
        match &self.ids {
            Ids::None => Cow::Borrowed(b""),
            Ids::Within(far) => {
                let Place { start, length } = record.id().unwrap_or_else(|| far.place(position));
                let start = self.range(position).start + start;
                key_text(&arena[start..start + length])
            }
            Ids::Apart(keys) => Cow::Borrowed(keys.key(position, record)),
        }
    }

    /// Whether an item's id is this key, and is written plainly, as nearly all are: it is compared where it stands.
    #[inline]
    fn has_plain_key(&self, arena: &[u8], position: usize, key: &[u8]) -> bool {
        let (Ids::Within(_), Some(Place { start, length })) = (&self.ids, self.records[position].id()) else {
            return false;
        };
        let start = self.range(position).start + start;
        match &arena[start..start + length] {
            [b'"', plain @ .., b'"'] => plain == key && !key.contains(&b'\\'),
            number => number == key,
        }
    }

    /// Whether an item's id is this key. It is asked after a plain id was none: rarely.
    #[cold]
    fn has_key(&self, arena: &[u8], position: usize, key: &[u8]) -> bool {
        *self.key(arena, position) == *key
    }

    fn hash(&self, arena: &[u8], position: usize) -> u64 {
        self.hash_key.hash(&self.key(arena, position))
    }
}

/// The text that an id token is asked for by, in UTF-8.
fn key_text(token: &[u8]) -> Cow<'_, [u8]> {
    match token {
        // Nearly all ids are written plainly, and are looked at in place.
        [b'"', plain @ .., b'"'] if !plain.contains(&b'\\') => Cow::Borrowed(plain),
        [b'"', ..] => Cow::Owned(decode(token).into_bytes()),
        number => Cow::Borrowed(number),
    }
}

/// Tells where in the source something stands, for errors.
pub(super) trait Places {
    /// The line of a place; places come in ascending order.
    fn line(&mut self, place: u64) -> u64;
    /// The error for a fault at a place.
    fn error(&self, place: u64, fault: Fault) -> super::DataError;
    /// How many bytes of the source have been passed, if that is known.
    fn passed(&self) -> Option<u64> {
        None
    }
}

/// How much more an arena may become without being looked at, in bytes, however little memory is left.
const CHECK_LENGTH_MIN: usize = 64 << 10;

/// Up to this length, in bytes, a value is kept without asking for memory.
const VALUE_LENGTH_CHECKED: usize = 1 << 20;

/// A collection that is being read.
#[derive(Debug)]
pub(super) struct Builder {
    arena: Vec<u8>,
    /// Of the arena. What is reserved and not used yet takes no memory.
    credit: Credit,
    parts: Parts,
    /// The line on which each item begins, to name the first of two items of one id.
    lines: Ascending,
    /// Of the items that are not in the index yet: their places and the hashes of their ids.
    places: Vec<u64>,
    hashes: Vec<u64>,
    /// A guess of the source's length in bytes.
    size_hint: Option<u64>,
    /// Whether it has been used to reserve records.
    has_reserved: bool,
    /// The most that the items may be made, in bytes.
    bytes_made_max: u64,
    /// Where faults are collected, and what of the ids is known meanwhile: the items that have each.
    collecting: Option<(Collector, HashMap<Vec<u8>, usize>)>,
    /// The length of the arena from which on it has to be asked whether there may be more: as long as it is below, each
    /// item costs one comparison.
    checked_length: usize,
}

impl Builder {
    pub(super) fn new(options: &ParseOptions) -> Self {
        /// A guess may be wrong, and is not to claim memory that a small machine does not have.
        const RESERVE_MAX: u64 = 4 << 30;
        let mut arena = Vec::with_capacity(
            options
                .size_hint
                .map_or(0, |hint| hint.min(RESERVE_MAX) as usize + 2 + PADDING),
        );
        arena.push(b'[');
        Self {
            arena,
            credit: options.ledger.credit(Account::Building, 0),
            parts: Parts {
                records: Vec::new(),
                ids: Ids::None,
                index: Index::default(),
                hash_key: HashKey::random(),
                content_hash: 0,
                id_field: options.id_field.clone(),
                credit: options.ledger.credit(Account::Building, 0),
            },
            lines: Ascending::default(),
            places: Vec::new(),
            hashes: Vec::new(),
            size_hint: options.size_hint,
            has_reserved: false,
            bytes_made_max: options.bytes_made_max,
            collecting: options.collector.clone().map(|collector| (collector, HashMap::new())),
            checked_length: 0,
        }
    }

    /// Whether the arena may be as long as it is; sets the length up to which it may be without asking again.
    #[cold]
    fn check_length(&mut self) -> Result<(), Fault> {
        let length = self.arena.len();
        // The array's brackets and the commas are no more than its items.
        if length as u64 > self.bytes_made_max.saturating_add(2) {
            return Err(Fault::TooMuchMade {
                bytes_max: self.bytes_made_max,
            });
        }
        self.credit.resize(length);
        self.parts.credit.resize(self.parts.bytes() + self.lines.bytes());
        let ledger = self.credit.ledger();
        if ledger.is_under_pressure() {
            return Err(Fault::NoMemory {
                held: self.credit.entry().bytes() + self.parts.credit.entry().bytes(),
            });
        }
        // A quarter of what is left, since there are the index and others who take of it too.
        let more = usize::try_from(ledger.room() / 4)
            .unwrap_or(usize::MAX)
            .max(CHECK_LENGTH_MIN);
        let made_max = usize::try_from(self.bytes_made_max)
            .unwrap_or(usize::MAX)
            .saturating_add(2);
        self.checked_length = length.saturating_add(more).min(made_max);
        Ok(())
    }

    /// Whether so much text of one value, without its white space, may be kept and read on: it is to be an item, and while
    /// it is read on there are up to three of it.
    pub(super) fn check_value(&self, length: usize) -> Result<(), Fault> {
        if length as u64 > self.bytes_made_max {
            return Err(Fault::TooMuchMade {
                bytes_max: self.bytes_made_max,
            });
        }
        if length > VALUE_LENGTH_CHECKED && length as u64 > self.credit.ledger().room() / 3 {
            return Err(Fault::NoMemory {
                held: (self.arena.len() + length) as u64,
            });
        }
        Ok(())
    }

    /// Where the next item's text is to be appended.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// Passes over what begins at `start` in the arena, if faults are collected.
    ///
    /// # Errors
    ///
    /// The fault, if they are not, or if there are enough of them.
    pub(super) fn pass_over(&mut self, start: usize, fault: super::DataError) -> Result<(), super::DataError> {
        match &self.collecting {
            Some((collector, _)) if !fault.fault().is_final() => {
                collector.collect(fault)?;
                self.arena.truncate(start);
                Ok(())
            }
            _ => Err(fault),
        }
    }

    /// Sees to the ids of what was pushed since the last time, and collects those that stand twice.
    fn collect_duplicates(&mut self, places: &mut impl Places) -> Result<(), super::DataError> {
        let Some((collector, known)) = &mut self.collecting else {
            return Ok(());
        };
        let first_pushed = self.lines.len();
        for (number, place) in self.places.drain(..).enumerate() {
            let second = first_pushed + number;
            self.lines.push(places.line(place));
            let key = self.parts.key(&self.arena, second);
            match known.get(&*key) {
                None => drop(known.insert(key.into_owned(), second)),
                Some(&first) => {
                    let fault = Fault::DuplicateId {
                        id: String::from_utf8_lossy(&key).into_owned(),
                        first_item: first as u64 + 1,
                        first_line: self.lines.get(first),
                        is_key: matches!(self.parts.ids, Ids::Apart(_)),
                    };
                    collector.collect(places.error(place, fault))?;
                }
            }
        }
        self.hashes.clear();
        Ok(())
    }

    /// Whether the items so far have ids.
    pub(super) fn has_ids(&self) -> bool {
        !matches!(self.parts.ids, Ids::None)
    }

    /// Takes in the item whose text has been appended from `start` on. `id` is where its id's token stands in it.
    pub(super) fn push(&mut self, start: usize, id: Option<Token>, place: u64) -> Result<(), Fault> {
        let position = self.parts.records.len();
        let id = id.map(|Token { start, end }| Place {
            start,
            length: end - start,
        });
        match (&mut self.parts.ids, id) {
            (ids, Some(_)) if position == 0 => *ids = Ids::Within(Far::default()),
            (Ids::Within(_), Some(_)) | (Ids::None, None) => {}
            _ => return Err(self.mixed(id.is_some())),
        }
        if let Some(Place { start: from, length }) = id {
            let written = &self.arena[start + from..start + from + length];
            if let Some(found) = bad_id(written) {
                return Err(self.bad(found, start + from));
            }
            self.places.push(place);
            self.hashes.push(self.parts.hash_key.hash(&key_text(written)));
        }
        self.push_record(start, |ids| match (id, ids) {
            (Some(id), Ids::Within(far)) => far.bits(position, id),
            _ => 0,
        })
    }

    /// As [`Builder::push`], with an id that does not stand in the item.
    pub(super) fn push_with_key(&mut self, start: usize, key: &str, place: u64) -> Result<(), Fault> {
        let position = self.parts.records.len();
        match &mut self.parts.ids {
            ids if position == 0 => *ids = Ids::Apart(Keys::default()),
            Ids::Apart(_) => {}
            _ => return Err(self.mixed(true)),
        }
        if key.is_empty() {
            return Err(self.bad("an empty string", self.arena.len()));
        }
        self.places.push(place);
        self.hashes.push(self.parts.hash_key.hash(key.as_bytes()));
        self.push_record(start, |ids| match ids {
            Ids::Apart(keys) => keys.push(position, key.as_bytes()),
            _ => 0,
        })
    }

    /// `id_bits` puts the id where it is looked for, and tells what the record is to know of it.
    fn push_record(&mut self, start: usize, id_bits: impl FnOnce(&mut Ids) -> u32) -> Result<(), Fault> {
        let position = self.parts.records.len();
        if position == u32::MAX as usize {
            return Err(Fault::TooManyItems);
        }
        let end = self.arena.len();
        if end > Record::END_MAX {
            return Err(Fault::TooMuchText);
        }
        let hash = xxh3_64(&self.arena[start..]);
        let id_bits = id_bits(&mut self.parts.ids);
        self.parts.records.push(Record::new(end, id_bits, hash));
        self.arena.push(b',');
        if self.arena.len() > self.checked_length {
            self.check_length()?;
        }
        Ok(())
    }

    /// What makes items of this collection elsewhere, none so far.
    pub(super) fn maker(&self) -> Maker {
        Maker {
            hash_key: self.parts.hash_key.clone(),
            text: Vec::new(),
            items: Vec::new(),
            has_ids: false,
        }
    }

    /// Takes in items that were made elsewhere, all or none; says which. Their numbers are their places. None are taken if
    /// they are not like those before them in having ids, or where only some of them may be.
    pub(super) fn take(&mut self, made: &Maker) -> bool {
        let base = self.arena.len();
        let first = self.parts.records.len();
        let length = base + made.text.len();
        if made.items.len() >= u32::MAX as usize - first || length > Record::END_MAX {
            return false;
        }
        if length > self.checked_length && self.check_length().is_err() {
            return false;
        }
        if length > self.checked_length {
            return false;
        }
        match (&mut self.parts.ids, made.has_ids) {
            _ if made.items.is_empty() => return true,
            (ids, true) if first == 0 => *ids = Ids::Within(Far::default()),
            (Ids::Within(_), true) | (Ids::None, false) => {}
            _ => return false,
        }
        self.arena.extend_from_slice(&made.text);
        for (number, item) in made.items.iter().enumerate() {
            let id_bits = match (item.id, &mut self.parts.ids) {
                (Some(id), Ids::Within(far)) => {
                    self.places.push(number as u64);
                    self.hashes.push(item.id_hash);
                    far.bits(first + number, id)
                }
                _ => 0,
            };
            self.parts
                .records
                .push(Record::new(base + item.end, id_bits, item.hash));
        }
        true
    }

    fn mixed(&self, has: bool) -> Fault {
        let field = self.parts.id_field.clone();
        Fault::MixedIds { field, has }
    }

    /// The fault of an id that stands at `start` in the arena.
    fn bad(&self, found: &'static str, start: usize) -> Fault {
        let field = &self.parts.id_field;
        Fault::BadId {
            field: field.clone(),
            found,
            pointer: first_scalar(&self.arena[start..]).map(|within| IdField::within(field, &within)),
        }
    }

    /// Indexes what was pushed since the last time, while its places are still known.
    pub(super) fn index(&mut self, places: &mut impl Places) -> Result<(), super::DataError> {
        if self.collecting.is_some() {
            return self.collect_duplicates(places);
        }
        let expected = self.expected(places.passed());
        self.reserve_records(expected);
        let Self { arena, parts, .. } = self;
        let mut index = std::mem::take(&mut parts.index);
        index.reserve(self.hashes.len(), expected, |position| parts.hash(arena, position));
        let is_same = |one, other| parts.key(arena, one) == parts.key(arena, other);
        let added = index.extend(&self.hashes, is_same);
        parts.index = index;
        let first_pushed = self.lines.len();
        for &place in &self.places {
            self.lines.push(places.line(place));
        }
        if let Err((first, second)) = added {
            let fault = Fault::DuplicateId {
                id: String::from_utf8_lossy(&parts.key(arena, second)).into_owned(),
                first_item: first as u64 + 1,
                first_line: self.lines.get(first),
                is_key: matches!(parts.ids, Ids::Apart(_)),
            };
            let error = places.error(self.places[second - first_pushed], fault);
            // They are not looked at again.
            self.places.clear();
            self.hashes.clear();
            return Err(error);
        }
        self.places.clear();
        self.hashes.clear();
        // What is left is asked for again now and then: others take of it too.
        self.checked_length = 0;
        Ok(())
    }

    /// As [`Builder::index`], before the fault of a later item is told: of two faults the first in the source is.
    pub(super) fn index_before(&mut self, error: ParseError, places: &mut impl Places) -> ParseError {
        // Some faults end a push in the middle.
        let indexed = if self.collecting.is_some() {
            self.lines.len()
        } else {
            self.parts.index.len()
        };
        let is_whole = indexed + self.hashes.len() == self.parts.records.len();
        match error {
            ParseError::Data(error) if is_whole && self.has_ids() => match self.index(places) {
                Ok(()) => error.into(),
                Err(first) => first.into(),
            },
            error => error,
        }
    }

    /// About how many items there are to be, by what has been passed of the source.
    fn expected(&self, passed: Option<u64>) -> Option<usize> {
        let passed = passed.unwrap_or(self.arena.len() as u64).max(1);
        let count = self.parts.records.len() as u128 * u128::from(self.size_hint?) / u128::from(passed);
        usize::try_from(count).ok()
    }

    /// Reserves records for all items, once. What is reserved and not used takes no memory, and to grow by doubling would
    /// take it twice.
    fn reserve_records(&mut self, expected: Option<usize>) {
        let records = &mut self.parts.records;
        if let (Some(expected), count @ 1..) = (expected, records.len())
            && !std::mem::replace(&mut self.has_reserved, true)
        {
            // A guess that the system has no memory for is a bad one.
            let _ = records.try_reserve_exact(expected.saturating_sub(count));
        }
    }

    /// The collection, once everything is indexed.
    pub(super) fn finish(self) -> Collection {
        let Self {
            mut arena,
            credit,
            mut parts,
            places,
            ..
        } = self;
        assert!(places.is_empty(), "what was pushed has been indexed");
        match arena.last_mut() {
            Some(last @ b',') => *last = b']',
            _ => arena.push(b']'),
        }
        // A source with much white space leaves much of the reserve unused.
        if arena.capacity() - arena.len() > arena.len() / 4 {
            arena.shrink_to_fit();
        }
        let mut index = std::mem::take(&mut parts.index);
        index.finish(|position| parts.hash(&arena, position));
        parts.index = index;
        parts.records.shrink_to_fit();
        parts.ids.shrink_to_fit();
        parts.content_hash = parts.hash_content(&arena);
        parts.credit.resize(parts.bytes());
        credit.resize(arena.len());
        Collection {
            arena: Body::credited(arena, credit),
            parts: Arc::new(parts),
        }
    }
}

/// Items that are made elsewhere than in their collection, and are taken in together.
#[derive(Clone, Debug, Default)]
pub(super) struct Maker {
    hash_key: HashKey,
    /// The items' text, with a comma behind each.
    text: Vec<u8>,
    items: Vec<MadeItem>,
    /// Whether they have ids: all or none.
    has_ids: bool,
}

#[derive(Clone, Copy, Debug)]
struct MadeItem {
    /// Where its text ends.
    end: usize,
    /// Where it begins in the source, and how many line ends are before that.
    start: usize,
    line: u64,
    /// The id's place in the item.
    id: Option<Place>,
    hash: u64,
    id_hash: u64,
}

/// An item that cannot be made here, whatever is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotMade;

impl Maker {
    /// Makes room for the items of so much text.
    pub(super) fn reserve(&mut self, length: usize) {
        self.text.reserve(length + PADDING);
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Where an item begins in the source.
    pub(super) fn start(&self, number: usize) -> usize {
        self.items[number].start
    }

    /// How many line ends are before an item.
    pub(super) fn line(&self, number: usize) -> u64 {
        self.items[number].line
    }

    /// Makes an item of a value of a piece, which begins at `start` in the source, after `line` line ends.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        structure: &Structure,
        piece: &[u8],
        value: Value,
        id_field: &IdField,
        start: usize,
        line: u64,
    ) -> Result<(), NotMade> {
        let out_start = self.text.len();
        let id = structure.copy_value(piece, value, &mut self.text);
        let item = &self.text[out_start..];
        let id = id_field.locate(Scanned { end: value.end, id }, item);
        if !self.items.is_empty() && self.has_ids != id.is_some() {
            return Err(NotMade);
        }
        self.has_ids = id.is_some();
        let mut id_hash = 0;
        let id = match id {
            None => None,
            Some(Token { start, end }) => {
                let written = &item[start..end];
                if bad_id(written).is_some() {
                    return Err(NotMade);
                }
                id_hash = self.hash_key.hash(&key_text(written));
                let length = end - start;
                Some(Place { start, length })
            }
        };
        self.items.push(MadeItem {
            end: self.text.len(),
            start,
            line,
            id,
            hash: xxh3_64(item),
            id_hash,
        });
        self.text.push(b',');
        Ok(())
    }
}

/// What an id token is, if it cannot be an id.
fn bad_id(token: &[u8]) -> Option<&'static str> {
    match token {
        b"\"\"" => Some("an empty string"),
        [b'"' | b'-' | b'0'..=b'9', ..] => None,
        [b'{', ..] => Some("an object"),
        [b'[', ..] => Some("an array"),
        [b'n', ..] => Some("null"),
        _ => Some("a boolean"),
    }
}

#[cfg(test)]
mod tests;
