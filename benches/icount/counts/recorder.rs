//! Recording, a thousand times each, and a scrape.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use gungraun::prelude::*;
use janus::http::answer::route::Name;
use janus::http::message::request::Method;
use janus::http::serve::record::{Answered, Due, HttpMetrics, WorkerLevels};
use janus::metrics::{Counter, Format, Histogram, Registry};
use janus::snapshot::Coding;

const RECORDS: u64 = 1_000;

fn registry() -> &'static Arc<Registry> {
    Box::leak(Box::new(Arc::new(Registry::new())))
}

fn counter() -> &'static Counter {
    let counter = registry().counter("c_total", &[]).expect("the name is valid");
    counter.increment(1);
    Box::leak(Box::new(counter))
}

#[library_benchmark(setup = counter)]
#[bench::increment_x1000()]
fn count(counter: &'static Counter) {
    (0..RECORDS).for_each(|_| black_box(counter).increment(1));
}

fn histogram() -> &'static Histogram {
    let histogram = registry().histogram("h_seconds", &[]).expect("the name is valid");
    durations().for_each(|ns| histogram.record_ns(ns));
    Box::leak(Box::new(histogram))
}

/// Nanoseconds over five orders of magnitude.
fn durations() -> impl Iterator<Item = u64> {
    (0..RECORDS).map(|number| (1 << (10 + number % 17)) + number)
}

#[library_benchmark(setup = histogram)]
#[bench::record_ns_x1000()]
fn observe(histogram: &'static Histogram) {
    durations().for_each(|ns| black_box(histogram).record_ns(ns));
}

fn worker() -> &'static WorkerLevels {
    let worker = Arc::new(HttpMetrics::new(Arc::clone(registry()))).worker();
    record(&worker);
    Box::leak(Box::new(worker))
}

fn record(worker: &WorkerLevels) {
    let answered = Answered {
        method: Method::Get,
        route: Name::Item,
        status: 200,
        coding: Coding::Identity,
        length: 120,
    };
    let mut due = Due::default();
    for took in durations() {
        worker.count(black_box(&answered));
        due.push(black_box(&answered));
        worker.took(black_box(&mut due), Duration::from_nanos(took));
    }
}

// All that is recorded of a request that is sent at once, the reading of the clock aside.
#[library_benchmark(setup = worker)]
#[bench::answered_x1000()]
fn record_requests(worker: &'static WorkerLevels) {
    record(worker);
}

/// A registry of 1,000 counters and 10 histograms, and room for what it writes.
fn scraped(format: Format) -> (&'static Registry, Format, &'static mut Vec<u8>) {
    let registry = registry();
    for number in 0..1_000 {
        let labels = [("n", &*number.to_string())];
        let counter = registry.counter("c_total", &labels).expect("the name is valid");
        counter.increment(1_000 * number + 1);
    }
    for number in 0..10 {
        let labels = [("n", &*number.to_string())];
        let histogram = registry.histogram("h_seconds", &labels).expect("the name is valid");
        durations().for_each(|ns| histogram.record_ns(ns));
    }
    let out = Box::leak(Box::default());
    registry.render(format, out);
    assert!(out.len() > 10_000);
    out.clear();
    (registry, format, out)
}

#[library_benchmark(setup = scraped)]
#[bench::text(Format::Text)]
#[bench::open_metrics(Format::OpenMetrics)]
#[bench::protobuf(Format::Protobuf)]
fn scrape((registry, format, out): (&'static Registry, Format, &'static mut Vec<u8>)) {
    registry.render(format, out);
}

library_benchmark_group!(name = recording, benchmarks = [count, observe, record_requests, scrape]);
