use super::*;

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Partial,
    Plain,
    Other(Body),
    Refused(Refusal),
}

fn verdict(bytes: &[u8]) -> Verdict {
    match read(bytes, &mut storage()) {
        Reading::Partial => Verdict::Partial,
        Reading::Whole(head) if head.is_plain => Verdict::Plain,
        Reading::Whole(head) => Verdict::Other(head.body),
        Reading::Refused(problem) => Verdict::Refused(problem),
    }
}

/// Checks a head whole, and that no shorter piece of it was told anything else for good.
#[track_caller]
fn check(head: &str, expected: Verdict) {
    assert_eq!(verdict(head.as_bytes()), expected, "{head:?}");
    let Some(first) = (0..=head.len()).find(|&length| verdict(&head.as_bytes()[..length]) != Verdict::Partial) else {
        return;
    };
    assert_eq!(verdict(&head.as_bytes()[..first]), expected, "{head:?} at byte {first}");
}

#[test]
fn plain_heads_are_told_from_others() {
    use Verdict::{Other, Plain};
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Plain);
    check(
        "HEAD /items?a=%20b HTTP/1.1\r\nhost: a:80\r\nAccept: */*\r\n\r\n",
        Plain,
    );
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
        Plain,
    );
    check("GET / HTTP/1.1\r\nHost:a \t\r\n\r\n", Plain);
    for peculiar in [
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "GET /?a|b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        check(peculiar, Other(Body::None));
    }
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        Other(Body::Sized(3)),
    );
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
        Other(Body::Chunked),
    );
}

#[test]
fn doubts_are_refused() {
    for malformed in [
        "GET /\r\n\r\n",
        "GET / HTTP/1.x\r\n\r\n",
        "GET / HTTP/12.0\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET /<a> HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?a\"b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET items HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        // A line that does not end with CRLF, wherever it stands.
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\n\r\n",
        "GET / HTTP/1.0\r\n\n",
        "GET / HTTP/1.0\n\n",
        "GET / HTTP/1.1\r\nHost: a\nAccept: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nAccept: b\nX: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\n\r\n",
    ] {
        check(malformed, Verdict::Refused(Refusal::MalformedRequest));
    }
    for raw in [
        "GET /\u{c5} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?\u{c5} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{c5} HTTP/1.1\r\nHost : a\r\n\r\n",
    ] {
        check(raw, Verdict::Refused(Refusal::MalformedPath));
    }
    // The fault comes before the target, which may not have come yet.
    check(
        "\n\r\rGET /\u{c5} HTTP/1.1\r\nHost: a\r\n\r\n",
        Verdict::Refused(Refusal::MalformedRequest),
    );
    // An empty one is left to the route, which may be a probe's.
    check("GET / HTTP/1.1\r\nHost:\r\n\r\n", Verdict::Plain);
    for codings in [
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "xchunked",
        "a;b=c",
        "gzip\r\nTransfer-Encoding: chunked",
    ] {
        check(
            &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {codings}\r\n\r\n"),
            Verdict::Refused(Refusal::CodingNotSupported),
        );
    }
    for version in ["2.0", "3.0", "0.9", "2", "1.2", "1.9", "9.9"] {
        check(
            &format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"),
            Verdict::Refused(Refusal::VersionNotSupported),
        );
    }
    for target in ["http://", "http:///items", "http://user@a/", "http://a:b/"] {
        check(
            &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"),
            Verdict::Refused(Refusal::BadHost),
        );
    }
    for host in [
        "",
        "Host:\r\nHost:\r\n",
        "Host:\r\nHost: a\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a/b\r\n",
        "Host: a, b c\r\n",
    ] {
        check(
            &format!("GET / HTTP/1.1\r\n{host}\r\n"),
            Verdict::Refused(Refusal::BadHost),
        );
    }
}

#[test]
fn limits_are_the_same_at_once_and_in_pieces() {
    let of_target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length - 1));
    check(&of_target(TARGET_LENGTH_MAX), Verdict::Plain);
    check(
        &of_target(TARGET_LENGTH_MAX + 1),
        Verdict::Refused(Refusal::TargetTooLong),
    );
    check(
        &of_target(4 * HEAD_LENGTH_MAX),
        Verdict::Refused(Refusal::TargetTooLong),
    );
    let of_head = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
    };
    check(&of_head(HEAD_LENGTH_MAX), Verdict::Plain);
    check(&of_head(HEAD_LENGTH_MAX + 1), Verdict::Refused(Refusal::HeadTooLarge));
    let of_fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: x\r\n".repeat(count - 1));
    check(&of_fields(FIELDS_MAX), Verdict::Plain);
    check(&of_fields(FIELDS_MAX + 1), Verdict::Refused(Refusal::HeadTooLarge));
    // Wrong before it is long.
    let wrong = format!("GET /\0{} HTTP/1.1\r\n", "a".repeat(2 * TARGET_LENGTH_MAX));
    check(&wrong, Verdict::Refused(Refusal::MalformedRequest));
}

#[test]
fn targets_of_every_form_name_a_path_and_a_query() {
    let named = |method: &str, target: &str| {
        let bytes = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        match read(bytes.as_bytes(), &mut storage()) {
            Reading::Whole(head) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (text(head.request.path), head.request.query.map(text))
            }
            other => panic!("{target}: {other:?}"),
        }
    };
    for (target, path, query) in [
        ("/items?a?b", "/items", Some("a?b")),
        ("/items#top", "/items", None),
        ("/items?a#b?c", "/items", Some("a")),
        ("http://a.example/items", "/items", None),
        ("HTTPS://a.example:8443/items/1?x", "/items/1", Some("x")),
        ("http://[::1]:80", "/", None),
        ("http://a?x", "/", Some("x")),
        ("http://a#x", "/", None),
        ("*", "*", None),
    ] {
        let expected = (path.to_owned(), query.map(str::to_owned));
        assert_eq!(named("GET", target), expected, "{target}");
    }
    assert_eq!(named("CONNECT", "a:80"), (String::new(), None));
}
