//! Newline-delimited JSON: one value a line, blank lines passed over.

use std::io::Read;
use std::ops::Range;

use super::collection::{Builder, Collection, Places};
use super::error::{DataError, Fault, Found, ParseError};
use super::id::IdField;
use super::parts::{self, Separator};
use super::pieces::{Pieces, Taken};
use super::scan::{ScanError, scan};
use super::text::Text;
use super::walk::Survey;
use super::{ParseOptions, Told};

pub(super) fn parse(input: impl Read, told: Told, options: &ParseOptions) -> Result<Collection, ParseError> {
    let mut text = Text::new(input);
    text.read_on()?;
    text.skip_byte_order_mark();
    let mut builder = Builder::new(options);
    let id_field = IdField::of(options);
    let first = match read_lines(&mut text, &id_field, &mut builder, options) {
        Ok(first) => first,
        Err(error) => return Err(builder.index_before(error, &mut Lines(&text))),
    };
    match first {
        None => return Err(text.error_at(text.at, Fault::Empty).into()),
        Some((place, 1)) => {
            if let Some(fault) = no_item(&mut builder, told) {
                return Err(place.with(fault).into());
            }
        }
        Some(_) => {}
    }
    Ok(builder.finish())
}

/// Takes in all lines. Returns the place of the first item, in case that it is none, and how many items there are.
fn read_lines<R: Read>(
    text: &mut Text<R>,
    id_field: &IdField,
    builder: &mut Builder,
    options: &ParseOptions,
) -> Result<Option<(DataError, u64)>, ParseError> {
    let mut pieces = Pieces::new(options.way);
    let mut line = 0;
    let mut count = 0_u64;
    let mut first = None;
    let mut has_parts = false;
    loop {
        // Whole lines are parsed where they stand; the part of a line at the window's end waits for more.
        loop {
            let Taken { lines, items, start } = pieces.lines(text, line, id_field, builder)?;
            line += lines;
            if count == 0 && items > 0 {
                first = Some(text.error_at(start, Fault::Empty));
            }
            count += items;
            if lines > 0 {
                continue;
            }
            let Some(length) = line_length(text) else { break };
            let start = text.at;
            line += 1;
            let out_start = builder.next().len();
            let is_item = match parse_line(text, start..start + length, line, id_field, builder) {
                Err(ParseError::Data(error)) => {
                    builder.pass_over(out_start, error)?;
                    // It was meant to be one.
                    true
                }
                parsed => parsed?,
            };
            if is_item {
                count += 1;
                if count == 1 {
                    first = Some(text.error_at(start, Fault::Empty));
                }
            }
            text.at = (start + length + 1).min(text.window().len());
        }
        builder.index(&mut Lines(text))?;
        if count > 1 && !has_parts {
            has_parts = true;
            let taken = parts::read(text, Separator::Line, id_field, builder, options)?;
            line += taken.lines;
            count += taken.items;
            // What they have left is at hand, and may be all that there is.
            continue;
        }
        if text.is_whole() {
            break;
        }
        check_part(text, builder)?;
        text.squeeze();
        let kept = text.window().len() - text.at;
        builder
            .check_value(kept)
            .map_err(|fault| text.error_at(text.at, fault))?;
        text.read_on()?;
    }
    Ok(first.map(|place| (place, count)))
}

/// Why the only value of a source is hardly meant to be its only item.
fn no_item(builder: &mut Builder, told: Told) -> Option<Fault> {
    let has_id = builder.has_ids();
    let [b'[', item @ .., b','] = &builder.next()[..] else {
        return None;
    };
    match (told, item.first()) {
        (Told::Given(_), _) => None,
        (_, Some(b'[')) => Some(Fault::OneArray),
        (Told::ByData, Some(b'{')) if !has_id => {
            let mut survey = Survey::default();
            survey.look(item, "");
            Some(Fault::NotAnArray {
                found: "an object",
                ways: survey.ways(),
                a_line: true,
            })
        }
        _ => None,
    }
}

/// Refuses a line whose end is not at hand for what there is of it: one without an end may be all of the source.
fn check_part<R: Read>(text: &Text<R>, builder: &mut Builder) -> Result<(), ParseError> {
    const LENGTH_MIN: usize = 64 << 10;
    let part = &text.window()[text.at..];
    if part.len() < LENGTH_MIN {
        return Ok(());
    }
    let Some(blanks) = part.iter().position(|byte| !is_blank(byte)) else {
        return Ok(());
    };
    let out = builder.next();
    let out_start = out.len();
    let scanned = scan(text.window(), text.at + blanks, false, None, out);
    out.truncate(out_start);
    match scanned {
        Err(ScanError::At(at, fault)) => Err(text.error_at(at, fault).into()),
        Err(ScanError::Incomplete) => Ok(()),
        Ok(scanned) => match text.window()[scanned.end..].iter().position(|byte| !is_blank(byte)) {
            Some(more) => Err(text.error_at(scanned.end + more, Fault::SeveralOnALine).into()),
            None => Ok(()),
        },
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// The length of the next line, without its end; `None` if it is not at hand.
fn line_length<R: Read>(text: &Text<R>) -> Option<usize> {
    let rest = &text.window()[text.at..];
    memchr::memchr(b'\n', rest).or_else(|| (text.is_whole() && !rest.is_empty()).then_some(rest.len()))
}

/// Places are lines: they need not be counted a second time.
struct Lines<'a, R>(&'a Text<R>);

impl<R: Read> Places for Lines<'_, R> {
    fn line(&mut self, place: u64) -> u64 {
        place
    }

    fn error(&self, place: u64, fault: Fault) -> DataError {
        self.0.error_on_line(place, fault)
    }

    fn passed(&self) -> Option<u64> {
        self.0.passed()
    }
}

/// Parses one line; says whether it held an item.
fn parse_line<R: Read>(
    text: &Text<R>,
    range: Range<usize>,
    number: u64,
    id_field: &IdField,
    builder: &mut Builder,
) -> Result<bool, ParseError> {
    let Range { start, end } = range;
    let line = &text.window()[..end];
    let Some(blanks) = line[start..].iter().position(|byte| !is_blank(byte)) else {
        return Ok(false);
    };
    let start = start + blanks;
    let out = builder.next();
    let out_start = out.len();
    let scanned = match scan(line, start, true, id_field.member(), out) {
        Ok(scanned) => scanned,
        Err(ScanError::At(at, Fault::Syntax { found: Found::End, .. })) => {
            return Err(text.error_at(at, Fault::AcrossLines).into());
        }
        Err(ScanError::At(at, fault)) => return Err(text.error_at(at, fault).into()),
        Err(ScanError::Incomplete) => unreachable!("a whole line has no more to come"),
    };
    if let Some(more) = line[scanned.end..].iter().position(|byte| !is_blank(byte)) {
        return Err(text.error_at(scanned.end + more, Fault::SeveralOnALine).into());
    }
    let id = id_field.locate(scanned, &builder.next()[out_start..]);
    builder
        .push(out_start, id, number)
        .map_err(|fault| text.error_at(start, fault))?;
    Ok(true)
}
