//! Any request head: an answer, never a panic. The first line is the target, the others are header fields.

#![no_main]

use std::sync::LazyLock;

use janus::http::answer::answer;
use janus::http::message::request::{Method, RequestHead};
use janus::items::{Format, ParseOptions, parse};
use janus::snapshot::{Coding, Settings, Snapshot, compile};
use libfuzzer_sys::fuzz_target;

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let lines: String = (0..50).map(|id| format!("{{\"id\":{id},\"name\":\"Item number {id}\"}}\n")).collect();
    let items = parse(Format::Ndjson, lines.as_bytes(), &ParseOptions::default()).expect("good items");
    let codings = vec![Coding::Br, Coding::Zstd, Coding::Gzip];
    compile(items, &Settings { codings, cache_control: "no-cache".to_owned(), version: "0", ..Settings::default() })
});

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let mut parts = target.splitn(2, |&byte| byte == b'?');
    let mut head = RequestHead::new(Method::Get, parts.next().unwrap_or_default());
    head.query = parts.next();
    for line in lines {
        let mut parts = line.splitn(2, |&byte| byte == b':');
        head.field(parts.next().unwrap_or_default(), parts.next().unwrap_or_default().trim_ascii());
    }
    let reply = answer(&head, &SNAPSHOT);
    let mut block = Vec::new();
    reply.write_head(&mut block);
    assert!(block.starts_with(b"HTTP/1.1 ") && block.ends_with(b"\r\n"));
    assert!(matches!(reply.status(), 200 | 206 | 304 | 308 | 400 | 404 | 405 | 406 | 412 | 416));
    // A part is within the whole, and is as long as its head says.
    let length = format!("\r\ncontent-length: {}\r\n", reply.body().len());
    assert!(reply.is_bodyless() || block.windows(length.len()).any(|window| window == length.as_bytes()));
});
