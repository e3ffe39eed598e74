//! A client's frames as they pass by, before anything is made of them: where heads begin and end, and whether there are
//! more frames of a kind than a client has reason to send. Pure.
//!
//! Only the nine bytes before each frame are looked at (RFC 9113, section 4.1). What they mean to a stream, and whether
//! they may come at all, is the `h2` crate's to say: it is fed what passes here.

/// What a connection begins with (RFC 9113, section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What stands before each frame's payload, in bytes.
pub const HEADER_LENGTH: usize = 9;

/// Bytes of one header block at the most, as it is sent: what is longer cannot be a list of 16 KiB, and the decoder need
/// not be kept busy with it.
pub const BLOCK_LENGTH_MAX: usize = 64 << 10;

/// Header blocks that pass together, before they are answered, begin within so many bytes. A byte of a block may stand
/// for a whole field, and a field takes about a hundred bytes of memory until its request is answered.
pub const ROUND_BLOCKS_LENGTH_MAX: usize = 1 << 10;

/// Resets in a row, a client's and those that it brings about.
pub const RESETS: Rate = Rate {
    burst: 500,
    a_second: 100,
};

/// Frames in a row that ask for nothing: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, DATA of next to nothing, and those of
/// unknown kinds.
pub const CONTROLS: Rate = Rate {
    burst: 1000,
    a_second: 200,
};

/// Control frames that are a client's due for each answer, and for each DATA frame that is sent: it opens two windows, and
/// may say what is more urgent.
pub const CONTROLS_A_FRAME: u32 = 4;

/// DATA of fewer bytes, on a stream that goes on, is next to nothing.
const DATA_LENGTH_MIN: usize = 16;

/// The kinds of frames that are told apart (RFC 9113, section 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameHeader {
    /// The payload's length in bytes.
    length: usize,
    kind: u8,
    flags: u8,
}

impl FrameHeader {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[high, middle, low, kind, flags, ..] = bytes.first_chunk::<HEADER_LENGTH>()?;
        Some(Self {
            length: u32::from_be_bytes([0, high, middle, low]) as usize,
            kind,
            flags,
        })
    }
}

/// How many of something may come at once, and how many more each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// More each second.
    pub a_second: u32,
}

/// What is left of a rate.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    rate: Rate,
    left: u32,
    since_seconds: u32,
}

impl Allowance {
    fn new(rate: Rate, now_seconds: u32) -> Self {
        Self {
            rate,
            left: rate.burst,
            since_seconds: now_seconds,
        }
    }

    /// Takes one, if there is one left.
    fn take(&mut self, now_seconds: u32) -> bool {
        let seconds = now_seconds.saturating_sub(self.since_seconds);
        self.since_seconds = now_seconds;
        self.earn(seconds.saturating_mul(self.rate.a_second));
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }

    fn earn(&mut self, more: u32) {
        self.left = self.left.saturating_add(more).min(self.rate.burst);
    }
}

/// Why a client is told to calm down, and its connection closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Too many resets.
    Resets,
    /// Too many frames that ask for nothing.
    Controls,
    /// A header block that is far too long.
    Block,
}

/// What has passed in one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Bytes of header blocks.
    blocks_length: usize,
}

/// The first frame, which has to be one of SETTINGS, and is a part of the preface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Awaited,
    UnderWay,
    Passed,
}

/// A client's frames.
#[derive(Clone, Debug)]
pub struct Screen {
    /// Bytes of the present frame that have not passed yet.
    rest_length: usize,
    /// Bytes of a header block that has begun and not ended.
    block_length: Option<usize>,
    /// Whether the present frame ends the block.
    ends_block: bool,
    first: First,
    resets: Allowance,
    controls: Allowance,
}

impl Screen {
    /// For a connection whose preface has been read.
    pub fn new(now_seconds: u32) -> Self {
        Self {
            rest_length: 0,
            block_length: None,
            ends_block: false,
            first: First::Awaited,
            resets: Allowance::new(RESETS, now_seconds),
            controls: Allowance::new(CONTROLS, now_seconds),
        }
    }

    /// How much of `input` may pass in this round, after what has passed in it already.
    ///
    /// # Errors
    ///
    /// If the client sends too much of something. Nothing more passes then.
    pub fn pass(&mut self, input: &[u8], round: &mut Round, now_seconds: u32) -> Result<usize, Excess> {
        let mut passed = 0;
        loop {
            let piece = self.rest_length.min(input.len() - passed);
            self.rest_length -= piece;
            passed += piece;
            if self.rest_length > 0 {
                break;
            }
            if std::mem::take(&mut self.ends_block) {
                self.block_length = None;
            }
            if self.first == First::UnderWay {
                self.first = First::Passed;
            }
            let Some(header) = FrameHeader::read(&input[passed..]) else {
                break;
            };
            let is_block = self.block_length.is_some() || header.kind == kind::HEADERS;
            if self.block_length.is_none() && is_block && round.blocks_length >= ROUND_BLOCKS_LENGTH_MAX {
                break;
            }
            self.judge(&header, now_seconds)?;
            if is_block {
                round.blocks_length += header.length;
            }
            if self.first == First::Awaited {
                self.first = First::UnderWay;
            }
            passed += HEADER_LENGTH;
            self.rest_length = header.length;
        }
        Ok(passed)
    }

    fn judge(&mut self, header: &FrameHeader, now_seconds: u32) -> Result<(), Excess> {
        // Within a block nothing else may come, and `h2` sees to that.
        if self.block_length.is_some() || header.kind == kind::HEADERS {
            // An empty CONTINUATION takes its header's room at least.
            let length = self.block_length.unwrap_or(0) + header.length.max(HEADER_LENGTH);
            if length > BLOCK_LENGTH_MAX {
                return Err(Excess::Block);
            }
            self.block_length = Some(length);
            self.ends_block = header.flags & END_HEADERS != 0;
            return Ok(());
        }
        let (allowance, excess) = match header.kind {
            kind::RST_STREAM => (&mut self.resets, Excess::Resets),
            kind::DATA if header.length >= DATA_LENGTH_MIN || header.flags & END_STREAM != 0 => return Ok(()),
            _ => (&mut self.controls, Excess::Controls),
        };
        if allowance.take(now_seconds) {
            Ok(())
        } else {
            Err(excess)
        }
    }

    /// Whether a head is under way, or what may be one: a header block, a frame of which not even the kind is known
    /// (`has_rest` says that a piece of it has come), or the preface, of which the first frame is a part.
    pub fn is_in_head(&self, has_rest: bool) -> bool {
        self.block_length.is_some() || has_rest || self.first != First::Passed
    }

    /// Takes note that the server resets a stream, for which the client must have given a reason.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn reset(&mut self, now_seconds: u32) -> Result<(), Excess> {
        if self.resets.take(now_seconds) {
            Ok(())
        } else {
            Err(Excess::Resets)
        }
    }

    /// Takes note of so many frames of answers that were sent.
    pub fn answered(&mut self, frames: u32) {
        self.controls.earn(frames.saturating_mul(CONTROLS_A_FRAME));
    }
}

/// The server's frames, as they pass by.
#[derive(Debug, Default)]
pub struct Sent {
    /// A frame's header, as far as it has passed.
    header: [u8; HEADER_LENGTH],
    header_length: usize,
    /// Bytes of the present frame's payload that have not passed yet.
    rest_length: usize,
}

impl Sent {
    /// Takes note of bytes that pass, and returns how many streams they reset.
    pub fn pass(&mut self, mut bytes: &[u8]) -> u32 {
        let mut resets = 0;
        loop {
            let piece = self.rest_length.min(bytes.len());
            self.rest_length -= piece;
            bytes = &bytes[piece..];
            if bytes.is_empty() {
                return resets;
            }
            let piece = (HEADER_LENGTH - self.header_length).min(bytes.len());
            self.header[self.header_length..][..piece].copy_from_slice(&bytes[..piece]);
            self.header_length += piece;
            bytes = &bytes[piece..];
            if let Some(header) = FrameHeader::read(&self.header[..self.header_length]) {
                self.header_length = 0;
                self.rest_length = header.length;
                resets += u32::from(header.kind == kind::RST_STREAM);
            }
        }
    }
}

/// Writes in the server's first frame, its SETTINGS, another greatest length of a header list.
///
/// The `h2` crate says what it decodes at the most. That has to be more than what is answered: a list that is a little too
/// long gets an answer that says so, which needs its fields.
pub fn set_header_list_length(settings: &mut [u8], length_max: u32) {
    const MAX_HEADER_LIST_SIZE: u16 = 6;
    let Some(header) = FrameHeader::read(settings).filter(|header| header.kind == kind::SETTINGS) else {
        return;
    };
    let end = settings.len().min(HEADER_LENGTH + header.length);
    for parameter in settings[HEADER_LENGTH..end].chunks_exact_mut(6) {
        if parameter[..2] == MAX_HEADER_LIST_SIZE.to_be_bytes() {
            parameter[2..].copy_from_slice(&length_max.to_be_bytes());
        }
    }
}

/// A GOAWAY of a server that has taken no stream, for a client whose preface is none (RFC 9113, section 3.4).
pub const GOAWAY_PROTOCOL_ERROR: [u8; HEADER_LENGTH + 8] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

#[cfg(test)]
mod tests;
