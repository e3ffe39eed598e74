//! The scanner: decides what is valid JSON (RFC 8259), copies it without insignificant white space, and notes where the
//! id stands.
//!
//! One pass over the bytes, no allocation, no recursion. Strings are passed eight bytes at a time; what holds no white
//! space is copied in one piece.

use super::error::{Fault, Found};

/// Arrays and objects of an item within each other: more are refused.
pub const DEPTH_MAX: u32 = 128;

/// One scanned value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Where the value ends in the text.
    pub(super) end: usize,
    /// Where the id's token stands in what was copied, if the value is an object that has one.
    pub(super) id: Option<Token>,
}

/// A token's place, from the start of what was copied of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Why a value could not be scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScanError {
    /// The text ended within the value, and more may come.
    Incomplete,
    /// The value is not valid.
    At(usize, Fault),
}

/// Scans the value that begins at `start`, which is not white space, and appends its minified text to `out`.
///
/// `is_whole` says that nothing comes after `text`. `id_field` is the name of the member to note, `None` for none. After
/// an error `out` may hold a part of the value.
pub(super) fn scan(
    text: &[u8],
    start: usize,
    is_whole: bool,
    id_field: Option<&str>,
    out: &mut Vec<u8>,
) -> Result<Scanned, ScanError> {
    let out_start = out.len();
    let mut scanner = Scanner {
        text,
        at: start,
        copied: start,
        is_whole,
        id_field,
        out,
        out_start,
        objects: 0,
        depth: 0,
        id: None,
    };
    scanner.value()?;
    let Scanner {
        at: end, copied, id, ..
    } = scanner;
    out.extend_from_slice(&text[copied..end]);
    // Bytes above 0x7f are passed within strings only, so this is the one thing left to look at.
    if !text[start..end].is_ascii()
        && let Err(error) = simdutf8::compat::from_utf8(&text[start..end])
    {
        return Err(ScanError::At(start + error.valid_up_to(), Fault::Utf8));
    }
    Ok(Scanned { end, id })
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// What is before this has been copied, or is white space.
    copied: usize,
    is_whole: bool,
    id_field: Option<&'a str>,
    out: &'a mut Vec<u8>,
    out_start: usize,
    /// A bit for each open array (0) or object (1), the innermost lowest.
    objects: u128,
    depth: u32,
    id: Option<Token>,
}

type Scan<T> = Result<T, ScanError>;

impl Scanner<'_> {
    fn value(&mut self) -> Scan<()> {
        'value: loop {
            match self.peek("a value")? {
                b'{' => {
                    self.open(1)?;
                    if self.skip_white_space("a member or `}`")? == b'}' {
                        self.close();
                    } else {
                        self.member()?;
                        continue 'value;
                    }
                }
                b'[' => {
                    self.open(0)?;
                    if self.skip_white_space("a value or `]`")? == b']' {
                        self.close();
                    } else {
                        continue 'value;
                    }
                }
                b'"' => drop(self.string()?),
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                _ => return Err(self.unexpected("a value")),
            }
            // A value has ended: close what it is the last of, or go on to its neighbour.
            loop {
                if self.depth == 0 {
                    return Ok(());
                }
                let in_object = self.objects & 1 == 1;
                let expected = if in_object { "`,` or `}`" } else { "`,` or `]`" };
                match self.skip_white_space(expected)? {
                    b',' => {
                        self.at += 1;
                        self.skip_white_space(if in_object { "a member" } else { "a value" })?;
                        if in_object {
                            self.member()?;
                        }
                        continue 'value;
                    }
                    b'}' if in_object => self.close(),
                    b']' if !in_object => self.close(),
                    _ => return Err(self.unexpected(expected)),
                }
            }
        }
    }

    /// Passes a member's name and colon; its value is next. A scalar id is noted whole, since it is scanned here.
    fn member(&mut self) -> Scan<()> {
        if self.text[self.at] != b'"' {
            return Err(self.unexpected("a member's name in quotes"));
        }
        let name_start = self.at + 1;
        let has_escapes = self.string()?;
        let name = &self.text[name_start..self.at - 1];
        let is_id = self.depth == 1 && self.id_field.is_some_and(|field| names(name, has_escapes, field));
        if self.skip_white_space("`:`")? != b':' {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        self.skip_white_space("a value")?;
        if is_id {
            self.id()?;
        }
        Ok(())
    }

    /// Notes the id's token without passing it: a look ahead, so that the main loop has no case for it.
    fn id(&mut self) -> Scan<()> {
        let at = self.at;
        match self.text[at] {
            b'"' => drop(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            // An id that is none: its first byte tells what it is.
            _ => self.at += 1,
        }
        let start = self.out.len() + (at - self.copied) - self.out_start;
        self.id = Some(Token {
            start,
            end: start + (self.at - at),
        });
        self.at = at;
        Ok(())
    }

    fn open(&mut self, object: u128) -> Scan<()> {
        if self.depth == DEPTH_MAX {
            return Err(ScanError::At(self.at, Fault::Depth));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | object;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        self.at += 1;
    }

    /// Passes a string; says whether it holds escapes.
    #[inline]
    fn string(&mut self) -> Scan<bool> {
        self.at = plain_end(self.text, self.at + 1);
        if self.text.get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(false);
        }
        self.rest_of_string()
    }

    /// Passes the rest of a string that holds more than plain characters.
    fn rest_of_string(&mut self) -> Scan<bool> {
        let mut has_escapes = false;
        loop {
            match self.text.get(self.at) {
                None => return Err(self.ended("the end of a string")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                Some(&control) => return Err(ScanError::At(self.at, Fault::ControlCharacter(control))),
            }
            self.at = plain_end(self.text, self.at);
        }
    }

    fn escape(&mut self) -> Scan<()> {
        let start = self.at;
        match self.text.get(start + 1) {
            None => return Err(self.ended("an escape")),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                return Ok(());
            }
            Some(b'u') => {}
            Some(_) => return Err(ScanError::At(start, Fault::Escape)),
        }
        match self.code_unit(start)? {
            0xd800..=0xdbff => {
                let low = start + 6;
                match (self.text.get(low), self.text.get(low + 1)) {
                    (Some(b'\\'), Some(b'u')) => {}
                    (None, _) | (Some(b'\\'), None) if !self.is_whole => return Err(ScanError::Incomplete),
                    _ => return Err(ScanError::At(start, Fault::LoneSurrogate)),
                }
                if !matches!(self.code_unit(low)?, 0xdc00..=0xdfff) {
                    return Err(ScanError::At(start, Fault::LoneSurrogate));
                }
                self.at = low + 6;
            }
            0xdc00..=0xdfff => return Err(ScanError::At(start, Fault::LoneSurrogate)),
            _ => self.at = start + 6,
        }
        Ok(())
    }

    /// Reads the four digits of the `\u` escape at `start`.
    fn code_unit(&self, start: usize) -> Scan<u32> {
        let mut unit = 0;
        for at in start + 2..start + 6 {
            let Some(&digit) = self.text.get(at) else {
                return Err(self.ended("four hexadecimal digits"));
            };
            let Some(value) = char::from(digit).to_digit(16) else {
                return Err(ScanError::At(start, Fault::Escape));
            };
            unit = unit << 4 | value;
        }
        Ok(unit)
    }

    /// Passes a number: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    fn number(&mut self) -> Scan<()> {
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        // The last byte at hand may not be the number's last.
        if self.at == self.text.len() && !self.is_whole {
            Err(ScanError::Incomplete)
        } else {
            Ok(())
        }
    }

    fn digits(&mut self) -> Scan<()> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match self.at == start {
            true if self.at == self.text.len() => Err(self.ended("a digit")),
            true => Err(self.unexpected("a digit")),
            false => Ok(()),
        }
    }

    fn literal(&mut self, literal: &'static [u8]) -> Scan<()> {
        let rest = &self.text[self.at..];
        if rest.starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        let same = rest.iter().zip(literal).take_while(|(a, b)| a == b).count();
        if same == rest.len() && !self.is_whole {
            return Err(ScanError::Incomplete);
        }
        // Named by its start: `nul` and `True` are one mistake, not a mistake at the fourth letter.
        Err(self.unexpected("a value"))
    }

    /// Passes white space, which is not copied, and shows the byte after it.
    #[inline]
    fn skip_white_space(&mut self, expected: &'static str) -> Scan<u8> {
        match self.text.get(self.at) {
            Some(b' ' | b'\n' | b'\r' | b'\t') => {
                self.out.extend_from_slice(&self.text[self.copied..self.at]);
                while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
                    self.at += 1;
                }
                self.copied = self.at;
                self.peek(expected)
            }
            Some(&byte) => Ok(byte),
            None => Err(self.ended(expected)),
        }
    }

    #[inline]
    fn peek(&self, expected: &'static str) -> Scan<u8> {
        self.text.get(self.at).copied().ok_or_else(|| self.ended(expected))
    }

    #[cold]
    fn ended(&self, expected: &'static str) -> ScanError {
        if self.is_whole {
            ScanError::At(
                self.text.len(),
                Fault::Syntax {
                    expected,
                    found: Found::End,
                },
            )
        } else {
            ScanError::Incomplete
        }
    }

    #[cold]
    fn unexpected(&self, expected: &'static str) -> ScanError {
        ScanError::At(
            self.at,
            Fault::Syntax {
                expected,
                found: Found::Byte(self.text[self.at]),
            },
        )
    }
}

/// The place of the next quote, backslash or control character, or the end.
#[inline]
fn plain_end(text: &[u8], start: usize) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = start;
    // Eight bytes at a time, after "Determine if a word has a byte less than n" and "has a zero byte" of Anderson's
    // "Bit Twiddling Hacks": the lowest byte that is marked is marked rightly.
    while let Some(&word) = text[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(word);
        let quote = word ^ (LOW * 0x22);
        let backslash = word ^ (LOW * 0x5c);
        let below = (quote.wrapping_sub(LOW) & !quote)
            | (backslash.wrapping_sub(LOW) & !backslash)
            | (word.wrapping_sub(LOW * 0x20) & !word);
        let marked = below & HIGH;
        if marked != 0 {
            return at + (marked.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let tail = &text[at..];
    at + tail
        .iter()
        .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
        .unwrap_or(tail.len())
}

/// Whether a member's name, as it is written, is `field`. `"\u0069d"` is `id` too.
fn names(written: &[u8], has_escapes: bool, field: &str) -> bool {
    if !has_escapes {
        return written == field.as_bytes();
    }
    decode(&[b"\"", written, b"\""].concat()) == field
}

/// The text of a string token that the scanner has passed.
///
/// simd-json reads it: the scanner has seen to it that nothing in it can be refused.
pub(super) fn decode(token: &[u8]) -> String {
    let mut token = token.to_vec();
    simd_json::serde::from_slice(&mut token).unwrap_or_default()
}

/// Whether `text` is a number of JSON, for formats that have no types of their own.
pub(super) fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let mut rest = match (digits(rest), rest) {
        (0, _) => return false,
        (1, _) | (_, [b'1'..=b'9', ..]) => &rest[digits(rest)..],
        _ => return false,
    };
    if let [b'.', fraction @ ..] = rest {
        match digits(fraction) {
            0 => return false,
            length => rest = &fraction[length..],
        }
    }
    if let [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] = rest {
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests;
