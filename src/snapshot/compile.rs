//! Collection to snapshot: bodies, codings, header blocks, entity tags and 304s.

use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use bytes::Bytes;

use super::encode::{encode, encode_within};
use super::representation::{Fields, ItemTemplate, Representation, Resource};
use crate::body::Body;
use crate::coding::Coding;
use crate::items::Collection;
use crate::ledger::{Account, Credit, Entry};

/// Up to this length of the collection's body, in bytes, and [`ITEMS_MAX`] items, every item has representations with
/// header blocks of its own; above it memory rules and heads come from an [`ItemTemplate`].
const ITEMS_LENGTH_MAX: usize = 4 << 20;

/// See [`ITEMS_LENGTH_MAX`].
const ITEMS_MAX: usize = 4096;

/// Up to this length of the collection's body, in bytes, codings are made before the first publish: it takes
/// milliseconds. Above it identity is published first and the codings join.
const ENCODE_AT_ONCE_MAX: usize = 128 << 10;

/// What the answers of a snapshot depend on besides its data.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The codings to make, in no particular order; identity is always there.
    pub codings: Vec<Coding>,
    /// The value of `Cache-Control` of every representation.
    pub cache_control: String,
    /// The program's version, for the index.
    pub version: &'static str,
    /// Whether the data is the built-in sample, which the index says.
    pub is_sample: bool,
    /// What the routes that the index lists begin with; empty, or a slash and more.
    pub base_path: String,
}

impl Default for Settings {
    /// No coding, and caches ask each time.
    fn default() -> Self {
        Self {
            codings: Vec::new(),
            cache_control: "no-cache".to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            is_sample: false,
            base_path: String::new(),
        }
    }
}

/// Everything that a request can ask for.
#[derive(Clone, Debug)]
pub struct Snapshot {
    id: String,
    index: Resource,
    loaded: Option<SystemTime>,
    data: Option<Data>,
}

#[derive(Clone, Debug)]
struct Data {
    items: Collection,
    collection: Resource,
    resources: ItemResources,
    /// Whether the codings that the settings ask for have been tried.
    encoded: bool,
}

#[derive(Clone, Debug)]
enum ItemResources {
    /// With the credits of the codings' bodies, which stand in one, and of all else.
    Prebuilt(Box<[Resource]>, Body, Arc<Credit>),
    Templated(ItemTemplate),
}

/// One item, as far as its answer is made.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// With header blocks of its own.
    Prebuilt(&'a Resource),
    /// Of a large collection: the head is written from the template.
    Templated {
        /// What all items' heads have in common.
        template: &'a ItemTemplate,
        /// The memory that holds the body.
        arena: &'a Body,
        /// Where the body stands in it.
        start: usize,
        /// The body's length in bytes.
        length: usize,
        /// The hash in the entity tag.
        tag: u64,
    },
}

/// Compiles a collection. A large one has its identity representations only until [`Snapshot::encoded`] is called.
pub fn compile(items: Collection, settings: &Settings) -> Snapshot {
    let items = items.sealed();
    let is_small = items.arena().len() <= ENCODE_AT_ONCE_MAX;
    let codings: &[Coding] = if is_small { &settings.codings } else { &[] };
    let coded = codings
        .iter()
        .filter_map(|&coding| Some((coding, coded_body(&items, encode(coding, items.arena())?))))
        .collect();
    let id = format!("{:016x}", items.content_hash());
    let index = index(Some((&id, &items)), settings);
    let data = Data {
        collection: collection(&items, settings, coded),
        resources: item_resources(&items, settings, codings),
        encoded: is_small || settings.codings.is_empty(),
        items,
    };
    Snapshot {
        id,
        index,
        loaded: None,
        data: Some(data),
    }
}

impl Snapshot {
    /// What is served before the first load has ended: an index and no data.
    pub fn pending(settings: &Settings) -> Self {
        Self {
            id: String::new(),
            index: index(None, settings),
            loaded: None,
            data: None,
        }
    }

    /// The same snapshot, loaded at this time.
    pub fn with_loaded_at(self, loaded: SystemTime) -> Self {
        Self {
            loaded: Some(loaded),
            ..self
        }
    }

    /// When it was loaded, if it was loaded and not only compiled.
    pub fn loaded_at(&self) -> Option<SystemTime> {
        self.loaded
    }

    /// Whether there is data.
    pub fn is_ready(&self) -> bool {
        self.data.is_some()
    }

    /// The snapshot's id: 16 hexadecimal digits, the hash of the collection's items. Replicas that hold the
    /// same data have the same id. Empty while there is no data.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The number of items; 0 while there is no data.
    pub fn items_count(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.items.len())
    }

    /// The length of the collection's identity body, in bytes; 0 while there is no data.
    pub fn bytes(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.items.arena().len())
    }

    /// Why items cannot be asked for by id, if there is data and they cannot.
    pub fn no_ids_reason(&self) -> Option<String> {
        self.data.as_ref().and_then(|data| data.items.no_ids_reason())
    }

    /// How many of its items `other` does not have: by their ids, where both have some, else by their number.
    pub fn items_missing_in(&self, other: &Self) -> usize {
        match (&self.data, &other.data) {
            (Some(ours), Some(theirs)) if ours.items.has_ids() && theirs.items.has_ids() => {
                let is_missing = |&position: &usize| {
                    ours.items
                        .id(position)
                        .is_some_and(|id| theirs.items.find(&id).is_none())
                };
                (0..ours.items.len()).filter(is_missing).count()
            }
            _ => self.items_count().saturating_sub(other.items_count()),
        }
    }

    /// The answers of `/`.
    pub fn index(&self) -> &Resource {
        &self.index
    }

    /// The answers of `/items`, or `None` while there is no data.
    pub fn collection(&self) -> Option<&Resource> {
        self.data.as_ref().map(|data| &data.collection)
    }

    /// Whether items can be asked for by id.
    pub fn has_ids(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.items.has_ids())
    }

    /// The answers of the item with this id.
    pub fn item(&self, id: &str) -> Option<Item<'_>> {
        let data = self.data.as_ref()?;
        let position = data.items.find(id)?;
        Some(match &data.resources {
            ItemResources::Prebuilt(resources, ..) => Item::Prebuilt(&resources[position]),
            ItemResources::Templated(template) => {
                let Range { start, end } = data.items.item_range(position);
                Item::Templated {
                    template,
                    arena: data.items.arena(),
                    start,
                    length: end - start,
                    tag: data.items.item_hash(position),
                }
            }
        })
    }

    /// Names all of its memory in the ledger, each entry once.
    pub fn entries(&self) -> Vec<Entry> {
        let Some(data) = &self.data else { return Vec::new() };
        // The identity representation is the arena again.
        let coded = data.collection.representations().iter();
        let coded = coded.filter(|representation| representation.coding() != Coding::Identity);
        let mut entries: Vec<Entry> = data.items.entries().cloned().collect();
        entries.extend(
            coded
                .filter_map(|representation| representation.body().entry())
                .cloned(),
        );
        if let ItemResources::Prebuilt(_, coded, credit) = &data.resources {
            entries.extend(coded.entry().into_iter().chain([credit.entry()]).cloned());
        }
        entries
    }

    /// Whether the codings have been made, or none is asked for.
    pub fn is_encoded(&self) -> bool {
        self.data.as_ref().is_none_or(|data| data.encoded)
    }

    /// Whether its collection has codings.
    pub fn has_codings(&self) -> bool {
        self.collection()
            .is_some_and(|collection| collection.representations().len() > 1)
    }

    /// The length of its collection's codings, in bytes.
    pub fn coded_bytes(&self) -> u64 {
        let coded = self.collection().into_iter().flat_map(|all| all.representations());
        coded
            .filter(|made| made.coding() != Coding::Identity)
            .map(|made| made.body().len() as u64)
            .sum()
    }

    /// The same snapshot without the codings of its collection, to give their memory back; they can be made again.
    pub fn without_codings(&self, settings: &Settings) -> Self {
        let data = self.data.as_ref().map(|data| Data {
            collection: collection(&data.items, settings, Vec::new()),
            encoded: false,
            ..data.clone()
        });
        Self { data, ..self.clone() }
    }

    /// The same snapshot with its codings. Takes seconds for a large collection: `each_thread` is called in every
    /// thread that works on it, to lower its priority.
    ///
    /// `room` tells how many bytes of memory are left. Where there are enough, all codings are made at the same time, else
    /// one after the other; one that there is no memory for is left out.
    pub fn encoded(&self, settings: &Settings, room: impl Fn() -> u64, each_thread: impl Fn() + Sync) -> Self {
        let Some(data) = &self.data else {
            return self.clone();
        };
        let length = data.items.arena().len();
        let needed: u64 = settings
            .codings
            .iter()
            .map(|&coding| encoding_memory(coding, length))
            .sum();
        let coded = if room() >= needed {
            encode_in_parallel(&data.items, &settings.codings, &each_thread)
        } else {
            encode_in_turn(&data.items, &settings.codings, &room, &each_thread)
        };
        let resources = match &data.resources {
            ItemResources::Prebuilt(..) => {
                each_thread();
                item_resources(&data.items, settings, &settings.codings)
            }
            ItemResources::Templated(template) => ItemResources::Templated(template.clone()),
        };
        let data = Data {
            items: data.items.clone(),
            collection: collection(&data.items, settings, coded),
            resources,
            encoded: true,
        };
        Self {
            id: self.id.clone(),
            index: self.index.clone(),
            loaded: self.loaded,
            data: Some(data),
        }
    }
}

fn collection(items: &Collection, settings: &Settings, coded: Vec<(Coding, Body)>) -> Resource {
    let count = items.len().to_string();
    let fields = Fields {
        cache_control: &settings.cache_control,
        extra: &[("x-total-count", &count)],
    };
    resource(items.arena().clone(), items.content_hash(), coded, fields)
}

fn item_resources(items: &Collection, settings: &Settings, codings: &[Coding]) -> ItemResources {
    if items.arena().len() > ITEMS_LENGTH_MAX || items.len() > ITEMS_MAX || !items.has_ids() {
        return ItemResources::Templated(ItemTemplate::new(&settings.cache_control));
    }
    let fields = Fields {
        cache_control: &settings.cache_control,
        extra: &[],
    };
    // In one body, so that thousands of small ones have one owner, which is in the ledger.
    let mut arena = Vec::new();
    let mut made = Vec::new();
    for position in 0..items.len() {
        for &coding in codings {
            if let Some(body) = encode(coding, items.item(position)) {
                let start = arena.len();
                arena.extend_from_slice(&body);
                made.push((position, coding, start..arena.len()));
            }
        }
    }
    arena.shrink_to_fit();
    let credit = |bytes| items.ledger().credit(Account::Building, bytes);
    let arena_credit = credit(arena.len());
    let arena = Body::credited(arena, arena_credit);
    let mut made = made.into_iter().peekable();
    let resource = |position: usize| {
        let coded = std::iter::from_fn(|| made.next_if(|(of, ..)| *of == position));
        let coded = coded.map(|(_, coding, range)| (coding, arena.slice(range))).collect();
        resource(items.item_body(position), items.item_hash(position), coded, fields)
    };
    let resources: Box<[Resource]> = (0..items.len()).map(resource).collect();
    let bytes = resources.iter().map(Resource::bytes).sum();
    ItemResources::Prebuilt(resources, arena, Arc::new(credit(bytes)))
}

fn resource(body: Body, tag: u64, coded: Vec<(Coding, Body)>, fields: Fields<'_>) -> Resource {
    let identity = Representation::new(Coding::Identity, tag, body, fields);
    let coded = coded
        .into_iter()
        .map(|(coding, body)| Representation::new(coding, tag, body, fields))
        .collect();
    Resource::new(identity, coded)
}

/// What making a coding of a body of this length may take, in bytes: the encoder's tables, what it makes, mostly less than
/// a third of the body, and the same once more while it is sealed.
fn encoding_memory(coding: Coding, length: usize) -> u64 {
    (coding.working_memory() + 2 * (length / 3)) as u64
}

/// A coding of the collection as a body of its own.
fn coded_body(items: &Collection, bytes: Bytes) -> Body {
    let credit = items.ledger().credit(Account::Building, bytes.len());
    Body::credited(bytes, credit).sealed()
}

fn encode_in_parallel(items: &Collection, codings: &[Coding], each_thread: &(impl Fn() + Sync)) -> Vec<(Coding, Body)> {
    thread::scope(|scope| {
        let spawn = |&coding: &Coding| {
            scope.spawn(move || {
                each_thread();
                Some((coding, coded_body(items, encode(coding, items.arena())?)))
            })
        };
        let threads: Vec<_> = codings.iter().map(spawn).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().expect("an encoder does not panic"))
            .collect()
    })
}

fn encode_in_turn(
    items: &Collection,
    codings: &[Coding],
    room: &impl Fn() -> u64,
    each_thread: &(impl Fn() + Sync),
) -> Vec<(Coding, Body)> {
    let encode = |&coding: &Coding| {
        let room = usize::try_from(room()).unwrap_or(usize::MAX);
        // Half of what the tables leave: what is made is copied when it is sealed.
        let length_max = room.saturating_sub(coding.working_memory()) / 2;
        // A thread of its own, so that only its priority is lowered.
        let encode = || {
            each_thread();
            Some(coded_body(items, encode_within(coding, items.arena(), length_max)?))
        };
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("an encoder does not panic");
        let coded = (length_max > 0)
            .then(|| thread::scope(|scope| join(scope.spawn(encode))))
            .flatten();
        if coded.is_none() && length_max < items.arena().len() {
            tracing::warn!(%coding, room, "there is no memory for this coding: it is left out");
        }
        Some((coding, coded?))
    };
    codings.iter().filter_map(encode).collect()
}

fn index(data: Option<(&str, &Collection)>, settings: &Settings) -> Resource {
    #[derive(serde::Serialize)]
    struct Index<'a> {
        name: &'static str,
        version: &'static str,
        status: &'static str,
        snapshot: Option<&'a str>,
        items: Option<usize>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        sample: bool,
        routes: Vec<String>,
    }
    let mut routes = vec!["/items"];
    if data.is_none_or(|(_, items)| items.has_ids()) {
        routes.push("/items/{id}");
    }
    routes.push("/health");
    let routes = routes
        .into_iter()
        .map(|route| format!("{}{route}", settings.base_path))
        .collect();
    let body = simd_json::to_vec(&Index {
        name: "janus",
        version: settings.version,
        status: if data.is_some() { "ok" } else { "loading" },
        snapshot: data.map(|(id, _)| id),
        items: data.map(|(_, items)| items.len()),
        sample: settings.is_sample,
        routes,
    })
    .expect("an index is plain text and numbers");
    let tag = xxhash_rust::xxh3::xxh3_64(&body);
    // The index says what is served now: a cache asks each time.
    let fields = Fields {
        cache_control: "no-cache",
        extra: &[],
    };
    resource(Body::from(body), tag, Vec::new(), fields)
}
