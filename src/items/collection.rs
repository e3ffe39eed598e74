//! The collection: one contiguous arena of item text, where each item ends, and the id index.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::ParseOptions;
use super::error::Fault;
use super::index::Index;
use super::scan::{Token, decode};
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
    /// Where each item ends in the arena; the next begins after a comma.
    ends: Vec<u64>,
    /// XXH3 of each item's text.
    hashes: Vec<u64>,
    /// Where each item's id token stands in it; empty if items have no ids.
    ids: Vec<IdToken>,
    index: Index,
    content_hash: u64,
    id_field: String,
    /// Of all of these.
    credit: Credit,
}

#[derive(Clone, Copy, Debug)]
struct IdToken {
    start: u32,
    length: u32,
}

impl Collection {
    /// The number of items.
    pub fn len(&self) -> usize {
        self.parts.ends.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.parts.ends.is_empty()
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
        self.parts.hashes[position]
    }

    /// The XXH3 hash of the arena.
    pub fn content_hash(&self) -> u64 {
        self.parts.content_hash
    }

    /// Whether every item has an id.
    pub fn has_ids(&self) -> bool {
        !self.parts.ids.is_empty()
    }

    /// Why items cannot be asked for by id, if they cannot.
    pub fn no_ids_reason(&self) -> Option<String> {
        (!self.has_ids()).then(|| match self.is_empty() {
            true => "the collection is empty".to_owned(),
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
        self.parts.index.find(xxh3_64(id.as_bytes()), |position| {
            *self.parts.key(&self.arena, position) == *id.as_bytes()
        })
    }
}

impl Parts {
    /// The memory that is in use, in bytes.
    fn bytes(&self) -> usize {
        self.ends.len() * size_of::<u64>()
            + self.hashes.len() * size_of::<u64>()
            + self.ids.len() * size_of::<IdToken>()
            + self.index.bytes()
    }

    fn range(&self, position: usize) -> Range<usize> {
        let start = position
            .checked_sub(1)
            .map_or(1, |before| self.ends[before] as usize + 1);
        start..self.ends[position] as usize
    }

    fn key<'a>(&self, arena: &'a [u8], position: usize) -> Cow<'a, [u8]> {
        let IdToken { start, length } = self.ids[position];
        let item = self.range(position);
        let start = item.start + start as usize;
        key_text(&arena[start..start + length as usize])
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
}

/// A collection that is being read.
#[derive(Debug)]
pub(super) struct Builder {
    arena: Vec<u8>,
    /// Of the arena. What is reserved and not used yet takes no memory.
    credit: Credit,
    parts: Parts,
    /// The line on which each item begins, to name the first of two items of one id.
    lines: Vec<u32>,
    /// Items that are not in the index yet: their places and the hashes of their ids. The index is much larger than a
    /// core's caches, and a batch of look-ups waits for memory once where single ones would wait each time.
    pending: Vec<(u64, u64)>,
}

impl Builder {
    pub(super) fn new(options: &ParseOptions) -> Self {
        /// A guess may be wrong, and is not to claim memory that a small machine does not have.
        const RESERVE_MAX: u64 = 4 << 30;
        let mut arena = Vec::with_capacity(options.size_hint.map_or(0, |hint| hint.min(RESERVE_MAX) as usize + 2));
        arena.push(b'[');
        Self {
            arena,
            credit: options.ledger.credit(Account::Building, 0),
            parts: Parts {
                ends: Vec::new(),
                hashes: Vec::new(),
                ids: Vec::new(),
                index: Index::default(),
                content_hash: 0,
                id_field: options.id_field.clone(),
                credit: options.ledger.credit(Account::Building, 0),
            },
            lines: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Where the next item's text is to be appended.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// The same, and the member that is the id.
    pub(super) fn next_and_id_field(&mut self) -> (&mut Vec<u8>, &str) {
        (&mut self.arena, &self.parts.id_field)
    }

    /// Takes in the item whose text has been appended from `start` on.
    pub(super) fn push(&mut self, start: usize, id: Option<Token>, place: u64) -> Result<(), Fault> {
        let position = self.parts.ends.len();
        if position == u32::MAX as usize {
            return Err(Fault::TooManyItems);
        }
        if position > 0 && id.is_some() == self.parts.ids.is_empty() {
            return Err(Fault::MixedIds {
                field: self.parts.id_field.clone(),
                has: id.is_some(),
            });
        }
        if let Some(token) = id {
            let written = &self.arena[start + token.start..start + token.end];
            if let Some(found) = bad_id(written) {
                return Err(Fault::BadId {
                    field: self.parts.id_field.clone(),
                    found,
                });
            }
            self.pending.push((place, xxh3_64(&key_text(written))));
            let start = u32::try_from(token.start).map_err(|_| Fault::FarId)?;
            let length = u32::try_from(token.end - token.start).map_err(|_| Fault::FarId)?;
            self.parts.ids.push(IdToken { start, length });
        }
        self.parts.hashes.push(xxh3_64(&self.arena[start..]));
        self.parts.ends.push(self.arena.len() as u64);
        self.arena.push(b',');
        Ok(())
    }

    /// Indexes what was pushed since the last time, while its places are still known.
    pub(super) fn index(&mut self, places: &mut impl Places) -> Result<(), super::DataError> {
        let Self {
            arena,
            parts,
            lines,
            pending,
            ..
        } = self;
        let first = parts.ids.len() - pending.len();
        for (number, (place, hash)) in pending.drain(..).enumerate() {
            let position = first + number;
            lines.push(u32::try_from(places.line(place)).unwrap_or(u32::MAX));
            let mut index = std::mem::take(&mut parts.index);
            let is_it = |other| parts.key(arena, other) == parts.key(arena, position);
            let inserted = index.insert(hash, position, is_it, |other| xxh3_64(&parts.key(arena, other)));
            parts.index = index;
            if let Err(other) = inserted {
                let id = String::from_utf8_lossy(&parts.key(arena, position)).into_owned();
                let first_line = u64::from(lines[other]);
                let fault = Fault::DuplicateId {
                    id,
                    first_item: other as u64 + 1,
                    first_line,
                };
                return Err(places.error(place, fault));
            }
        }
        self.credit.resize(self.arena.len());
        let lines = self.lines.len() * size_of::<u32>();
        self.parts.credit.resize(self.parts.bytes() + lines);
        Ok(())
    }

    /// The collection, once everything is indexed.
    pub(super) fn finish(self) -> Collection {
        let Self {
            mut arena,
            credit,
            mut parts,
            pending,
            ..
        } = self;
        assert!(pending.is_empty(), "what was pushed has been indexed");
        match arena.last_mut() {
            Some(last @ b',') => *last = b']',
            _ => arena.push(b']'),
        }
        // A source with much white space leaves much of the reserve unused.
        if arena.capacity() - arena.len() > arena.len() / 4 {
            arena.shrink_to_fit();
        }
        parts.ends.shrink_to_fit();
        parts.hashes.shrink_to_fit();
        parts.ids.shrink_to_fit();
        parts.content_hash = xxh3_64(&arena);
        parts.credit.resize(parts.bytes());
        credit.resize(arena.len());
        Collection {
            arena: Body::credited(arena, credit),
            parts: Arc::new(parts),
        }
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
