//! Content codings, applied at publish time.
//!
//! Input is a whole identity body, output the whole coded body, kept only where it is smaller. Nothing here runs for
//! a request.

use std::io::{self, Write};

use bytes::Bytes;

use crate::coding::Coding;

/// Bodies below this length, in bytes, are not coded: with its header line a coded body would not be smaller by a
/// segment.
pub const LENGTH_MIN: usize = 256;

/// Bodies above this length, in bytes, are published as they are: coding them would take minutes of a core.
pub const LENGTH_MAX: usize = 512 << 20;

/// Up to this length, in bytes, the slow, dense levels are used.
pub const LENGTH_DENSE_MAX: usize = 128 << 10;

impl Coding {
    /// What the encoder works with at the most, in bytes, besides what it makes; `loadtest/memory` measures the sum.
    pub(super) fn working_memory(self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Br => 16 << 20,
            Self::Zstd => 10 << 20,
            Self::Gzip => 1 << 20,
        }
    }
}

/// Codes `body`, or `None` where the result would not be smaller or the length is out of bounds.
pub fn encode(coding: Coding, body: &[u8]) -> Option<Bytes> {
    encode_within(coding, body, usize::MAX)
}

/// As [`encode`], and `None` where the result would be longer than `length_max` bytes: no more than that is held.
///
/// Levels, dense up to [`LENGTH_DENSE_MAX`] and fast above: brotli 10 and 5, zstd 19 and 9, gzip 9 and 6.
pub(super) fn encode_within(coding: Coding, body: &[u8], length_max: usize) -> Option<Bytes> {
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&body.len()) {
        return None;
    }
    let dense = body.len() <= LENGTH_DENSE_MAX;
    let out = Bounded {
        bytes: Vec::new(),
        length_max: length_max.min(body.len() - 1),
    };
    let coded = match coding {
        Coding::Identity => return None,
        // Level 10 makes less of small bodies than 9, in the same time, and 9 clears a table of 32 MiB for each.
        Coding::Br => brotli(body, if dense { 10 } else { 5 }, out),
        Coding::Zstd => zstd(body, if dense { 19 } else { 9 }, out),
        Coding::Gzip => gzip(body, if dense { 9 } else { 6 }, out),
    };
    // The one error that there is: the result is too long.
    coded.ok().map(|coded| Bytes::from(coded.bytes.into_boxed_slice()))
}

/// Bytes, up to a length. An encoder that goes on beyond it makes no more than it holds itself.
struct Bounded {
    bytes: Vec<u8>,
    length_max: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.length_max - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn brotli(body: &[u8], quality: u32, mut out: Bounded) -> io::Result<Bounded> {
    // A window of 2^22 makes JSON no smaller than one of 2^20, and takes 20 to 100 MiB to search.
    const WINDOW_LOG_MAX: u32 = 20;
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: quality as i32,
        lgwin: WINDOW_LOG_MAX.min(window_log(body.len())) as i32,
        size_hint: body.len(),
        ..Default::default()
    };
    // Not by its writer, which would try once more to write when it is dropped after an error.
    brotli::BrotliCompress(&mut &*body, &mut out, &parameters)?;
    Ok(out)
}

fn zstd(body: &[u8], level: i32, out: Bounded) -> io::Result<Bounded> {
    // RFC 9659 limits the window of the content coding to 8 MiB; these bounds make JSON no larger, and 20 MiB of tables 8.
    const WINDOW_LOG_MAX: u32 = 21;
    const HASH_LOG_MAX: u32 = 20;
    let mut encoder = zstd::Encoder::new(out, level).expect("the level is in range");
    let window_log = WINDOW_LOG_MAX.min(window_log(body.len()));
    encoder.window_log(window_log).expect("the window is in range");
    if window_log >= HASH_LOG_MAX {
        encoder
            .set_parameter(zstd::zstd_safe::CParameter::HashLog(HASH_LOG_MAX))
            .expect("the parameter is in range");
    }
    // The content size stands in the frame's header.
    encoder
        .set_pledged_src_size(Some(body.len() as u64))
        .expect("nothing is written yet");
    encoder.include_contentsize(true).expect("nothing is written yet");
    encoder.write_all(body)?;
    encoder.finish()
}

/// The smallest window that spans `length` bytes, at least 2^10 (the format's least).
fn window_log(length: usize) -> u32 {
    length.next_power_of_two().trailing_zeros().max(10)
}

fn gzip(body: &[u8], level: u32, out: Bounded) -> io::Result<Bounded> {
    // The header's time stays 0, so that replicas make the same bytes of the same data.
    let mut encoder = flate2::GzBuilder::new()
        .mtime(0)
        .write(out, flate2::Compression::new(level));
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reader: Box<dyn Read + '_> = match coding {
            Coding::Identity => Box::new(bytes),
            Coding::Br => Box::new(brotli::Decompressor::new(bytes, 4096)),
            Coding::Zstd => Box::new(zstd::Decoder::new(bytes).unwrap()),
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        };
        reader.read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn every_coding_comes_back_at_both_levels() {
        for length in [LENGTH_MIN, 5_000, LENGTH_DENSE_MAX + 1] {
            let body: Vec<u8> = b"{\"name\":\"Item\"},".iter().copied().cycle().take(length).collect();
            for coding in [Coding::Br, Coding::Zstd, Coding::Gzip] {
                let coded = encode(coding, &body).expect("text shrinks");
                assert!(coded.len() < body.len());
                assert_eq!(decode(coding, &coded), body, "{coding} of {length}");
                assert_eq!(encode(coding, &body).unwrap(), coded, "{coding} is deterministic");
            }
        }
    }

    #[test]
    fn what_does_not_shrink_is_dropped() {
        let mut state = 1_u64;
        let noise: Vec<u8> = (0..4096)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        for coding in Coding::ALL {
            assert_eq!(encode(coding, &noise), None);
            assert_eq!(encode(coding, &[b'a'; LENGTH_MIN - 1]), None);
        }
    }

    #[test]
    fn no_more_is_made_than_is_allowed() {
        let body: Vec<u8> = (0..40_000_u32)
            .flat_map(|number| number.to_string().into_bytes())
            .collect();
        for coding in [Coding::Br, Coding::Zstd, Coding::Gzip] {
            let length = encode(coding, &body).expect("digits shrink").len();
            assert!(encode_within(coding, &body, length).is_some(), "{coding}");
            assert_eq!(encode_within(coding, &body, length - 1), None, "{coding}");
            assert_eq!(encode_within(coding, &body, 0), None, "{coding}");
        }
    }
}
