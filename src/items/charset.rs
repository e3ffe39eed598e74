//! Text that is not UTF-8: told apart by what cannot be UTF-8, and decoded by the charset that is named.
//!
//! A charset is never guessed. What it does not have is a fault, never a replacement character.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use encoding_rs::{Decoder, DecoderResult, Encoding};

use super::error::{DataError, Fault};

/// A charset, by its label in the Encoding Standard (<https://encoding.spec.whatwg.org/#names-and-labels>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset {
    encoding: &'static Encoding,
    /// `utf-16`: the byte order is the byte order mark's, or else little endian.
    is_either_order: bool,
}

/// A text that is no charset's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a charset is one of the Encoding Standard, as utf-8, utf-16, utf-16le, utf-16be, windows-1252, iso-8859-15 or shift_jis"
)]
pub struct UnknownCharset;

impl FromStr for Charset {
    type Err = UnknownCharset;

    fn from_str(label: &str) -> Result<Self, UnknownCharset> {
        // People write these; the standard has them without the hyphen, or not at all.
        let label = match label.to_ascii_lowercase().as_str() {
            "latin-1" => "latin1".to_owned(),
            "latin-9" => "iso-8859-15".to_owned(),
            "utf16" | "utf-16-le" | "utf16le" => "utf-16le".to_owned(),
            "utf-16-be" | "utf16be" => "utf-16be".to_owned(),
            label => label.to_owned(),
        };
        let encoding = Encoding::for_label_no_replacement(label.as_bytes()).ok_or(UnknownCharset)?;
        if encoding == encoding_rs::X_USER_DEFINED {
            return Err(UnknownCharset);
        }
        Ok(Self {
            encoding,
            is_either_order: label == "utf-16",
        })
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_either_order {
            "UTF-16"
        } else {
            self.encoding.name()
        })
    }
}

/// How many bytes are looked at.
const LOOK_LENGTH: usize = 4;

/// What a text is that cannot be UTF-8, by its first bytes, and the charset that reads it.
fn found(start: &[u8]) -> Option<(&'static str, Option<&'static str>)> {
    match start {
        // Before UTF-16, which begins alike.
        [0xff, 0xfe, 0, 0] | [0, 0, 0xfe, 0xff] | [1..=255, 0, 0, 0] | [0, 0, 0, 1..=255] => Some(("UTF-32", None)),
        [0xff, 0xfe, ..] => Some(("UTF-16, little endian", Some("utf-16"))),
        [0xfe, 0xff, ..] => Some(("UTF-16, big endian", Some("utf-16"))),
        [1..=255, 0, 1..=255, 0] => Some(("UTF-16, little endian, without a byte order mark", Some("utf-16le"))),
        [0, 1..=255, 0, 1..=255] => Some(("UTF-16, big endian, without a byte order mark", Some("utf-16be"))),
        _ => None,
    }
}

/// The text of `input` in UTF-8; it is in `charset` if one is named, and else it has to be UTF-8.
pub(super) fn decoded<'a>(
    mut input: impl Read + 'a,
    charset: Option<Charset>,
) -> Result<Box<dyn Read + 'a>, super::ParseError> {
    let mut start = Vec::with_capacity(LOOK_LENGTH);
    input.by_ref().take(LOOK_LENGTH as u64).read_to_end(&mut start)?;
    let is_utf8 = |charset: Charset| charset.encoding == encoding_rs::UTF_8;
    let fault = |message: String| DataError::new(Fault::Charset(message), 1, 1, b"", &start);
    let Some(mut charset) = charset.filter(|charset| !is_utf8(*charset)) else {
        return match found(&start) {
            None => Ok(Box::new(io::Cursor::new(start).chain(input))),
            Some((what, Some(charset))) => Err(fault(format!("this is {what}: --charset {charset} reads it")).into()),
            Some((what, None)) => Err(fault(format!("this is {what}, which is not read; UTF-8 is")).into()),
        };
    };
    let marked = Encoding::for_bom(&start).map(|(encoding, _)| encoding);
    match marked {
        Some(marked) if charset.is_either_order && marked != encoding_rs::UTF_8 => charset.encoding = marked,
        Some(marked) if marked != charset.encoding => {
            let message = format!(
                "the byte order mark is of {}, and --charset names {charset}",
                marked.name()
            );
            return Err(fault(message).into());
        }
        _ => {}
    }
    Ok(Box::new(Decoding {
        inner: io::Cursor::new(start).chain(input),
        decoder: charset.encoding.new_decoder_with_bom_removal(),
        charset,
        stored: vec![0; CHUNK],
        at: 0,
        filled: 0,
        is_last: false,
        has_ended: false,
        spare: Vec::new(),
        malformed: false,
    }))
}

/// How much is decoded at a time, in bytes.
const CHUNK: usize = 64 << 10;

/// The shortest output that the decoder is given: it wants room for a character and more.
const OUTPUT_MIN: usize = 64;

/// A reader of UTF-8 from a reader of another charset.
struct Decoding<R> {
    inner: R,
    decoder: Decoder,
    charset: Charset,
    stored: Vec<u8>,
    /// What of `stored` has not been decoded yet.
    at: usize,
    filled: usize,
    is_last: bool,
    has_ended: bool,
    /// What has been decoded and did not fit the caller's buffer, the next byte last.
    spare: Vec<u8>,
    /// Whether the text goes on with what the charset does not have.
    malformed: bool,
}

/// Bytes that the charset does not have. Everything before them has been read.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not {0}")]
pub(super) struct Malformed(pub(super) Charset);

impl Malformed {
    /// The one that a reader has failed by. It fails by it again when it is read on.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).copied()
    }
}

impl<R: Read> Decoding<R> {
    /// Decodes some more; 0 is the end.
    fn decode(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.malformed {
                return Err(io::Error::new(io::ErrorKind::InvalidData, Malformed(self.charset)));
            }
            if self.has_ended {
                return Ok(0);
            }
            if self.at == self.filled && !self.is_last {
                self.filled = self.inner.read(&mut self.stored)?;
                self.at = 0;
                self.is_last = self.filled == 0;
            }
            let rest = &self.stored[self.at..self.filled];
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(rest, out, self.is_last);
            self.at += read;
            match result {
                DecoderResult::InputEmpty => self.has_ended = self.is_last,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => self.malformed = true,
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.spare.is_empty() && buffer.len() >= OUTPUT_MIN {
            return self.decode(buffer);
        }
        if self.spare.is_empty() {
            let mut decoded = [0; OUTPUT_MIN];
            let length = self.decode(&mut decoded)?;
            self.spare.extend(decoded[..length].iter().rev());
        }
        let length = self.spare.len().min(buffer.len());
        for byte in &mut buffer[..length] {
            *byte = self.spare.pop().expect("there are as many");
        }
        Ok(length)
    }
}
