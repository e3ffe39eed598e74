//! Bytes to items, items to a snapshot.

use std::hint::black_box;
use std::io::{self, Read};

use gungraun::prelude::*;
use janus::items::{Collection, Format, ParseOptions, parse};
use janus::snapshot::{Coding, Settings, Snapshot, compile};
use xxhash_rust::xxh3::xxh3_64;

#[path = "../../support/generate.rs"]
mod generate;

const SEED: u64 = 1;

/// A source and its format.
pub type Source = (Format, &'static [u8]);

fn ndjson(count: usize) -> Source {
    let text = generate::ndjson(SEED, count);
    // What `compare` divides by.
    assert!(count != 10_000 || text.len() == 1_187_270);
    (Format::Ndjson, text.leak())
}

fn json(count: usize) -> Source {
    let lines = generate::ndjson(SEED, count);
    let lines: Vec<&[u8]> = lines.trim_ascii_end().split(|&byte| byte == b'\n').collect();
    (Format::Json, [b"[", &lines.join(&b",\n"[..])[..], b"]"].concat().leak())
}

/// 4,000 items of about 1,000 bytes, with objects within each other.
fn countries(is_pretty: bool) -> Source {
    let text = generate::countries(SEED, 4_000, is_pretty);
    // What `compare` divides by.
    assert_eq!(text.len(), if is_pretty { 8_085_616 } else { 3_929_907 });
    (Format::Json, text.leak())
}

fn csv(count: usize) -> Source {
    (Format::Csv, generate::csv(SEED, count).leak())
}

/// Gives what is asked for, in pieces for which no string instruction is used: callgrind counts one as an instruction a byte.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        const PIECE: usize = 1 << 10;
        let length = out.len().min(self.0.len());
        let (given, rest) = self.0.split_at(length);
        for (to, from) in out[..length].chunks_mut(PIECE).zip(given.chunks(PIECE)) {
            to.copy_from_slice(from);
        }
        self.0 = rest;
        Ok(length)
    }
}

fn parsed((format, text): Source) -> Collection {
    let options = ParseOptions {
        size_hint: Some(text.len() as u64),
        ..ParseOptions::default()
    };
    parse(format, Pieces(text), &options).expect("generated items are good")
}

fn warm(source: Source) -> Source {
    assert!(parsed(source).len() >= 1_000);
    source
}

/// Items of nothing but an id, 40,000 of them.
fn ids(is_wanted: impl Fn(&[u8]) -> bool) -> Source {
    const COUNT: usize = 40_000;
    // As long as those of the flood.
    let ids = (1_000_000..).map(|id: u32| id.to_string());
    let ids = ids.filter(|id| is_wanted(id.as_bytes())).take(COUNT);
    let text: String = ids.map(|id| format!("{{\"id\":{id}}}\n")).collect();
    (Format::Ndjson, text.into_bytes().leak())
}

fn ids_in_order() -> Source {
    ids(|_| true)
}

/// Ids that meet in every table that goes by a hash without a key: of its lower bits all but a few are the same.
fn ids_of_a_flood() -> Source {
    ids(|id| xxh3_64(id) & 0x1_ffff < 0x1000)
}

#[library_benchmark(setup = warm)]
#[bench::ndjson_10000_items(ndjson(10_000))]
#[bench::json_10000_items(json(10_000))]
#[bench::countries_minified(countries(false))]
#[bench::countries_pretty(countries(true))]
#[bench::csv_10000_items(csv(10_000))]
#[bench::ids_in_order(ids_in_order())]
#[bench::ids_of_a_flood(ids_of_a_flood())]
fn parse_source(source: Source) -> Collection {
    parsed(black_box(source))
}

fn settings(codings: &[Coding]) -> Settings {
    Settings {
        codings: codings.to_vec(),
        cache_control: "no-cache".to_owned(),
        version: "0",
        ..Settings::default()
    }
}

fn items(count: usize) -> (Collection, &'static Settings) {
    let (items, settings) = (parsed(ndjson(count)), Box::leak(Box::new(settings(&[]))));
    assert_eq!(compile(items.clone(), settings).items_count(), count);
    (items, settings)
}

// Without codings, which are the work of other libraries. The smaller one has a header block for each item.
#[library_benchmark(setup = items)]
#[bench::of_1000_items(1_000)]
#[bench::of_10000_items(10_000)]
fn compile_items((items, settings): (Collection, &'static Settings)) -> Snapshot {
    compile(black_box(items), settings)
}

/// A snapshot of `count` generated items with all codings.
pub fn snapshot(count: usize) -> Snapshot {
    let settings = settings(&[Coding::Br, Coding::Zstd, Coding::Gzip]);
    compile(parsed(ndjson(count)), &settings).encoded(&settings, || u64::MAX, || {})
}

library_benchmark_group!(name = loading, benchmarks = [parse_source, compile_items]);
