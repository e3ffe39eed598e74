//! Formats: what they are called, and how they are told.

use std::fmt;
use std::str::FromStr;

/// The formats of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON document.
    Json,
    /// One JSON value a line.
    Ndjson,
    /// JSON values one after the other, with or without white space between them.
    Concatenated,
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
}

impl Format {
    /// The format that a file name's extension stands for, in lower case and without the dot.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension {
            "json" | "geojson" => Some(Self::Json),
            "ndjson" | "jsonl" | "jsonlines" | "geojsonl" | "ndgeojson" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            _ => None,
        }
    }

    /// The format that a source without a telling name seems to have, by its first bytes.
    ///
    /// An object may begin a document or a line: it is a document if a pointer leads through it, or if it goes on
    /// behind its first line.
    pub fn sniff(start: &[u8], has_pointer: bool) -> Self {
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let start = start.trim_ascii_start();
        let line = memchr::memchr(b'\n', start).map(|length| &start[..length]);
        match start.first() {
            Some(b'{') if has_pointer || line.is_some_and(|line| !is_value(line)) => Self::Json,
            Some(b'{') => Self::Ndjson,
            None | Some(b'[') => Self::Json,
            Some(_) if line.unwrap_or(start).contains(&b'\t') => Self::Tsv,
            Some(_) => Self::Csv,
        }
    }
}

/// Whether a line that begins like a value is one, or would be told a fault as one: not if it ends too early.
fn is_value(line: &[u8]) -> bool {
    use super::scan::{ScanError, scan};
    !matches!(scan(line, 0, false, None, &mut Vec::new()), Err(ScanError::Incomplete))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Concatenated => "concatenated",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
        })
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "json" => Ok(Self::Json),
            "ndjson" | "jsonl" => Ok(Self::Ndjson),
            "concatenated" => Ok(Self::Concatenated),
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tsv),
            _ => Err(UnknownFormat),
        }
    }
}

/// A name that is no format's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the formats are json, ndjson, concatenated, csv and tsv")]
pub struct UnknownFormat;

/// How the format of a source is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was given.
    Given(Format),
    /// The source's name promises it.
    ByName(Format),
    /// By nothing but the data.
    ByData,
}
