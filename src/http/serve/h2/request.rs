//! What a stream asks: the request as an answer depends on it, and whether it keeps to the limits of a head. Pure.

use http::header::{COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Request, Uri};

use super::HEADER_LIST_LENGTH_MAX;
use crate::http::answer::problem::Problem;
use crate::http::message::framing::{FIELDS_MAX, TARGET_LENGTH_MAX};
use crate::http::message::host::is_host;
use crate::http::message::request::{Method, RequestHead};

/// What a field costs in a header list besides its bytes (RFC 9113, section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// What an answer to the request depends on.
pub(super) fn request_head<B>(request: &Request<B>) -> RequestHead<'_> {
    let uri = request.uri();
    let mut head = RequestHead::new(
        Method::parse(request.method().as_str().as_bytes()),
        uri.path().as_bytes(),
    );
    head.query = uri.query().map(str::as_bytes);
    for (name, value) in request.headers() {
        head.field(name.as_str().as_bytes(), value.as_bytes());
    }
    head
}

/// The limits and rules of a head that are the same over HTTP/1. What HTTP/2 calls malformed comes nowhere near: the `h2`
/// crate resets its stream.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let (uri, fields) = (request.uri(), request.headers());
    let target_length = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target_length > TARGET_LENGTH_MAX {
        return Err(Problem::TargetTooLong);
    }
    if list_length(request.method().as_str(), uri, fields) > HEADER_LIST_LENGTH_MAX || fields_count(fields) > FIELDS_MAX
    {
        return Err(Problem::HeadTooLarge);
    }
    check_host(uri, fields)
}

/// The length of a header list as RFC 9113, section 6.5.2, measures it.
fn list_length(method: &str, uri: &Uri, fields: &HeaderMap) -> usize {
    let of_pseudo = |name: &str, value: &str| name.len() + value.len() + FIELD_OVERHEAD;
    let pseudo = of_pseudo(":method", method)
        + uri.scheme_str().map_or(0, |scheme| of_pseudo(":scheme", scheme))
        + uri
            .authority()
            .map_or(0, |authority| of_pseudo(":authority", authority.as_str()))
        + uri
            .path_and_query()
            .map_or(0, |target| of_pseudo(":path", target.as_str()));
    let of_field = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + FIELD_OVERHEAD;
    pseudo + fields.iter().map(of_field).sum::<usize>()
}

/// How many fields there are. A cookie's crumbs are one (RFC 9113, section 8.2.3).
fn fields_count(fields: &HeaderMap) -> usize {
    let crumbs = fields.get_all(COOKIE).iter().count();
    fields.len() - crumbs.saturating_sub(1)
}

/// There is one host, and it is one: `:authority` or `Host`, and where both are there they say the same (RFC 9113, section
/// 8.3.1).
fn check_host(uri: &Uri, fields: &HeaderMap) -> Result<(), Problem> {
    let authority = uri.authority().map(Authority::as_str).map(str::as_bytes);
    let mut hosts = fields.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let (host, another) = (hosts.next(), hosts.next());
    let is_good = another.is_none()
        && authority.is_none_or(is_host)
        && match (authority, host) {
            (None, None) => false,
            // Whether it may be empty depends on what is asked for.
            (None, Some(host)) => host.is_empty() || is_host(host),
            (Some(authority), Some(host)) => {
                let default_port = default_port(uri.scheme());
                without_port(authority, default_port).eq_ignore_ascii_case(without_port(host, default_port))
            }
            (Some(_), None) => true,
        };
    if is_good { Ok(()) } else { Err(Problem::BadHost) }
}

fn default_port(scheme: Option<&Scheme>) -> &'static [u8] {
    if scheme == Some(&Scheme::HTTPS) {
        b":443"
    } else {
        b":80"
    }
}

/// A host without the port that goes without saying.
fn without_port<'a>(host: &'a [u8], default_port: &[u8]) -> &'a [u8] {
    host.strip_suffix(default_port)
        .or_else(|| host.strip_suffix(b":"))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_request(request: http::request::Builder, expected: Result<(), Problem>) {
        let request = request.body(()).expect("a request");
        assert_eq!(check(&request), expected, "{request:?}");
    }

    fn get(uri: &str) -> http::request::Builder {
        Request::get(uri)
    }

    #[test]
    fn a_host_is_named_once_or_twice_alike() {
        check_request(get("http://a.example/items"), Ok(()));
        check_request(get("/items").header("host", "a.example"), Ok(()));
        check_request(get("/health").header("host", ""), Ok(()));
        check_request(get("http://a.example/").header("host", "A.example:80"), Ok(()));
        check_request(get("https://a.example:443/").header("host", "a.example"), Ok(()));
        check_request(get("http://a.example:8080/").header("host", "a.example:8080"), Ok(()));
        for (uri, hosts) in [
            ("/items", &[][..]),
            ("/items", &["a", "a"]),
            ("http://a/", &["b"]),
            ("http://a:8080/", &["a"]),
            ("http://a/", &["a", "a"]),
            ("http://user@a/", &[]),
            ("/", &["a/b"]),
            ("http://a/", &[""]),
        ] {
            let request = hosts
                .iter()
                .fold(get(uri), |request, host| request.header("host", *host));
            check_request(request, Err(Problem::BadHost));
        }
    }

    #[test]
    fn limits_are_those_of_a_head() {
        let target = |length: usize| format!("http://a/{}", "x".repeat(length - 1));
        check_request(get(&target(TARGET_LENGTH_MAX)), Ok(()));
        check_request(get(&target(TARGET_LENGTH_MAX + 1)), Err(Problem::TargetTooLong));
        // `:method GET`, `:scheme http`, `:authority a`, `:path /` and the field's own 33 bytes.
        let others = 10 + 11 + 11 + 6 + 4 * 32 + 33;
        let field = |length| get("http://a/").header("x", "y".repeat(length));
        check_request(field(HEADER_LIST_LENGTH_MAX - others), Ok(()));
        check_request(field(HEADER_LIST_LENGTH_MAX - others + 1), Err(Problem::HeadTooLarge));
        let many = |name: &str, count| (0..count).fold(get("http://a/"), |request, _| request.header(name, "y"));
        check_request(many("x", FIELDS_MAX), Ok(()));
        check_request(many("x", FIELDS_MAX + 1), Err(Problem::HeadTooLarge));
        check_request(many("cookie", FIELDS_MAX + 1), Ok(()));
    }
}
