//! Structure without vectors: eight bytes of a register at once.

use super::{BLOCK, Classify, Masks};

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

#[derive(Debug)]
pub(super) struct Portable;

impl Classify for Portable {
    #[inline(always)]
    unsafe fn masks<const LINES: bool>(text: *const u8) -> Masks {
        // SAFETY: the caller's promise; bytes have no alignment.
        let bytes = unsafe { &*text.cast::<[u8; BLOCK]>() };
        let mut masks = Masks::default();
        for (number, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*eight);
            let equals = |byte: u8| zeros(word ^ (LOW * u64::from(byte)));
            // Brackets are braces but for one bit, which is set in all operators.
            let is_operator = |byte: u8| zeros((word | LOW << 5) ^ (LOW * u64::from(byte)));
            let line_end = equals(b'\n');
            let place = 8 * number;
            masks.backslash |= gather(equals(b'\\')) << place;
            masks.quote |= gather(equals(b'"')) << place;
            masks.white_space |= gather(equals(b' ') | equals(b'\t') | line_end | equals(b'\r')) << place;
            masks.operator |=
                gather(is_operator(b',') | is_operator(b':') | is_operator(b'{') | is_operator(b'}')) << place;
            if LINES {
                masks.line_end |= gather(line_end) << place;
            }
            masks.control |= gather(zeros(word & (LOW * 0xe0))) << place;
            masks.not_ascii |= gather(word & HIGH) << place;
        }
        masks
    }

    #[inline(always)]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        let mut bits = bits;
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }

    #[inline(always)]
    unsafe fn write_places(bits: u64, base: u32, out: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe { write_places(bits, base, out) };
    }
}

/// The upper bit of each byte that is 0, and of no other: unlike shorter tests for one, no carry goes from byte to byte.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    !(((word & !HIGH) + !HIGH) | word) & HIGH
}

/// The upper bits of eight bytes as eight bits: one multiplication moves each to a place of its own in the upper byte.
#[inline(always)]
fn gather(bits: u64) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    (bits >> 7).wrapping_mul(GATHER) >> 56
}

/// Eight at a time, without looking whether there are so many: to find that out is dearer than to write.
///
/// # Safety
///
/// 64 numbers may be written at `out`.
#[inline(always)]
pub(super) unsafe fn write_places(bits: u64, base: u32, out: *mut u32) {
    let count = bits.count_ones() as usize;
    let mut rest = bits;
    let mut written = 0;
    loop {
        for place in written..written + 8 {
            let to = out.wrapping_add(place);
            // SAFETY: eight times at most eight are written.
            unsafe { to.write(base.wrapping_add(rest.trailing_zeros())) };
            rest &= rest.wrapping_sub(1);
        }
        written += 8;
        if written >= count {
            return;
        }
    }
}
