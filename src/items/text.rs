//! Source text in chunks: what is at hand, and where it stands.

use std::io::{self, ErrorKind, Read};

use super::charset::Malformed;
use super::collection::Places;
use super::error::{DataError, Fault, ParseError};
use super::structure::PADDING;

/// How much is read at a time, in bytes.
const CHUNK: usize = 256 << 10;

/// How much of what is behind is kept for excerpts, in bytes.
pub(super) const HISTORY: usize = 512;

/// A place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Its line, from 1, and the characters before it on that line.
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A window of the source that moves on as it is read.
#[derive(Debug)]
pub(super) struct Text<R> {
    reader: R,
    /// Of what has been read, and padding behind it.
    buffer: Vec<u8>,
    filled: usize,
    is_whole: bool,
    /// What is to be looked at next; what is before it is history.
    pub(super) at: usize,
    /// The offset of the window in the source.
    base: u64,
    /// The line at the window's start, from 1, and the characters before the window on that line.
    line: u64,
    column: u64,
    /// A place in the source that is known to be on a line, to count on from.
    line_cursor: (u64, u64),
    /// The end of a part of the window that has lost its white space.
    squeezed: Option<Squeezed>,
    /// Why the reader gives no more than what is at hand.
    failure: Option<io::Error>,
}

/// Where in the window a part ends that has lost its white space.
#[derive(Clone, Copy, Debug)]
struct Squeezed {
    end: usize,
    /// Line ends that are gone.
    newlines: u64,
    /// Characters before the end on its line.
    column: u64,
}

impl Text<io::Empty> {
    /// Text that is whole: what is kept for excerpts, where that begins, and what follows it.
    pub(super) fn of(history: &[u8], start: Place, rest: &[u8]) -> Self {
        let mut text = Self::new(io::empty());
        text.resume(history, start, rest);
        text
    }
}

impl<R: Read> Text<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: vec![0; CHUNK + PADDING],
            filled: 0,
            is_whole: false,
            at: 0,
            base: 0,
            line: 1,
            column: 0,
            line_cursor: (0, 1),
            squeezed: None,
            failure: None,
        }
    }

    /// Hands over what is at hand and has not been passed, to be read by others, who read ahead: what is kept for excerpts and
    /// where that begins, and where the rest begins and the rest.
    pub(super) fn take(&mut self) -> (Vec<u8>, Place, Place, Vec<u8>) {
        self.forget(self.at.saturating_sub(HISTORY));
        let place = |index: usize| {
            let (line, column) = self.line_and_column(index);
            let offset = self.place(index);
            Place { offset, line, column }
        };
        let (start, next) = (place(0), place(self.at));
        let (history, rest) = self.window().split_at(self.at);
        (history.to_vec(), start, next, rest.to_vec())
    }

    /// Reads on, to `ahead`, until that has this length or there is no more.
    pub(super) fn read_ahead(&mut self, ahead: &mut Vec<u8>, length: usize) {
        let mut filled = ahead.len();
        ahead.resize(filled.max(length), 0);
        while !self.is_whole && self.failure.is_none() && filled < length {
            match self.reader.read(&mut ahead[filled..]) {
                Ok(0) => self.is_whole = true,
                Ok(length) => filled += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What comes before it is looked at first.
                Err(error) => self.failure = Some(error),
            }
        }
        ahead.truncate(filled);
    }

    /// Goes on with what others have left of what they read ahead.
    pub(super) fn resume(&mut self, history: &[u8], start: Place, rest: &[u8]) {
        let filled = history.len() + rest.len();
        self.buffer.clear();
        self.buffer.reserve_exact((filled + PADDING).max(CHUNK));
        self.buffer.extend_from_slice(history);
        self.buffer.extend_from_slice(rest);
        self.buffer.resize((filled + PADDING).max(CHUNK), 0);
        self.filled = filled;
        self.at = history.len();
        self.base = start.offset;
        (self.line, self.column) = (start.line, start.column);
        self.line_cursor = (start.offset, start.line);
        self.squeezed = None;
    }

    /// What is at hand, history included.
    pub(super) fn window(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Makes padding of what is behind the window: a line end, and zeros.
    pub(super) fn pad(&mut self) {
        let padding = &mut self.buffer[self.filled..self.filled + PADDING];
        padding.fill(0);
        padding[0] = b'\n';
    }

    /// The window and its padding.
    pub(super) fn padded(&self) -> &[u8] {
        &self.buffer[..self.filled + PADDING]
    }

    /// Whether nothing comes after the window.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// A place in the source, of an index into the window.
    pub(super) fn place(&self, index: usize) -> u64 {
        self.base + index as u64
    }

    /// Lets go of what is behind and reads on. Indexes into the window move, and `at` with them.
    ///
    /// As much is read as is kept, at least: a value that spans many chunks is scanned again a few times only.
    pub(super) fn read_on(&mut self) -> Result<(), ParseError> {
        self.forget(self.at.saturating_sub(HISTORY));
        let wanted = self.filled + self.filled.max(CHUNK / 2) + PADDING;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        if let Some(error) = self.failure.take() {
            return Err(self.failed(error));
        }
        let room = self.buffer.len() - PADDING;
        while !self.is_whole && self.filled < room {
            match self.reader.read(&mut self.buffer[self.filled..room]) {
                Ok(0) => self.is_whole = true,
                Ok(length) => self.filled += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    /// What cannot be decoded is a fault of the data, at the end of what could be.
    fn failed(&self, error: io::Error) -> ParseError {
        match Malformed::of(&error) {
            Some(Malformed(charset)) => {
                let message = format!("not {charset}, which --charset names");
                self.error_at(self.filled, Fault::Charset(message)).into()
            }
            None => error.into(),
        }
    }

    /// The line and column, from 1, of an index into the window.
    pub(super) fn position(&self, index: usize) -> (u64, u64) {
        let (line, column) = self.line_and_column(index);
        (line, column + 1)
    }

    /// Takes the white space out of the value that begins at `at`, as far as it is at hand, if that is much. A value may
    /// be mostly white space, which is not to be kept until its end is seen.
    pub(super) fn squeeze(&mut self) {
        const LENGTH_MIN: usize = 1 << 20;
        if self.filled - self.at < LENGTH_MIN {
            return;
        }
        let (line, column) = self.line_and_column(self.filled);
        let kept = without_white_space(&mut self.buffer[self.at..self.filled]);
        self.filled = self.at + kept;
        self.squeezed = Some(Squeezed {
            end: self.filled,
            newlines: line - self.line - newlines(&self.buffer[..self.filled]),
            column,
        });
    }

    fn forget(&mut self, length: usize) {
        (self.line, self.column) = self.line_and_column(length);
        self.squeezed = self.squeezed.and_then(|squeezed| {
            let end = squeezed.end.checked_sub(length).filter(|end| *end > 0)?;
            Some(Squeezed { end, ..squeezed })
        });
        self.buffer.copy_within(length..self.filled, 0);
        self.filled -= length;
        self.at -= length;
        self.base += length as u64;
    }

    fn line_and_column(&self, index: usize) -> (u64, u64) {
        let before = &self.window()[..index];
        let (start, line, column) = match self.squeezed {
            Some(Squeezed {
                end,
                newlines: lost,
                column,
            }) if end <= index => (end, self.line + newlines(&before[..end]) + lost, column),
            _ => (0, self.line, self.column),
        };
        let rest = &before[start..];
        match memchr::memrchr(b'\n', rest) {
            Some(newline) => (line + newlines(rest), characters(&rest[newline + 1..])),
            None => (line, column + characters(rest)),
        }
    }

    /// The error for a fault at an index into the window.
    pub(super) fn error_at(&self, index: usize, fault: Fault) -> DataError {
        let (line, column) = self.line_and_column(index);
        let (before, after) = self.window().split_at(index);
        let before = &before[memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1)..];
        let after = &after[..memchr::memchr2(b'\n', b'\r', after).unwrap_or(after.len()).min(HISTORY)];
        DataError::new(fault, line, column + 1, before, after)
    }

    /// The error for a fault of what begins on a line that is in the window.
    pub(super) fn error_on_line(&self, line: u64, fault: Fault) -> DataError {
        let lines_before = (line - self.line) as usize;
        let window = self.window();
        let start = match lines_before {
            0 => 0,
            number => memchr::memchr_iter(b'\n', window)
                .nth(number - 1)
                .map_or(0, |newline| newline + 1),
        };
        let blanks = window[start..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
            .count();
        self.error_at(start + blanks, fault)
    }

    /// Passes a byte order mark at the start.
    pub(super) fn skip_byte_order_mark(&mut self) {
        if self.window().starts_with(b"\xef\xbb\xbf") {
            // Not a character of the first line.
            self.buffer.copy_within(3..self.filled, 0);
            self.filled -= 3;
        }
    }
}

impl<R: Read> Places for Text<R> {
    fn line(&mut self, place: u64) -> u64 {
        let (from, line) = self.line_cursor;
        // What was let go of in between was counted then.
        let (from, line) = if from < self.base {
            (self.base, self.line)
        } else {
            (from, line)
        };
        let range = (from - self.base) as usize..(place - self.base) as usize;
        let lost = self
            .squeezed
            .filter(|squeezed| range.start < squeezed.end && squeezed.end <= range.end);
        let line = line + newlines(&self.window()[range]) + lost.map_or(0, |squeezed| squeezed.newlines);
        self.line_cursor = (place, line);
        line
    }

    fn error(&self, place: u64, fault: Fault) -> DataError {
        self.error_at((place - self.base) as usize, fault)
    }

    fn passed(&self) -> Option<u64> {
        Some(self.place(self.at))
    }
}

/// Moves what is no white space, or is within a string, to the start of `text`, which begins with a value of JSON or with a
/// part of one; returns its length.
fn without_white_space(text: &mut [u8]) -> usize {
    let mut kept = 0;
    let mut at = 0;
    let mut in_string = false;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if !in_string && matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            continue;
        }
        text[kept] = byte;
        kept += 1;
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string && at < text.len() => {
                text[kept] = text[at];
                kept += 1;
                at += 1;
            }
            _ => {}
        }
    }
    kept
}

fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

/// Bytes that begin a character.
pub(super) fn characters(text: &[u8]) -> u64 {
    // Counted in single bytes as far as those go, many at once: a source of one line is counted whole.
    let of_some = |some: &[u8]| some.iter().map(|&byte| u8::from(byte & 0xc0 != 0x80)).sum::<u8>();
    text.chunks(u8::MAX as usize).map(|some| u64::from(of_some(some))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_from_between_tokens_and_stays_in_strings() {
        for (text, kept) in [
            (" [ 1 , 2\n]\t", "[1,2]"),
            (r#"{ "a b" : "c \" d" , "e\\" : 1 }"#, r#"{"a b":"c \" d","e\\":1}"#),
            (r#"{ "cut \"#, r#"{"cut \"#),
            ("", ""),
        ] {
            let mut text = text.as_bytes().to_vec();
            let length = without_white_space(&mut text);
            assert_eq!(String::from_utf8_lossy(&text[..length]), kept);
        }
    }

    #[test]
    fn places_are_the_sources_after_white_space_is_gone() {
        let blank = format!("{}\n{}", " ".repeat(700_000), "\n".repeat(700_000));
        let source = format!("[\n{{\"a\":{blank}  1}},\n{{\"b\":{blank}     2, ?");
        let mut text = Text::new(source.as_bytes());
        let mut lines = Vec::new();
        text.read_on().unwrap();
        text.at = 2;
        for _ in 0..2 {
            let start = text.at;
            lines.push(text.line(text.place(start)));
            while !text.window()[text.at..].contains(&b'}') && !text.is_whole() {
                text.squeeze();
                text.read_on().unwrap();
            }
            let rest = &text.window()[text.at..];
            text.at += rest.iter().position(|byte| *byte == b'}').map_or(0, |end| end + 3);
        }
        assert_eq!(lines, [2, 700_004]);
        assert!(text.window().len() < 3 << 20, "{}", text.window().len());
        let place = memchr::memchr(b'?', text.window()).unwrap();
        let error = text.error_at(place, Fault::Empty);
        assert_eq!((error.line(), error.column()), (1_400_005, 9));
    }
}
