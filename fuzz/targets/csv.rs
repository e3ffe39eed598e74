//! Any bytes as CSV or TSV, with and without types: read or refused, and what is read is JSON.

#![no_main]

use janus::items::{Format, ParseOptions, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [Format::Csv, Format::Tsv] {
        for csv_types in [false, true] {
            let options = ParseOptions { csv_types, ..ParseOptions::default() };
            if let Ok(items) = parse(format, bytes, &options) {
                parse(Format::Json, &items.arena()[..], &ParseOptions::default()).expect("what was read can be read");
            }
        }
    }
});
