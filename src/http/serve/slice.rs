//! A turn's slice: how much one connection is sent, and how many of its requests are answered, before it is the others' turn.
//! Pure.
//!
//! Whoever asks for large bodies as fast as the kernel takes them, or sends thousands of small requests in one go, would
//! otherwise hold its worker for as long as it likes.

/// Bytes that a connection is sent in one turn.
pub const LENGTH_MAX: usize = 256 << 10;

/// Requests of a connection that are answered in one turn.
pub const REQUESTS_MAX: usize = 64;

/// What is left of a connection's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    length: usize,
    requests: usize,
}

impl Default for Slice {
    /// A whole one.
    fn default() -> Self {
        Self {
            length: LENGTH_MAX,
            requests: REQUESTS_MAX,
        }
    }
}

impl Slice {
    /// Bytes that may still be sent.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Requests that may still be answered: none either once as much as may be has been sent.
    pub fn requests(&self) -> usize {
        if self.length == 0 { 0 } else { self.requests }
    }

    /// Takes note of bytes that were sent; more than there was room for leave none.
    pub fn sent(&mut self, length: usize) {
        self.length = self.length.saturating_sub(length);
    }

    /// Takes note of requests that were answered.
    pub fn answered(&mut self, requests: usize) {
        self.requests = self.requests.saturating_sub(requests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_ends_by_bytes_or_by_requests() {
        let mut slice = Slice::default();
        slice.sent(LENGTH_MAX - 1);
        slice.answered(REQUESTS_MAX - 1);
        assert_eq!((slice.length(), slice.requests()), (1, 1));
        let mut by_bytes = slice;
        by_bytes.sent(2);
        assert_eq!((by_bytes.length(), by_bytes.requests()), (0, 0));
        slice.answered(1);
        assert_eq!(
            (slice.length(), slice.requests()),
            (1, 0),
            "what is answered may still be sent"
        );
    }
}
