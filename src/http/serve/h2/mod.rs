//! HTTP/2 (RFC 9113): the `h2` crate between a screen of what the client sends and the same `answer` as everywhere.
//!
//! The `h2` crate knows frames, streams, windows and header compression. It is driven as a machine in memory: it never
//! waits, makes no task and no timer, and sees no socket (`stream`). What a client may cost is bounded around it: by the
//! [`frames`] that are let pass, by the body pieces that it is given (`exchange`), and by the `connection`'s timers.

mod connection;
mod deferred;
mod exchange;
pub mod frames;
mod request;
mod response;
mod stream;

pub(super) use connection::Http2;

/// Streams that a client may have open at once; more are refused.
pub const STREAMS_MAX: u32 = 128;

/// The longest header list that is answered by anything but 431, as RFC 9113, section 6.5.2, measures it.
pub const HEADER_LIST_LENGTH_MAX: usize = 16 << 10;

/// The longest header list whose fields are looked at, so that the answer can say what is wrong. Of a longer one the `h2`
/// crate keeps nothing: it answers 431 by itself, without a body, and above four times this length it closes.
const HEADER_LIST_LENGTH_DECODED_MAX: u32 = 32 << 10;

/// What a preface begins with, as far as it is no head of HTTP/1.
const PREFACE_TOLD_BY: &[u8] = b"PRI * HTTP/2";

/// The longest line that is taken for a preface gone wrong, in bytes.
const WORDS_LENGTH_MAX: usize = 64;

/// Whether a connection that begins with these bytes speaks HTTP/2, or tries to; `None` if more of them must be seen.
pub fn is_preface(bytes: &[u8]) -> Option<bool> {
    if bytes.starts_with(PREFACE_TOLD_BY) {
        Some(true)
    } else if PREFACE_TOLD_BY.starts_with(bytes) {
        None
    } else {
        is_three_words(bytes)
    }
}

/// Whether the first line is three words of letters alone. Neither is the second a target of HTTP/1 then nor the third a
/// version, and the connection is told an error of HTTP/2 (RFC 9113, section 3.4): an answer of HTTP/1 would be taken for a
/// frame of some megabytes.
fn is_three_words(bytes: &[u8]) -> Option<bool> {
    let is_of_words = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b' ';
    let line = bytes
        .iter()
        .take(WORDS_LENGTH_MAX)
        .take_while(|byte| is_of_words(byte))
        .count();
    match bytes.get(line) {
        None => None,
        Some(b'\r') => Some(
            bytes[..line]
                .split(|&byte| byte == b' ')
                .filter(|word| !word.is_empty())
                .count()
                == 3,
        ),
        Some(_) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_told_from_a_request_by_its_first_bytes() {
        let whole: &[(&[u8], bool)] = &[
            (frames::PREFACE, true),
            (b"PRI * HTTP/2.1\r\n", true),
            (b"INVALID CONNECTION PREFACE\r\n\r\n", true),
            (b"GET / HTTP/1.1\r\n", false),
            (b"PRI * HTTP/1.1\r\n", false),
            (b"PRI / HTTP/2.0\r\n", false),
            (b"OPTIONS * HTTP/1.1\r\n", false),
            (b"GET / FOO\r\n", false),
            (b"garbage\r\n", false),
            (b"two words\r\n", false),
            (b"these are four words\r\n", false),
            (b"\r\nGET", false),
            (b"\x16\x03\x01\x02\x00", false),
            (&[b'A'; 200], false),
        ];
        for (bytes, expected) in whole {
            assert_eq!(is_preface(bytes), Some(*expected), "{}", bytes.escape_ascii());
            // Never told wrong before it is told.
            for length in 0..bytes.len() {
                let told = is_preface(&bytes[..length]);
                assert!(
                    told.is_none_or(|told| told == *expected),
                    "{length} of {}",
                    bytes.escape_ascii()
                );
            }
        }
        assert_eq!(is_preface(b"GET "), None);
    }
}
