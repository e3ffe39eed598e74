//! The reply: which bytes answer a request, before anyone sends them.

use std::io::Write;
use std::ops::Range;

use bytes::Bytes;

use super::route::Name;
use crate::body::Body;

use crate::snapshot::{Coding, Head, ItemTemplate, Span};

/// An answer: a header block, lines that depend on the request's origin, and a slice of somebody's memory as its body.
#[derive(Clone, Debug)]
pub struct Reply<'a> {
    head: HeadSource<'a>,
    /// More header lines, each ended by CRLF.
    extra: &'a [u8],
    body: Option<(&'a Body, Range<usize>)>,
    coding: Coding,
    route: Name,
    /// Whether the request was HEAD: the header block is the one of GET, and no body follows it.
    head_only: bool,
}

/// A whole answer that is made, and kept or sent.
#[derive(Clone, Debug)]
pub struct Made {
    /// The header block.
    pub head: Head,
    /// The body.
    pub body: Body,
}

impl Made {
    /// The answer, to be sent from this memory.
    pub fn reply(&self) -> Reply<'_> {
        Reply::new(&self.head, Some(&self.body))
    }
}

#[derive(Clone, Debug)]
enum HeadSource<'a> {
    Made(&'a Head),
    ItemOk {
        template: &'a ItemTemplate,
        length: usize,
        tag: u64,
    },
    ItemNotModified {
        template: &'a ItemTemplate,
        tag: u64,
    },
    /// A part of what `of` is the 200 of.
    Part {
        of: &'a Head,
        span: Span,
    },
    ItemPart {
        template: &'a ItemTemplate,
        span: Span,
        tag: u64,
    },
    /// No byte of a body of `length` bytes was asked for.
    Unsatisfiable {
        problem: &'a Head,
        length: usize,
    },
    /// To the same target under this path.
    Redirect {
        path: &'a [u8],
        query: Option<&'a [u8]>,
    },
}

/// The body of a redirect.
static NOTHING: Body = Body::empty();

impl<'a> Reply<'a> {
    fn of(head: HeadSource<'a>, body: Option<(&'a Body, Range<usize>)>) -> Self {
        Self {
            head,
            extra: b"",
            body,
            coding: Coding::Identity,
            route: Name::Unmatched,
            head_only: false,
        }
    }

    pub(super) fn new(head: &'a Head, body: Option<&'a Body>) -> Self {
        Self::of(HeadSource::Made(head), body.map(|body| (body, 0..body.len())))
    }

    /// A head alone, of a body that comes apart.
    pub fn of_head(head: &'a Head) -> Self {
        Self::new(head, None)
    }

    /// A part of a body, whose 200 has this head.
    pub(super) fn part(head: &'a Head, body: &'a Body, part: Range<usize>) -> Self {
        let span = Span {
            part: (part.start, part.end),
            whole: body.len(),
        };
        Self::of(HeadSource::Part { of: head, span }, Some((body, part)))
    }

    pub(super) fn item(template: &'a ItemTemplate, tag: u64, arena: &'a Body, range: Range<usize>) -> Self {
        let length = range.len();
        Self::of(HeadSource::ItemOk { template, length, tag }, Some((arena, range)))
    }

    /// A part of the item that stands in this range of the arena.
    pub(super) fn item_part(
        template: &'a ItemTemplate,
        tag: u64,
        arena: &'a Body,
        range: Range<usize>,
        part: Range<usize>,
    ) -> Self {
        let span = Span {
            part: (part.start, part.end),
            whole: range.len(),
        };
        let within = range.start + part.start..range.start + part.end;
        Self::of(HeadSource::ItemPart { template, span, tag }, Some((arena, within)))
    }

    pub(super) fn item_not_modified(template: &'a ItemTemplate, tag: u64) -> Self {
        Self::of(HeadSource::ItemNotModified { template, tag }, None)
    }

    /// A problem with a range of a body of this length.
    pub(super) fn unsatisfiable(made: &'a Made, length: usize) -> Self {
        let problem = &made.head;
        Self::of(
            HeadSource::Unsatisfiable { problem, length },
            Some((&made.body, 0..made.body.len())),
        )
    }

    /// To the same target under `path`: a path of this server, which begins with one slash and no second one.
    pub(super) fn redirect(path: &'a [u8], query: Option<&'a [u8]>) -> Self {
        Self::of(HeadSource::Redirect { path, query }, Some((&NOTHING, 0..0)))
    }

    pub(super) fn coded(self, coding: Coding) -> Self {
        Self { coding, ..self }
    }

    /// With the route that was asked for.
    pub fn of_route(self, route: Name) -> Self {
        Self { route, ..self }
    }

    /// Without its body, if it answers HEAD.
    pub fn head_only(self, head_only: bool) -> Self {
        Self { head_only, ..self }
    }

    pub(super) fn with_extra(self, extra: &'a [u8]) -> Self {
        Self { extra, ..self }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        match self.head {
            HeadSource::Made(head) => head.status(),
            HeadSource::ItemOk { .. } => 200,
            HeadSource::ItemNotModified { .. } => 304,
            HeadSource::Part { .. } | HeadSource::ItemPart { .. } => 206,
            HeadSource::Unsatisfiable { problem, .. } => problem.status(),
            HeadSource::Redirect { .. } => 308,
        }
    }

    /// The route that was asked for, for logs and metric labels.
    pub fn route(&self) -> Name {
        self.route
    }

    /// The content coding of the body.
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Appends the status line and all header lines but `Date` and those of the connection; the empty line that ends
    /// the section is the caller's.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        match self.head {
            HeadSource::Made(head) => out.extend_from_slice(head.block()),
            HeadSource::ItemOk { template, length, tag } => template.write_ok(length, tag, out),
            HeadSource::ItemNotModified { template, tag } => template.write_not_modified(tag, out),
            HeadSource::Part { of, span } => span.write_part_of(of, out),
            HeadSource::ItemPart { template, span, tag } => template.write_part(span, tag, out),
            HeadSource::Unsatisfiable { problem, length } => {
                out.extend_from_slice(problem.block());
                // Writing to memory does not fail.
                let _ = write!(out, "content-range: bytes */{length}\r\n");
            }
            HeadSource::Redirect { path, query } => {
                out.extend_from_slice(b"HTTP/1.1 308 Permanent Redirect\r\ncontent-length: 0\r\nlocation: ");
                out.extend_from_slice(path);
                if let Some(query) = query {
                    out.push(b'?');
                    out.extend_from_slice(query);
                }
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(self.extra);
    }

    /// The answer's head as it is kept: [`Head::wire`], if all of the head is there; and whether the body that is to be sent is
    /// there too, behind it.
    #[inline]
    pub fn wire(&self) -> Option<(&'a Head, bool)> {
        match self.head {
            HeadSource::Made(head) if self.extra.is_empty() => {
                let has_body = !self.head_only && head.wire().len() > head.wire_head_length();
                Some((head, has_body))
            }
            _ => None,
        }
    }

    /// The head of an answer that is kept as a whole, with the body that is to be sent, if there is one.
    pub fn whole(&self) -> Option<&'a Head> {
        let (head, has_body) = self.wire()?;
        (has_body || self.body().is_empty()).then_some(head)
    }

    /// What is sent of an answer that is kept as a whole: its head, and its body unless the request was HEAD.
    pub fn sent_of(&self, whole: &Head) -> Bytes {
        if self.body().is_empty() {
            whole.wire().slice(..whole.wire_head_length())
        } else {
            whole.wire().clone()
        }
    }

    //= rfc9110#section-9.3.2
    //# The HEAD method is identical to GET except that the server MUST NOT send content in the response.
    /// The body that is to be sent: empty for HEAD.
    pub fn body(&self) -> &'a [u8] {
        if self.head_only { b"" } else { self.selected() }
    }

    /// Whether the answer has no content to speak of at all, as 204 and 304 have none.
    pub fn is_bodyless(&self) -> bool {
        self.body.is_none()
    }

    /// A shared handle of the body that GET would send, for a face that cuts it off for HEAD by itself.
    pub fn selected_shared(&self) -> Body {
        self.body
            .as_ref()
            .map_or_else(Body::default, |(owner, range)| owner.slice(range.clone()))
    }

    fn selected(&self) -> &'a [u8] {
        self.body.as_ref().map_or(b"", |(owner, range)| &owner[range.clone()])
    }
}
