//! Records as one answered request does, as often as the first argument says: what `benches/recording` counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use janus::http::record::{Answered, HttpMetrics};
use janus::http::request::Method;
use janus::metrics::Registry;
use janus::snapshot::Coding;

fn main() {
    let count = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(1_000_u64);
    let metrics = Arc::new(HttpMetrics::new(Arc::new(Registry::new())));
    let levels = metrics.worker();
    let mut answered = Answered {
        method: Method::Get,
        route: "/items/{id}",
        status: 200,
        coding: Coding::Identity,
        length: 120,
        took: Duration::ZERO,
    };
    let started = Instant::now();
    for number in 0..count {
        let _in_flight = levels.request();
        // Not the clock's: it is read twice a request, and what that costs is the kernel's and the machine's.
        answered.took = Duration::from_nanos(1_000 + number % 10_000);
        metrics.record(std::hint::black_box(&answered));
    }
    eprintln!("{count} requests recorded in {:?}", started.elapsed());
}
