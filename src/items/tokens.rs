//! The second of two stages of reading JSON: from token to token through a value, as its grammar has it.
//!
//! Input is the [structure](super::structure) of a piece of text. Output is where the next value ends and where its id
//! stands, or nothing: then the [scanner](super::scan) decides, which knows what is wrong. What passes here passes there.

#![allow(unsafe_code)] // Places that the structure knows are read without asking whether they are there: see `Walk::byte`.

use super::scan::{DEPTH_MAX, Token, decode};
use super::structure::Structure;

/// A value that has been passed. Places are counted from the piece's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The id's token, if the value is an object that has one.
    pub(super) id: Option<Token>,
    /// Where the token after the value stands, and its first byte.
    pub(super) next: usize,
    pub(super) next_byte: u8,
}

/// The name of the member that is an item's id, in a form that is quick to compare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    text: &'a [u8],
    /// The first bytes of the name and its quotes, and which of the eight count.
    start: u64,
    mask: u64,
    /// Whether those are all.
    is_short: bool,
}

impl<'a> Name<'a> {
    /// No member's.
    const NONE: Self = Self {
        text: b"",
        start: 0,
        mask: u64::MAX,
        is_short: true,
    };

    pub(super) fn new(name: &'a str) -> Self {
        let mut start = [0; 8];
        let quoted = std::iter::once(b'"').chain(name.bytes()).chain([b'"']);
        let length = start.iter_mut().zip(quoted).map(|(to, byte)| *to = byte).count();
        // With an escape only can these be written, and no name begins with 0.
        let is_escaped = name.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'));
        let (start, length) = if is_escaped { ([0; 8], 8) } else { (start, length) };
        Self {
            text: name.as_bytes(),
            start: u64::from_le_bytes(start),
            mask: u64::MAX >> (8 * (8 - length)),
            is_short: name.len() + 2 <= 8,
        }
    }
}

/// A walk along the tokens of a piece.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    text: &'a [u8],
    tokens: &'a [u32],
    /// The number of the next token.
    at: usize,
    name: Name<'a>,
    has_escapes: bool,
}

impl<'a> Walk<'a> {
    /// `text` begins with the piece that `structure` is of, and ends with its padding.
    pub(super) fn new(text: &'a [u8], structure: &'a Structure, name: Option<Name<'a>>) -> Self {
        let tokens = structure.tokens();
        assert!(text.len() == structure.reach() && text.last() == Some(&0));
        assert!(tokens.last().is_some_and(|&last| last as usize == text.len() - 1));
        Self {
            text,
            tokens,
            at: 0,
            name: name.unwrap_or(Name::NONE),
            has_escapes: structure.has_escapes(),
        }
    }

    /// Passes line ends; says how many, and where what is behind them begins.
    #[inline]
    pub(super) fn line_ends(&mut self) -> (u64, usize) {
        let mut count = 0;
        let mut behind = 0;
        while let (place, b'\n') = self.peek() {
            self.at += 1;
            count += 1;
            behind = place + 1;
        }
        (count, behind)
    }

    /// Passes the token after a value.
    #[inline]
    pub(super) fn pass(&mut self) {
        if !self.is_at_end() {
            self.at += 1;
        }
    }

    /// The place and the first byte of the next token. Of the last one, in the padding, the byte is 0.
    #[inline(always)]
    pub(super) fn peek(&self) -> (usize, u8) {
        self.token(self.at)
    }

    /// The place and the first byte of token number `at`. Whoever has seen a byte that is not 0 may look at the next one.
    #[inline(always)]
    fn token(&self, at: usize) -> (usize, u8) {
        debug_assert!(at < self.tokens.len());
        // SAFETY: nobody goes on behind the last one, of which the byte is 0.
        let place = unsafe { *self.tokens.get_unchecked(at) } as usize;
        (place, self.byte(place))
    }

    /// A byte of the text: of a token, or one behind it with nothing but other bytes than 0 in between.
    #[inline(always)]
    fn byte(&self, place: usize) -> u8 {
        debug_assert!(place < self.text.len());
        // SAFETY: tokens are within the text, and it ends with a 0, at which whoever reads on stops.
        unsafe { *self.text.get_unchecked(place) }
    }

    /// Whether all tokens have been passed, but for the one in the padding.
    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.at + 1 >= self.tokens.len()
    }

    /// Passes the value that begins at the next token, and shows the token after it. After a value that is none, nothing
    /// comes any more.
    #[inline]
    pub(super) fn value(&mut self) -> Option<Value> {
        let last = self.tokens.len() - 1;
        match self.value_from(self.at) {
            Some((value, at)) => {
                self.at = at;
                Some(value)
            }
            None => {
                self.at = last;
                None
            }
        }
    }

    /// The value that begins at token number `first`, and the number of the token after it. The number is at hand in a
    /// register all the way: nobody else sees it.
    #[inline(always)]
    fn value_from(&self, first: usize) -> Option<(Value, usize)> {
        let mut at = first;
        let mut id = None;
        // A bit for each open array (0) or object (1), the innermost lowest; of those around the innermost.
        let mut objects = 0_u128;
        let mut depth = 0;
        let mut in_object = false;
        'value: loop {
            let (place, byte) = self.token(at);
            at += 1;
            // The commonest first, each by one comparison.
            match byte {
                b'"' => {}
                _ if byte.wrapping_sub(b'-') <= b'9' - b'-' => self.number(place, byte)?,
                b'{' | b'[' if depth < DEPTH_MAX => {
                    // The closing one is two further on in ASCII.
                    if self.token(at).1 == byte + 2 {
                        at += 1;
                    } else {
                        depth += 1;
                        objects = objects << 1 | u128::from(in_object);
                        in_object = byte == b'{';
                        if in_object {
                            self.member(at, depth, &mut id)?;
                            at += 2;
                        }
                        continue 'value;
                    }
                }
                b't' => self.literal(place, b"true")?,
                b'f' => self.literal(place + 1, b"alse")?,
                b'n' => self.literal(place, b"null")?,
                _ => return None,
            }
            // A value has ended: close what it is the last of, or go on to its neighbour.
            loop {
                if depth == 0 {
                    return Some((self.ended(self.token(first).0, at, id), at));
                }
                let byte = self.token(at).1;
                at += 1;
                if byte == b',' {
                    if in_object {
                        self.member(at, depth, &mut id)?;
                        at += 2;
                    }
                    continue 'value;
                }
                if byte != if in_object { b'}' } else { b']' } {
                    return None;
                }
                depth -= 1;
                in_object = objects & 1 == 1;
                objects >>= 1;
            }
        }
    }

    #[inline(always)]
    fn ended(&self, start: usize, at: usize, id: Option<Token>) -> Value {
        let (next, next_byte) = self.token(at);
        Value {
            start,
            end: self.token_end(next),
            id,
            next,
            next_byte,
        }
    }

    /// The end of what stands before the next token.
    #[inline(always)]
    fn token_end(&self, next: usize) -> usize {
        let mut end = next;
        while matches!(self.byte(end - 1), b' ' | b'\t' | b'\n' | b'\r') {
            end -= 1;
        }
        end
    }

    /// Sees to it that a member's name and a colon are the tokens from number `at` on; notes its value if that is the id.
    #[inline(always)]
    fn member(&self, at: usize, depth: u32, id: &mut Option<Token>) -> Option<()> {
        let (place, byte) = self.token(at);
        if byte != b'"' || self.token(at + 1).1 != b':' {
            return None;
        }
        if depth == 1
            && self.is_named(place)
            && let Some(token) = self.id_at(at + 2)
        {
            *id = Some(token);
        }
        Some(())
    }

    /// Whether the string at `place` is the name.
    #[inline(always)]
    fn is_named(&self, place: usize) -> bool {
        let name = &self.name;
        debug_assert!(place + 8 <= self.text.len());
        let start = self.text.as_ptr().wrapping_add(place).cast::<u64>();
        // SAFETY: behind a token is the padding, or more text.
        let start = u64::from_le(unsafe { start.read_unaligned() });
        if (start ^ name.start) & name.mask == 0 {
            let rest = &self.text[place + 1..];
            return name.is_short || (rest.starts_with(name.text) && rest.get(name.text.len()) == Some(&b'"'));
        }
        self.has_escapes && self.is_named_by_escapes(place)
    }

    /// As [`Walk::is_named`], of a name that is written with escapes.
    #[cold]
    #[inline(never)]
    fn is_named_by_escapes(&self, place: usize) -> bool {
        let rest = &self.text[place..];
        let Some(first) = rest[1..].iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
            return false;
        };
        if rest[1 + first] == b'"' {
            return false;
        }
        let mut end = 1 + first;
        while rest[end] != b'"' {
            end += if rest[end] == b'\\' { 2 } else { 1 };
        }
        decode(&rest[..=end]).as_bytes() == self.name.text
    }

    /// The token number `at` as an id. What cannot be one is noted by its first byte.
    #[inline]
    fn id_at(&self, at: usize) -> Option<Token> {
        let (start, byte) = self.token(at);
        let end = match byte {
            // The padding: there is no value.
            0 => return None,
            b'"' | b'-' | b'0'..=b'9' => self.token_end(self.token(at + 1).0),
            _ => start + 1,
        };
        Some(Token { start, end })
    }

    /// Whether a number of JSON is all that stands at `place`.
    #[inline(always)]
    fn number(&self, place: usize, first: u8) -> Option<()> {
        let mut at = place;
        let mut byte = first;
        if byte == b'-' {
            at += 1;
            byte = self.byte(at);
        }
        match byte {
            b'0' => {
                at += 1;
                byte = self.byte(at);
            }
            b'1'..=b'9' => (at, byte) = self.digits(at),
            _ => return None,
        }
        if byte == b'.' {
            at += 1;
            if !self.byte(at).is_ascii_digit() {
                return None;
            }
            (at, byte) = self.digits(at);
        }
        if byte | 0x20 == b'e' {
            at += 1;
            if let b'+' | b'-' = self.byte(at) {
                at += 1;
            }
            if !self.byte(at).is_ascii_digit() {
                return None;
            }
            (_, byte) = self.digits(at);
        }
        ends_scalar(byte).then_some(())
    }

    /// Passes the digit at `at` and those behind it.
    #[inline(always)]
    fn digits(&self, at: usize) -> (usize, u8) {
        let mut at = at + 1;
        loop {
            let byte = self.byte(at);
            if !byte.is_ascii_digit() {
                return (at, byte);
            }
            at += 1;
        }
    }

    /// Whether the last four letters of a literal stand at `place`, and nothing else.
    #[inline(always)]
    fn literal(&self, place: usize, letters: &[u8; 4]) -> Option<()> {
        match self.text.get(place..place + 5) {
            Some([first @ .., after]) => (first == letters && ends_scalar(*after)).then_some(()),
            _ => None,
        }
    }
}

/// Whether a byte behind a number or a literal ends it.
#[inline(always)]
fn ends_scalar(byte: u8) -> bool {
    const ENDS: [bool; 256] = {
        let mut ends = [false; 256];
        let bytes = b",:{}[] \t\n\r";
        let mut number = 0;
        while number < bytes.len() {
            ends[bytes[number] as usize] = true;
            number += 1;
        }
        ends
    };
    ENDS[byte as usize]
}
