//! A model of HTTP/1: what a connection's bytes are to be answered with, and what comes after. It reads heads line by line, in
//! the order of RFC 9112, and knows nothing of pieces, buffers or turns.

use janus::http::answer::problem::Problem;
use janus::http::answer::reply::Reply;
use janus::http::answer::{Answer, Site};
use janus::http::message::host::is_host;
use janus::http::message::request::{Method, RequestHead};
use janus::snapshot::Snapshot;

/// Bounds of a head: in bytes, of its target in bytes, and of its fields.
const HEAD_MAX: usize = 16 << 10;
const TARGET_MAX: usize = 8 << 10;
const FIELDS_MAX: usize = 96;

/// A field, as name and value.
type Field<'b> = (&'b [u8], &'b [u8]);

/// One request, as it is to be understood.
struct Request<'b> {
    is_http_11: bool,
    closes: bool,
    head: RequestHead<'b>,
}

/// All that is to be sent to a client that sends `bytes` and then nothing any more, but for the dates. The connection is closed
/// at the end.
pub(crate) fn answers(bytes: &[u8], snapshot: &Snapshot) -> Vec<u8> {
    let site = Site::default();
    let mut sent = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, asked) = read(rest);
        match asked {
            Err(problem) => {
                let reply = problem.reply().head_only(rest.starts_with(b"HEAD "));
                write(&reply, true, true, &mut sent);
                break;
            }
            Ok(request) => {
                let Answer::Reply(reply) = site.respond(&request.head, snapshot, false) else {
                    panic!("the model has nobody to ask");
                };
                write(&reply, request.is_http_11, request.closes, &mut sent);
                if request.closes {
                    break;
                }
                rest = &rest[length..];
            }
        }
    }
    sent
}

fn write(reply: &Reply<'_>, is_http_11: bool, closes: bool, sent: &mut Vec<u8>) {
    let start = sent.len();
    reply.write_head(sent);
    if !is_http_11 {
        sent[start + 7] = b'0';
    }
    sent.extend_from_slice(match (is_http_11, closes) {
        (true, true) => b"connection: close\r\n",
        (false, false) => b"connection: keep-alive\r\n",
        _ => b"",
    });
    sent.extend_from_slice(b"\r\n");
    sent.extend_from_slice(reply.body());
}

/// The request that `bytes` begin with and the length of its head, or why it is refused.
fn read(bytes: &[u8]) -> (usize, Result<Request<'_>, Problem>) {
    let mut at = 0;
    // Section 2.2: empty lines before a request line are passed over.
    while bytes[at..].starts_with(b"\r\n") {
        at += 2;
    }
    let line = &bytes[at..];
    let line = &line[..line
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(line.len(), |end| end + 1)];
    let (method, target, is_http_11) = match request_line(line) {
        Ok(parts) => parts,
        Err(problem) => return (0, Err(problem)),
    };
    at += line.len();
    let mut fields = Vec::new();
    let mut has_bare_end = !line.ends_with(b"\r\n");
    loop {
        let rest = &bytes[at..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            return (0, Err(Problem::HeadTooLarge));
        };
        at += end + 1;
        if at > HEAD_MAX {
            return (0, Err(Problem::HeadTooLarge));
        }
        let line = match rest[..end].strip_suffix(b"\r") {
            Some(line) => line,
            None => {
                has_bare_end = true;
                &rest[..end]
            }
        };
        if line.is_empty() {
            break;
        }
        if fields.len() == FIELDS_MAX {
            return (0, Err(Problem::HeadTooLarge));
        }
        match field(line) {
            Some(field) => fields.push(field),
            None => return (0, Err(Problem::MalformedRequest)),
        }
    }
    if target.len() > TARGET_MAX {
        return (0, Err(Problem::TargetTooLong));
    }
    if has_bare_end {
        return (0, Err(Problem::MalformedRequest));
    }
    (at, understand(method, target, is_http_11, &fields))
}

/// Section 3.
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], bool), Problem> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let method = &line[..line.iter().take_while(|&&byte| is_token(byte)).count()];
    let rest = match line[method.len()..].strip_prefix(b" ") {
        Some(rest) if !method.is_empty() => rest,
        _ => return Err(Problem::MalformedRequest),
    };
    let target = &rest[..rest.iter().take_while(|&&byte| byte > b' ' && byte != 0x7f).count()];
    if target.len() > TARGET_MAX {
        return Err(Problem::TargetTooLong);
    }
    let version = match rest[target.len()..].strip_prefix(b" ") {
        _ if !target.is_ascii() => return Err(Problem::MalformedPath),
        Some(version) if !target.is_empty() => version,
        _ => return Err(Problem::MalformedRequest),
    };
    match version {
        b"HTTP/1.1" => Ok((method, target, true)),
        b"HTTP/1.0" => Ok((method, target, false)),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Problem::VersionNotSupported)
        }
        _ => Err(Problem::MalformedRequest),
    }
}

/// Section 5.
fn field(line: &[u8]) -> Option<Field<'_>> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_name = !name.is_empty() && name.iter().all(|&byte| is_token(byte));
    let is_value = value.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7f);
    (is_name && is_value).then(|| (name, value.trim_ascii()))
}

/// What a request whose head is well-formed asks, and what it says of its connection and of its end.
fn understand<'b>(
    method: &'b [u8],
    target: &'b [u8],
    is_http_11: bool,
    fields: &[Field<'b>],
) -> Result<Request<'b>, Problem> {
    let (path, query) = resource(method, target)?;
    let mut head = RequestHead::new(Method::parse(method), path);
    head.query = query;
    let is = |name: &[u8], wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    let (mut host, mut length, mut options) = (None, None, Vec::new());
    let (mut is_chunked, mut is_coded_otherwise) = (false, false);
    // The first fault is the one that is told.
    for &(name, value) in fields {
        if is(name, "host") {
            if host.replace(value).is_some() || !value.is_empty() && !is_host(value) {
                return Err(Problem::BadHost);
            }
        } else if is(name, "content-length") {
            let is_decimal = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let number: Option<u64> = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            let number = number.filter(|_| is_decimal).ok_or(Problem::MalformedRequest)?;
            if length.replace(number).is_some() {
                return Err(Problem::MalformedRequest);
            }
        } else if is(name, "transfer-encoding") {
            for coding in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                if is(coding, "chunked") {
                    if std::mem::replace(&mut is_chunked, true) {
                        return Err(Problem::MalformedRequest);
                    }
                } else if !coding.is_empty() && coding.iter().all(|&byte| is_token(byte)) {
                    is_coded_otherwise = true;
                } else {
                    return Err(Problem::MalformedRequest);
                }
            }
        } else if is(name, "connection") {
            options.extend(value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii));
        }
    }
    let is_coded = is_chunked || is_coded_otherwise;
    if is_coded && (length.is_some() || !is_http_11) || !is_http_11 && method == b"POST" && length.is_none() {
        return Err(Problem::MalformedRequest);
    }
    if is_coded_otherwise {
        return Err(Problem::CodingNotSupported);
    }
    if is_http_11 && host.is_none() {
        return Err(Problem::BadHost);
    }
    for (name, value) in fields {
        head.field(name, value);
    }
    let has = |wanted: &str| options.iter().any(|option| is(option, wanted));
    let wants_close = has("close") || !is_http_11 && !has("keep-alive");
    Ok(Request {
        is_http_11,
        // A body is never read, so nothing after it is taken for a request.
        closes: wants_close || length.unwrap_or(0) > 0 || is_coded || method == b"CONNECT",
        head,
    })
}

/// Section 3.2.
fn resource<'b>(method: &[u8], target: &'b [u8]) -> Result<(&'b [u8], Option<&'b [u8]>), Problem> {
    if target == b"*" {
        return Ok((target, None));
    }
    if method == b"CONNECT" && is_host(target) {
        return Ok((b"", None));
    }
    let target = target.split(|&byte| byte == b'#').next().unwrap_or_default();
    let relative = if target.starts_with(b"/") {
        target
    } else {
        let scheme = ["http://", "https://"].into_iter().find(|scheme| {
            target.len() >= scheme.len() && target[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
        });
        let rest = &target[scheme.ok_or(Problem::MalformedRequest)?.len()..];
        let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
        if !is_host(&rest[..end]) {
            return Err(Problem::BadHost);
        }
        &rest[end..]
    };
    let mark = relative.iter().position(|&byte| byte == b'?');
    let (path, query) = match mark {
        Some(mark) => (&relative[..mark], Some(&relative[mark + 1..])),
        None => (relative, None),
    };
    let is_path = path
        .iter()
        .all(|byte| byte.is_ascii_graphic() && !b"#<>?`".contains(byte));
    let is_query = query
        .unwrap_or_default()
        .iter()
        .all(|byte| byte.is_ascii_graphic() && !b"\"#<>".contains(byte));
    if !is_path || !is_query {
        return Err(Problem::MalformedRequest);
    }
    Ok((if path.is_empty() { b"/" } else { path }, query))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
