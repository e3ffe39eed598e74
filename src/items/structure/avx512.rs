//! Structure by vectors of 64 bytes.

use std::arch::x86_64::{
    _mm512_add_epi32, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_cvtepu8_epi32,
    _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_maskz_compress_epi8, _mm512_movepi8_mask, _mm512_or_si512,
    _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set4_epi32, _mm512_shuffle_epi8, _mm512_storeu_si512,
};
use std::ops::Range;

use super::{BLOCK, Carry, Classify, Masks, Structure, avx2, kept_of};

pub(super) fn is_there() -> bool {
    avx2::is_there()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2")
}

/// # Safety
///
/// As of [`Structure::look`], and [`is_there`] holds.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,pclmulqdq,bmi1,bmi2,popcnt")]
pub(super) unsafe fn look(structure: &mut Structure, text: &[u8], length: usize, lines: bool) -> Carry {
    if lines {
        // SAFETY: the caller's promise.
        unsafe { structure.look::<Avx512, true>(text, length) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { structure.look::<Avx512, false>(text, length) }
    }
}

#[derive(Debug)]
struct Avx512;

impl Classify for Avx512 {
    #[inline(always)]
    unsafe fn masks<const LINES: bool>(text: *const u8) -> Masks {
        // SAFETY: the caller's promise.
        unsafe { masks::<LINES>(text) }
    }

    #[inline(always)]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { avx2::prefix_xor(bits) }
    }

    #[inline(always)]
    unsafe fn write_places(bits: u64, base: u32, out: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe { write_places(bits, base, out) };
    }
}

/// # Safety
///
/// 64 bytes may be read at `text`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn masks<const LINES: bool>(text: *const u8) -> Masks {
    // SAFETY: the caller's promise.
    let bytes = unsafe { _mm512_loadu_si512(text.cast()) };
    let equals = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
    // As in `avx2`, four bytes in a number from the lowest on.
    let white_space = _mm512_set4_epi32(0xffff_0dffu32 as i32, 0xff0a_09ffu32 as i32, -1, 0xffff_ff20u32 as i32);
    let operators = _mm512_set4_epi32(0x0000_7d2c, 0x7b3a_0000, 0, 0);
    let brace = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
    Masks {
        backslash: equals(b'\\'),
        quote: equals(b'"'),
        white_space: _mm512_cmpeq_epi8_mask(bytes, _mm512_shuffle_epi8(white_space, bytes)),
        operator: _mm512_cmpeq_epi8_mask(brace, _mm512_shuffle_epi8(operators, bytes)),
        line_end: if LINES { equals(b'\n') } else { 0 },
        control: _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20)),
        not_ascii: _mm512_movepi8_mask(bytes),
    }
}

/// Moves the numbers of the places together, and makes them wide.
///
/// # Safety
///
/// 64 numbers may be written at `out`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
unsafe fn write_places(bits: u64, base: u32, out: *mut u32) {
    const NUMBERS: [u8; BLOCK] = {
        let mut numbers = [0; BLOCK];
        let mut number = 0;
        while number < BLOCK {
            numbers[number] = number as u8;
            number += 1;
        }
        numbers
    };
    // SAFETY: they are 64.
    let numbers = unsafe { _mm512_loadu_si512(NUMBERS.as_ptr().cast()) };
    let places = _mm512_maskz_compress_epi8(bits, numbers);
    let base = _mm512_set1_epi32(base as i32);
    let wide = |sixteen| _mm512_add_epi32(_mm512_cvtepu8_epi32(sixteen), base);
    let write = |number: usize, sixteen| {
        let to = out.wrapping_add(16 * number).cast();
        // SAFETY: the caller's promise; there are no more than four times 16.
        unsafe { _mm512_storeu_si512(to, wide(sixteen)) };
    };
    let count = bits.count_ones();
    write(0, _mm512_castsi512_si128(places));
    if count > 16 {
        write(1, _mm512_extracti32x4_epi32::<1>(places));
    }
    if count > 32 {
        write(2, _mm512_extracti32x4_epi32::<2>(places));
        write(3, _mm512_extracti32x4_epi32::<3>(places));
    }
}

/// Appends the bytes of a part that have a bit in `kept`.
///
/// # Safety
///
/// As of [`copy_whole`](super::copy_whole), and [`is_there`] holds.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(super) unsafe fn copy_kept(kept: &[u64], text: &[u8], part: Range<usize>, out: &mut Vec<u8>) {
    let mut to = out.len();
    for block in part.start / BLOCK..=(part.end - 1) / BLOCK {
        let bits = kept_of(kept, block, &part);
        let from = text.as_ptr().wrapping_add(block * BLOCK);
        // SAFETY: a block that begins within the part can be read: behind the part is padding.
        let bytes = unsafe { _mm512_loadu_si512(from.cast()) };
        // Moved together in a register: to write what is moved at once is slow on some processors.
        let together = _mm512_maskz_compress_epi8(bits, bytes);
        let at = out.as_mut_ptr().wrapping_add(to);
        // SAFETY: there is room for a block behind what is kept of the part.
        unsafe { _mm512_storeu_si512(at.cast(), together) };
        to += bits.count_ones() as usize;
    }
    // SAFETY: so much has been written.
    unsafe { out.set_len(to) };
}
