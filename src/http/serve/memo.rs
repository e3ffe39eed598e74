//! Field lines that were seen before: a client that repeats itself is not parsed again. Pure.
//!
//! Nearly all of a head is the same in every request of a client: its request line differs, and the value of a field or two that
//! no answer depends on, which a proxy has put there (`X-Request-Id`, `traceparent`). A loop remembers the last blocks of field
//! lines that were plain, and what they said. Where two of them differ by such values alone, or by that of `If-None-Match`,
//! they become one block with holes, which any values fit that the parser would have taken.

use xxhash_rust::xxh3::Xxh3Default;

use crate::http::message::accept_encoding::AcceptEncoding;
use crate::http::message::framing::{HEAD_LENGTH_MAX, Head, TARGET_LENGTH_MAX, is_in_target, says_something};
use crate::http::message::request::{FieldLines, Method, RequestHead};

/// Blocks without holes that are remembered. A power of two.
const BLOCKS_MAX: usize = 64;

/// Blocks with holes that are remembered. One that is looked for is compared with each of them.
const HOLED_MAX: usize = 16;

/// Holes that a block has at the most.
const HOLES_MAX: usize = 8;

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
    /// Whether nothing about it needs more than an answer: see [`Head::is_plain`].
    pub(super) is_plain: bool,
    /// Whether that is the client's wish, and nothing of this request is left to come.
    pub(super) ends: bool,
}

/// What one loop remembers.
#[derive(Debug, Default)]
pub(super) struct Memo {
    /// Those without holes, each at the place that its bytes tell, and behind them those with holes.
    blocks: Vec<Block>,
    /// The one that was found last: the next one is mostly the same.
    last: usize,
    /// Which of those with holes is replaced next.
    next_holed: usize,
}

/// A block of field lines, the empty line included, and what it said.
#[derive(Clone, Debug, Default)]
struct Block {
    lines: Vec<Line>,
    /// A hash of the fields' names.
    shape: u64,
    /// The lines without what is in holes.
    text: Vec<u8>,
    /// Where in the text the holes are, and what is in them.
    holes: Vec<(usize, Value)>,
    accept_encoding: AcceptEncoding,
    /// Where in the text the value of `If-None-Match` stands, and behind how many holes.
    if_none_match: Option<Place>,
    /// The same of `Origin`.
    origin: Option<Place>,
    /// The same of `Traceparent`.
    traceparent: Option<Place>,
    closes: bool,
}

/// What a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    IfNoneMatch,
    Traceparent,
    Other,
}

impl Value {
    fn of(name: &[u8]) -> Self {
        match name.len() {
            11 if name.eq_ignore_ascii_case(b"traceparent") => Self::Traceparent,
            13 if name.eq_ignore_ascii_case(b"if-none-match") => Self::IfNoneMatch,
            _ => Self::Other,
        }
    }
}

/// A field line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// All of it but the line's end; up to the colon if the rest is a hole.
    text: Vec<u8>,
    name_length: usize,
    is_hole: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    end: usize,
    holes_before: usize,
}

/// A block of field lines that fits one that is remembered.
struct Fit<'b> {
    length: usize,
    if_none_match: Option<&'b [u8]>,
    origin: Option<&'b [u8]>,
    traceparent: Option<&'b [u8]>,
}

impl Memo {
    /// The plain request that `input` begins with, if its field lines are remembered.
    #[inline]
    pub(super) fn recall<'b>(&mut self, input: &'b [u8]) -> Option<Asked<'b>> {
        let line = RequestLine::parse(input)?;
        let rest = &input[line.length..];
        let found = match self.blocks.get(self.last).and_then(|block| block.fit(rest)) {
            Some(fit) => Some((self.last, fit)),
            None => self.find(rest),
        };
        let (place, fit) = found?;
        if line.length + fit.length > HEAD_LENGTH_MAX {
            return None;
        }
        self.last = place;
        Some(self.blocks[place].asked(&line, fit))
    }

    /// Looks for a block that is not the last one.
    fn find<'b>(&self, rest: &'b [u8]) -> Option<(usize, Fit<'b>)> {
        // Not in a pipeline, then: the block is what is left.
        let exact = place(rest).and_then(|place| Some((place, self.blocks.get(place)?.fit(rest)?)));
        exact.or_else(|| {
            let holed = self.blocks.iter().enumerate().skip(BLOCKS_MAX);
            holed
                .into_iter()
                .find_map(|(place, block)| Some((place, block.fit(rest)?)))
        })
    }

    /// Remembers the field lines of a plain head in place of others.
    pub(super) fn learn(&mut self, head: &Head<'_, '_>, bytes: &[u8]) {
        let Some(line) = RequestLine::parse(bytes) else { return };
        let text = &bytes[line.length..head.length];
        let request = &head.request;
        let is_simple = request.if_match.is_none()
            && request.if_none_match.count() <= 1
            && request.range.is_none()
            && request.if_range.is_none()
            && !request.has_empty_host;
        let Some(place) = place(text).filter(|_| is_simple && text.len() <= BLOCK_LENGTH_MAX) else {
            return;
        };
        let block = Block::of(head, text);
        let alike = self.blocks.iter().find_map(|known| known.merged(&block));
        let place = match alike {
            None => place,
            Some(_) if self.blocks.len() < BLOCKS_MAX + HOLED_MAX => self.blocks.len().max(BLOCKS_MAX),
            Some(_) => {
                self.next_holed = (self.next_holed + 1) % HOLED_MAX;
                BLOCKS_MAX + self.next_holed
            }
        };
        if self.blocks.len() < BLOCKS_MAX {
            self.blocks.resize_with(BLOCKS_MAX, Block::default);
        }
        let block = alike.unwrap_or(block);
        match self.blocks.get_mut(place) {
            Some(known) => *known = block,
            None => self.blocks.push(block),
        }
        self.last = place;
    }
}

impl Block {
    fn of(head: &Head<'_, '_>, text: &[u8]) -> Self {
        let lines = text[..text.len() - 2]
            .split_inclusive(|&byte| byte == b'\n')
            .zip(head.fields)
            .map(|(line, field)| Line {
                text: line[..line.len() - 2].to_vec(),
                name_length: field.name.len(),
                is_hole: false,
            });
        Self::made(lines.collect(), head.request.accept_encoding, head.closes)
    }

    fn made(lines: Vec<Line>, accept_encoding: AcceptEncoding, closes: bool) -> Self {
        let mut block = Self {
            accept_encoding,
            closes,
            ..Self::default()
        };
        let mut names = Xxh3Default::new();
        for line in &lines {
            let (name, rest) = line.text.split_at(line.name_length);
            names.update(name);
            names.update(b":");
            let start = block.text.len();
            block.text.extend_from_slice(&line.text);
            let value_of = Value::of(name);
            if line.is_hole {
                block.holes.push((block.text.len(), value_of));
            } else {
                let value = rest[1..].trim_ascii();
                let value_start = start + line.text.len() - rest[1..].trim_ascii_start().len();
                let place = Place {
                    start: value_start,
                    end: value_start + value.len(),
                    holes_before: block.holes.len(),
                };
                if value_of == Value::IfNoneMatch {
                    block.if_none_match = Some(place);
                } else if value_of == Value::Traceparent {
                    block.traceparent = Some(place);
                } else if name.eq_ignore_ascii_case(b"origin") {
                    block.origin = Some(place);
                }
            }
            block.text.extend_from_slice(b"\r\n");
        }
        block.text.extend_from_slice(b"\r\n");
        block.shape = names.digest();
        block.lines = lines;
        block
    }

    /// A block that both fit, if they differ by values alone that no answer depends on, or by that of `If-None-Match`.
    fn merged(&self, other: &Self) -> Option<Self> {
        if self.lines.is_empty() || self.shape != other.shape || self.lines.len() != other.lines.len() {
            return None;
        }
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut holes_count = 0;
        for (line, other) in self.lines.iter().zip(&other.lines) {
            if line == other {
                lines.push(line.clone());
                continue;
            }
            let name = &line.text[..line.name_length];
            if says_something(name) && Value::of(name) == Value::Other {
                return None;
            }
            holes_count += 1;
            lines.push(Line {
                text: line.text[..=line.name_length].to_vec(),
                name_length: line.name_length,
                is_hole: true,
            });
        }
        (holes_count <= HOLES_MAX).then(|| Self::made(lines, self.accept_encoding, self.closes))
    }

    /// The block that `rest` begins with, if it fits this one.
    #[inline]
    fn fit<'b>(&self, rest: &'b [u8]) -> Option<Fit<'b>> {
        if self.holes.is_empty() {
            let is_fit = !self.text.is_empty() && rest.starts_with(&self.text);
            return is_fit.then(|| Fit {
                length: self.text.len(),
                if_none_match: self.if_none_match.map(|place| &rest[place.start..place.end]),
                origin: self.origin.map(|place| &rest[place.start..place.end]),
                traceparent: self.traceparent.map(|place| &rest[place.start..place.end]),
            });
        }
        self.fit_with_holes(rest)
    }

    fn fit_with_holes<'b>(&self, rest: &'b [u8]) -> Option<Fit<'b>> {
        let (mut if_none_match, mut traceparent) = (None, None);
        // How much longer the lines have become behind so many holes.
        let mut added = [0; HOLES_MAX + 1];
        let (mut at, mut from) = (0, 0);
        for (number, &(hole, value_of)) in self.holes.iter().enumerate() {
            let literal = &self.text[from..hole];
            let tail = rest[at..].strip_prefix(literal)?;
            let length = value_length(tail)?;
            match value_of {
                Value::IfNoneMatch => if_none_match = Some(tail[..length].trim_ascii()),
                Value::Traceparent => traceparent = Some(tail[..length].trim_ascii()),
                Value::Other => {}
            }
            at += literal.len() + length;
            added[number + 1] = added[number] + length;
            from = hole;
        }
        let literal = &self.text[from..];
        rest[at..].starts_with(literal).then_some(())?;
        let value = |place: Place| {
            let added = added[place.holes_before];
            &rest[place.start + added..place.end + added]
        };
        Some(Fit {
            length: at + literal.len(),
            if_none_match: if_none_match.or_else(|| self.if_none_match.map(value)),
            origin: self.origin.map(value),
            traceparent: traceparent.or_else(|| self.traceparent.map(value)),
        })
    }

    fn asked<'b>(&self, line: &RequestLine<'b>, fit: Fit<'b>) -> Asked<'b> {
        let mut request = RequestHead::new(line.method, line.path);
        request.query = line.query;
        request.accept_encoding = self.accept_encoding;
        if let Some(value) = fit.if_none_match {
            request.if_none_match = FieldLines::from(value);
        }
        request.origin = fit.origin;
        request.traceparent = fit.traceparent;
        Asked {
            request,
            length: line.length + fit.length,
            is_http_11: true,
            closes: self.closes,
            is_plain: true,
            ends: self.closes,
        }
    }
}

/// The length of a field's value, up to the end of its line, if it consists of what may stand in one (RFC 9110, section 5.5):
/// what is visible, spaces and tabs, and bytes above ASCII.
fn value_length(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let mut at = 0;
    // Eight at a time, as long as none of them is a control character: "Determine if a word has a byte less than n" of
    // Anderson's "Bit Twiddling Hacks", and the same for DEL.
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let is_control = word.wrapping_sub(ONES * 0x20) & !word;
        let del = word ^ (ONES * 0x7f);
        let is_del = del.wrapping_sub(ONES) & !del;
        if (is_control | is_del) & (ONES * 0x80) != 0 {
            break;
        }
        at += 8;
    }
    loop {
        match bytes.get(at)? {
            b'\r' => return Some(at),
            b'\t' | b' '..=b'~' | 0x80.. => at += 1,
            _ => return None,
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
    use crate::http::message::framing::{Reading, read, storage};

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

    #[test]
    fn a_value_ends_with_its_line_and_holds_no_control_character() {
        for length in 0..40 {
            let value = "x".repeat(length);
            assert_eq!(value_length(format!("{value}\r\n\r\n").as_bytes()), Some(length));
            assert_eq!(
                value_length(format!("{value}\t\u{e9}\r\n").as_bytes()),
                Some(length + 3)
            );
            assert_eq!(value_length(value.as_bytes()), None);
            for control in ["\0", "\n", "\x1f", "\x7f"] {
                assert_eq!(value_length(format!("{value}{control}abcdefgh\r\n").as_bytes()), None);
            }
        }
    }

    #[test]
    fn values_that_change_are_passed_over_where_no_answer_depends_on_them() {
        let mut memo = Memo::default();
        let head = |id: &str, tag: &str, accept: &str| {
            format!(
                "GET /items/1 HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\nIf-None-Match: {tag}\r\nAccept-Encoding: {accept}\r\nOrigin: https://a.example\r\ntraceparent: {id}\r\n\r\n"
            )
        };
        learn(&mut memo, head("1", "\"a\"", "gzip").as_bytes());
        assert!(memo.recall(head("2", "\"a\"", "gzip").as_bytes()).is_none());
        learn(&mut memo, head("2", "\"bc\"", "gzip").as_bytes());
        for (id, tag) in [
            ("2", "\"a\""),
            ("", "*"),
            (&"long ".repeat(20), "W/\"x\", \"y\""),
            ("\u{e9}", ""),
        ] {
            check(&mut memo, head(id, tag, "gzip").as_bytes());
            let pipelined = head(id, tag, "gzip") + &head("another", "\"b\"", "gzip");
            check(&mut memo, pipelined.as_bytes());
        }
        // What says something else is parsed.
        assert!(memo.recall(head("3", "\"a\"", "br").as_bytes()).is_none());
        assert!(memo.recall(head("a\u{1}b", "\"a\"", "gzip").as_bytes()).is_none());
        assert!(memo.recall(head("a\r\nHost: b", "\"a\"", "gzip").as_bytes()).is_none());
        let too_long = head(&"x".repeat(HEAD_LENGTH_MAX), "*", "gzip");
        assert!(memo.recall(too_long.as_bytes()).is_none());
        for number in 0..1000 {
            learn(&mut memo, head("1", "\"a\"", &format!("x{number}")).as_bytes());
            learn(&mut memo, head("2", "\"a\"", &format!("x{number}")).as_bytes());
            assert!(memo.blocks.len() <= BLOCKS_MAX + HOLED_MAX);
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
