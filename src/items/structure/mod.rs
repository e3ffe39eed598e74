//! The first of two stages of reading JSON: where its structure stands.
//!
//! Text is looked at 64 bytes at a time: each of a few questions (is it a quote? is it white space?) has a bit a byte for its
//! answer. From these follow, by arithmetic on whole words, what is within strings, and which bytes begin a token. The
//! second stage ([`tokens`](super::tokens)) goes from token to token and sees no other byte of a string or of white space.
//! After "Parsing Gigabytes of JSON per Second" (Langdale and Lemire, 2019).
//!
//! Nothing is refused here: where text is not as it should be, the [scanner](super::scan) reads it again and says what is
//! wrong and where. What is said to be good is good: control characters and escapes within strings have been looked at,
//! and what is not ASCII is UTF-8.

#![allow(unsafe_code)] // Vectors of the processor are used, and room is written before it is named; each block says why.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod escapes;
mod portable;

use self::escapes::Escapes;
use super::scan::Token;
use super::tokens::Value;

/// How many bytes behind text are there to be read, whatever they are.
pub(super) const PADDING: usize = 64;

/// How many bytes are looked at together.
const BLOCK: usize = 64;

/// How JSON text is read. What comes of it is the same; tests and benches choose, and whoever does not gets the fastest way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// By structure, without vectors: no faster than the scanner, and what the others are compared with where they are not.
    Portable,
    /// By the scanner alone, byte by byte.
    Scanner,
    /// By structure, in vectors of 32 bytes (AVX2).
    Avx2,
    /// By structure, in vectors of 64 bytes of which single bytes can be moved together (AVX-512 with VBMI2).
    Avx512,
}

impl Way {
    /// All of them, the fastest last.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Scanner, Self::Avx2, Self::Avx512];

    /// Whether this processor has it.
    pub fn is_there(self) -> bool {
        match self {
            Self::Scanner | Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::is_there(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::is_there(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

impl Default for Way {
    /// The fastest that this processor has.
    fn default() -> Self {
        let there = Self::ALL.into_iter().rev().find(|way| way.is_there());
        there.unwrap_or(Self::Scanner)
    }
}

/// What ends an item besides its brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// A line end is a token.
    Count,
    /// A line end is white space.
    AreBlank,
}

/// The structure of a piece of text. Places are counted from the piece's start.
#[derive(Debug)]
pub(super) struct Structure {
    way: Way,
    /// Where each token begins: brackets, braces, commas, colons, and the first bytes of strings, numbers and literals. The
    /// last one is none: it stands in the padding, at a byte that begins nothing.
    tokens: Vec<u32>,
    /// A bit for each byte that is no white space between tokens.
    kept: Vec<u64>,
    /// The length of the text that was looked at, with its padding.
    reach: usize,
    has_white_space: bool,
    has_escapes: bool,
}

/// What is asked of 64 bytes, a bit a byte, the first lowest.
#[derive(Clone, Copy, Debug, Default)]
struct Masks {
    backslash: u64,
    quote: u64,
    /// Space, tab, line feed, carriage return.
    white_space: u64,
    /// `{}[]:,`, and perhaps a control character, which the second stage finds to be none of them.
    operator: u64,
    line_end: u64,
    /// Below 0x20.
    control: u64,
    /// Above 0x7f.
    not_ascii: u64,
}

/// How one kind of processor answers.
trait Classify {
    /// # Safety
    ///
    /// 64 bytes may be read at `text`, and the processor has what the kind needs.
    unsafe fn masks<const LINES: bool>(text: *const u8) -> Masks;

    /// A bit is set where an odd number of bits up to it is.
    ///
    /// # Safety
    ///
    /// The processor has what the kind needs.
    unsafe fn prefix_xor(bits: u64) -> u64;

    /// Writes `base` and the place of each bit to `out`; may write as many as 64 numbers, whatever their count.
    ///
    /// # Safety
    ///
    /// 64 numbers may be written at `out`, and the processor has what the kind needs.
    unsafe fn write_places(bits: u64, base: u32, out: *mut u32);
}

/// What goes from one block to the next.
#[derive(Default)]
struct Carry {
    /// Whether the first byte is escaped.
    is_escaped: u64,
    /// All bits, if the first byte is within a string.
    in_string: u64,
    /// Whether the last byte was a part of a token that goes on.
    in_scalar: u64,
    /// Of all blocks so far: whether any byte is at fault, is white space between tokens, escapes the next one, is not ASCII.
    faults: u64,
    white_space: u64,
    escapes: u64,
    not_ascii: u64,
    /// What is known of escapes.
    checked: Escapes,
}

impl Structure {
    /// By this way, or by the fastest one if the processor does not have it.
    pub(super) fn new(way: Way) -> Self {
        Self {
            way: if way.is_there() { way } else { Way::default() },
            tokens: Vec::new(),
            kept: Vec::new(),
            reach: 0,
            has_white_space: false,
            has_escapes: false,
        }
    }

    /// Looks at a piece of `text`, of which the last [`PADDING`] bytes are padding, and 0 but for the first of them. The piece
    /// begins at the start of a token. Says whether it may be walked: not if anything in a string is at fault.
    ///
    /// With [`LineEnds::Count`] the piece ends with a line end, which may be the first byte of the padding; else it may end
    /// anywhere.
    pub(super) fn find(&mut self, text: &[u8], piece: Range<usize>, line_ends: LineEnds) -> bool {
        let text = &text[piece.start..];
        let length = piece.len();
        assert!(text.last() == Some(&0) && length < text.len() && text.len() - length >= PADDING - 1);
        assert!(u32::try_from(text.len()).is_ok(), "a window is not so large");
        self.reach = text.len();
        // The piece, if it ends with the padding's first byte, is looked at by a block beyond it.
        self.tokens.clear();
        self.tokens.reserve(length + 2 * BLOCK);
        self.kept.clear();
        self.kept.reserve(length / BLOCK + 1);
        let lines = line_ends == LineEnds::Count;
        let carry = match (self.way, lines) {
            // SAFETY: nothing is needed of the processor; the text has padding, and the lists are empty and have room.
            (Way::Scanner | Way::Portable, true) => unsafe { self.look::<portable::Portable, true>(text, length) },
            // SAFETY: as above.
            (Way::Scanner | Way::Portable, false) => unsafe { self.look::<portable::Portable, false>(text, length) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, and the processor has it: `new` has looked.
            (Way::Avx2, _) => unsafe { avx2::look(self, text, length, lines) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            (Way::Avx512, _) => unsafe { avx512::look(self, text, length, lines) },
            #[cfg(not(target_arch = "x86_64"))]
            (Way::Avx2 | Way::Avx512, _) => unreachable!("no processor of this kind has it"),
        };
        self.tokens.push(text.len() as u32 - 1);
        self.has_white_space = carry.white_space != 0;
        self.has_escapes = carry.escapes != 0;
        carry.faults == 0 && (carry.not_ascii == 0 || is_utf8(&text[..length]))
    }

    /// # Safety
    ///
    /// The processor has what the kind needs; 63 bytes behind `length` may be read; the lists are empty and have room: for a
    /// word a block, and for as many tokens as there are bytes and two blocks.
    #[inline(always)]
    unsafe fn look<C: Classify, const LINES: bool>(&mut self, text: &[u8], length: usize) -> Carry {
        let mut carry = Carry::default();
        let (tokens, kept) = (self.tokens.as_mut_ptr(), self.kept.as_mut_ptr());
        let mut count = 0;
        let mut base = 0;
        while base + BLOCK <= length {
            let from = text.as_ptr().wrapping_add(base);
            // SAFETY: the block is within the text.
            let masks = unsafe { C::masks::<LINES>(from) };
            let out = (tokens.wrapping_add(count), kept.wrapping_add(base / BLOCK));
            // SAFETY: handed on; there is room for 64 more tokens than there are bytes.
            count += unsafe { block::<C, LINES>(masks, text, base, length, out, &mut carry) };
            base += BLOCK;
        }
        if base < length {
            let from = text.as_ptr().wrapping_add(base);
            // SAFETY: the block is within the text and its padding.
            let masks = unsafe { C::masks::<LINES>(from) };
            let there = (1 << (length - base)) - 1;
            let masks = Masks {
                backslash: masks.backslash & there,
                quote: masks.quote & there,
                white_space: masks.white_space | !there,
                operator: masks.operator & there,
                line_end: masks.line_end & there,
                control: masks.control & there,
                not_ascii: masks.not_ascii & there,
            };
            let white_space = carry.white_space;
            let last = kept.wrapping_add(base / BLOCK);
            let out = (tokens.wrapping_add(count), last);
            // SAFETY: as above.
            count += unsafe { block::<C, LINES>(masks, text, base, length, out, &mut carry) };
            // What is behind the text is none of it.
            // SAFETY: it has just been written.
            let last = unsafe { last.read() };
            carry.white_space = white_space | (!last & there);
        }
        // SAFETY: so many have been written.
        unsafe { self.tokens.set_len(count) };
        // SAFETY: one a block has been written.
        unsafe { self.kept.set_len(length.div_ceil(BLOCK)) };
        carry
    }

    /// The tokens' places, and one in the padding.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The length of the text and its padding.
    pub(super) fn reach(&self) -> usize {
        self.reach
    }

    /// Whether any string has escapes.
    pub(super) fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// Whether there is white space between the tokens of a part.
    #[inline]
    fn is_blank_within(&self, part: &Range<usize>) -> bool {
        if !self.has_white_space {
            return false;
        }
        let Range { start, end } = *part;
        let (first, last) = (start / BLOCK, (end - 1) / BLOCK);
        let from = u64::MAX << (start % BLOCK);
        let to = u64::MAX >> (BLOCK - 1 - (end - 1) % BLOCK);
        let kept = &self.kept[first..=last];
        match kept {
            [one] => !one & from & to != 0,
            [one, between @ .., other] => {
                !one & from != 0 || !other & to != 0 || between.iter().any(|&kept| kept != u64::MAX)
            }
            [] => false,
        }
    }

    /// How many bytes of a part are no white space between tokens.
    fn kept_within(&self, part: Range<usize>) -> usize {
        let mut count = 0;
        let mut at = part.start;
        while at < part.end {
            let end = part.end.min((at / BLOCK + 1) * BLOCK);
            let kept = self.kept[at / BLOCK] >> (at % BLOCK) & (u64::MAX >> (BLOCK - (end - at)));
            count += kept.count_ones() as usize;
            at = end;
        }
        count
    }

    /// Appends a value of the piece, without white space between tokens. Returns where its id's token stands in it.
    #[inline(always)]
    pub(super) fn copy_value(&self, piece: &[u8], value: Value, out: &mut Vec<u8>) -> Option<Token> {
        let Value { start, end, id, .. } = value;
        let inner = id.map_or(start, |id| id.start);
        let before = self.copy(piece, start..end, inner, out);
        id.map(|id| Token {
            start: id.start - before,
            end: id.end - before,
        })
    }

    /// Appends a part of `text`, which is the piece and its padding, without white space between tokens. Returns what is to
    /// be subtracted from the places of what is at `inner` and before the next white space.
    #[inline]
    fn copy(&self, text: &[u8], part: Range<usize>, inner: usize, out: &mut Vec<u8>) -> usize {
        assert!(text.len() == self.reach && part.start < part.end && part.end + PADDING <= text.len() + 1);
        out.reserve(part.len() + BLOCK);
        if self.is_blank_within(&part) {
            let before = self.kept_within(part.start..inner);
            match self.way {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: there is room for the part and a block, and the text has padding; the processor has it.
                Way::Avx512 => unsafe { avx512::copy_kept(&self.kept, text, part.clone(), out) },
                // SAFETY: there is room for the part and a block, and the text has padding.
                _ => unsafe { copy_kept(&self.kept, text, part.clone(), out) },
            }
            inner - before
        } else {
            // SAFETY: there is room for the part and a block, and the text has padding.
            unsafe { copy_whole(text, part.clone(), out) };
            part.start
        }
    }
}

/// Takes in one block; returns how many tokens begin in it.
///
/// # Safety
///
/// As of [`Structure::look`]; at the first of `out` 64 tokens may be written, at the second the word of the block.
#[inline(always)]
unsafe fn block<C: Classify, const LINES: bool>(
    masks: Masks,
    text: &[u8],
    base: usize,
    length: usize,
    out: (*mut u32, *mut u64),
    carry: &mut Carry,
) -> usize {
    let Masks {
        backslash,
        mut quote,
        mut white_space,
        mut operator,
        line_end,
        control,
        not_ascii,
    } = masks;
    if LINES {
        white_space &= !line_end;
        operator |= line_end;
    }
    let mut escapes = 0;
    if backslash | carry.is_escaped != 0 {
        let escaped;
        (escapes, escaped) = escapes_in(backslash, &mut carry.is_escaped);
        quote &= !escaped;
    }
    // SAFETY: handed on.
    let in_string = unsafe { C::prefix_xor(quote) } ^ carry.in_string;
    carry.in_string = (in_string as i64 >> 63) as u64;
    // A token that is no string goes on until white space, an operator or a quote.
    let scalar = !(operator | white_space);
    let plain = scalar & !quote;
    let start = scalar & !(plain << 1 | carry.in_scalar);
    carry.in_scalar = plain >> 63;
    // What is within a string, its closing quote included, begins nothing.
    let tokens = (operator | start) & !(in_string ^ quote);
    let kept = !white_space | in_string;
    carry.faults |= control & in_string;
    carry.white_space |= !kept;
    carry.not_ascii |= not_ascii;
    if escapes & in_string != 0 {
        carry.escapes |= escapes;
        let is_good = carry.checked.are_good(&text[..length], base, escapes & in_string);
        carry.faults |= u64::from(!is_good);
    }
    // SAFETY: the caller's promise.
    unsafe { out.1.write(kept) };
    // SAFETY: the caller's promise.
    unsafe { C::write_places(tokens, base as u32, out.0) };
    tokens.count_ones() as usize
}

/// Appends a part, by whole blocks as long as it is short.
///
/// # Safety
///
/// `out` has room for the part and a block; a block less a byte can be read behind the part.
#[inline]
unsafe fn copy_whole(text: &[u8], part: Range<usize>, out: &mut Vec<u8>) {
    const SHORT: usize = 256;
    if part.len() > SHORT {
        out.extend_from_slice(&text[part]);
        return;
    }
    let before = out.len();
    for at in (0..part.len()).step_by(BLOCK) {
        let from = text.as_ptr().wrapping_add(part.start + at);
        let to = out.as_mut_ptr().wrapping_add(before + at);
        // SAFETY: both have a block there, and do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, to, BLOCK) };
    }
    // SAFETY: so much has been written.
    unsafe { out.set_len(before + part.len()) };
}

/// Appends the bytes of a part that have a bit in `kept`, one run of them after the other.
///
/// # Safety
///
/// As of [`copy_whole`].
unsafe fn copy_kept(kept: &[u64], text: &[u8], part: Range<usize>, out: &mut Vec<u8>) {
    let mut to = out.len();
    for block in part.start / BLOCK..=(part.end - 1) / BLOCK {
        let base = block * BLOCK;
        let mut rest = kept_of(kept, block, &part);
        while rest != 0 {
            let start = rest.trailing_zeros();
            let length = (!(rest >> start)).trailing_zeros();
            // The last bits of the lowest run: adding its lowest bit carries through it.
            rest &= rest.wrapping_add(1 << start);
            let from = text.as_ptr().wrapping_add(base + start as usize);
            let at = out.as_mut_ptr().wrapping_add(to);
            // SAFETY: both have a block there: what has been written is not longer than what was read.
            unsafe { copy_run(from, at, length as usize) };
            to += length as usize;
        }
    }
    // SAFETY: so much has been written, and there is room for it.
    unsafe { out.set_len(to) };
}

/// Copies `length` bytes, at most a block, and perhaps more.
///
/// # Safety
///
/// A block can be read at `from` and written at `to`.
#[inline(always)]
unsafe fn copy_run(from: *const u8, to: *mut u8, length: usize) {
    const HALF: usize = BLOCK / 2;
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(from, to, HALF) };
    if length > HALF {
        let (from, to) = (from.wrapping_add(HALF), to.wrapping_add(HALF));
        // SAFETY: the caller's promise, of the second half.
        unsafe { std::ptr::copy_nonoverlapping(from, to, HALF) };
    }
}

/// The bits of a block that are within a part.
#[inline(always)]
fn kept_of(kept: &[u64], block: usize, part: &Range<usize>) -> u64 {
    let base = block * BLOCK;
    let mut bits = kept[block];
    if part.start > base {
        bits &= u64::MAX << (part.start - base);
    }
    if part.end < base + BLOCK {
        bits &= u64::MAX >> (base + BLOCK - part.end);
    }
    bits
}

/// Of backslashes: which begin an escape, and what is escaped. Runs of them are cut into pairs by a subtraction, whose
/// carry goes through each run.
#[inline]
fn escapes_in(backslash: u64, is_escaped: &mut u64) -> (u64, u64) {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let potential = backslash & !*is_escaped;
    let codes = ((potential << 1) | ODD).wrapping_sub(potential) ^ ODD;
    let escaped = codes ^ (backslash | *is_escaped);
    let escapes = codes & backslash;
    *is_escaped = escapes >> 63;
    (escapes, escaped)
}

/// Whether text is UTF-8, but for a character that may go on behind it.
fn is_utf8(text: &[u8]) -> bool {
    let mut end = text.len();
    let is_part = |byte: u8| byte & 0xc0 == 0x80;
    while end > 0 && text.len() - end < 3 && is_part(text[end - 1]) {
        end -= 1;
    }
    if end > 0 && text[end - 1] >= 0xc0 {
        end -= 1;
    } else {
        end = text.len();
    }
    simdutf8::basic::from_utf8(&text[..end]).is_ok()
}
