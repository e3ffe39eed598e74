//! HTTP/2 (RFC 9113): the `h2` crate between a screen of what the client sends and the same `answer` as everywhere.
//!
//! The `h2` crate knows frames, streams, windows and header compression. It is driven as a machine in memory: it never
//! waits, makes no task and no timer, and sees no socket ([`stream`]). What a client may cost is bounded around it: by the
//! [`frames`] that are let pass, by the body pieces that it is given ([`exchange`]), and by the [`connection`]'s timers.

mod connection;
mod deferred;
mod exchange;
pub mod frames;
mod request;
mod response;
mod stream;

pub use connection::serve;

/// Streams that a client may have open at once; more are refused.
pub const STREAMS_MAX: u32 = 128;

/// The longest header list that is answered by anything but 431, as RFC 9113, section 6.5.2, measures it.
pub const HEADER_LIST_LENGTH_MAX: usize = 16 << 10;

/// The longest header list whose fields are looked at, so that the answer can say what is wrong. Of a longer one the `h2`
/// crate keeps nothing: it answers 431 by itself, without a body, and above four times this length it closes.
const HEADER_LIST_LENGTH_DECODED_MAX: u32 = 32 << 10;

/// What a preface begins with, as far as it is no head of HTTP/1.
const PREFACE_TOLD_BY: &[u8] = b"PRI * HTTP/2";

/// Whether a connection that begins with these bytes speaks HTTP/2; `None` if more of them must be seen.
pub fn is_preface(bytes: &[u8]) -> Option<bool> {
    if bytes.starts_with(PREFACE_TOLD_BY) {
        Some(true)
    } else if PREFACE_TOLD_BY.starts_with(bytes) {
        None
    } else {
        Some(false)
    }
}
