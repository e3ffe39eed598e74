//! Ten tags of 16 bits, compared with one all at once.

#![allow(unsafe_code)] // Vectors of the processor are used; the block says why that is sound.

/// How many tags there are.
pub(super) const COUNT: usize = 10;

/// The tags. 0 stands for none.
pub(super) type Tags = [u16; COUNT];

/// The places of the tags that are `tag`, and rarely one that has another.
#[inline]
pub(super) fn places_of(tags: &Tags, tag: u16) -> impl Iterator<Item = usize> {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this kind has SSE2.
    let mut marked = unsafe { sse2::mark(tags, tag) };
    #[cfg(not(target_arch = "x86_64"))]
    let mut marked = swar::mark(tags, tag);
    #[cfg(target_arch = "x86_64")]
    use sse2::place;
    #[cfg(not(target_arch = "x86_64"))]
    use swar::place;
    std::iter::from_fn(move || {
        if marked == 0 {
            return None;
        }
        let bit = marked.trailing_zeros() as usize;
        marked &= marked - 1;
        Some(place(bit))
    })
}

/// The first eight tags as two words, and the last two as half of one.
#[inline]
fn words(tags: &Tags) -> ([u64; 2], u32) {
    let [a, b, c, d, e, f, g, h, i, j] = tags.map(u64::from);
    let word = |a, b, c, d| a | b << 16 | c << 32 | d << 48;
    ([word(a, b, c, d), word(e, f, g, h)], (i | j << 16) as u32)
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{_mm_cmpeq_epi16, _mm_cvtsi32_si128, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi16};

    /// A bit for each place.
    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn mark(tags: &super::Tags, tag: u16) -> u32 {
        let ([first, second], rest) = super::words(tags);
        let pattern = _mm_set1_epi16(tag as i16);
        let eight = _mm_cmpeq_epi16(_mm_set_epi64x(second as i64, first as i64), pattern);
        // Lanes that are not there are 0, as no tag is that is looked for.
        let two = _mm_cmpeq_epi16(_mm_cvtsi32_si128(rest as i32), pattern);
        // Two bits a lane, of which one will do.
        (_mm_movemask_epi8(eight) | _mm_movemask_epi8(two) << 16) as u32 & 0x5555_5555
    }

    /// The place of a bit.
    #[inline]
    pub(super) fn place(bit: usize) -> usize {
        bit / 2
    }
}

/// Four tags at once in a register: "Determine if a word has a zero byte" of Anderson's "Bit Twiddling Hacks", for 16 bits.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod swar {
    /// A bit for each place. The lowest that is marked of a word has the tag, and so have nearly all.
    #[inline]
    pub(super) fn mark(tags: &super::Tags, tag: u16) -> u64 {
        const LOW: u64 = 0x0001_0001_0001_0001;
        const HIGH: u64 = LOW << 15;
        let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
        let pattern = LOW * u64::from(tag);
        let ([first, second], rest) = super::words(tags);
        // Two lanes are not there, and must not be zero.
        let rest = (u64::from(rest) ^ pattern) | 0xffff_ffff_0000_0000;
        // A lane's bit is moved to the place of its word, so that the words do not meet.
        zeros(first ^ pattern) >> 15 | zeros(second ^ pattern) >> 14 | zeros(rest) >> 13
    }

    /// The place of a bit.
    #[inline]
    pub(super) fn place(bit: usize) -> usize {
        bit % 16 * 4 + bit / 16
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_places_are_seen(tags in prop::array::uniform10(0..6_u16), tag in 1..6_u16) {
            let expected: Vec<usize> = (0..COUNT).filter(|&place| tags[place] == tag).collect();
            let found: Vec<usize> = places_of(&tags, tag).collect();
            if cfg!(target_arch = "x86_64") {
                prop_assert_eq!(&found, &expected);
            }
            // What has no vectors may see more.
            let marked = swar::mark(&tags, tag);
            let seen: Vec<usize> = (0..64).filter(|bit| marked >> bit & 1 == 1).map(swar::place).collect();
            prop_assert!(expected.iter().all(|place| seen.contains(place)), "{:?}", seen);
            prop_assert!(seen.iter().all(|&place| place < COUNT), "{:?}", seen);
        }
    }
}
