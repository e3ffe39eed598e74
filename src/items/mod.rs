//! Bytes to items: what is valid, and one contiguous arena of item text.
//!
//! Input is a reader, which is read in chunks, so that source and arena are never both whole in memory; a single item
//! larger than a chunk is held twice while it is read. Output is a [`Collection`]. Nothing here opens a file.
//!
//! - An item's text is the source's without insignificant white space: the spelling of numbers, the order and repetition
//!   of members, and escapes survive.
//! - What is valid is RFC 8259, decided by one scanner for all formats. Refused, with line and column: what is not JSON,
//!   what is not UTF-8, lone surrogates in escapes, nesting over [`DEPTH_MAX`] within an item, nothing at all. A byte
//!   order mark at the start is passed over.
//! - An id is a number, known by its spelling, or a string, known by its decoded value; so 1 and "1" are one id. Of a
//!   member that stands twice the last counts. Either every item has an id or none; no two have the same.

mod collection;
mod csv;
mod error;
mod index;
mod json;
mod ndjson;
mod pointer;
mod record;
mod scan;
mod text;

use std::fmt;
use std::io::Read;
use std::str::FromStr;

pub use collection::Collection;
pub use error::{DataError, Fault, Found, ParseError};
pub use pointer::{Pointer, PointerError};
pub use scan::DEPTH_MAX;

use crate::ledger::Ledger;

/// The formats of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON document.
    Json,
    /// One JSON value a line.
    Ndjson,
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
}

impl Format {
    /// The format that a file name's extension stands for, in lower case and without the dot.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            _ => None,
        }
    }

    /// The format that a source without a telling name seems to have, by its first bytes.
    ///
    /// An object may begin a document or a line: it is a document if a pointer leads through it.
    pub fn sniff(start: &[u8], has_pointer: bool) -> Self {
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
        match start.trim_ascii_start().first() {
            Some(b'{') if !has_pointer => Self::Ndjson,
            None | Some(b'[' | b'{') => Self::Json,
            Some(_) if line.contains(&b'\t') => Self::Tsv,
            Some(_) => Self::Csv,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
        })
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::from_extension(name).ok_or(UnknownFormat)
    }
}

/// A name that is no format's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the formats are json, ndjson, csv and tsv")]
pub struct UnknownFormat;

/// How items are read.
#[derive(Clone, Debug)]
pub struct ParseOptions {
    /// The member that is an item's id.
    pub id_field: String,
    /// Leads to the array within a JSON document.
    pub pointer: Option<Pointer>,
    /// Whether numbers, booleans and empty fields of CSV become numbers, booleans and null.
    pub csv_types: bool,
    /// A guess of the source's length in bytes, to reserve memory by; a wrong one costs time only.
    pub size_hint: Option<u64>,
    /// Where memory for the items is taken note of.
    pub ledger: Ledger,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            id_field: "id".to_owned(),
            pointer: None,
            csv_types: false,
            size_hint: None,
            ledger: Ledger::default(),
        }
    }
}

/// Reads a collection.
///
/// # Errors
///
/// If the input cannot be read, or is not a collection: see the module's documentation.
///
/// ```
/// use janus::items::{Format, ParseOptions, parse};
///
/// let source = b"{\"id\": \"a\", \"n\": 1.10}\n{\"id\": \"b\"}\n";
/// let items = parse(Format::Ndjson, &source[..], &ParseOptions::default())?;
/// assert_eq!(&items.arena()[..], br#"[{"id":"a","n":1.10},{"id":"b"}]"#);
/// assert_eq!(items.find("b"), Some(1));
/// # Ok::<(), janus::items::ParseError>(())
/// ```
pub fn parse(format: Format, input: impl Read, options: &ParseOptions) -> Result<Collection, ParseError> {
    match format {
        Format::Json => json::parse(input, options),
        Format::Ndjson => ndjson::parse(input, options),
        Format::Csv => csv::parse(input, b',', options),
        Format::Tsv => csv::parse(input, b'\t', options),
    }
}
