//! Any bytes as lines: read or refused; what is read is the same as an array of the lines.

#![no_main]

use janus::items::{Format, ParseOptions, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let options = ParseOptions::default();
    if let Ok(items) = parse(Format::Ndjson, bytes, &options) {
        let again = parse(Format::Json, &items.arena()[..], &options).expect("what was read can be read");
        assert_eq!((again.arena(), again.content_hash()), (items.arena(), items.content_hash()));
    }
});
