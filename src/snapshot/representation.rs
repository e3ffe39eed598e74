//! Representations: one body in one content coding, with the header blocks of its answers.

use bytes::Bytes;

use super::head::Head;
use crate::body::Body;
use crate::coding::Coding;

/// Below this length, in bytes, a body is sent with its head from one piece of memory, where it stands once more.
const BODY_BUILT_IN_MAX: usize = 4 << 10;

/// One body in one content coding, ready to be sent (RFC 9110, section 3.2).
#[derive(Clone, Debug)]
pub struct Representation {
    coding: Coding,
    etag: Box<str>,
    body: Body,
    ok: Head,
    not_modified: Head,
}

/// What the header blocks of one target have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    /// The value of `Cache-Control`.
    pub(super) cache_control: &'a str,
    /// More lines of the 200, as name and value.
    pub(super) extra: &'a [(&'a str, &'a str)],
}

impl Representation {
    /// `tag` is the hash of what the identity body holds; the entity tag adds the coding to it, so that tags differ where bytes do
    /// (RFC 9110, section 8.8.3.3).
    pub(super) fn new(coding: Coding, tag: u64, body: Body, fields: Fields<'_>) -> Self {
        let etag = entity_tag(tag, coding);
        let mut ok = Head::builder(200)
            .field("content-length", decimal(body.len(), &mut [0; 20]))
            .field("content-type", "application/json");
        if coding != Coding::Identity {
            ok = ok.field("content-encoding", coding.token());
        }
        ok = ok.field("accept-ranges", "bytes");
        for (name, value) in fields.extra {
            ok = ok.field(name, value);
        }
        let shared = |head: super::head::HeadBuilder| {
            head.field("etag", etag.as_bytes())
                .field("cache-control", fields.cache_control)
                .field("vary", "accept-encoding")
        };
        let is_small = body.len() < BODY_BUILT_IN_MAX;
        let ok = shared(ok).build_with(if is_small { &body } else { b"" });
        let not_modified = shared(Head::builder(304)).build();
        Self {
            coding,
            etag,
            body,
            ok,
            not_modified,
        }
    }

    /// The content coding of the body.
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// The strong entity tag, with its quotes.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The header block of the 200.
    pub fn ok(&self) -> &Head {
        &self.ok
    }

    /// The header block of the 304 (RFC 9110, section 15.4.5).
    pub fn not_modified(&self) -> &Head {
        &self.not_modified
    }
}

/// The representations of one target: identity, and the codings that make it smaller.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Smallest body first, so identity last.
    representations: Box<[Representation]>,
}

impl Resource {
    pub(super) fn new(identity: Representation, coded: Vec<Representation>) -> Self {
        let mut representations = coded;
        representations.push(identity);
        representations.sort_by_key(|representation| representation.body.len());
        Self {
            representations: representations.into_boxed_slice(),
        }
    }

    /// All representations, the smallest body first.
    pub fn representations(&self) -> &[Representation] {
        &self.representations
    }

    /// The memory that it takes besides the bodies, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let heads = |of: &Representation| of.etag.len() + of.ok.wire().len() + of.not_modified.wire().len();
        size_of::<Self>() + size_of_val(&*self.representations) + self.representations.iter().map(heads).sum::<usize>()
    }

    /// The representation without a content coding.
    pub fn identity(&self) -> &Representation {
        self.representations
            .last()
            .expect("a resource has its identity representation")
    }
}

/// Where a part of a body stands in all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The place of the first byte, and of the first one after the part.
    pub part: (usize, usize),
    /// The length of the whole body, in bytes.
    pub whole: usize,
}

impl Span {
    //= rfc9110#section-15.3.7.1
    //# If a single part is being transferred, the server generating the 206 response MUST generate a Content-Range header field, describing what range of the
    //= rfc9110#section-15.3.7
    //# Otherwise, a sender MUST generate all of the representation header fields that would have been sent in a 200 (OK) response to the same request.
    /// Appends the header block of the 206 of this part, where that of the 200 is `ok` (RFC 9110, section 15.3.7): the same
    /// lines, but for the status, the length, and which part it is.
    ///
    /// # Panics
    ///
    /// If the first field of `ok` is not its length.
    pub fn write_part_of(self, ok: &Head, out: &mut Vec<u8>) {
        let block = ok.block();
        let line_end = |text: &[u8]| text.iter().position(|&byte| byte == b'\r').expect("lines end");
        let fields = &block[line_end(block) + 2..];
        assert!(fields.starts_with(b"content-length: "), "a 200 begins with its length");
        self.write_start(out);
        out.extend_from_slice(&fields[line_end(fields)..]);
    }

    /// Up to the line break before the other fields.
    fn write_start(self, out: &mut Vec<u8>) {
        let (start, end) = self.part;
        out.extend_from_slice(b"HTTP/1.1 206 Partial Content\r\ncontent-length: ");
        write_decimal(end - start, out);
        out.extend_from_slice(b"\r\ncontent-range: bytes ");
        write_decimal(start, out);
        out.push(b'-');
        write_decimal(end - 1, out);
        out.push(b'/');
        write_decimal(self.whole, out);
    }
}

/// The header block of an item of a large collection: all but the length and the tag is the same for every item.
#[derive(Clone, Debug)]
pub struct ItemTemplate {
    /// Ends with `content-length: `.
    ok_start: Bytes,
    /// From the line break after the length to the tag's first hexadecimal digit.
    ok_middle: Bytes,
    /// Ends with the quote before the tag's first hexadecimal digit.
    not_modified_start: Bytes,
    /// From the tag's closing quote on; the same in both.
    end: Bytes,
}

impl ItemTemplate {
    pub(super) fn new(cache_control: &str) -> Self {
        let mut ok_start = Head::builder(200).into_bytes();
        ok_start.extend_from_slice(b"content-length: ");
        let mut not_modified_start = Head::builder(304).into_bytes();
        not_modified_start.extend_from_slice(b"etag: \"");
        let end = format!("\"\r\ncache-control: {cache_control}\r\nvary: accept-encoding\r\n");
        Self {
            ok_start: ok_start.into(),
            ok_middle: Bytes::from_static(b"\r\ncontent-type: application/json\r\naccept-ranges: bytes\r\netag: \""),
            not_modified_start: not_modified_start.into(),
            end: end.into(),
        }
    }

    /// Appends the header block of the 200 of an item with this body length, in bytes, and tag.
    pub fn write_ok(&self, length: usize, tag: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ok_start);
        write_decimal(length, out);
        out.extend_from_slice(&self.ok_middle);
        out.extend_from_slice(&hexadecimal(tag));
        out.extend_from_slice(&self.end);
    }

    /// Appends the header block of the 206 of a part of an item with this tag.
    pub fn write_part(&self, span: Span, tag: u64, out: &mut Vec<u8>) {
        span.write_start(out);
        out.extend_from_slice(&self.ok_middle);
        out.extend_from_slice(&hexadecimal(tag));
        out.extend_from_slice(&self.end);
    }

    /// Appends the header block of the 304 of an item with this tag.
    pub fn write_not_modified(&self, tag: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.not_modified_start);
        out.extend_from_slice(&hexadecimal(tag));
        out.extend_from_slice(&self.end);
    }
}

/// The entity tag of an item that has no header block of its own, with its quotes.
pub fn item_entity_tag(tag: u64) -> [u8; 18] {
    let mut etag = [b'"'; 18];
    etag[1..17].copy_from_slice(&hexadecimal(tag));
    etag
}

fn entity_tag(tag: u64, coding: Coding) -> Box<str> {
    // Of each of thousands of items: the machinery of formats costs several times as much.
    let digits = hexadecimal(tag);
    let digits = std::str::from_utf8(&digits).expect("digits are text");
    match coding {
        Coding::Identity => ["\"", digits, "\""].concat(),
        coded => ["\"", digits, "-", coded.token(), "\""].concat(),
    }
    .into_boxed_str()
}

fn hexadecimal(tag: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 16];
    for (place, digit) in text.iter_mut().enumerate() {
        *digit = DIGITS[(tag >> (60 - 4 * place)) as usize & 0xf];
    }
    text
}

fn write_decimal(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(decimal(number, &mut [0; 20]));
}

/// A number's digits, which are written to the end of `digits`.
fn decimal(number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    &digits[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields<'static> = Fields {
        cache_control: "no-cache",
        extra: &[],
    };

    #[test]
    fn a_template_writes_what_a_representation_holds() {
        let template = ItemTemplate::new("no-cache");
        for (body, tag) in [
            ("{}", 0),
            ("{\"id\":1}", 0x0123_4567_89ab_cdef),
            ("[1,2,3,4,5]", u64::MAX),
        ] {
            let body = Body::from(body.as_bytes());
            let made = Representation::new(Coding::Identity, tag, body.clone(), FIELDS);
            let mut ok = Vec::new();
            template.write_ok(body.len(), tag, &mut ok);
            assert_eq!(&ok[..], made.ok().block());
            let mut not_modified = Vec::new();
            template.write_not_modified(tag, &mut not_modified);
            assert_eq!(&not_modified[..], made.not_modified().block());
            let span = Span {
                part: (1, 2),
                whole: body.len(),
            };
            let mut parts = [Vec::new(), Vec::new()];
            template.write_part(span, tag, &mut parts[0]);
            span.write_part_of(made.ok(), &mut parts[1]);
            assert_eq!(parts[0], parts[1]);
            let expected = format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-length: 1\r\ncontent-range: bytes 1-1/{}\r\ncontent-type: application/json\r\n",
                body.len()
            );
            assert!(parts[0].starts_with(expected.as_bytes()), "{expected}");
            assert_eq!(item_entity_tag(tag), made.etag().as_bytes());
        }
    }

    #[test]
    fn the_smallest_representation_comes_first_and_identity_last() {
        let make = |coding, length| Representation::new(coding, 7, vec![b'a'; length].into(), FIELDS);
        let resource = Resource::new(
            make(Coding::Identity, 9),
            vec![make(Coding::Gzip, 5), make(Coding::Br, 3)],
        );
        let order: Vec<_> = resource.representations().iter().map(Representation::coding).collect();
        assert_eq!(order, [Coding::Br, Coding::Gzip, Coding::Identity]);
        assert_eq!(resource.identity().coding(), Coding::Identity);
        assert_eq!(resource.representations()[0].etag(), "\"0000000000000007-br\"");
    }

    #[test]
    fn decimals_are_written_whole() {
        for number in [0, 9, 10, 1_400_000, usize::MAX] {
            let mut out = Vec::new();
            write_decimal(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
