//! Field lines that were seen before: a client that repeats itself is not parsed again. Pure.
//!
//! Nearly all of a head is the same in every request of a client, and only its request line differs. A worker remembers
//! the last blocks of field lines that were plain, byte for byte, and what they said; a request whose block is among
//! them has only its request line read, and its block compared.

use crate::http::framing::{Head, TARGET_LENGTH_MAX, is_in_target};
use crate::http::negotiate::AcceptEncoding;
use crate::http::request::{FieldLines, Method, RequestHead};

/// Blocks that are remembered. A power of two.
const BLOCKS_MAX: usize = 64;

/// The longest block that is remembered, in bytes: twice a browser's.
const BLOCK_LENGTH_MAX: usize = 2 << 10;

/// A request, as far as its answer goes.
#[derive(Debug)]
pub(super) struct Asked<'b> {
    /// What the answer depends on.
    pub(super) request: RequestHead<'b>,
    /// The head's length in bytes.
    pub(super) length: usize,
    /// Whether it is HTTP/1.1, and not HTTP/1.0.
    pub(super) is_http_11: bool,
    /// Whether the connection is to be closed after the answer.
    pub(super) closes: bool,
}

/// What one worker remembers.
#[derive(Debug, Default)]
pub(super) struct Memo {
    blocks: Vec<Block>,
    /// The one that was found last: where requests are pipelined it is the next one's too.
    last: usize,
}

/// A block of field lines, the empty line included, and what it said.
#[derive(Clone, Debug, Default)]
struct Block {
    lines: Vec<u8>,
    accept_encoding: AcceptEncoding,
    /// Where in the block the value of `If-None-Match` stands.
    if_none_match: Option<(usize, usize)>,
    /// Where in the block the value of `Origin` stands.
    origin: Option<(usize, usize)>,
    closes: bool,
}

impl Memo {
    /// The plain request that `input` begins with, if its field lines are remembered.
    pub(super) fn recall<'b>(&mut self, input: &'b [u8]) -> Option<Asked<'b>> {
        let line = RequestLine::parse(input)?;
        let rest = &input[line.length..];
        let is_next = |block: &Block| !block.lines.is_empty() && rest.starts_with(&block.lines);
        if !self.blocks.get(self.last).is_some_and(is_next) {
            // Not in a pipeline, then: the block is what is left.
            let place = place(rest)?;
            self.blocks.get(place).filter(|block| is_next(block))?;
            self.last = place;
        }
        Some(self.blocks[self.last].asked(&line, rest))
    }

    /// Remembers the field lines of a plain head in place of others.
    pub(super) fn learn(&mut self, head: &Head<'_, '_>, bytes: &[u8]) {
        let Some(line) = RequestLine::parse(bytes) else { return };
        let lines = &bytes[line.length..head.length];
        let request = &head.request;
        let is_simple = request.if_match.is_none()
            && request.if_none_match.count() <= 1
            && request.range.is_none()
            && request.if_range.is_none()
            && !request.has_empty_host;
        let Some(place) = place(lines).filter(|_| is_simple && lines.len() <= BLOCK_LENGTH_MAX) else {
            return;
        };
        if self.blocks.is_empty() {
            self.blocks.resize_with(BLOCKS_MAX, Block::default);
        }
        let within = |value: &[u8]| {
            let start = value.as_ptr() as usize - lines.as_ptr() as usize;
            (start, start + value.len())
        };
        let block = &mut self.blocks[place];
        block.lines.clear();
        block.lines.extend_from_slice(lines);
        block.accept_encoding = request.accept_encoding;
        block.if_none_match = request.if_none_match.first().map(within);
        block.origin = request.origin.map(within);
        block.closes = head.closes;
        self.last = place;
    }
}

impl Block {
    fn asked<'b>(&self, line: &RequestLine<'b>, rest: &'b [u8]) -> Asked<'b> {
        let mut request = RequestHead::new(line.method, line.path);
        request.query = line.query;
        request.accept_encoding = self.accept_encoding;
        if let Some((start, end)) = self.if_none_match {
            request.if_none_match = FieldLines::from(&rest[start..end]);
        }
        request.origin = self.origin.map(|(start, end)| &rest[start..end]);
        Asked {
            request,
            length: line.length + self.lines.len(),
            is_http_11: true,
            closes: self.closes,
        }
    }
}

/// Where a block is looked for: by its length and some of its bytes. `None` if it is no whole block.
fn place(lines: &[u8]) -> Option<usize> {
    let tail = lines.strip_suffix(b"\r\n\r\n")?.last_chunk::<8>()?;
    let middle = lines[lines.len() / 2..].first_chunk::<8>()?;
    let mixed = u64::from_le_bytes(*tail) ^ u64::from_le_bytes(*middle).rotate_left(17) ^ lines.len() as u64;
    // Fibonacci hashing: the high bits of the product depend on all of the word.
    let hash = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Some((hash >> (64 - BLOCKS_MAX.trailing_zeros())) as usize)
}

/// The request line of a plain request.
struct RequestLine<'b> {
    method: Method,
    path: &'b [u8],
    query: Option<&'b [u8]>,
    /// In bytes, the line's end included.
    length: usize,
}

impl<'b> RequestLine<'b> {
    fn parse(input: &'b [u8]) -> Option<Self> {
        const END: &[u8] = b" HTTP/1.1\r\n";
        let (method, start) = match input {
            [b'G', b'E', b'T', b' ', b'/', ..] => (Method::Get, 4),
            [b'H', b'E', b'A', b'D', b' ', b'/', ..] => (Method::Head, 5),
            _ => return None,
        };
        let rest = &input[start..];
        let length = rest.iter().position(|&byte| !is_in_target(byte))?;
        if length > TARGET_LENGTH_MAX || !rest[length..].starts_with(END) {
            return None;
        }
        let target = &rest[..length];
        let (path, query) = match target.iter().position(|&byte| byte == b'?') {
            Some(mark) => (&target[..mark], Some(&target[mark + 1..])),
            None => (target, None),
        };
        Some(Self {
            method,
            path,
            query,
            length: start + length + END.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::framing::{Reading, read, storage};

    /// What the head that `bytes` begin with says, by the parser.
    fn parsed(bytes: &[u8]) -> (RequestHead<'_>, usize, bool) {
        match read(bytes, &mut storage()) {
            Reading::Whole(head) if head.is_plain => (head.request, head.length, head.closes),
            other => panic!("{other:?}"),
        }
    }

    fn learn(memo: &mut Memo, bytes: &[u8]) {
        match read(bytes, &mut storage()) {
            Reading::Whole(head) => memo.learn(&head, bytes),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(memo: &mut Memo, bytes: &[u8]) {
        let asked = memo.recall(bytes).expect("it is remembered");
        assert_eq!((asked.request, asked.length, asked.closes), parsed(bytes));
    }

    const FIELDS: &str =
        "Host: a\r\nAccept-Encoding: br;q=0.5, gzip\r\nIf-None-Match: \"x\"\r\nOrigin: https://a.example\r\n\r\n";

    #[test]
    fn what_is_remembered_is_what_the_parser_said() {
        let mut memo = Memo::default();
        let first = format!("GET /items/1 HTTP/1.1\r\n{FIELDS}");
        assert!(memo.recall(first.as_bytes()).is_none());
        learn(&mut memo, first.as_bytes());
        check(&mut memo, first.as_bytes());
        check(&mut memo, format!("HEAD /items?a=b?c HTTP/1.1\r\n{FIELDS}").as_bytes());
        check(&mut memo, format!("{first}{first}").as_bytes());
        let closing = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        learn(&mut memo, closing.as_bytes());
        check(&mut memo, closing.as_bytes());
        check(&mut memo, first.as_bytes());
    }

    #[test]
    fn nothing_else_is_recalled() {
        let mut memo = Memo::default();
        learn(&mut memo, format!("GET / HTTP/1.1\r\n{FIELDS}").as_bytes());
        let long = format!("GET /{} HTTP/1.1\r\n{FIELDS}", "a".repeat(TARGET_LENGTH_MAX));
        for other in [
            format!("POST / HTTP/1.1\r\n{FIELDS}"),
            format!("GET / HTTP/1.0\r\n{FIELDS}"),
            format!("GET / HTTP/1.1\n{FIELDS}"),
            format!("GET /\"a HTTP/1.1\r\n{FIELDS}"),
            format!("GET http://a/ HTTP/1.1\r\n{FIELDS}"),
            format!("GET /  HTTP/1.1\r\n{FIELDS}"),
            format!("GET / HTTP/1.1\r\nX: y\r\n{FIELDS}"),
            format!("GET / HTTP/1.1\r\n{}", &FIELDS[..FIELDS.len() - 1]),
            format!("GET / HTTP/1.1\r\n{}", FIELDS.replace("https", "httpz")),
            long,
            String::new(),
        ] {
            assert!(memo.recall(other.as_bytes()).is_none(), "{other:?}");
        }
        // More than one line of a kind is left to the parser.
        let mut memo = Memo::default();
        let twice = "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\nIf-None-Match: \"y\"\r\n\r\n";
        learn(&mut memo, twice.as_bytes());
        assert!(memo.recall(twice.as_bytes()).is_none());
    }
}
