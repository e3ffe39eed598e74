//! Header blocks: the status line and the header lines of an answer, as they go over the wire.
//!
//! A block ends after its last header line: the `Date` line and the empty line that closes the header section are put
//! in when the answer is sent. It is made when data or settings change, never for a request.

use bytes::Bytes;

/// A status line and header lines, each ended by CRLF (RFC 9112, sections 4 and 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    status: u16,
    block: Bytes,
}

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
    pub fn block(&self) -> &Bytes {
        &self.block
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
        // Copied once so that the block holds no spare capacity: there may be thousands of them.
        Head {
            status: self.status,
            block: Bytes::from(self.block.into_boxed_slice()),
        }
    }

    /// The bytes collected so far, for a block that is finished elsewhere.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.block
    }
}

/// The status codes that Janus sends.
pub const STATUSES: [u16; 20] = [
    200, 204, 206, 304, 308, 400, 401, 404, 405, 406, 408, 412, 414, 416, 422, 429, 431, 501, 503, 505,
];

/// The reason phrase of a status code that Janus sends (RFC 9110, section 15).
///
/// # Panics
///
/// If Janus never sends that status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        412 => "Precondition Failed",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        other => unreachable!("Janus never answers with status {other}"),
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
            &head.block()[..],
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: \"a\"\r\n"
        );
    }

    #[test]
    #[should_panic(expected = "one line")]
    fn a_value_cannot_smuggle_a_line() {
        let _ = Head::builder(200).field("etag", "a\r\nset-cookie: b");
    }
}
