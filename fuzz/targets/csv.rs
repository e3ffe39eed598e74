//! Any bytes as CSV, by all settings, and by what they seem to be, in UTF-8 and other charsets: read or refused with a
//! place, and what is read is JSON, whether it came whole or in pieces.

#![no_main]

use std::io::Read;

use janus::items::{Format, ParseError, ParseOptions, Told, parse, read};
use libfuzzer_sys::fuzz_target;

struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = 3.min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.0 = later;
        Ok(length)
    }
}

fn check(told: Told, bytes: &[u8], options: &ParseOptions) {
    let whole = read(told, bytes, options).map(|parsed| parsed.items);
    let pieces = read(told, Pieces(bytes), options).map(|parsed| parsed.items);
    match (whole, pieces) {
        (Ok(items), Ok(same)) => {
            assert_eq!(items.arena(), same.arena());
            // Ids were none when it was read, so they need not be unique.
            let options = ParseOptions { id_field: String::new(), ..ParseOptions::default() };
            parse(Format::Json, &items.arena()[..], &options).expect("what was read can be read");
        }
        (Err(ParseError::Data(error)), Err(ParseError::Data(same))) => {
            assert_eq!(error, same);
            assert!(error.line() > 0 && error.column() > 0);
        }
        (whole, pieces) => panic!("{whole:?}, and in pieces {pieces:?}"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let settings = bytes.first().copied().unwrap_or_default();
    let options = ParseOptions {
        csv_types: settings & 1 == 0,
        csv_no_quotes: settings & 2 == 0,
        delimiter: (settings & 4 == 0).then(|| ";".parse().expect("a delimiter")),
        unnamed_column: (settings & 8 == 0).then(|| "index".to_owned()),
        id_field: String::new(),
        ..ParseOptions::default()
    };
    for format in [Format::Csv, Format::Tsv] {
        check(Told::ByName(format), bytes, &options);
    }
    for charset in ["utf-8", "utf-16", "windows-1252", "shift_jis"] {
        let charset = Some(charset.parse().expect("a charset"));
        check(Told::ByData, bytes, &ParseOptions { charset, ..options.clone() });
    }
});
