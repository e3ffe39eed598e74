//! `Range`: which part of a body is asked for (RFC 9110, section 14). Pure.

use std::ops::Range;

/// What a request asks of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it.
    Whole,
    /// These bytes; at least one.
    Part(Range<usize>),
    /// Bytes behind its end.
    Nothing,
}

/// Which part of a body of `length` bytes the value of `Range` asks for.
///
/// One range of bytes is answered. A unit that is not known, several ranges, and what is no range at all are passed over
/// (section 14.2 lets a server do so): many small ranges of one body are a known way to make a server work.
pub fn asked(value: Option<&[u8]>, length: usize) -> Asked {
    value.and_then(|value| single(value, length)).unwrap_or(Asked::Whole)
}

fn single(value: &[u8], length: usize) -> Option<Asked> {
    let (unit, set) = value.split_at_checked(b"bytes=".len())?;
    // Names of units are case-insensitive (section 14.1).
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    // A list may have empty elements (section 5.6.1.2).
    let mut ranges = set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let mut ranges = ranges.by_ref().filter(|range| !range.is_empty());
    let (range, None) = (ranges.next()?, ranges.next()) else {
        return None;
    };
    let dash = range.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (&range[..dash], &range[dash + 1..]);
    let (start, end) = if first.is_empty() {
        (length.saturating_sub(number(last)?), length)
    } else if last.is_empty() {
        (number(first)?, length)
    } else {
        let (first, last) = (number(first)?, number(last)?);
        if last < first {
            return None;
        }
        (first, last.saturating_add(1).min(length))
    };
    Some(if start < end {
        Asked::Part(start..end)
    } else {
        Asked::Nothing
    })
}

/// Digits alone. What is larger than any body is as good as the largest number.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: usize, digit: &u8| sum.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(value: &str, expected: Asked) {
        assert_eq!(asked(Some(value.as_bytes()), 10), expected, "{value}");
    }

    #[test]
    fn one_range_of_bytes_is_answered() {
        assert_eq!(asked(None, 10), Asked::Whole);
        check("bytes=0-", Asked::Part(0..10));
        check("bytes=0-0", Asked::Part(0..1));
        check("bytes=3-5", Asked::Part(3..6));
        check("bytes=3-", Asked::Part(3..10));
        check("bytes=9-", Asked::Part(9..10));
        check("bytes=3-99999999999999999999999999", Asked::Part(3..10));
        check("bytes=0003-5", Asked::Part(3..6));
        check("bytes=-3", Asked::Part(7..10));
        check("bytes=-10", Asked::Part(0..10));
        check("bytes=-99999999999999999999999999", Asked::Part(0..10));
        check("BYTES=3-5", Asked::Part(3..6));
        check("bytes= 3-5", Asked::Part(3..6));
        check("bytes=,3-5, ", Asked::Part(3..6));
    }

    #[test]
    fn what_is_behind_the_end_is_nothing() {
        for value in [
            "bytes=10-",
            "bytes=10-20",
            "bytes=99999999999999999999999999-",
            "bytes=-0",
        ] {
            check(value, Asked::Nothing);
        }
        assert_eq!(asked(Some(b"bytes=0-"), 0), Asked::Nothing);
        assert_eq!(asked(Some(b"bytes=-1"), 0), Asked::Nothing);
    }

    #[test]
    fn anything_else_is_passed_over() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-",
            "bytes=5-3",
            "bytes=0-1,3-4",
            "bytes=0-,-1",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes=--1",
            "bytes=0x1-2",
            "bytes =0-1",
            "bytes:0-1",
            "bytes 0-1/10",
            "items=0-1",
            "seconds=1-2",
            "bytes=1 -2",
        ] {
            check(value, Asked::Whole);
        }
    }

    proptest! {
        #[test]
        fn a_part_is_within_the_body(value in "(bytes=)?[-,0-9 ]{0,8}|[ -~]{0,20}", length in 0usize..200) {
            match asked(Some(value.as_bytes()), length) {
                Asked::Part(part) => prop_assert!(part.start < part.end && part.end <= length),
                Asked::Whole | Asked::Nothing => {}
            }
        }

        #[test]
        fn parts_are_those_of_the_bytes(first in 0usize..50, last in 0usize..50, length in 1usize..40) {
            let body: Vec<usize> = (0..length).collect();
            let expected: Vec<usize> = body.iter().copied().filter(|place| (first..=last).contains(place)).collect();
            let of = |asked| match asked {
                Asked::Part(part) => body[part].to_vec(),
                Asked::Nothing => Vec::new(),
                Asked::Whole => body.clone(),
            };
            let between = of(asked(Some(format!("bytes={first}-{last}").as_bytes()), length));
            prop_assert_eq!(between, if last < first { body.clone() } else { expected });
            let suffix = of(asked(Some(format!("bytes=-{last}").as_bytes()), length));
            prop_assert_eq!(&suffix[..], &body[length.saturating_sub(last)..]);
        }
    }
}
