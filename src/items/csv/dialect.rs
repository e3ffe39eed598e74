//! Which delimiter: the one that is given, the one that a `sep=` line names, or the one that the header row makes plain.

use std::fmt;
use std::str::FromStr;

use super::rows::{Dialect, Field, Stop, read_row};

/// A byte between the fields of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiter(u8);

/// Delimiters that are looked for, and what they are called.
const CANDIDATES: [(u8, &str); 4] = [(b',', "comma"), (b';', "semicolon"), (b'\t', "tab"), (b'|', "pipe")];

/// Those that are looked for in place of another one.
pub(super) fn candidates_but(delimiter: Delimiter) -> impl Iterator<Item = Delimiter> {
    CANDIDATES
        .iter()
        .map(|(byte, _)| Delimiter(*byte))
        .filter(move |other| *other != delimiter)
}

impl Delimiter {
    /// Of CSV.
    pub(super) const COMMA: Self = Self(b',');
    /// Of TSV.
    pub(super) const TAB: Self = Self(b'\t');

    /// The delimiter that is this byte.
    pub(super) fn of(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte.
    pub(in crate::items) fn byte(self) -> u8 {
        self.0
    }

    /// A byte as a delimiter. A quote and what ends a row cannot be one, and a letter or a digit is none in any file.
    fn new(byte: u8) -> Option<Self> {
        let is_one = byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\n' | b'\r' | 0);
        is_one.then_some(Self(byte))
    }
}

/// As it is written for `--delimiter` in a shell.
impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\t' => f.write_str("tab"),
            byte if byte.is_ascii_graphic() => write!(f, "'{}'", char::from(byte)),
            byte => write!(f, "$'\\x{byte:02x}'"),
        }
    }
}

/// A text that is no delimiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a delimiter is one character of ASCII that is no letter, digit, quote or line end, or comma, semicolon, tab or pipe"
)]
pub struct BadDelimiter;

impl FromStr for Delimiter {
    type Err = BadDelimiter;

    fn from_str(text: &str) -> Result<Self, BadDelimiter> {
        let named = CANDIDATES.iter().find(|(_, name)| text.eq_ignore_ascii_case(name));
        match (text.as_bytes(), named) {
            (_, Some((byte, _))) => Ok(Self(*byte)),
            (b"\\t", _) => Ok(Self::TAB),
            ([byte], _) => Self::new(*byte).ok_or(BadDelimiter),
            _ => Err(BadDelimiter),
        }
    }
}

/// A line before the header that names the delimiter, as Excel writes and reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SepLine {
    /// There is none.
    None,
    /// It names this one, and the header begins here.
    Names(Delimiter, usize),
    /// It names none that could be one.
    Bad,
}

impl SepLine {
    /// Looks for it at the start of a text.
    pub(super) fn read(text: &[u8]) -> Self {
        let Some(length) = memchr::memchr(b'\n', text) else {
            return Self::None;
        };
        let line = text[..length].strip_suffix(b"\r").unwrap_or(&text[..length]);
        let line = match line {
            [b'"', within @ .., b'"'] => within,
            line => line,
        };
        match line.split_first_chunk::<4>() {
            Some((name, value)) if name.eq_ignore_ascii_case(b"sep=") => match value {
                [] => Self::Bad,
                [byte] => Delimiter::new(*byte).map_or(Self::Bad, |delimiter| Self::Names(delimiter, length + 1)),
                // A column of that name.
                _ => Self::None,
            },
            _ => Self::None,
        }
    }
}

/// What the first rows say of the delimiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inferred {
    /// The header row has several fields by this one, and by no other that would do as well.
    Plain(Delimiter),
    /// The header row is one field by all of them.
    OneColumn,
    /// Several would do.
    Several(Vec<Delimiter>),
}

/// How many rows are looked at where the header row allows several delimiters.
const ROWS_MAX: usize = 64;

/// One delimiter's reading of the first rows.
struct Reading {
    delimiter: Delimiter,
    /// Fields of the header row.
    width: usize,
    /// Whether the rows have as many.
    fits: bool,
    /// Whether every quote is one of RFC 4180. Where it is, `"a, b"` of another delimiter's file is not.
    is_clean: bool,
    /// Whether the delimiter stands in a row that is not the header, or one of those is not CSV by it.
    is_in_rows: bool,
}

impl Reading {
    /// `None` if the header row is one field, or none at all.
    fn new(text: &[u8], is_whole: bool, delimiter: Delimiter, has_quotes: bool) -> Option<Self> {
        let dialect = Dialect {
            delimiter: delimiter.0,
            has_quotes,
        };
        let is_clean = |fields: &[Field]| {
            let has_quote = |field: &Field| memchr::memchr(b'"', &text[field.start..field.end]).is_some();
            !fields.iter().any(|field| !field.is_quoted && has_quote(field))
        };
        let mut fields = Vec::new();
        // A header row that is not at hand whole tells by its first fields all the same.
        let mut at = read_row(text, 0, true, dialect, &mut fields).ok()?;
        let mut reading = Self {
            delimiter,
            width: fields.len(),
            fits: true,
            is_clean: is_clean(&fields),
            is_in_rows: false,
        };
        if reading.width == 1 {
            return None;
        }
        for _ in 0..ROWS_MAX {
            if at == text.len() {
                break;
            }
            match read_row(text, at, is_whole, dialect, &mut fields) {
                Ok(next) => at = next,
                Err(Stop::Incomplete) => break,
                Err(_) => {
                    reading.fits = false;
                    reading.is_in_rows = true;
                    break;
                }
            }
            reading.fits &= fields.len() == reading.width || fields.iter().all(Field::is_blank);
            reading.is_clean &= is_clean(&fields);
            reading.is_in_rows |= fields.len() > 1;
        }
        Some(reading)
    }
}

/// Infers the delimiter from the header row at the start of `text`, and from the rows after it where that leaves a
/// choice. `usual` is the format's own.
pub(super) fn infer(text: &[u8], is_whole: bool, usual: Delimiter, has_quotes: bool) -> Inferred {
    let mut readings: Vec<Reading> = CANDIDATES
        .iter()
        .filter_map(|(byte, _)| Reading::new(text, is_whole, Delimiter(*byte), has_quotes))
        .collect();
    if !has_quotes {
        readings.iter_mut().for_each(|reading| reading.is_clean = true);
    }
    keep_if_any(&mut readings, |reading| reading.fits);
    keep_if_any(&mut readings, |reading| reading.is_clean);
    // A header row of one column may hold a semicolon; then the rows hold none.
    if readings
        .iter()
        .all(|reading| !reading.fits && !reading.is_in_rows && reading.delimiter != usual)
    {
        return Inferred::OneColumn;
    }
    let most = readings.iter().map(|reading| reading.width).max();
    let mut best = readings.iter().filter(|reading| Some(reading.width) == most);
    match (&readings[..], best.next(), best.next()) {
        ([one], ..) => Inferred::Plain(one.delimiter),
        // A list within a field of the usual dialect has fewer fields than the row.
        (_, Some(one), None) if one.delimiter == usual => Inferred::Plain(usual),
        _ => Inferred::Several(readings.iter().map(|reading| reading.delimiter).collect()),
    }
}

fn keep_if_any(readings: &mut Vec<Reading>, is_kept: impl Fn(&Reading) -> bool) {
    if readings.iter().any(&is_kept) {
        readings.retain(is_kept);
    }
}

/// How often another delimiter would separate fields in a row of one field, which is all of `row`.
pub(super) fn count(row: &[u8], delimiter: Delimiter, has_quotes: bool) -> usize {
    let dialect = Dialect {
        delimiter: delimiter.0,
        has_quotes,
    };
    let mut fields = Vec::new();
    match read_row(row, 0, true, dialect, &mut fields) {
        Ok(end) if end == row.len() => fields.len() - 1,
        _ => memchr::memchr_iter(delimiter.0, row).count(),
    }
}
