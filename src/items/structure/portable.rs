//! Structure without vectors.

use super::{BLOCK, Classify, Masks};

#[derive(Debug)]
pub(super) struct Portable;

impl Classify for Portable {
    #[inline(always)]
    unsafe fn masks<const LINES: bool>(text: *const u8) -> Masks {
        // SAFETY: the caller's promise; bytes have no alignment.
        let bytes = unsafe { &*text.cast::<[u8; BLOCK]>() };
        Masks {
            backslash: bits(bytes, |byte| byte == b'\\'),
            quote: bits(bytes, |byte| byte == b'"'),
            white_space: bits(bytes, |byte| {
                byte == b' ' || byte == b'\t' || byte == b'\n' || byte == b'\r'
            }),
            operator: bits(bytes, |byte| {
                byte == b',' || byte == b':' || byte | 0x20 == b'{' || byte | 0x20 == b'}'
            }),
            line_end: if LINES { bits(bytes, |byte| byte == b'\n') } else { 0 },
            control: bits(bytes, |byte| byte < 0x20),
            not_ascii: bits(bytes, |byte| byte > 0x7f),
        }
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

/// Eight bytes become eight bits by one multiplication, which moves each to a place of its own in the upper byte.
#[inline(always)]
fn bits(bytes: &[u8; BLOCK], is_it: impl Fn(u8) -> bool) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut bits = 0;
    for (number, eight) in bytes.chunks_exact(8).enumerate() {
        let mut flags = [0; 8];
        for (flag, &byte) in flags.iter_mut().zip(eight) {
            *flag = u8::from(is_it(byte));
        }
        bits |= (u64::from_le_bytes(flags).wrapping_mul(GATHER) >> 56) << (8 * number);
    }
    bits
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
