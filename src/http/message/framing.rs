//! Framing: where a request's head ends in a connection's bytes, what follows it, and whether it can be trusted. Pure.
//!
//! Heads are read here and nowhere else, and are told the same whatever pieces the bytes come in.

use std::mem::MaybeUninit;

use super::host::is_host;
use super::request::{FIELDS_READ, Method, RequestHead};

/// The longest head, in bytes: request line, fields, and the empty line.
pub const HEAD_LENGTH_MAX: usize = 16 << 10;

/// The longest request target, in bytes.
pub const TARGET_LENGTH_MAX: usize = 8 << 10;

/// The most fields in a head.
pub const FIELDS_MAX: usize = 96;

/// A field line, as it came.
pub type Field<'b> = httparse::Header<'b>;

/// Where the field lines of one head are put.
pub type Storage<'b> = [MaybeUninit<Field<'b>>; FIELDS_MAX];

/// A storage that holds nothing; it costs nothing to make.
pub const fn storage<'b>() -> Storage<'b> {
    [const { MaybeUninit::uninit() }; FIELDS_MAX]
}

/// What a connection's bytes begin with.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made, once a request; a box would allocate"
)]
pub enum Reading<'h, 'b> {
    /// A head that is not whole yet.
    Partial,
    /// A head.
    Whole(Head<'h, 'b>),
    /// Something that is answered by this problem, and the connection closed: where the next request begins cannot be
    /// told.
    Refused(Refusal),
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not one of HTTP/1, or says two things about where the request ends.
    MalformedRequest,
    /// Its target has a character that is not ASCII.
    MalformedPath,
    /// Its target is longer than [`TARGET_LENGTH_MAX`].
    TargetTooLong,
    /// It is longer than [`HEAD_LENGTH_MAX`], or has more fields than [`FIELDS_MAX`].
    HeadTooLarge,
    /// It is of a version of HTTP that is not spoken.
    VersionNotSupported,
    /// It names a transfer coding that is not known.
    CodingNotSupported,
    /// `Host` is missing, there twice, or names no host.
    BadHost,
}

/// A request's head, and what it says of the connection.
#[derive(Debug)]
pub struct Head<'h, 'b> {
    /// Its length in bytes, leading empty lines included: what follows is the body, or the next head.
    pub length: usize,
    /// The method's token.
    pub method: &'b str,
    /// The request target, as it came.
    pub target: &'b str,
    /// Whether it is HTTP/1.1, and not HTTP/1.0.
    pub is_http_11: bool,
    /// The field lines.
    pub fields: &'h [Field<'b>],
    /// What an answer depends on.
    pub request: RequestHead<'b>,
    /// The body that follows.
    pub body: Body,
    /// Whether the client wants the connection closed after the answer.
    pub closes: bool,
    /// Whether nothing about it needs more than an answer: HTTP/1.1, GET or HEAD, an ordinary target, no body, nothing
    /// asked of the connection but to be kept or closed, no empty line before it.
    pub is_plain: bool,
}

impl Head<'_, '_> {
    //= rfc9112#section-9.3
    //# A server MUST read the entire request message body or close the connection after sending its response; otherwise, the remaining data on a persistent
    /// Whether nothing after this request is taken for another.
    ///
    /// A body is not read, so where it ends is not known for sure; and what follows CONNECT is no HTTP.
    pub fn is_last(&self) -> bool {
        self.closes || self.body != Body::None || self.method == "CONNECT"
    }
}

/// What follows a head (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// So many bytes; at least one.
    Sized(u64),
    /// Chunks.
    Chunked,
}

/// Reads the head that `bytes` begin with.
pub fn read<'h, 'b>(bytes: &'b [u8], storage: &'h mut Storage<'b>) -> Reading<'h, 'b> {
    // What lies beyond the longest head is not looked at, so that a head that is refused is refused for the same reason
    // whether it came at once or in pieces.
    let window = &bytes[..bytes.len().min(HEAD_LENGTH_MAX)];
    let mut parsed = httparse::Request::new(&mut []);
    let length = match parsed.parse_with_uninit_headers(window, storage) {
        Ok(httparse::Status::Complete(length)) => length,
        _ if is_target_too_long(window) => return Reading::Refused(Refusal::TargetTooLong),
        Ok(httparse::Status::Partial) if window.len() < HEAD_LENGTH_MAX => return Reading::Partial,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Reading::Refused(Refusal::HeadTooLarge);
        }
        Err(_) if has_raw_target(window) => return Reading::Refused(Refusal::MalformedPath),
        Err(httparse::Error::Version) if is_of_other_version(window) => {
            return Reading::Refused(Refusal::VersionNotSupported);
        }
        Err(_) => return Reading::Refused(Refusal::MalformedRequest),
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        unreachable!("a whole head has all of its parts")
    };
    if target.len() > TARGET_LENGTH_MAX {
        return Reading::Refused(Refusal::TargetTooLong);
    }
    if !target.is_ascii() {
        return Reading::Refused(Refusal::MalformedPath);
    }
    let fields: &'h [Field<'b>] = parsed.headers;
    let line = RequestLine {
        method,
        target,
        is_http_11: minor == 1,
    };
    let head = &window[..length];
    if !has_whole_line_ends(fields, head) {
        return Reading::Refused(Refusal::MalformedRequest);
    }
    match Fields::read(&line, fields) {
        Ok(found) => Reading::Whole(found.head(line, fields, head)),
        Err(problem) => Reading::Refused(problem),
    }
}

struct RequestLine<'b> {
    method: &'b str,
    target: &'b str,
    is_http_11: bool,
}

/// What the field lines say.
struct Fields<'b> {
    request: RequestHead<'b>,
    has_host: bool,
    content_length: Option<u64>,
    is_chunked: bool,
    /// Whether a transfer coding is named that is not known here.
    is_coded_otherwise: bool,
    closes: bool,
    keeps: bool,
    /// Whether something but the answer depends on the head: then it is not remembered.
    is_peculiar: bool,
}

impl<'b> Fields<'b> {
    fn read(line: &RequestLine<'b>, fields: &[Field<'b>]) -> Result<Self, Refusal> {
        let target = line.target.as_bytes();
        let is_ordinary = is_ordinary(target);
        let (path, query) = if is_ordinary {
            split_query(target)
        } else {
            resource(line.method, target)?
        };
        let mut found = Self {
            request: RequestHead::new(Method::parse(line.method.as_bytes()), path),
            has_host: false,
            content_length: None,
            is_chunked: false,
            is_coded_otherwise: false,
            closes: false,
            keeps: false,
            is_peculiar: !is_ordinary,
        };
        found.request.query = query;
        for field in fields {
            found.take_in(field)?;
        }
        found.check(line)
    }

    fn take_in(&mut self, field: &Field<'b>) -> Result<(), Refusal> {
        let (name, value) = (field.name.as_bytes(), field.value);
        // The length tells nearly all names apart, and nearly all fields of a browser are not among these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.has_host || !(value.is_empty() || is_host(value)) {
                    return Err(Refusal::BadHost);
                }
                self.has_host = true;
                self.request.has_empty_host = value.is_empty();
            }
            6 if name.eq_ignore_ascii_case(b"expect") => self.is_peculiar = true,
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.is_peculiar = true,
            10 if name.eq_ignore_ascii_case(b"connection") => self.take_options(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.content_length.is_some() {
                    return Err(Refusal::MalformedRequest);
                }
                self.content_length = Some(decimal(value).ok_or(Refusal::MalformedRequest)?);
                self.is_peculiar = true;
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.take_codings(value)?;
                self.is_peculiar = true;
            }
            _ => self.request.field(name, value),
        }
        Ok(())
    }

    //= rfc9112#section-9.6
    //# A server that receives a "close" connection option MUST initiate closure of the connection (see below) after it sends the final response to the
    /// The options of `Connection` (RFC 9110, section 7.6.1).
    fn take_options(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keeps = true;
            } else if option.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else {
                self.is_peculiar = true;
            }
        }
    }

    /// The codings of `Transfer-Encoding` (RFC 9112, section 6.1): chunked, once and last. Another may be right, and is
    /// not known here.
    fn take_codings(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for coding in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if coding.eq_ignore_ascii_case(b"chunked") {
                if self.is_chunked {
                    return Err(Refusal::MalformedRequest);
                }
                self.is_chunked = true;
                continue;
            }
            let name = coding
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default()
                .trim_ascii_end();
            // Chunked takes no parameters (RFC 9112, section 7.1).
            if name.is_empty() || !name.iter().copied().all(is_token) || name.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::MalformedRequest);
            }
            self.is_coded_otherwise = true;
        }
        Ok(())
    }

    //= rfc9112#section-6.3
    //# the message body length cannot be determined reliably; the server MUST respond with the 400 (Bad Request) status code and then close the connection.
    //= rfc9112#section-6.1
    //# receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the message as if the framing is faulty, even if a Content-Length
    //= rfc9112#section-3.2
    //# A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header field and to any request message
    /// Refuses what cannot be framed, or be meant for this server.
    fn check(self, line: &RequestLine<'_>) -> Result<Self, Refusal> {
        let is_coded = self.is_chunked || self.is_coded_otherwise;
        let is_framed_twice = is_coded && self.content_length.is_some();
        // HTTP/1.0 has no transfer coding (RFC 9112, section 6.1), and its POST is framed by its length alone (RFC
        // 1945, section 7.2.2).
        let is_unframed = !line.is_http_11 && (is_coded || line.method == "POST" && self.content_length.is_none());
        if is_framed_twice || is_unframed {
            return Err(Refusal::MalformedRequest);
        }
        if self.is_coded_otherwise {
            return Err(Refusal::CodingNotSupported);
        }
        // HTTP/1.0 may do without (RFC 9112, section 3.2).
        if line.is_http_11 && !self.has_host {
            return Err(Refusal::BadHost);
        }
        Ok(self)
    }

    fn head<'h>(self, line: RequestLine<'b>, fields: &'h [Field<'b>], bytes: &'b [u8]) -> Head<'h, 'b> {
        let body = match (self.content_length, self.is_chunked) {
            (_, true) => Body::Chunked,
            (Some(length @ 1..), false) => Body::Sized(length),
            (Some(0) | None, false) => Body::None,
        };
        let is_plain = line.is_http_11
            && !self.is_peculiar
            && matches!(self.request.method, Method::Get | Method::Head)
            && !bytes[0].is_ascii_whitespace();
        Head {
            length: bytes.len(),
            method: line.method,
            target: line.target,
            is_http_11: line.is_http_11,
            fields,
            request: self.request,
            body,
            closes: self.closes || !line.is_http_11 && !self.keeps,
            is_plain,
        }
    }
}

/// Whether anything depends on a field with this name: its answer, where the request ends, or what becomes of the connection.
pub fn says_something(name: &[u8]) -> bool {
    const OF_FRAMING: [&str; 6] = [
        "host",
        "expect",
        "upgrade",
        "connection",
        "content-length",
        "transfer-encoding",
    ];
    let mut all = OF_FRAMING.iter().chain(&FIELDS_READ);
    all.any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Digits alone: no sign, no list.
fn decimal(value: &[u8]) -> Option<u64> {
    let is_decimal = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_decimal.then(|| std::str::from_utf8(value).ok()?.parse().ok())?
}

/// What follows the method's space in a head that is not whole, or not right.
fn after_method(bytes: &[u8]) -> Option<&[u8]> {
    let mut line = bytes;
    // Line ends only, as the parser passes them: at a lone CR it stops, and has seen no method.
    while let Some(rest) = line.strip_prefix(b"\r\n").or_else(|| line.strip_prefix(b"\n")) {
        line = rest;
    }
    let method_length = line.iter().take_while(|&&byte| is_token(byte)).count();
    match line[method_length..].split_first() {
        Some((b' ', rest)) if method_length > 0 => Some(rest),
        _ => None,
    }
}

/// What has come of the target of a head that is not whole, or not right, and what follows it. Ends at the first byte that the
/// parser would have ended at.
fn split_target(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = after_method(bytes)?;
    let is_in_target = |&&byte: &&u8| byte > b' ' && byte != 0x7f;
    Some(rest.split_at(rest.iter().take_while(is_in_target).count()))
}

/// Whether the target of a head that is not whole, or not right, is already too long.
fn is_target_too_long(bytes: &[u8]) -> bool {
    split_target(bytes).is_some_and(|(target, _)| target.len() > TARGET_LENGTH_MAX)
}

/// Whether the target of a head that is not right holds characters as they are, in whatever character set.
fn has_raw_target(bytes: &[u8]) -> bool {
    split_target(bytes).is_some_and(|(target, _)| !target.is_ascii())
}

/// Whether a head whose version is refused names one, of a form that is HTTP's: as far as it is decided by its first digits,
/// since no more of it may have come.
fn is_of_other_version(bytes: &[u8]) -> bool {
    let rest = split_target(bytes).map_or(&b""[..], |(_, rest)| rest);
    match rest.strip_prefix(b" HTTP/") {
        Some([b'1', b'.', minor, ..]) => minor.is_ascii_digit(),
        Some([b'1', ..]) => false,
        Some([major, ..]) => major.is_ascii_digit(),
        _ => false,
    }
}

/// The path and the query of a target.
fn split_query(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match target.iter().position(|&byte| byte == b'?') {
        Some(mark) => (&target[..mark], Some(&target[mark + 1..])),
        None => (target, None),
    }
}

//= rfc9112#section-3.2.2
//# A server MUST accept the absolute-form in requests even though most HTTP/1.1 clients will only send the absolute-form to a proxy.
/// The path and the query of a target that is not ordinary (RFC 9112, section 3.2): one in absolute form, `*`, or of
/// characters that should have been encoded. That of CONNECT names no resource: its path is empty.
///
/// Who is named by a target in absolute form is not asked, as `Host` is not: there is one site.
fn resource<'b>(method: &str, target: &'b [u8]) -> Result<(&'b [u8], Option<&'b [u8]>), Refusal> {
    if target == b"*" {
        return Ok((target, None));
    }
    if method == "CONNECT" && is_host(target) {
        return Ok((b"", None));
    }
    // A fragment is the client's own, and no part of what it asks for.
    let target = target.split(|&byte| byte == b'#').next().unwrap_or_default();
    let relative = if target.first() == Some(&b'/') {
        target
    } else {
        let rest = strip_scheme(target).ok_or(Refusal::MalformedRequest)?;
        let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
        if !is_host(&rest[..end]) {
            return Err(Refusal::BadHost);
        }
        &rest[end..]
    };
    let (path, query) = split_query(relative);
    let is_path = path.iter().all(|&byte| may_be_in_path(byte));
    if !is_path || !query.is_none_or(|query| query.iter().all(|&byte| may_be_in_query(byte))) {
        return Err(Refusal::MalformedRequest);
    }
    Ok((if path.is_empty() { b"/" } else { path }, query))
}

/// What follows `http://` or `https://`.
fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// Characters that should be encoded in a path, and are let pass because clients send them as they are: none that URI parsers
/// disagree about.
fn may_be_in_path(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"#<>?`".contains(&byte)
}

/// As in a path, and some less: of these too parsers agree on what they mean.
fn may_be_in_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>".contains(&byte)
}

/// `tchar` (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An origin-form target of characters that every URI parser takes (RFC 3986, appendix A).
fn is_ordinary(target: &[u8]) -> bool {
    target.first() == Some(&b'/') && target.iter().all(|&byte| is_in_target(byte))
}

/// Whether a byte may stand in an ordinary target.
pub fn is_in_target(byte: u8) -> bool {
    IN_TARGET[byte as usize]
}

/// `pchar`, `%`, `/` and `?`.
const IN_TARGET: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~%!$&'()*+,;=:@/?";
    let mut place = 0;
    while place < others.len() {
        table[others[place] as usize] = true;
        place += 1;
    }
    table
};

//= rfc9112#section-2.2
//# A recipient of such a bare CR MUST consider that element to be invalid or replace each bare CR with SP before processing the element or forwarding
/// Whether every line of a whole head ends with CRLF, the empty ones before it too: the parser takes a bare LF for a line's
/// end, and what stands in front may not (RFC 9112, section 2.2). Each line but the first begins with a field's name, and
/// the last line is empty.
fn has_whole_line_ends(fields: &[Field<'_>], bytes: &[u8]) -> bool {
    let base = bytes.as_ptr() as usize;
    let is_ended_before = |place: usize| place >= 2 && bytes[place - 2] == b'\r';
    bytes.ends_with(b"\r\n\r\n")
        && (!bytes[0].is_ascii_whitespace() || has_whole_empty_lines(bytes))
        && fields
            .iter()
            .all(|field| is_ended_before(field.name.as_ptr() as usize - base))
}

/// Whether the empty lines before a head end with CRLF.
fn has_whole_empty_lines(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(tail) = rest.strip_prefix(b"\r\n") {
        rest = tail;
    }
    rest.first().is_some_and(|byte| !byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests;
