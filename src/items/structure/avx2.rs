//! Structure by vectors of 32 bytes.

use std::arch::x86_64::{
    __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setr_epi8,
    _mm256_shuffle_epi8,
};

use super::{Carry, Classify, Masks, Structure, portable};

pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("pclmulqdq")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
}

/// # Safety
///
/// As of [`Structure::look`], and [`is_there`] holds.
#[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,popcnt")]
pub(super) unsafe fn look(structure: &mut Structure, text: &[u8], length: usize, lines: bool) -> Carry {
    if lines {
        // SAFETY: the caller's promise.
        unsafe { structure.look::<Avx2, true>(text, length) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { structure.look::<Avx2, false>(text, length) }
    }
}

#[derive(Debug)]
struct Avx2;

impl Classify for Avx2 {
    #[inline(always)]
    unsafe fn masks<const LINES: bool>(text: *const u8) -> Masks {
        // SAFETY: the caller's promise.
        unsafe { masks::<LINES>(text) }
    }

    #[inline(always)]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { prefix_xor(bits) }
    }

    #[inline(always)]
    unsafe fn write_places(bits: u64, base: u32, out: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe { portable::write_places(bits, base, out) };
    }
}

/// # Safety
///
/// 64 bytes may be read at `text`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn masks<const LINES: bool>(text: *const u8) -> Masks {
    // SAFETY: the caller's promise.
    let low = unsafe { _mm256_loadu_si256(text.cast()) };
    let high = text.wrapping_add(32);
    // SAFETY: the caller's promise, of the second half.
    let high = unsafe { _mm256_loadu_si256(high.cast()) };
    let both = |is_it: &dyn Fn(__m256i) -> __m256i| bits(is_it(low), is_it(high));
    let equals = |byte: u8| both(&|bytes| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8)));
    // By its lower four bits a byte could be one of 16; whether it is, is compared. No byte is its own place's 0xff.
    const NO: i8 = -1;
    #[rustfmt::skip]
    let white_space = _mm256_setr_epi8(
        0x20, NO, NO, NO, NO, NO, NO, NO, NO, 0x09, 0x0a, NO, NO, 0x0d, NO, NO,
        0x20, NO, NO, NO, NO, NO, NO, NO, NO, 0x09, 0x0a, NO, NO, 0x0d, NO, NO,
    );
    // Brackets are braces but for one bit, which is set in all operators.
    #[rustfmt::skip]
    let operators = _mm256_setr_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x3a, 0x7b, 0x2c, 0x7d, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x3a, 0x7b, 0x2c, 0x7d, 0, 0,
    );
    Masks {
        backslash: equals(b'\\'),
        quote: equals(b'"'),
        white_space: both(&|bytes| _mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(white_space, bytes))),
        operator: both(&|bytes| {
            let brace = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
            _mm256_cmpeq_epi8(brace, _mm256_shuffle_epi8(operators, bytes))
        }),
        line_end: if LINES { equals(b'\n') } else { 0 },
        control: both(&|bytes| _mm256_cmpeq_epi8(bytes, _mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)))),
        not_ascii: _mm256_movemask_epi8(_mm256_or_si256(low, high)) as u32 as u64,
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn bits(low: __m256i, high: __m256i) -> u64 {
    u64::from(_mm256_movemask_epi8(low) as u32) | u64::from(_mm256_movemask_epi8(high) as u32) << 32
}

/// By a multiplication without carries with all bits.
#[inline]
#[target_feature(enable = "pclmulqdq")]
pub(super) fn prefix_xor(bits: u64) -> u64 {
    let all = _mm_set1_epi8(-1);
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits as i64), all)) as u64
}
