//! Frames of HTTP/2 as a client sends and reads them, well-formed or not.

#![allow(dead_code, reason = "each test file uses the part it needs")]

use janus::http::serve::h2::frames::PREFACE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block of literals that are not indexed (RFC 7541, section 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            // An integer with a prefix of 7 bits (section 5.1).
            let mut rest = text.len();
            if rest < 127 {
                bytes.push(rest as u8);
            } else {
                bytes.push(127);
                rest -= 127;
                while rest >= 128 {
                    bytes.push(rest as u8 | 128);
                    rest >>= 7;
                }
                bytes.push(rest as u8);
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

pub(crate) fn get_block(path: &str) -> Vec<u8> {
    block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", path),
    ])
}

pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &get_block(path))
}

/// The preface, and SETTINGS with this window for each stream.
pub(crate) fn begin(window: Option<u32>) -> Vec<u8> {
    let mut payload = Vec::new();
    if let Some(window) = window {
        payload.extend_from_slice(&[0, 4]);
        payload.extend_from_slice(&window.to_be_bytes());
    }
    [PREFACE.as_slice(), &frame(SETTINGS, 0, 0, &payload)].concat()
}

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let place = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[place..place + 4].try_into().unwrap())
    }
}

/// The frames that the server has sent.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut rest = bytes;
    let mut frames = Vec::new();
    while let Some((header, tail)) = rest.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        assert!(
            tail.len() >= length,
            "a whole frame: {:?}",
            String::from_utf8_lossy(rest)
        );
        frames.push(Frame {
            kind: header[3],
            flags: header[4],
            stream: u32::from_be_bytes(header[5..].try_into().unwrap()) & 0x7fff_ffff,
            payload: tail[..length].to_vec(),
        });
        rest = &tail[length..];
    }
    assert!(rest.is_empty());
    frames
}
