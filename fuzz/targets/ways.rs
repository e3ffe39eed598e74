//! Any bytes, as an array and as lines, by every way of reading that the processor has: what comes of them is what the
//! scanner makes of them, error and place included.

#![no_main]

use janus::items::{Collection, Format, ParseError, ParseOptions, Way, parse};
use libfuzzer_sys::fuzz_target;

fn read(format: Format, source: &[u8], way: Way) -> Result<Collection, String> {
    let options = ParseOptions { way, ..ParseOptions::default() };
    parse(format, source, &options).map_err(|error| match error {
        ParseError::Data(error) => format!("{error:?}"),
        ParseError::Io(error) => panic!("memory is read without errors: {error}"),
    })
}

fn check(format: Format, source: &[u8]) {
    let expected = read(format, source, Way::Scanner);
    for way in Way::ALL.into_iter().filter(|way| way.is_there()) {
        match (read(format, source, way), &expected) {
            (Ok(items), Ok(expected)) => {
                assert_eq!((items.arena(), items.len()), (expected.arena(), expected.len()));
                for position in 0..items.len() {
                    assert_eq!(items.id(position), expected.id(position));
                    assert_eq!(items.item_hash(position), expected.item_hash(position));
                }
            }
            (Err(error), Err(expected)) => assert_eq!(&error, expected, "{way:?}"),
            (items, expected) => panic!("{way:?}: {items:?} beside {expected:?}"),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    // The first byte moves the others, so that they stand anywhere in a block.
    let Some((&first, rest)) = bytes.split_first() else { return };
    let blank = vec![b' '; usize::from(first % 64)];
    check(Format::Ndjson, &[&blank, rest].concat());
    check(Format::Json, &[&blank, rest].concat());
    check(Format::Json, &[&blank, &b"["[..], rest, b",{}]"].concat());
});
