//! Problem details (RFC 9457): every error answer, made once.

use std::sync::LazyLock;

use bytes::Bytes;

use super::reply::Reply;
use crate::snapshot::{Head, reason};

/// The methods that every target takes, for `Allow`.
pub(super) const ALLOW: &str = "GET, HEAD, OPTIONS";

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
    /// `Accept-Encoding` rules out every representation.
    NotAcceptable,
    /// `If-Match` names no current representation.
    PreconditionFailed,
    /// A query parameter that the target does not know.
    UnknownParameter,
    /// The path is not percent-encoded UTF-8.
    MalformedPath,
    /// The head is not one of HTTP/1, or says two things about where the request ends.
    MalformedRequest,
    /// `Host` is missing, there twice, or names no host.
    BadHost,
    /// The head did not come whole in time.
    RequestTimeout,
    /// The request target is longer than is read.
    TargetTooLong,
    /// The head is longer, or has more fields, than is read.
    HeadTooLarge,
    /// There is no data yet.
    Loading,
    /// The server is about to stop.
    Draining,
}

impl Problem {
    const ALL: [Problem; 15] = [
        Problem::NotFound,
        Problem::ItemNotFound,
        Problem::NoIds,
        Problem::MethodNotAllowed,
        Problem::NotAcceptable,
        Problem::PreconditionFailed,
        Problem::UnknownParameter,
        Problem::MalformedPath,
        Problem::MalformedRequest,
        Problem::BadHost,
        Problem::RequestTimeout,
        Problem::TargetTooLong,
        Problem::HeadTooLarge,
        Problem::Loading,
        Problem::Draining,
    ];

    /// Status, stable code and detail.
    fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::NotFound => (404, "not_found", "Nothing is at this path. GET / lists what there is."),
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
            Self::UnknownParameter => (400, "unknown_parameter", "This resource takes no query parameter."),
            Self::MalformedPath => (400, "malformed_path", "The path is not percent-encoded UTF-8."),
            Self::MalformedRequest => (
                400,
                "malformed_request",
                "The head of the request is not well-formed, or leaves open where the request ends.",
            ),
            Self::BadHost => (
                400,
                "bad_host",
                "A request has one Host field, and it names a host: name or address, and perhaps a port.",
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
            Self::Loading => (503, "loading", "The collection is being loaded. Try again in a second."),
            Self::Draining => (503, "draining", "The server is about to stop."),
        }
    }

    /// The answer.
    pub fn reply(self) -> Reply<'static> {
        let made = &MADE[self as usize];
        Reply::new(&made.head, Some(&made.body))
    }
}

struct Made {
    head: Head,
    body: Bytes,
}

static MADE: LazyLock<[Made; Problem::ALL.len()]> = LazyLock::new(|| Problem::ALL.map(make));

fn make(problem: Problem) -> Made {
    #[derive(serde::Serialize)]
    struct Body {
        r#type: &'static str,
        title: &'static str,
        status: u16,
        detail: &'static str,
        code: &'static str,
    }
    let (status, code, detail) = problem.parts();
    // With `about:blank` the title is the status phrase (section 4.2.1); what is particular stands in `code`.
    let body = Body {
        r#type: "about:blank",
        title: reason(status),
        status,
        detail,
        code,
    };
    let body = simd_json::to_vec(&body).expect("a problem is plain text and a number");
    let mut head = Head::builder(status)
        .field("content-length", body.len().to_string())
        .field("content-type", "application/problem+json")
        .field("cache-control", "no-store");
    match problem {
        Problem::MethodNotAllowed => head = head.field("allow", ALLOW),
        Problem::NotAcceptable => head = head.field("vary", "accept-encoding"),
        Problem::Loading => head = head.field("retry-after", "1"),
        _ => {}
    }
    Made {
        head: head.build(),
        body: Bytes::from(body),
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
