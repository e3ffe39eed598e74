//! From items to answers: compile, encode, look up, answer; beside the same work without a snapshot.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use janus::http::answer::answer;
use janus::http::message::request::{Method, RequestHead};
use janus::items::{Collection, Format, ParseOptions, parse};
use janus::snapshot::{Coding, Settings, compile, encode};

#[path = "support/generate.rs"]
mod generate;

#[global_allocator]
static ALLOCATOR: janus::allocator::Allocator = janus::allocator::Allocator;

const SEED: u64 = 1;

fn items(count: usize) -> (Vec<u8>, Collection) {
    let text = generate::ndjson(SEED, count);
    let collection = parse(Format::Ndjson, &text[..], &ParseOptions::default()).expect("generated items are good");
    assert_eq!(collection.len(), count);
    (text, collection)
}

fn settings(codings: &[Coding]) -> Settings {
    Settings {
        codings: codings.to_vec(),
        cache_control: "no-cache".to_owned(),
        version: "0",
        ..Settings::default()
    }
}

fn bench_compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    for count in [100, 100_000] {
        let (_, collection) = items(count);
        group.throughput(Throughput::Bytes(collection.arena().len() as u64));
        group.bench_function(format!("{count} items, identity"), |bencher| {
            bencher.iter(|| compile(black_box(collection.clone()), &settings(&[])));
        });
    }
    group.finish();
}

fn bench_encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.sample_size(10);
    for count in [500, 20_000] {
        let (_, collection) = items(count);
        let body = collection.arena();
        group.throughput(Throughput::Bytes(body.len() as u64));
        for coding in [Coding::Br, Coding::Zstd, Coding::Gzip] {
            assert!(encode(coding, body).is_some_and(|coded| coded.len() < body.len()));
            group.bench_function(format!("{coding}, {count} items"), |bencher| {
                bencher.iter(|| encode(coding, black_box(body)));
            });
        }
    }
    group.finish();
}

/// A number's digits.
fn decimal(number: usize, text: &mut [u8; 20]) -> &str {
    let (mut start, mut rest) = (text.len(), number);
    loop {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    std::str::from_utf8(&text[start..]).expect("digits are text")
}

fn bench_lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lookup");
    for count in [1_000, 1_000_000] {
        let (_, collection) = items(count);
        // Written for each look-up: a million texts in memory would be looked up themselves.
        let mut text = [0; 20];
        let mut state = SEED;
        let mut next = move || {
            // An odd multiplier and a high part: every id comes, in no order that a cache could foresee.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % count
        };
        for position in [0, count / 2, count - 1] {
            assert_eq!(
                collection.id(position).as_deref(),
                Some(decimal(position, &mut [0; 20]))
            );
            assert_eq!(collection.find(decimal(position, &mut [0; 20])), Some(position));
        }
        group.bench_function(format!("random id of {count}"), |bencher| {
            bencher.iter(|| collection.find(black_box(decimal(next(), &mut text))));
        });
    }
    group.finish();
}

fn bench_answer(criterion: &mut Criterion) {
    let (text, collection) = items(1_000);
    let first = collection.id(0).expect("generated items have ids").into_owned();
    let all = settings(&[Coding::Br, Coding::Zstd, Coding::Gzip]);
    let snapshot = compile(collection, &all).encoded(&all, || u64::MAX, || {});
    let etag = snapshot
        .collection()
        .expect("there is data")
        .identity()
        .etag()
        .to_owned();
    let item = format!("/items/{first}");
    let mut group = criterion.benchmark_group("answer");
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, &str, Fields<'_>, u16); 5] = [
        ("/items", "/items", &[], 200),
        (
            "/items, a browser's codings",
            "/items",
            &[("accept-encoding", "gzip, deflate, br, zstd")],
            200,
        ),
        ("/items, 304", "/items", &[("if-none-match", &etag)], 304),
        ("/items/{id}", &item, &[], 200),
        ("/items/{id}, 404", "/items/nobody", &[], 404),
    ];
    for (name, path, fields, status) in cases {
        let mut head = RequestHead::new(Method::Get, path.as_bytes());
        fields
            .iter()
            .for_each(|(name, value)| head.field(name.as_bytes(), value.as_bytes()));
        assert_eq!(answer(&head, &snapshot).status(), status);
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(answer(black_box(&head), &snapshot)).status())
        });
    }
    // What a server without a snapshot does for the same request.
    let values: Vec<serde_json::Value> = text
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("generated items are JSON"))
        .collect();
    // Not the same bytes: values keep no spelling, so 1.10 comes out as 1.1.
    let written = serde_json::to_vec(&values).expect("values are JSON");
    assert!(written.len() <= snapshot.bytes() && written.starts_with(b"[{\"id\":0,"));
    group.bench_function("peer: serde_json writes 1000 items", |bencher| {
        bencher.iter(|| serde_json::to_vec(black_box(&values)).expect("values are JSON"));
    });
    group.finish();
}

criterion_group!(benches, bench_compile, bench_encode, bench_lookup, bench_answer);
criterion_main!(benches);
