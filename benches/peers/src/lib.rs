//! What every Rust peer serves: the answers that Janus gave, read back from files, and items of an NDJSON.
//!
//! All of it is made before the first request and lives as long as the process, so that no peer pays for reference
//! counts or copies that its framework does not ask for.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hashbrown::HashMap;

/// The allocator that Janus has too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Codings in the order of preference among equals; identity last.
const CODINGS: [&str; 3] = ["br", "gzip", "identity"];

/// Header lines that a 304 has too (RFC 9110, section 15.4.5).
const OF_NOT_MODIFIED: [&str; 3] = ["etag", "cache-control", "vary"];

/// A body in one coding, and the header lines of its 200: all but the length, which every server writes itself.
#[derive(Debug)]
pub struct Representation {
    coding: &'static str,
    /// Names in lower case, and values.
    pub fields: Vec<(&'static str, &'static str)>,
    /// The body.
    pub body: &'static [u8],
}

impl Representation {
    fn read(directory: &Path, coding: &'static str) -> Option<Self> {
        let head = std::fs::read_to_string(directory.join(format!("{coding}.head"))).ok()?;
        let body = std::fs::read(directory.join(format!("{coding}.body"))).expect("a head has a body beside it");
        let fields = leak(head)
            .lines()
            .map(|line| line.split_once(": ").expect("a header line has a name and a value"))
            .filter(|(name, _)| *name != "content-length")
            .collect();
        Some(Self {
            coding,
            fields,
            body: Vec::leak(body),
        })
    }

    /// The entity tag, with its quotes.
    pub fn etag(&self) -> &'static str {
        let etag = self.fields.iter().find(|(name, _)| *name == "etag");
        etag.expect("Janus sends an entity tag").1
    }

    /// The header lines of the 304.
    pub fn not_modified_fields(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.fields
            .iter()
            .copied()
            .filter(|(name, _)| OF_NOT_MODIFIED.contains(name))
    }
}

/// One item of a collection.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Its bytes.
    pub body: &'static str,
    /// `etag: "..."`
    pub etag_line: &'static str,
}

impl Item {
    /// The entity tag, with its quotes.
    pub fn etag(&self) -> &'static str {
        &self.etag_line["etag: ".len()..]
    }
}

/// Header lines of every item beside its entity tag.
pub const ITEM_FIELDS: [(&str, &str); 4] = [
    ("content-type", "application/json"),
    ("accept-ranges", "bytes"),
    ("cache-control", "no-cache"),
    ("vary", "accept-encoding"),
];

/// What a path names.
#[derive(Debug)]
pub enum Target {
    /// The collection, by the index of its representation.
    Collection(usize),
    /// One item.
    Item(Item),
    /// Nothing.
    Nothing,
}

/// All that a peer serves.
#[derive(Debug)]
pub struct Site {
    /// The collection, the preferred coding first.
    pub representations: Vec<Representation>,
    items: HashMap<&'static str, Item>,
}

impl Site {
    /// What `path` names, in the best coding that is accepted.
    pub fn target(&self, path: &str, accept_encoding: Option<&str>) -> Target {
        if path == "/items" && !self.representations.is_empty() {
            return Target::Collection(self.negotiate(accept_encoding.unwrap_or("")));
        }
        path.strip_prefix("/items/")
            .and_then(|id| self.items.get(id))
            .map_or(Target::Nothing, |item| Target::Item(*item))
    }

    fn negotiate(&self, accepted: &str) -> usize {
        let is_accepted = |coding| accepted.split(',').any(|token| token.trim() == coding);
        self.representations
            .iter()
            .position(|representation| is_accepted(representation.coding))
            .unwrap_or(self.representations.len() - 1)
    }
}

/// A peer's command line: `ADDRESS DIRECTORY [NDJSON]`.
#[derive(Debug)]
pub struct Setup {
    /// Where to listen.
    pub address: SocketAddr,
    /// What to serve. It is never dropped.
    pub site: &'static Site,
}

impl Setup {
    /// Reads the command line and the files it names.
    ///
    /// # Panics
    ///
    /// If something of it is missing.
    pub fn from_arguments() -> Self {
        let mut arguments = std::env::args().skip(1);
        let address = arguments.next().expect("ADDRESS DIRECTORY [NDJSON]");
        let directory = PathBuf::from(arguments.next().expect("ADDRESS DIRECTORY [NDJSON]"));
        let representations: Vec<_> = CODINGS
            .iter()
            .filter_map(|coding| Representation::read(&directory, coding))
            .collect();
        let site = Site {
            representations,
            items: arguments.next().map(read_items).unwrap_or_default(),
        };
        assert!(
            !site.representations.is_empty() || !site.items.is_empty(),
            "nothing to serve in {}",
            directory.display()
        );
        Self {
            address: address.parse().expect("an address and a port"),
            site: Box::leak(Box::new(site)),
        }
    }
}

/// The items of a generated NDJSON: one a line, the id first.
fn read_items(path: String) -> HashMap<&'static str, Item> {
    let text = leak(std::fs::read_to_string(&path).expect("the items can be read"));
    let lines: Vec<&'static str> = text.lines().collect();
    let etags: String = lines
        .iter()
        .map(|line| format!("etag: \"{:016x}\"", xxhash_rust::xxh3::xxh3_64(line.as_bytes())))
        .collect();
    let etags = leak(etags);
    let width = etags.len() / lines.len();
    lines
        .iter()
        .enumerate()
        .map(|(number, &body)| {
            let start = "{\"id\":".len();
            let end = body.find(',').expect("an item has members beside its id");
            let etag_line = &etags[number * width..][..width];
            (&body[start..end], Item { body, etag_line })
        })
        .collect()
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}
