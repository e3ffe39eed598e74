//! Rows to fields: RFC 4180, strictly. What it does not define is refused, and never read as something near it.
//!
//! - A field that begins with a quote ends with one, and a quote within it is written twice. What stands between the
//!   closing quote and the next delimiter is a fault; so is a field that is never closed.
//! - A quote in a field that does not begin with one is text. RFC 4180 does not have it, and `7" x 10"` is common.
//! - A row ends with LF or CRLF, the last one also with the text. A carriage return elsewhere outside of quotes is a
//!   fault, and so is every control character but tab, line feed and carriage return.
//!
//! Nothing is copied here: fields are places in the text.

use super::super::error::Fault;

/// How fields are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    /// Whether a field may stand in quotes.
    pub(super) has_quotes: bool,
}

/// One field's place in the text, without the quotes around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) is_quoted: bool,
    /// Whether JSON writes one of its characters otherwise, or a quote of it is written twice.
    pub(super) is_special: bool,
}

impl Field {
    /// Whether nothing at all is written: `""` is an empty field that is written.
    pub(super) fn is_blank(&self) -> bool {
        self.start == self.end && !self.is_quoted
    }
}

/// Why there is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The text ended within the row, and more may come.
    Incomplete,
    /// The row is not CSV, and where.
    At(usize, Fault),
    /// The field that is opened here ends here, and goes on.
    AfterQuote { opened: usize, at: usize },
}

/// Finds the fields of the row that begins at `start`, before the end of the text, and where the next one begins.
///
/// `is_whole` says that nothing comes after `text`.
pub(super) fn read_row(
    text: &[u8],
    start: usize,
    is_whole: bool,
    dialect: Dialect,
    fields: &mut Vec<Field>,
) -> Result<usize, Stop> {
    fields.clear();
    let mut at = start;
    loop {
        let (field, end) = match text.get(at) {
            Some(b'"') if dialect.has_quotes => quoted(text, at, is_whole, dialect.delimiter)?,
            _ => plain(text, at, is_whole, dialect.delimiter)?,
        };
        fields.push(field);
        match end {
            End::Field(next) => at = next,
            End::Row(next) => return Ok(next),
        }
    }
}

/// What a field ends, and where it goes on.
enum End {
    Field(usize),
    Row(usize),
}

fn plain(text: &[u8], start: usize, is_whole: bool, delimiter: u8) -> Result<(Field, End), Stop> {
    let mut at = start;
    let mut is_special = false;
    loop {
        at = ordinary_end(text, at, delimiter);
        let end = match text.get(at) {
            None if is_whole => End::Row(at),
            None => return Err(Stop::Incomplete),
            Some(&byte) if byte == delimiter => End::Field(at + 1),
            Some(b'\n') => End::Row(at + 1),
            Some(b'\r') => End::Row(after_return(text, at, is_whole)?),
            Some(b'"' | b'\\' | b'\t') => {
                is_special = true;
                at += 1;
                continue;
            }
            Some(&control) => return Err(Stop::At(at, Fault::CsvControlCharacter(control))),
        };
        let field = Field {
            start,
            end: at,
            is_quoted: false,
            is_special,
        };
        return Ok((field, end));
    }
}

fn quoted(text: &[u8], opened: usize, is_whole: bool, delimiter: u8) -> Result<(Field, End), Stop> {
    let mut at = opened + 1;
    let mut is_special = false;
    loop {
        at = ordinary_end(text, at, b'"');
        match text.get(at) {
            None if is_whole => return Err(Stop::At(opened, Fault::UnclosedQuote)),
            None => return Err(Stop::Incomplete),
            Some(b'"') if text.get(at + 1) == Some(&b'"') => {
                is_special = true;
                at += 2;
            }
            Some(b'"') => break,
            Some(b'\\' | b'\t' | b'\n' | b'\r') => {
                is_special = true;
                at += 1;
            }
            Some(&byte) if byte == delimiter => {
                is_special = true;
                at += 1;
            }
            Some(&control) => return Err(Stop::At(at, Fault::CsvControlCharacter(control))),
        }
    }
    let end = match text.get(at + 1) {
        None if is_whole => End::Row(at + 1),
        None => return Err(Stop::Incomplete),
        Some(&byte) if byte == delimiter => End::Field(at + 2),
        Some(b'\n') => End::Row(at + 2),
        Some(b'\r') => End::Row(after_return(text, at + 1, is_whole)?),
        Some(_) => return Err(Stop::AfterQuote { opened, at: at + 1 }),
    };
    let field = Field {
        start: opened + 1,
        end: at,
        is_quoted: true,
        is_special,
    };
    Ok((field, end))
}

/// Where a row begins after one that ends with the carriage return at `at`.
fn after_return(text: &[u8], at: usize, is_whole: bool) -> Result<usize, Stop> {
    match text.get(at + 1) {
        Some(b'\n') => Ok(at + 2),
        None if !is_whole => Err(Stop::Incomplete),
        _ => Err(Stop::At(at, Fault::LoneCarriageReturn)),
    }
}

/// The place of the next delimiter, quote, backslash or control character, or the end.
#[inline]
fn ordinary_end(text: &[u8], start: usize, delimiter: u8) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let delimiters = LOW.wrapping_mul(u64::from(delimiter));
    let mut at = start;
    // As `plain_end` of the scanner. The lowest byte that is marked is marked rightly, those above it need not be.
    while let Some(&word) = text[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(word);
        let is_zero = |word: u64| word.wrapping_sub(LOW) & !word;
        let marked = is_zero(word ^ delimiters)
            | is_zero(word ^ (LOW * 0x22))
            | is_zero(word ^ (LOW * 0x5c))
            | is_zero(word ^ (LOW * 0x7f))
            | (word.wrapping_sub(LOW * 0x20) & !word);
        let marked = marked & HIGH;
        if marked != 0 {
            return at + (marked.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let tail = &text[at..];
    at + tail
        .iter()
        .position(|&byte| byte == delimiter || byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f))
        .unwrap_or(tail.len())
}
