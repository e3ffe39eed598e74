//! Bytes to items by every way that there is, beside what others do with the same bytes and keep nothing of.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use janus::items::{Format, ParseOptions, Way, parse};
use janus::snapshot::{Settings, compile};

#[path = "support/generate.rs"]
mod generate;

#[global_allocator]
static ALLOCATOR: janus::allocator::Allocator = janus::allocator::Allocator;

const SEED: u64 = 1;

/// As in the goal that `docs/benchmarks.md` states.
const ITEMS: usize = 1_000_000;

/// Of about 1,000 bytes each.
const COUNTRIES: usize = 100_000;

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

fn bench_parse(criterion: &mut Criterion) {
    let text = generate::ndjson(SEED, ITEMS);
    let array = [b"[", &lines(&text).collect::<Vec<_>>().join(&b",\n"[..])[..], b"]"].concat();
    let rows = generate::csv(SEED, ITEMS);
    let options = ParseOptions {
        size_hint: Some(text.len() as u64),
        ..ParseOptions::default()
    };
    let settings = Settings {
        codings: Vec::new(),
        cache_control: "no-cache".to_owned(),
        version: "0",
        ..Settings::default()
    };

    let items = parse(Format::Ndjson, &text[..], &options).expect("generated items are good");
    assert_eq!((items.len(), items.find("999999")), (ITEMS, Some(ITEMS - 1)));
    assert_eq!(
        parse(Format::Json, &array[..], &options)
            .expect("the same items")
            .arena(),
        items.arena()
    );
    drop(items);
    let items = parse(Format::Csv, &rows[..], &options).expect("generated rows are good");
    assert_eq!((items.len(), items.find("999999")), (ITEMS, Some(ITEMS - 1)));
    drop(items);

    let mut group = criterion.benchmark_group("parse");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("ndjson, with compile", |bencher| {
        bencher.iter(|| {
            let items = parse(Format::Ndjson, black_box(&text[..]), &options).expect("generated items are good");
            compile(items, &settings)
        });
    });
    let minified = generate::countries(SEED, COUNTRIES, false);
    let pretty = generate::countries(SEED, COUNTRIES, true);
    let of = |source: &[u8], way, threads| ParseOptions {
        size_hint: Some(source.len() as u64),
        way,
        threads,
        ..ParseOptions::default()
    };
    for (name, format, source) in [
        ("ndjson", Format::Ndjson, &text),
        ("json", Format::Json, &array),
        ("countries, minified", Format::Json, &minified),
        ("countries, pretty", Format::Json, &pretty),
    ] {
        let expected = parse(format, &source[..], &of(source, Way::Scanner, 1)).expect("generated items are good");
        group.throughput(Throughput::Bytes(source.len() as u64));
        let ways = Way::ALL.into_iter().filter(|way| way.is_there());
        // The scanner alone is the code of before.
        for (way, threads) in ways
            .map(|way| (way, 1))
            .chain([(Way::default(), 2), (Way::default(), 4)])
        {
            let options = of(source, way, threads);
            let items = parse(format, &source[..], &options).expect("generated items are good");
            assert!(items.arena() == expected.arena() && items.len() == expected.len());
            drop(items);
            group.bench_function(format!("{name}: {way:?}, {threads} threads"), |bencher| {
                bencher.iter(|| parse(format, black_box(&source[..]), &options))
            });
        }
    }
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("peer: simd-json, a tape a line", |bencher| {
        let mut line_copy = Vec::new();
        let mut buffers = simd_json::Buffers::default();
        bencher.iter(|| {
            for line in lines(black_box(&text)) {
                line_copy.clear();
                line_copy.extend_from_slice(line);
                black_box(
                    simd_json::to_tape_with_buffers(&mut line_copy, &mut buffers).expect("generated items are JSON"),
                );
            }
        });
    });
    group.bench_function("peer: serde_json, each line passed over", |bencher| {
        bencher.iter(|| {
            for line in lines(black_box(&text)) {
                serde_json::from_slice::<serde::de::IgnoredAny>(line).expect("generated items are JSON");
            }
        });
    });
    group.bench_function("peer: serde_json into values", |bencher| {
        bencher.iter(|| {
            lines(black_box(&text))
                .map(|line| serde_json::from_slice(line).expect("generated items are JSON"))
                .collect::<Vec<serde_json::Value>>()
        });
    });
    group.throughput(Throughput::Bytes(rows.len() as u64));
    group.bench_function("csv", |bencher| {
        bencher.iter(|| parse(Format::Csv, black_box(&rows[..]), &options))
    });
    group.bench_function("peer: csv, fields that are not kept", |bencher| {
        bencher.iter(|| {
            let mut reader = csv::Reader::from_reader(black_box(&rows[..]));
            let mut record = csv::ByteRecord::new();
            let mut count = 0;
            while reader.read_byte_record(&mut record).expect("generated rows are CSV") {
                count += black_box(&record).len();
            }
            count
        });
    });
    group.finish();
}

criterion_group!(benches, bench_parse);
criterion_main!(benches);
