//! The request head: the few things an answer depends on.

use super::accept_encoding::AcceptEncoding;

/// The methods that Janus tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS.
    Options,
    /// POST.
    Post,
    /// Any other; always answered by 405.
    Other,
}

impl Method {
    /// Every method, each at its place.
    pub const ALL: [Method; 5] = [Method::Get, Method::Head, Method::Options, Method::Post, Method::Other];

    /// Reads a method's token (RFC 9110, section 9.1: it is case-sensitive).
    pub fn parse(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"POST" => Self::Post,
            _ => Self::Other,
        }
    }

    /// A name for logs and metric labels; never text that a client sent.
    pub fn label(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
            Self::Other => "other",
        }
    }
}

/// The lines of one header field, in the order they came.
///
/// Nearly every request has at most one, so one stands here and only more of them allocate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldLines<'r> {
    first: Option<&'r [u8]>,
    rest: Vec<&'r [u8]>,
}

impl<'r> FieldLines<'r> {
    /// No line.
    pub const fn none() -> Self {
        Self {
            first: None,
            rest: Vec::new(),
        }
    }

    /// How many lines there are.
    pub fn count(&self) -> usize {
        self.first.iter().count() + self.rest.len()
    }

    /// Adds a line's value.
    pub fn push(&mut self, value: &'r [u8]) {
        match self.first {
            None => self.first = Some(value),
            Some(_) => self.rest.push(value),
        }
    }

    /// Whether the field is absent.
    pub fn is_none(&self) -> bool {
        self.first.is_none()
    }

    /// The first line's value.
    pub fn first(&self) -> Option<&'r [u8]> {
        self.first
    }

    /// The values of all lines.
    pub fn iter(&self) -> impl Iterator<Item = &'r [u8]> {
        self.first.into_iter().chain(self.rest.iter().copied())
    }
}

impl<'r> From<&'r [u8]> for FieldLines<'r> {
    fn from(line: &'r [u8]) -> Self {
        Self {
            first: Some(line),
            rest: Vec::new(),
        }
    }
}

impl<'r> FromIterator<&'r [u8]> for FieldLines<'r> {
    fn from_iter<I: IntoIterator<Item = &'r [u8]>>(values: I) -> Self {
        let mut lines = Self::none();
        values.into_iter().for_each(|value| lines.push(value));
        lines
    }
}

/// What an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead<'r> {
    /// The method.
    pub method: Method,
    /// The path of the target, not decoded; `*` for the asterisk form.
    pub path: &'r [u8],
    /// What follows the first `?` of the target.
    pub query: Option<&'r [u8]>,
    /// `Accept-Encoding`.
    pub accept_encoding: AcceptEncoding,
    /// `If-Match`.
    pub if_match: FieldLines<'r>,
    /// `If-None-Match`.
    pub if_none_match: FieldLines<'r>,
    /// `Range`; empty, which asks for nothing, where the field came twice.
    pub range: Option<&'r [u8]>,
    /// `If-Range`; empty, which nothing matches, where the field came twice.
    pub if_range: Option<&'r [u8]>,
    /// `Origin`.
    pub origin: Option<&'r [u8]>,
    /// `Traceparent`, which no answer depends on: the trace that its duration is shown with.
    pub traceparent: Option<&'r [u8]>,
    /// Whether `Host` is there and empty, as some probes send it.
    pub has_empty_host: bool,
    /// Whether there is an `Access-Control-Request-Method`, which makes an OPTIONS request a preflight.
    pub asks_for_method: bool,
}

/// The fields that [`RequestHead::field`] takes in.
pub const FIELDS_READ: [&str; 9] = [
    "host",
    "range",
    "origin",
    "if-match",
    "if-range",
    "if-none-match",
    "accept-encoding",
    "access-control-request-method",
    "traceparent",
];

impl<'r> RequestHead<'r> {
    /// A request without any header field that matters.
    pub fn new(method: Method, path: &'r [u8]) -> Self {
        Self {
            method,
            path,
            query: None,
            accept_encoding: AcceptEncoding::default(),
            if_match: FieldLines::none(),
            if_none_match: FieldLines::none(),
            range: None,
            if_range: None,
            origin: None,
            traceparent: None,
            has_empty_host: false,
            asks_for_method: false,
        }
    }

    /// Takes in a header field; those that no answer depends on are passed over.
    pub fn field(&mut self, name: &[u8], value: &'r [u8]) {
        // The length tells nearly all names apart, and nearly all fields of a browser are not among these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.has_empty_host |= value.is_empty(),
            5 if name.eq_ignore_ascii_case(b"range") => push_single(&mut self.range, value),
            6 if name.eq_ignore_ascii_case(b"origin") => self.origin = Some(value),
            8 if name.eq_ignore_ascii_case(b"if-match") => self.if_match.push(value),
            8 if name.eq_ignore_ascii_case(b"if-range") => push_single(&mut self.if_range, value),
            11 if name.eq_ignore_ascii_case(b"traceparent") => self.traceparent = Some(value),
            13 if name.eq_ignore_ascii_case(b"if-none-match") => self.if_none_match.push(value),
            15 if name.eq_ignore_ascii_case(b"accept-encoding") => self.accept_encoding.push(value),
            29 if name.eq_ignore_ascii_case(b"access-control-request-method") => self.asks_for_method = true,
            _ => {}
        }
    }
}

/// Takes in a line of a field that has one value: of two of them none counts.
fn push_single<'r>(field: &mut Option<&'r [u8]>, value: &'r [u8]) {
    *field = Some(if field.is_none() { value } else { b"" });
}
