//! Memory that there is not for what is kept while a source is read.

use std::io;

use super::error::{DataError, Fault, ParseError};

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

/// Names that failure for what it is, in the error of a reader.
pub(super) fn named(error: ParseError) -> ParseError {
    let ParseError::Io(io) = &error else { return error };
    let Some(NoMemory { held }) = io.get_ref().and_then(|inner| inner.downcast_ref()) else {
        return error;
    };
    DataError::new(Fault::NoMemory { held: *held }, 1, 1, b"", b"").into()
}
