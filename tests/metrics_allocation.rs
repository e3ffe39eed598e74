//! To record and to scrape allocates nothing once every series has been seen.

#![allow(unsafe_code)] // A global allocator is an unsafe trait; it counts and hands on.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use janus::metrics::{Format, Recorder, Registry};

struct Counting;

thread_local! {
    /// By thread, so that the test's own thread is counted alone.
    static ALLOCATED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

fn count(bytes: usize) {
    let _ = ALLOCATED.try_with(|allocated| {
        let (times, total) = allocated.get();
        allocated.set((times + 1, total + bytes as u64));
    });
}

// SAFETY: the system's allocator does all the work; the count touches a thread-local that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and bytes that `work` asks for in this thread.
fn allocated(work: impl FnOnce()) -> (u64, u64) {
    let before = ALLOCATED.get();
    work();
    let after = ALLOCATED.get();
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn ten_million_unscraped_records_take_no_memory() {
    let registry = Arc::new(Registry::new());
    let counter = registry.counter("c_total", &[]).unwrap();
    let gauge = registry.gauge("g", &[]).unwrap();
    let histogram = registry.histogram("h_seconds", &[]).unwrap();
    let recorder = Recorder::new(Arc::clone(&registry));
    let by_facade = metrics::with_local_recorder(&recorder, || metrics::histogram!("facade_seconds"));
    let records = |from: u64, to: u64| {
        for n in from..to {
            counter.increment(1);
            gauge.set(n as f64);
            histogram.record_ns(n);
            by_facade.record(n as f64);
        }
    };
    records(0, 1);
    assert_eq!(allocated(|| records(1, 2_500_001)), (0, 0));
    assert_ne!(allocated(|| drop(vec![1u8])), (0, 0), "the count counts");
}

#[test]
fn a_scrape_allocates_nothing_at_steady_state() {
    let registry = Registry::new();
    registry.describe("c_total", "Help.", Some("bytes"));
    for n in 0..2_000 {
        registry
            .counter("c_total", &[("n", &n.to_string())])
            .unwrap()
            .increment(n * n);
    }
    registry.gauge("g", &[]).unwrap().set(0.1);
    registry.gauge("absent", &[]).unwrap();
    registry.histogram("h_seconds", &[]).unwrap().record(0.1);
    let mut out = Vec::new();
    let mut scrape = |format| {
        out.clear();
        registry.render(format, &mut out);
        assert!(out.len() > 2_000 * 10);
    };
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        scrape(format);
        assert_eq!(allocated(|| scrape(format)), (0, 0), "{format:?}");
    }
}
