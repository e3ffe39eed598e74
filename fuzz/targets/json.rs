//! Any bytes as a JSON document: read or refused, as serde_json would, and what is read is JSON again.

#![no_main]

use janus::items::{Format, ParseError, ParseOptions, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|bytes: &[u8]| {
    let pointer = bytes.first().filter(|byte| *byte % 4 == 0).map(|_| "/a".parse().expect("a pointer"));
    let has_pointer = pointer.is_some();
    let options = ParseOptions { pointer, ..ParseOptions::default() };
    let result = parse(Format::Json, bytes, &options);
    match &result {
        Ok(items) => {
            assert!(serde_json::from_slice::<Vec<Box<RawValue>>>(items.arena()).is_ok());
            for position in 0..items.len() {
                if let Some(id) = items.id(position) {
                    assert_eq!(items.find(&id), Some(position));
                }
            }
        }
        Err(ParseError::Data(error)) => {
            assert!(error.line() > 0 && error.column() > 0 && !error.to_string().is_empty());
            let about_text = matches!(error.fault().code(), "syntax" | "utf8" | "control_character" | "escape");
            if about_text && !has_pointer {
                assert!(serde_json::from_slice::<Vec<Box<RawValue>>>(bytes).is_err());
            }
        }
        Err(ParseError::Io(error)) => panic!("memory does not fail: {error}"),
    }
});
