//! Items of a piece of text, taken in by its structure.
//!
//! Whatever is not as it should be is left where it is, for the scanner to say what is wrong. A piece is so short that what
//! is known of its structure stays in a core's cache.

use std::io::Read;
use std::ops::Range;

use super::collection::Builder;
use super::error::{Fault, ParseError};
use super::id::IdField;
use super::scan::Scanned;
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
        let Some(end) = next_lines_end(text) else {
            return Ok(taken);
        };
        text.pad();
        let window = text.padded();
        let name = id_field.member().map(Name::new);
        let passed = self.pass_lines(window, at..end, name, |structure, piece, value, lines| {
            if taken.items == 0 {
                taken.start = at + value.start;
            }
            taken.items += 1;
            push(structure, piece, value, id_field, builder, line + lines + 1)
                .map_err(|fault| (at + value.start, fault))
        });
        let passed = passed.map_err(|(place, fault)| text.error_at(place, fault))?;
        taken.lines = passed.lines;
        text.at = (at + passed.length).min(text.window().len());
        Ok(taken)
    }

    /// Gives `item` the values of whole lines of a padded text: with the structure of their piece, its text, and how many
    /// line ends are before them. Ends before a line that is not as it should be.
    #[inline(always)]
    pub(super) fn pass_lines<E>(
        &mut self,
        text: &[u8],
        lines: Range<usize>,
        name: Option<Name<'_>>,
        mut item: impl FnMut(&Structure, &[u8], Value, u64) -> Result<(), E>,
    ) -> Result<Passed, E> {
        let mut passed = Passed::default();
        if !self.structure.find(text, lines.clone(), LineEnds::Count) {
            return Ok(passed);
        }
        let piece = &text[lines.start..];
        let mut walk = Walk::new(piece, &self.structure, name);
        loop {
            let (ends, next) = walk.line_ends();
            passed.lines += ends;
            if walk.is_at_end() {
                passed.length = lines.len();
                return Ok(passed);
            }
            if ends > 0 {
                passed.length = next;
            }
            match walk.value() {
                Some(value) if value.next_byte == b'\n' => item(&self.structure, piece, value, passed.lines)?,
                _ => return Ok(passed),
            }
        }
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
        let end = text.window().len();
        let name = id_field.member().map(Name::new);
        let passed = self.pass_elements(window, first..end, name, |structure, piece, value, at| {
            let place = text.place(at + value.start);
            push(structure, piece, value, id_field, builder, place).map_err(|fault| (at + value.start, fault))
        });
        let at = passed.map_err(|(place, fault)| text.error_at(place, fault))?;
        text.at = at;
        Ok(at > first && end - at < self.length)
    }

    /// Gives `item` the values of a padded text that are followed by a comma: with the structure of their piece, its text,
    /// and where it begins. Ends before what is not as it should be, or is not followed by a comma in the text; returns where.
    #[inline(always)]
    pub(super) fn pass_elements<E>(
        &mut self,
        text: &[u8],
        elements: Range<usize>,
        name: Option<Name<'_>>,
        mut item: impl FnMut(&Structure, &[u8], Value, usize) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut at = elements.start;
        loop {
            let end = elements.end.min(at + self.length);
            if at == end || !self.structure.find(text, at..end, LineEnds::AreBlank) {
                return Ok(at);
            }
            let piece = &text[at..];
            let mut walk = Walk::new(piece, &self.structure, name);
            let mut done = 0;
            while let Some(value) = walk.value() {
                if value.next_byte != b',' {
                    break;
                }
                item(&self.structure, piece, value, at)?;
                walk.pass();
                done = value.next + 1;
            }
            at += done;
            if end == elements.end {
                return Ok(at);
            }
            match done {
                // The item does not end in the piece.
                0 if self.length >= LENGTH_MAX => return Ok(at),
                0 => self.length *= 2,
                _ => {}
            }
        }
    }
}

/// How far whole lines were passed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    /// In bytes.
    pub(super) length: usize,
    pub(super) lines: u64,
}

/// The length of the whole lines that come next, as many as fit in a piece.
pub(super) fn lines_end(rest: &[u8]) -> Option<usize> {
    let near = &rest[..rest.len().min(LENGTH)];
    let length = memchr::memrchr(b'\n', near).or_else(|| {
        let far = &rest[near.len()..rest.len().min(LENGTH_MAX)];
        memchr::memchr(b'\n', far).map(|length| near.len() + length)
    });
    length.map(|length| length + 1)
}

/// Where in the window the whole lines end that come next; their last end may be that of the padding.
fn next_lines_end<R: Read>(text: &Text<R>) -> Option<usize> {
    let rest = &text.window()[text.at..];
    if text.is_whole() && (1..=LENGTH).contains(&rest.len()) {
        return Some(text.window().len() + usize::from(rest.last() != Some(&b'\n')));
    }
    lines_end(rest).map(|length| text.at + length)
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
) -> Result<(), Fault> {
    let out = builder.next();
    let out_start = out.len();
    let id = structure.copy_value(piece, value, out);
    let id = id_field.locate(Scanned { end: value.end, id }, &builder.next()[out_start..]);
    builder.push(out_start, id, place)
}
