//! Items of a piece of text, taken in by its structure.
//!
//! Whatever is not as it should be is left where it is, for the scanner to say what is wrong. A piece is so short that what
//! is known of its structure stays in a core's cache.

use std::io::Read;

use super::collection::Builder;
use super::error::ParseError;
use super::id::IdField;
use super::scan::{Scanned, Token};
use super::structure::{LineEnds, Structure, Way};
use super::text::Text;
use super::tokens::{Name, Value, Walk};

/// How long a piece is, in bytes, if no item is longer.
const LENGTH: usize = 32 << 10;

/// An item that is longer than this, in bytes, is left to the scanner.
const LENGTH_MAX: usize = 256 << 10;

/// What was taken in of a piece.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    /// Line ends that were passed.
    pub(super) lines: u64,
    /// Items.
    pub(super) items: u64,
    /// Where in the window the first item begins.
    pub(super) start: usize,
}

/// Takes in items piece by piece.
#[derive(Debug)]
pub(super) struct Pieces {
    way: Way,
    structure: Structure,
    /// The length of the next piece, in bytes.
    length: usize,
}

impl Pieces {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            structure: Structure::new(way),
            length: LENGTH,
        }
    }

    /// Takes in the whole lines that come next, of which `line` is the number of those before. Nothing is taken if the first
    /// of them is not as it should be, or too long.
    pub(super) fn lines<R: Read>(
        &mut self,
        text: &mut Text<R>,
        line: u64,
        id_field: &IdField,
        builder: &mut Builder,
    ) -> Result<Taken, ParseError> {
        let mut taken = Taken::default();
        let at = text.at;
        if self.way == Way::Scanner {
            return Ok(taken);
        }
        let Some(end) = lines_end(text) else {
            return Ok(taken);
        };
        text.pad();
        let padded = text.padded();
        if !self.structure.find(padded, at..end, LineEnds::Count) {
            return Ok(taken);
        }
        let piece = &padded[at..];
        let mut walk = Walk::new(piece, &self.structure, id_field.member().map(Name::new));
        // What has been taken in, from the piece's start on.
        let mut done = 0;
        loop {
            let (lines, next) = walk.line_ends();
            taken.lines += lines;
            if walk.is_at_end() {
                done = end - at;
                break;
            }
            if lines > 0 {
                done = next;
            }
            let Some(value) = walk.value().filter(|value| value.next_byte == b'\n') else {
                break;
            };
            if taken.items == 0 {
                taken.start = at + value.start;
            }
            taken.items += 1;
            push(&self.structure, piece, value, id_field, builder, line + taken.lines + 1)
                .map_err(|fault| text.error_at(at + value.start, fault))?;
        }
        text.at = (at + done).min(text.window().len());
        Ok(taken)
    }

    /// Takes in the elements of an array that come next, and the comma behind each. Says whether there were any, and it was
    /// the end of what is at hand that ended them.
    pub(super) fn elements<R: Read>(
        &mut self,
        text: &mut Text<R>,
        id_field: &IdField,
        builder: &mut Builder,
    ) -> Result<bool, ParseError> {
        if self.way == Way::Scanner {
            return Ok(false);
        }
        let first = text.at;
        text.pad();
        let window = text.padded();
        let window_end = text.window().len();
        let mut at = first;
        loop {
            let end = window_end.min(at + self.length);
            if !self.structure.find(window, at..end, LineEnds::AreBlank) {
                break;
            }
            let piece = &window[at..];
            let mut walk = Walk::new(piece, &self.structure, id_field.member().map(Name::new));
            let mut done = 0;
            while let Some(value) = walk.value().filter(|value| value.next_byte == b',') {
                let place = text.place(at + value.start);
                push(&self.structure, piece, value, id_field, builder, place)
                    .map_err(|fault| text.error_at(at + value.start, fault))?;
                walk.pass();
                done = value.next + 1;
            }
            at += done;
            if end == window_end {
                text.at = at;
                return Ok(at > first);
            }
            match done {
                // The item does not end in the piece.
                0 if self.length >= LENGTH_MAX => break,
                0 => self.length *= 2,
                _ => {}
            }
        }
        text.at = at;
        Ok(false)
    }
}

/// Where the whole lines end that come next, as many as fit in a piece; their last end may be that of the padding.
fn lines_end<R: Read>(text: &Text<R>) -> Option<usize> {
    let rest = &text.window()[text.at..];
    if text.is_whole() && (1..=LENGTH).contains(&rest.len()) {
        return Some(text.window().len() + usize::from(rest.last() != Some(&b'\n')));
    }
    let near = &rest[..rest.len().min(LENGTH)];
    let length = memchr::memrchr(b'\n', near).or_else(|| {
        let far = &rest[near.len()..rest.len().min(LENGTH_MAX)];
        memchr::memchr(b'\n', far).map(|length| near.len() + length)
    });
    length.map(|length| text.at + length + 1)
}

/// Takes in an item of a piece.
#[inline(always)]
fn push(
    structure: &Structure,
    piece: &[u8],
    value: Value,
    id_field: &IdField,
    builder: &mut Builder,
    place: u64,
) -> Result<(), super::error::Fault> {
    let Value { start, end, id, .. } = value;
    let out = builder.next();
    let out_start = out.len();
    let inner = id.map_or(start, |id| id.start);
    let before = structure.copy(piece, start..end, inner, out);
    let id = id.map(|id| Token {
        start: id.start - before,
        end: id.end - before,
    });
    let id = id_field.locate(Scanned { end, id }, &builder.next()[out_start..]);
    builder.push(out_start, id, place)
}
