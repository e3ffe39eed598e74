//! Problem details (RFC 9457): every error answer, made once.

use std::sync::LazyLock;

use super::reply::{Made, Reply};
use crate::body::Body;
use crate::http::message::framing::Refusal;
use crate::snapshot::{Head, HeadBuilder};
use crate::status::reason;

/// The methods of nearly every target, for `Allow`.
pub(super) const ALLOW: &str = "GET, HEAD, OPTIONS";

/// The methods of what is asked for by POST.
pub(super) const ALLOW_POST: &str = "POST, OPTIONS";

/// What went wrong. The code in the body is stable: clients may depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The path names nothing.
    NotFound,
    /// No item has this id.
    ItemNotFound,
    /// The collection's items have no id.
    NoIds,
    /// The method is not GET, HEAD or OPTIONS.
    MethodNotAllowed,
    /// The method is not POST, where only that is taken.
    PostOnly,
    /// `Accept-Encoding` rules out every representation.
    NotAcceptable,
    /// `If-Match` names no current representation.
    PreconditionFailed,
    /// `Range` asks for bytes behind the end of the body.
    RangeNotSatisfiable,
    /// A query parameter that the target does not know.
    UnknownParameter,
    /// A query parameter of a reload other than `force`.
    ForceOnly,
    /// The target has a character that is not ASCII, or an id is not percent-encoded UTF-8.
    MalformedPath,
    /// The head is not one of HTTP/1, or says two things about where the request ends.
    MalformedRequest,
    /// A transfer coding that is not known.
    CodingNotSupported,
    /// A version of HTTP that is not spoken.
    VersionNotSupported,
    /// `Host` is missing, there twice, or names no host.
    BadHost,
    /// The head did not come whole in time.
    RequestTimeout,
    /// The request target is longer than is read.
    TargetTooLong,
    /// The head is longer, or has more fields, than is read.
    HeadTooLarge,
    /// The application did not answer.
    Failed,
    /// Too many requests wait for the application.
    Busy,
    /// There is no data yet.
    Loading,
    /// The server is about to stop.
    Draining,
    /// There is no `Authorization` of the Bearer scheme.
    TokenRequired,
    /// The bearer token is not the admin token.
    InvalidToken,
    /// The client has presented so many wrong tokens that none is looked at for a while.
    TooManyTokens,
    /// The admin token's file is not there yet, or holds none.
    TokenUnavailable,
}

impl Problem {
    const ALL: [Problem; 26] = [
        Problem::NotFound,
        Problem::ItemNotFound,
        Problem::NoIds,
        Problem::MethodNotAllowed,
        Problem::PostOnly,
        Problem::NotAcceptable,
        Problem::PreconditionFailed,
        Problem::RangeNotSatisfiable,
        Problem::UnknownParameter,
        Problem::ForceOnly,
        Problem::MalformedPath,
        Problem::MalformedRequest,
        Problem::CodingNotSupported,
        Problem::VersionNotSupported,
        Problem::BadHost,
        Problem::RequestTimeout,
        Problem::TargetTooLong,
        Problem::HeadTooLarge,
        Problem::Failed,
        Problem::Busy,
        Problem::Loading,
        Problem::Draining,
        Problem::TokenRequired,
        Problem::InvalidToken,
        Problem::TooManyTokens,
        Problem::TokenUnavailable,
    ];

    /// Status, stable code and detail.
    fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::NotFound => (
                404,
                "not_found",
                "Nothing is at this path. The index lists what there is.",
            ),
            Self::ItemNotFound => (404, "item_not_found", "No item has this id."),
            Self::NoIds => (
                404,
                "no_ids",
                "The items of this collection have no id, so they cannot be asked for one by one.",
            ),
            Self::MethodNotAllowed => (
                405,
                "method_not_allowed",
                "This is read-only: use GET, HEAD or OPTIONS.",
            ),
            Self::PostOnly => (405, "method_not_allowed", "This is asked for by POST."),
            Self::NotAcceptable => (
                406,
                "not_acceptable",
                "Accept-Encoding rules out every representation of this resource.",
            ),
            Self::PreconditionFailed => (
                412,
                "precondition_failed",
                "If-Match names no current entity tag of this resource.",
            ),
            Self::RangeNotSatisfiable => (
                416,
                "range_not_satisfiable",
                "The range begins behind the end of this representation; Content-Range has its length.",
            ),
            Self::UnknownParameter => (
                400,
                "unknown_parameter",
                "This resource takes no query parameter. None is needed to get around caches: what they keep, they check by its ETag.",
            ),
            Self::ForceOnly => (
                400,
                "unknown_parameter",
                "A reload takes one query parameter: force=true, or force=false.",
            ),
            Self::MalformedPath => (
                400,
                "malformed_path",
                "The target is not percent-encoded UTF-8. Percent-encode every character that is not ASCII, as %C3%A9 for \u{e9}, and a % as %25.",
            ),
            Self::MalformedRequest => (
                400,
                "malformed_request",
                "The head of the request is not well-formed, or leaves open where the request ends.",
            ),
            Self::CodingNotSupported => (
                501,
                "coding_not_supported",
                "Of transfer codings only chunked is known.",
            ),
            Self::VersionNotSupported => (
                505,
                "version_not_supported",
                "Of HTTP the versions 1.0 and 1.1 are spoken, and version 2 by its preface.",
            ),
            Self::BadHost => (
                400,
                "bad_host",
                "A request has one Host field, and it names a host: name or address, and perhaps a port. It may be empty for /health, /livez and /readyz.",
            ),
            Self::RequestTimeout => (
                408,
                "request_timeout",
                "The head of the request took longer than 5 seconds.",
            ),
            Self::TargetTooLong => (414, "target_too_long", "The request target is longer than 8192 bytes."),
            Self::HeadTooLarge => (
                431,
                "head_too_large",
                "The head of the request is longer than 16384 bytes, or has more than 96 fields.",
            ),
            Self::Failed => (
                500,
                "internal_error",
                "The server could not make an answer. Its log says why.",
            ),
            Self::Busy => (
                503,
                "busy",
                "Too many requests of this kind are waiting. Try again in a second.",
            ),
            Self::Loading => (503, "loading", "The collection is being loaded. Try again in a second."),
            Self::Draining => (503, "draining", "The server is about to stop."),
            Self::TokenRequired => (
                401,
                "token_required",
                "This takes the admin token, as Authorization: Bearer.",
            ),
            Self::InvalidToken => (401, "invalid_token", "The bearer token is not the admin token."),
            Self::TooManyTokens => (
                429,
                "too_many_tokens",
                "Too many wrong tokens came from this address. This one was not looked at; try again in a second.",
            ),
            Self::TokenUnavailable => (
                503,
                "token_unavailable",
                "The file of the admin token is not there yet, or holds none; the log says which.",
            ),
        }
    }

    /// The answer.
    pub fn reply(self) -> Reply<'static> {
        self.made().reply()
    }

    /// The answer where it is to name the length of the whole body (RFC 9110, section 15.5.17).
    pub fn of_length(self, length: usize) -> Reply<'static> {
        Reply::unsatisfiable(self.made(), length)
    }

    /// The answer as it is kept.
    pub(in crate::http) fn made(self) -> &'static Made {
        &MADE[self as usize]
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MalformedRequest => Self::MalformedRequest,
            Refusal::MalformedPath => Self::MalformedPath,
            Refusal::TargetTooLong => Self::TargetTooLong,
            Refusal::HeadTooLarge => Self::HeadTooLarge,
            Refusal::VersionNotSupported => Self::VersionNotSupported,
            Refusal::CodingNotSupported => Self::CodingNotSupported,
            Refusal::BadHost => Self::BadHost,
        }
    }
}

static MADE: LazyLock<[Made; Problem::ALL.len()]> = LazyLock::new(|| Problem::ALL.map(make));

fn make(problem: Problem) -> Made {
    let (status, code, detail) = problem.parts();
    let body = Details::new(status, code, detail, None).body();
    let head = head(status, &body);
    //= rfc9110#section-15.5.6
    //# The origin server MUST generate an Allow header field in a 405 response containing a list of the target resource's currently supported methods.
    //= rfc9110#section-15.5.2
    //# The server generating a 401 response MUST send a WWW-Authenticate header field containing at least one challenge applicable to the target resource.
    let head = match problem {
        Problem::MethodNotAllowed => head.field("allow", ALLOW),
        Problem::PostOnly => head.field("allow", ALLOW_POST),
        Problem::NotAcceptable => head.field("vary", "accept-encoding"),
        Problem::Busy | Problem::Loading | Problem::TokenUnavailable => head.field("retry-after", "1"),
        Problem::TooManyTokens => head.field("retry-after", "1"),
        // RFC 6750, section 3: a request without a token is told no error code.
        Problem::TokenRequired => head.field("www-authenticate", "Bearer realm=\"janus\""),
        Problem::InvalidToken => head.field("www-authenticate", "Bearer realm=\"janus\", error=\"invalid_token\""),
        _ => head,
    };
    Made {
        head: head.build(),
        body,
    }
}

/// The header block of every problem begins so.
fn head(status: u16, body: &Body) -> HeadBuilder {
    Head::builder(status)
        .field("content-length", body.len().to_string())
        .field("content-type", "application/problem+json")
        .field("cache-control", "no-store")
}

/// A problem's members.
#[derive(Debug, serde::Serialize)]
pub(in crate::http) struct Details<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
}

/// What is particular to a reload that has failed.
#[derive(Clone, Copy, Debug, serde::Serialize)]
#[serde(untagged)]
pub(in crate::http) enum Cause {
    /// Where the data is wrong.
    Place(Place),
    /// What would have been lost.
    Loss(Lost),
}

/// What a reload would have lost.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(in crate::http) struct Lost {
    /// Why it was refused: a stable name.
    pub(in crate::http) reason: &'static str,
    /// The items that are served.
    pub(in crate::http) items_before: usize,
    /// The items that would have been served.
    pub(in crate::http) items_after: usize,
    /// The items that would have been there no more.
    pub(in crate::http) items_removed: usize,
}

/// Where in the data a fault is, and of which kind it is.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(in crate::http) struct Place {
    /// The kind's stable name.
    pub(in crate::http) fault: &'static str,
    /// The line, from 1.
    pub(in crate::http) line: u64,
    /// The column in characters, from 1.
    pub(in crate::http) column: u64,
}

impl<'a> Details<'a> {
    /// Of this status. With `about:blank` the title is the status phrase (section 4.2.1); what is particular stands in
    /// `code`.
    pub(in crate::http) fn new(status: u16, code: &'static str, detail: &'a str, cause: Option<Cause>) -> Self {
        Self {
            r#type: "about:blank",
            title: reason(status),
            status,
            detail,
            code,
            cause,
        }
    }

    /// A whole answer, for a problem that is met and not made beforehand.
    pub(in crate::http) fn made(&self) -> Made {
        let body = self.body();
        Made {
            head: head(self.status, &body).build(),
            body,
        }
    }

    fn body(&self) -> Body {
        simd_json::to_vec(self).expect("a problem is text and numbers").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_stands_at_its_place() {
        for (place, problem) in Problem::ALL.into_iter().enumerate() {
            assert_eq!(problem as usize, place);
            assert_eq!(problem.reply().status(), problem.parts().0);
        }
    }

    #[test]
    fn a_problem_is_written_out_whole() {
        let reply = Problem::ItemNotFound.reply();
        let mut head = Vec::new();
        reply.write_head(&mut head);
        let body = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"No item has this id.","code":"item_not_found"}"#;
        assert_eq!(std::str::from_utf8(reply.body()).unwrap(), body);
        let expected = format!(
            "HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n",
            body.len()
        );
        assert_eq!(String::from_utf8(head).unwrap(), expected);
    }
}
