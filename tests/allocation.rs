//! `answer` allocates nothing: asserted with a counting allocator, in a process of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use janus::http::answer::answer;
use janus::http::message::request::{Method, RequestHead};
use janus::items::{Format, ParseOptions, parse};
use janus::snapshot::{Coding, Settings, Snapshot, compile};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[allow(unsafe_code, reason = "an allocator is unsafe by its interface")]
// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, that is from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn snapshot(items: usize) -> Snapshot {
    let lines: String = (0..items)
        .map(|id| format!("{{\"id\":{id},\"name\":\"Item {id}\"}}\n"))
        .collect();
    let collection = parse(Format::Ndjson, lines.as_bytes(), &ParseOptions::default()).unwrap();
    let codings = vec![Coding::Br, Coding::Zstd, Coding::Gzip];
    compile(
        collection,
        &Settings {
            codings,
            cache_control: "no-cache".to_owned(),
            version: "0",
            ..Settings::default()
        },
    )
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1);
}

#[test]
fn answers_are_made_without_allocation() {
    // Fixed answers are made at their first use.
    let warm = snapshot(1);
    for (method, path) in [
        (Method::Get, "/nowhere"),
        (Method::Options, "/items"),
        (Method::Get, "/health"),
    ] {
        black_box(answer(&RequestHead::new(method, path.as_bytes()), &warm));
    }
    for items in [10, 10_000] {
        let snapshot = snapshot(items);
        let etag = snapshot.collection().unwrap().identity().etag().to_owned();
        for path in [
            "/items",
            "/items/7",
            "/items/7/",
            "/items/nobody",
            "/",
            "/health",
            "/nowhere",
        ] {
            for (accept, if_none_match, range) in [
                (None, None, None),
                (Some("gzip, deflate, br, zstd"), None, None),
                (Some("gzip, identity;q=0"), None, None),
                (None, Some(etag.as_str()), None),
                (Some("br"), Some("W/\"x\", \"y\""), None),
                (None, None, Some("bytes=3-9")),
                (Some("br"), None, Some("bytes=999999999-")),
            ] {
                let count = allocations(|| {
                    let mut head = RequestHead::new(Method::Get, path.as_bytes());
                    if let Some(accept) = accept {
                        head.field(b"Accept-Encoding", accept.as_bytes());
                    }
                    if let Some(etag) = if_none_match {
                        head.field(b"If-None-Match", etag.as_bytes());
                    }
                    if let Some(range) = range {
                        head.field(b"Range", range.as_bytes());
                        head.field(b"If-Range", etag.as_bytes());
                    }
                    black_box(answer(black_box(&head), &snapshot));
                });
                assert_eq!(
                    count, 0,
                    "{path} of {items} items, {accept:?}, {if_none_match:?}, {range:?}"
                );
            }
        }
    }
}
