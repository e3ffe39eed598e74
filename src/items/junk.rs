//! What no text holds, refused when it is read: what follows would be read, and made into more, to no end.

use std::io::{self, Read};

use super::error::{DataError, Fault, ParseError};

/// A reader of text in which there is no NUL.
pub(super) struct NoNul<R> {
    inner: R,
    newlines: u64,
    has_nul: bool,
}

/// A NUL has been met.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a NUL byte on line {line}")]
struct Nul {
    line: u64,
}

/// What has been read is kept, and there is no memory for more of it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("there is no memory beside the {held} bytes that are kept")]
pub(super) struct NoMemory {
    held: u64,
}

impl NoMemory {
    /// The error of a reader that keeps `held` bytes.
    pub(super) fn error(held: u64) -> io::Error {
        io::Error::new(io::ErrorKind::OutOfMemory, Self { held })
    }
}

impl<R> NoNul<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            newlines: 0,
            has_nul: false,
        }
    }
}

impl<R: Read> Read for NoNul<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.has_nul {
            let line = self.newlines + 1;
            return Err(io::Error::new(io::ErrorKind::InvalidData, Nul { line }));
        }
        let mut length = self.inner.read(buffer)?;
        if let Some(place) = memchr::memchr(0, &buffer[..length]) {
            self.has_nul = true;
            length = place;
        }
        self.newlines += memchr::memchr_iter(b'\n', &buffer[..length]).count() as u64;
        // What stands before it is read first: it may have a fault of its own, and 0 would be the end.
        if length == 0 && self.has_nul {
            return self.read(buffer);
        }
        Ok(length)
    }
}

/// Names what these readers fail by for what it is.
pub(super) fn named(error: ParseError) -> ParseError {
    let ParseError::Io(io) = &error else { return error };
    let Some(inner) = io.get_ref() else { return error };
    let (fault, line) = if let Some(Nul { line }) = inner.downcast_ref() {
        (Fault::Nul, *line)
    } else if let Some(NoMemory { held }) = inner.downcast_ref() {
        (Fault::NoMemory { held: *held }, 1)
    } else {
        return error;
    };
    DataError::new(fault, line, 1, b"", b"").into()
}
