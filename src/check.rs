//! `janus check`: loads as `serve` would, reports, and serves nothing.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::load::{LoadError, Loading, load_first};
use crate::memory::Memory;
use crate::progress::Progress;
use crate::snapshot::Coding;
use crate::source::Source;

/// Loads `source` once and describes what would be served.
///
/// # Errors
///
/// As a first load of the server.
pub fn check(source: &Source, loading: &Loading) -> Result<String, LoadError> {
    let progress = Progress::start(source.name());
    let budget = Budget::new(Memory::of_this_process(), loading.parse.ledger.clone());
    budget.renew();
    let loaded = load_first(source, loading, &|input| progress.follow(input))?;
    let started = Instant::now();
    let snapshot = if loaded.snapshot.is_encoded() {
        loaded.snapshot
    } else {
        loaded.snapshot.encoded(&loading.compile, || budget.room(), || {})
    };
    let encode_took = started.elapsed();
    drop(progress);

    let mut report = String::new();
    let mut row = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string does not fail.
        let _ = writeln!(report, "{name:<12}{value}");
    };
    row("source", &source.name());
    row("format", &loaded.format);
    row("items", &snapshot.items_count());
    row("snapshot", &snapshot.id());
    for note in &loaded.notes {
        row("note", note);
    }
    match snapshot.no_ids_reason() {
        None if loading.parse.ids_from_keys => row("id field", &"none: ids are keys (--ids-from-keys)"),
        None => row("id field", &loading.parse.id_field),
        Some(reason) => row("id field", &format_args!("none: {reason}; /items/{{id}} is off")),
    }
    let collection = snapshot.collection().expect("a loaded snapshot has a collection");
    let identity = collection.identity().body().len();
    for coding in Coding::ALL {
        let made = collection.representations().iter().find(|made| made.coding() == coding);
        match made.map(|made| made.body().len()) {
            Some(length) => {
                let percent = 100.0 * length as f64 / identity as f64;
                row(coding.token(), &format_args!("{length} bytes ({percent:.1} %)"));
            }
            None if loading.compile.codings.contains(&coding) => row(coding.token(), &"not smaller: left out"),
            None => {}
        }
    }
    row("parse", &Milliseconds(loaded.parse_took));
    row("compile", &Milliseconds(loaded.compile_took));
    row("encode", &Milliseconds(encode_took));
    Ok(report)
}

struct Milliseconds(Duration);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)
    }
}
