//! Rules of RFC 9110 and 9112 that are held by no other test: `scripts/rfc` lists them.

use super::{Server, send};

//= rfc9110#section-2.2
//= type=test
//# A sender MUST NOT generate protocol elements that do not match the grammar defined by the corresponding ABNF rules.
//= rfc9112#section-2.2
//= type=test
//# A sender MUST NOT generate a bare CR (a CR character not immediately followed by LF) within any protocol elements other than the content.
//= rfc9110#section-5.6.1.1
//= type=test
//# In any production that uses the list construct, a sender MUST NOT generate empty list elements.
//= rfc9110#section-5.6.3
//= type=test
//# A sender MUST NOT generate BWS in messages.
//= rfc9110#section-6.2
//= type=test
//# A server MUST NOT send a version to which it is not conformant.
//= rfc9110#section-6.6.1
//= type=test
//# An origin server with a clock (as defined in (http.date)) MUST generate a Date header field in all 2xx (Successful), 3xx (Redirection), and 4xx
//= rfc9110#section-5.6.7
//= type=test
//# that contains one or more timestamps defined as HTTP-date, the sender MUST generate those timestamps in the IMF-fixdate format.
//= rfc9110#section-5.6.7
//= type=test
//# A sender MUST NOT generate additional whitespace in an HTTP-date beyond that specifically included as SP in the grammar.
//= rfc9110#section-7.6.1
//= type=test
//# supply control information for or about the current connection, the sender MUST list the corresponding field name within the Connection header field.
//= rfc9110#section-7.6.1
//= type=test
//# A sender MUST NOT send a connection option corresponding to a field that is intended for all recipients of the content.
#[test]
fn whatever_is_sent_is_of_the_grammar() {
    let server = Server::start(&["--cors-origin", "*"]);
    let requests: [&[u8]; 14] = [
        b"GET /items HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /items/1 HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\nConnection: close\r\n\r\n",
        b"GET /items HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\nConnection: close\r\n\r\n",
        b"GET /items HTTP/1.1\r\nHost: a\r\nRange: bytes=999-\r\nConnection: close\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"OPTIONS /items HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n",
        b"GET /items/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"DELETE /items HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /items HTTP/1.0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
    ];
    for request in requests {
        let mut client = server.connect();
        client.send(request);
        let bytes = client.rest();
        let sent = request.escape_ascii();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 2;
        let head = std::str::from_utf8(&bytes[..end]).expect("text");
        assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{sent}: {head:?}");
        let mut lines = head.split_terminator("\r\n");
        let status = lines.next().expect("a status line");
        let version = if request.ends_with(b"HTTP/1.0\r\n\r\n") {
            "HTTP/1.0 "
        } else {
            "HTTP/1.1 "
        };
        let code = status
            .strip_prefix(version)
            .unwrap_or_else(|| panic!("{sent}: {status}"));
        assert!(code.len() > 4 && code[..3].bytes().all(|byte| byte.is_ascii_digit()) && code[3..].starts_with(' '));
        let mut dates = 0;
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{sent}: {line}"));
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            assert!(!name.is_empty() && name.bytes().all(is_token), "{sent}: {line}");
            assert_eq!(value, value.trim(), "{sent}: {line}");
            assert!(
                value.bytes().all(|byte| byte == b'\t' || byte >= b' ' && byte != 0x7f),
                "{sent}: {line}"
            );
            match name {
                "date" => {
                    dates += 1;
                    let at = httpdate::parse_http_date(value).expect("a date");
                    assert_eq!(httpdate::fmt_http_date(at), value, "an IMF-fixdate, and nothing else");
                }
                "allow" | "vary" | "access-control-allow-methods" | "access-control-expose-headers" => {
                    assert!(
                        value.split(',').all(|element| !element.trim().is_empty()),
                        "{sent}: {line}"
                    );
                }
                // What is said of the connection stands here alone, and nothing else does.
                "connection" => assert!(matches!(value, "close" | "keep-alive"), "{sent}: {line}"),
                "keep-alive" | "te" | "upgrade" | "transfer-encoding" | "proxy-connection" => panic!("{sent}: {line}"),
                _ => {}
            }
        }
        assert_eq!(dates, 1, "{sent}: {head}");
    }
}

//= rfc9110#section-2.3
//= type=test
//# At a minimum, a recipient MUST be able to parse and process protocol element lengths that are at least as long as the values that it generates for
#[test]
fn what_is_sent_is_taken_back() {
    let server = Server::start(&[]);
    let first = server.get("/items");
    let tag = first.field("etag").expect("a tag").to_owned();
    assert_eq!(server.get_with("/items", &[("if-none-match", &tag)]).status, 304);
    let last = format!("bytes={}-", first.body.len() - 1);
    assert_eq!(
        server
            .get_with("/items", &[("range", &last), ("if-range", &tag)])
            .status,
        206
    );
    let target = format!("/items/{}", "x".repeat(8000));
    assert_eq!(server.get(&target).status, 404);
}

//= rfc9110#section-5.3
//= type=test
//# A server MUST NOT apply a request to the target resource until it receives the entire request header section, since later header field lines might
#[test]
fn nothing_is_applied_before_a_head_has_come_whole() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "t0ken").unwrap();
    let mut server = Server::start(&["--admin-token-file", token.to_str().unwrap()]);
    let mut client = server.connect();
    client.send(b"POST /-/reload HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t0ken\r\n");
    // Others are answered meanwhile, and a later field may undo what came.
    assert_eq!(server.get("/items").status, 200);
    client.send(b"Host: b\r\n\r\n");
    assert_eq!(client.receive("POST").unwrap().problem(), (400, "bad_host".to_owned()));
    assert!(
        server.log_so_far().iter().all(|line| !line.contains("unchanged")),
        "it has not been applied"
    );
}

//= rfc9110#section-5.5
//= type=test
//# a field parsing implementation MUST exclude such whitespace prior to evaluating the field value.
//= rfc9110#section-5.5
//= type=test
//# or NUL within a field value MUST either reject the message or replace each of those characters with SP before further processing or forwarding of
//= rfc9112#section-2.2
//= type=test
//# A recipient MUST parse an HTTP message as a sequence of octets in an encoding that is a superset of US-ASCII (USASCII).
//= rfc9112#section-2.2
//= type=test
//# A recipient that receives whitespace between the start-line and the first header field MUST either reject the message as invalid or consume each
//= rfc9110#section-5.6.3
//= type=test
//# A recipient MUST parse for such bad whitespace and remove it before interpreting the protocol element.
//= rfc9110#section-5.6.1.2
//= type=test
//# A recipient MUST parse and ignore a reasonable number of empty list elements: enough to handle common mistakes by senders that merge values, but not
//= rfc9110#section-5.6.1.2
//= type=test
//# In other words, a recipient MUST accept lists that satisfy the following syntax:
#[test]
fn white_space_octets_and_empty_elements_are_taken_as_they_are_meant() {
    let server = Server::start(&[]);
    let status = |fields: &[u8]| {
        let request = [
            b"GET /items/1 HTTP/1.1\r\nHost: a\r\n",
            fields,
            b"Connection: close\r\n\r\n",
        ]
        .concat();
        send(&server, &request).status
    };
    let tag = server.get("/items/1").field("etag").expect("a tag").to_owned();
    assert_eq!(status(format!("If-None-Match: \t {tag} \t\r\n").as_bytes()), 304);
    assert_eq!(status(format!("If-None-Match: , ,\"x\",, {tag} ,\r\n").as_bytes()), 304);
    assert_eq!(status(b"Accept-Encoding: , gzip ; q=0 , ,identity ;q=0\r\n"), 406);
    assert_eq!(status(b"X: \xff\x80 octets\r\n"), 200);
    for control in [&b"\0"[..], b"\r", b"\n"] {
        assert_eq!(
            status(&[b"X: a", control, b"b\r\n"].concat()),
            400,
            "{}",
            control.escape_ascii()
        );
    }
    for space in [" ", "\t"] {
        let request = format!("GET /items/1 HTTP/1.1\r\n{space}X: y\r\nHost: a\r\n\r\n");
        assert_eq!(send(&server, request.as_bytes()).status, 400);
    }
}

//= rfc9110#section-8.6
//= type=test
//# in a 304 (Not Modified) response to a conditional GET request; a server MUST NOT send Content-Length in such a response unless its field value equals
//= rfc9110#section-8.6
//= type=test
//# A server MUST NOT send a Content-Length header field in any response with a status code of 1xx (Informational) or 204 (No Content).
//= rfc9110#section-8.6
//= type=test
//# Since there is no predefined limit to the length of content, a recipient MUST anticipate potentially large decimal numerals and prevent parsing
//= rfc9110#section-14.1.2
//= type=test
//# Since there is no predefined limit to the length of content, recipients MUST anticipate potentially large decimal numerals and prevent parsing errors
#[test]
fn lengths_are_told_where_they_may_be_and_large_ones_are_no_trouble() {
    let server = Server::start(&[]);
    assert_eq!(
        server
            .get_with("/items", &[("if-none-match", "*")])
            .field("content-length"),
        None
    );
    let options = send(
        &server,
        b"OPTIONS /items HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert_eq!((options.status, options.field("content-length")), (204, None));
    for digits in ["18446744073709551616", &"9".repeat(400)] {
        let sized = format!("GET /items HTTP/1.1\r\nHost: a\r\nContent-Length: {digits}\r\n\r\n");
        assert_eq!(send(&server, sized.as_bytes()).status, 400);
        let last = format!("bytes=1-{digits}");
        assert_eq!(server.get_with("/items/1", &[("range", &last)]).status, 206);
        let first = format!("bytes={digits}-");
        assert_eq!(server.get_with("/items/1", &[("range", &first)]).status, 416);
    }
}

//= rfc9110#section-9.2.1
//= type=test
//# If the purpose of such a resource is to perform an unsafe action, then the resource owner MUST disable or disallow that action when it is accessed using a safe
#[test]
fn a_reload_is_asked_for_by_no_safe_method() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "t0ken").unwrap();
    let server = Server::start(&["--admin-token-file", token.to_str().unwrap()]);
    for method in ["GET", "HEAD", "TRACE"] {
        let answer = server
            .connect()
            .request(method, "/-/reload", &[("authorization", "Bearer t0ken")]);
        assert_eq!(
            (answer.status, answer.field("allow")),
            (405, Some("POST, OPTIONS")),
            "{method}"
        );
    }
}

//= rfc9110#section-10.1.1
//= type=test
//# A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation.
//= rfc9112#section-6.1
//= type=test
//# receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the message as if the framing is faulty, even if a Content-Length
//= rfc9112#section-6.1
//= type=test
//# Regardless, the server MUST close the connection after responding to such a request to avoid the potential attacks.
//= rfc9112#section-6.3
//= type=test
//# out before the indicated number of octets are received, the recipient MUST consider the message to be incomplete and close the connection.
//= rfc9112#section-9.6
//= type=test
//# The server MUST NOT process any further requests received on that connection.
//= rfc9112#section-3.2.2
//= type=test
//# receives a request with an absolute-form of request-target, the origin server MUST ignore the received Host header field (if any) and instead use the
#[test]
fn what_comes_after_a_request_and_before_it_is_told_as_it_is_framed() {
    let server = Server::start(&[]);
    let statuses = |request: &str| {
        let mut client = server.connect();
        client.send(request.as_bytes());
        client.shutdown_write();
        let text = String::from_utf8(client.rest()).expect("text");
        let answers = text.split("HTTP/1.").skip(1);
        answers.map(|answer| answer[2..5].to_owned()).collect::<Vec<_>>()
    };
    let next = "GET /items/2 HTTP/1.1\r\nHost: a\r\n\r\n";
    for (request, expected) in [
        ("GET /items/1 HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", &["200"][..]),
        (
            "POST /items HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &["400"],
        ),
        (
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            &["400"],
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            &["400"],
        ),
        (
            "GET /items/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nnot all",
            &["200"],
        ),
        (
            "GET /items/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &["200"],
        ),
    ] {
        assert_eq!(statuses(&format!("{request}{next}")), expected, "{request}");
    }
    // The target's host is the one that is meant, whatever the field says.
    let absolute = "GET http://other.example/items/1 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(statuses(&format!("{absolute}{next}")), ["200", "200"]);
}

//= rfc9110#section-13.1.3
//= type=test
//# A recipient MUST ignore the If-Modified-Since header field if the resource does not have a modification date available.
//= rfc9110#section-13.1.4
//= type=test
//# A recipient MUST ignore the If-Unmodified-Since header field if the resource does not have a modification date available.
//= rfc9110#section-13.2.1
//= type=test
//# Except when excluded below, a recipient cache or origin server MUST evaluate received request preconditions after it has successfully performed its
//= rfc9110#section-13.2.1
//= type=test
//# A server MUST ignore all received preconditions if its response to the same request without those conditions, prior to processing the request
#[test]
fn preconditions_are_asked_after_everything_else_and_dates_not_at_all() {
    let server = Server::start(&[]);
    for (name, date) in [
        ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        assert_eq!(server.get_with("/items/1", &[(name, date)]).status, 200, "{name}");
    }
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("GET", "/items/3", 404),
        ("DELETE", "/items", 405),
        ("GET", "/items?a=1", 400),
        ("GET", "/items/1/", 308),
    ] {
        for field in [("if-none-match", "*"), ("if-match", "\"x\"")] {
            let answer = server.connect().request(method, path, &[field]);
            assert_eq!(answer.status, status, "{method} {path} {field:?}");
        }
    }
}
