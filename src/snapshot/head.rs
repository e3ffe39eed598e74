//! Header blocks: the status line and the header lines of an answer, as they go over the wire.
//!
//! A block ends after its last header line. Behind it stand the `Date` line, whose date is put in when the answer is sent, and the
//! empty line that closes the header section: so an answer's head, with a small body behind it, is one copy. It is made when
//! data or settings change, never for a request.

use bytes::Bytes;

use crate::status::reason;

/// A status line and header lines, each ended by CRLF (RFC 9112, sections 4 and 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    status: u16,
    /// The block's length in bytes.
    block_length: u32,
    /// The block, a `Date` line, an empty line, and what was built behind them.
    wire: Bytes,
}

/// The `Date` line of no moment, and the empty line (RFC 9110, section 6.6.1).
const DATE_AND_END: &[u8] = b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";

impl Head {
    /// Begins a block with the status line of `status`.
    pub fn builder(status: u16) -> HeadBuilder {
        let mut block = Vec::with_capacity(256);
        block.extend_from_slice(b"HTTP/1.1 ");
        block.extend_from_slice(status.to_string().as_bytes());
        block.push(b' ');
        block.extend_from_slice(reason(status).as_bytes());
        block.extend_from_slice(b"\r\n");
        HeadBuilder { status, block }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The block's bytes.
    pub fn block(&self) -> &[u8] {
        &self.wire[..self.block_length as usize]
    }

    /// The block, a `Date` line, the empty line, and the body that was built behind them, if one was. The date is to be put in.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// The length of that without a body, in bytes.
    pub fn wire_head_length(&self) -> usize {
        self.block_length as usize + DATE_AND_END.len()
    }
}

/// Collects the lines of a [`Head`].
#[derive(Debug)]
pub struct HeadBuilder {
    status: u16,
    block: Vec<u8>,
}

impl HeadBuilder {
    /// Adds a header line.
    ///
    /// # Panics
    ///
    /// If the value holds a line break: values are validated where they come from, before a port is bound.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        assert!(
            memchr::memchr2(b'\r', b'\n', value).is_none(),
            "a header value is one line"
        );
        self.block.extend_from_slice(name.as_bytes());
        self.block.extend_from_slice(b": ");
        self.block.extend_from_slice(value);
        self.block.extend_from_slice(b"\r\n");
        self
    }

    /// Closes the block.
    pub fn build(self) -> Head {
        self.build_with(b"")
    }

    /// Closes the block, with a body behind it.
    pub fn build_with(self, body: &[u8]) -> Head {
        let mut wire = self.block;
        let block_length = wire.len() as u32;
        // No spare capacity: there may be thousands of them.
        wire.reserve_exact(DATE_AND_END.len() + body.len());
        wire.extend_from_slice(DATE_AND_END);
        wire.extend_from_slice(body);
        Head {
            status: self.status,
            block_length,
            wire: Bytes::from(wire.into_boxed_slice()),
        }
    }

    /// The bytes collected so far, for a block that is finished elsewhere.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_the_status_line_and_one_line_a_field() {
        let head = Head::builder(200)
            .field("content-type", "application/json")
            .field("etag", b"\"a\"")
            .build();
        assert_eq!(head.status(), 200);
        assert_eq!(
            head.block(),
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: \"a\"\r\n"
        );
    }

    #[test]
    #[should_panic(expected = "one line")]
    fn a_value_cannot_smuggle_a_line() {
        let _ = Head::builder(200).field("etag", "a\r\nset-cookie: b");
    }
}
