//! HTTP/1: whatever is sent, in whatever pieces, is answered as a model of HTTP/1 says.

use proptest::prelude::*;

use crate::memory::{SNAPSHOT, Server, pass, run};
use crate::model::answers;

/// Sent last, to tell a connection that is kept from one that is not.
const SENTINEL: &[u8] = b"GET /items/399 HTTP/1.1\r\nHost: sentinel\r\n\r\n";

/// The answers without their dates.
fn without_dates(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut out = Vec::new();
    while let Some(start) = rest.windows(8).position(|bytes| bytes == b"\r\ndate: ") {
        out.extend_from_slice(&rest[..start + 2]);
        // `date: Wed, 25 Nov 2026 12:00:00 GMT` and the line's end.
        rest = &rest[start + 2 + 37..];
    }
    out.extend_from_slice(rest);
    out
}

/// Checks what is answered to these pieces, until the connection is closed, and returns the answers' status codes.
#[track_caller]
fn check(pieces: &[&[u8]]) -> Vec<String> {
    let received = run(async {
        let server = Server::new();
        let mut client = server.connect(64 << 10).await;
        for piece in pieces {
            client.send(piece).await;
        }
        client.send(SENTINEL).await;
        // Long enough for every limit: what is kept until here is closed for being idle.
        pass(100).await;
        client.received()
    });
    let asked = [&pieces.concat(), SENTINEL].concat();
    let expected = answers(&asked, &SNAPSHOT);
    let found = without_dates(&received.bytes);
    assert!(
        found == expected,
        "asked {}\nfound {}\nexpected {}",
        asked.escape_ascii(),
        found.escape_ascii(),
        expected.escape_ascii()
    );
    assert!(received.is_ended, "{}", asked.escape_ascii());
    let text = String::from_utf8_lossy(&found);
    let answers = text.split("HTTP/1.").skip(1);
    answers.map(|answer| answer[..5].to_owned()).collect()
}

/// What has tripped servers before, each with the status codes of its answers. `200` last is the sentinel's: the
/// connection was kept.
const ODD: &[(&str, &[&str])] = &[
    ("GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n", &["200", "200"]),
    ("HEAD /items HTTP/1.1\r\nHost: a\r\n\r\n", &["200", "200"]),
    ("GET /items HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &["200"]),
    (
        "GET /items HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive, CLOSE\r\n\r\n",
        &["200"],
    ),
    ("GET /items HTTP/1.0\r\n\r\n", &["200"]),
    (
        "GET /items/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        &["200", "200"],
    ),
    (
        "GET /items/1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        &["200", "200"],
    ),
    (
        "GET /items/1 HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
        &["200", "200"],
    ),
    (
        "GET /items/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        &["200", "200"],
    ),
    ("GET /items/1 HTTP/1.1\nHost: a\n\n", &["400"]),
    ("\r\n\r\nGET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n", &["200", "200"]),
    ("GET http://a/items/1 HTTP/1.1\r\nHost: a\r\n\r\n", &["200", "200"]),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &["204", "200"]),
    ("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", &["404", "200"]),
    ("GET /items/%zz HTTP/1.1\r\nHost: a\r\n\r\n", &["400", "200"]),
    ("GET /items?a=1 HTTP/1.1\r\nHost: a\r\n\r\n", &["400", "200"]),
    ("PUT /items/1 HTTP/1.1\r\nHost: a\r\n\r\n", &["405", "200"]),
    ("get /items/1 HTTP/1.1\r\nHost: a\r\n\r\n", &["405", "200"]),
    // A body is never read, and never taken for a request.
    (
        "GET /items/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        &["200"],
    ),
    (
        "POST /items HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &["405"],
    ),
    (
        "POST /items HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
        &["405"],
    ),
    (
        "GET /items/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\nGET /items/2 HTTP/1.1\r\nHost: a\r\n\r\n",
        &["200"],
    ),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", &["404"]),
    // Framing that is in doubt.
    (
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        &["400"],
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        &["400"],
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        &["501"],
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
        &["400"],
    ),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n", &["400"]),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", &["400"]),
    ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", &["505"]),
    ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &["400"]),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03", &["400"]),
    ("garbage\r\n\r\n", &["400"]),
    // Hosts.
    ("GET / HTTP/1.1\r\n\r\n", &["400"]),
    // An empty one is told by the route, and the connection goes on: where the request ends is not in doubt.
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", &["400", "200"]),
    ("GET /livez HTTP/1.1\r\nHost: \r\n\r\n", &["200", "200"]),
    ("GET /metrics HTTP/1.1\r\nHost:\r\n\r\n", &["400", "200"]),
    // Characters that are not ASCII.
    ("GET /items/\u{d6} HTTP/1.1\r\nHost: a\r\n\r\n", &["400"]),
    // Ranges.
    (
        "GET /items HTTP/1.1\r\nHost: a\r\nRange: bytes=10-20\r\n\r\n",
        &["206", "200"],
    ),
    (
        "GET /items HTTP/1.1\r\nHost: a\r\nRange: bytes=20000-\r\nAccept-Encoding: br\r\n\r\n",
        &["416", "200"],
    ),
    (
        "GET /items HTTP/1.1\r\nHost: a\r\nRange: bytes=20000-60000\r\n\r\n",
        &["206", "200"],
    ),
    (
        "HEAD /items HTTP/1.1\r\nHost: a\r\nRange: bytes=10-20\r\n\r\n",
        &["200", "200"],
    ),
    (
        "GET /items HTTP/1.1\r\nHost: a\r\nRange: bytes=10-20\r\nIf-Range: \"x\"\r\n\r\n",
        &["200", "200"],
    ),
    ("GET /items/1/?a HTTP/1.1\r\nHost: a\r\n\r\n", &["308", "200"]),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &["400"]),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &["400"]),
    ("HEAD / HTTP/1.1\r\nHost: a b\r\n\r\n", &["400"]),
    ("GET http://a/ HTTP/1.0\r\nHost: user@a\r\n\r\n", &["400"]),
    // Versions, from the first request to the last. The preface of HTTP/2 is one at the beginning only.
    (
        "GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &["200", "505"],
    ),
    (
        "GET /items/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &["200", "505"],
    ),
    ("PRI / HTTP/1.1\r\nHost: a\r\n\r\n", &["405", "200"]),
    ("PRX * HTTP/2.0\r\n\r\n", &["505"]),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", &["505"]),
    ("GET / HTTP/0.9\r\n\r\n", &["505"]),
    ("GET / HTTP/1.x\r\n\r\n", &["400"]),
    // HTTP/1.0.
    (
        "HEAD /items HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        &["200", "200"],
    ),
    ("OPTIONS /items HTTP/1.0\r\n\r\n", &["204"]),
    ("GET /nowhere HTTP/1.0\r\nHost: a\r\n\r\n", &["404"]),
    (
        "POST /items HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        &["405", "200"],
    ),
    ("POST /items HTTP/1.0\r\nContent-Length: 2\r\n\r\nab", &["405"]),
    ("POST /items HTTP/1.0\r\n\r\n", &["400"]),
    // Forms of targets.
    ("GET http://b.example HTTP/1.1\r\nHost: a\r\n\r\n", &["200", "200"]),
    ("GET HTTPS://b/items/1?x HTTP/1.1\r\nHost: a\r\n\r\n", &["400", "200"]),
    ("GET http://u@b/items/1 HTTP/1.1\r\nHost: a\r\n\r\n", &["400"]),
    ("GET items/1 HTTP/1.1\r\nHost: a\r\n\r\n", &["400"]),
    ("GET /items/1#top HTTP/1.1\r\nHost: a\r\n\r\n", &["200", "200"]),
    ("HEAD * HTTP/1.1\r\nHost: a\r\n\r\n", &["405", "200"]),
    ("OPTIONS http://a/items HTTP/1.1\r\nHost: a\r\n\r\n", &["204", "200"]),
    (
        "GET /items/1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        &["200", "200"],
    ),
    // Transfer codings.
    (
        "POST /items HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        &["501"],
    ),
    (
        "POST /items HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        &["400"],
    ),
    // A bare LF, wherever it stands.
    ("\nGET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n", &["400"]),
    ("GET /items/1 HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", &["400"]),
    ("GET /items/1 HTTP/1.1\r\nHost: a\r\n\n", &["400"]),
    // A head that has not ended: what comes next is a part of it.
    ("GET / HTTP/1.1\r\nHost: a\r\nX: ", &["400"]),
    ("GE", &["405"]),
];

//= rfc9112#section-3.2
//= type=test
//# A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header field and to any request message
//= rfc9112#section-5.1
//= type=test
//# A server MUST reject, with a response status code of 400 (Bad Request), any received request message that contains whitespace between a header field
//= rfc9112#section-5.2
//= type=test
//# obs-fold in a request message that is not within a "message/http" container MUST either reject the message by sending a 400 (Bad Request), preferably
//= rfc9112#section-2.2
//= type=test
//# A recipient of such a bare CR MUST consider that element to be invalid or replace each bare CR with SP before processing the element or forwarding
//= rfc9112#section-6.3
//= type=test
//# the message body length cannot be determined reliably; the server MUST respond with the 400 (Bad Request) status code and then close the connection.
//= rfc9112#section-6.3
//= type=test
//# then the message framing is invalid and the recipient MUST treat it as an unrecoverable error, unless the field value can be successfully parsed as a
//= rfc9112#section-6.3
//= type=test
//# If the unrecoverable error is in a request message, the server MUST respond with a 400 (Bad Request) status code and then close the connection.
//= rfc9112#section-9.6
//= type=test
//# A server that receives a "close" connection option MUST initiate closure of the connection (see below) after it sends the final response to the
//= rfc9110#section-7.4
//= type=test
//# Unless the connection is from a trusted gateway, an origin server MUST reject a request if any scheme-specific requirements for the target URI are
//= rfc9110#section-10.1.1
//= type=test
//# expectation and an indication that request content will follow, an origin server MUST send either
#[test]
fn odd_requests_are_answered_whole_and_in_pieces() {
    for (request, statuses) in ODD {
        let request = request.as_bytes();
        let whole = check(&[request]);
        let found: Vec<&str> = whole.iter().map(|answer| &answer[2..5]).collect();
        assert_eq!(found, *statuses, "{}", request.escape_ascii());
        for place in [1, request.len() / 2, request.len() - 1] {
            assert_eq!(check(&[&request[..place], &request[place..]]), whole);
        }
    }
}

//= rfc9110#section-5.4
//= type=test
//# or set of fields larger than it wishes to process MUST respond with an appropriate 4xx (Client Error) status code.
//= rfc9112#section-3
//= type=test
//# A server that receives a request-target longer than any URI it wishes to parse MUST respond with a 414 (URI Too Long) status code (see (status.414)).
#[test]
fn limits_of_length_hold_for_every_head_of_a_connection() {
    let before = "GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /items/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8192));
    let long_field = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(16 << 10));
    let many_fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(96));
    for (head, status) in [(long_target, "414"), (long_field, "431"), (many_fields, "431")] {
        for prefix in ["", before] {
            let bytes = format!("{prefix}{head}");
            let answers = check(&[bytes.as_bytes()]);
            assert!(answers.last().unwrap().ends_with(status), "{answers:#?}");
            let pieces: Vec<&[u8]> = bytes.as_bytes().chunks(1000).collect();
            assert_eq!(check(&pieces), answers);
        }
    }
}

#[test]
fn as_many_fields_as_there_may_be_are_answered_in_every_version() {
    let fields = |count: usize| "X: a\r\n".repeat(count);
    for (request, status) in [
        (format!("GET /items/1 HTTP/1.0\r\n{}\r\n", fields(96)), "0 200"),
        (
            format!("GET /items/1 HTTP/1.0\r\nConnection: keep-alive\r\n{}\r\n", fields(95)),
            "0 200",
        ),
        (format!("GET /items/1 HTTP/1.0\r\n{}\r\n", fields(97)), "1 431"),
        (
            format!("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(95)),
            "1 404",
        ),
        (
            format!(
                "GET /items/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\n",
                fields(94)
            ),
            "1 200",
        ),
        (
            format!(
                "POST /items HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n{}\r\n",
                fields(94)
            ),
            "1 405",
        ),
    ] {
        let answers = check(&[request.as_bytes()]);
        assert!(answers[0].starts_with(status), "{answers:#?}");
    }
}

#[test]
fn every_byte_in_a_target_is_answered() {
    // Letters and digits are in every other request.
    let odd = (0x21..0x80_u8).filter(|byte| !byte.is_ascii_alphanumeric());
    for byte in odd.chain([0x80, 0xc3, 0xff]) {
        for (before, after) in [
            (&b"/items/1"[..], &b""[..]),
            (b"/items?a", b"b"),
            (b"http://a/items/1", b"?"),
            (b"", b"items"),
        ] {
            let request = [b"GET ", before, &[byte], after, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            check(&[&request]);
        }
    }
}

fn request() -> impl Strategy<Value = String> {
    let method = prop_oneof![
        6 => Just("GET"), 2 => Just("HEAD"), 1 => Just("OPTIONS"), 1 => Just("POST"), 1 => Just("get"), 1 => Just("M-SEARCH"),
    ];
    let target = prop_oneof![
        4 => (0..420_u32).prop_map(|id| format!("/items/{id}")),
        2 => Just("/items".to_owned()),
        4 => prop::sample::select(vec![
            "/", "/health", "/livez", "/readyz", "/items/", "/items/%31", "/items/%zz", "/items/%ff", "/%69tems", "//items",
            "/items?", "/items?&", "/items?limit=1", "/items/1?x", "/health?probe", "*", "/items/a%2Fb", "/items/a\"b", "/items/\u{c5}land",
            "/items/1#top", "http://localhost/items/1", "https://a.example:8080", "items", "/a|b", "/{}", "/items/1;v=1",
        ]).prop_map(str::to_owned),
    ];
    let version =
        prop_oneof![12 => Just("HTTP/1.1"), 2 => Just("HTTP/1.0"), 1 => Just("HTTP/1.2"), 1 => Just("http/1.1")];
    let field = prop::sample::select(vec![
        "Accept: */*",
        "User-Agent: test (x; y)",
        "accept-encoding: gzip, deflate, br, zstd",
        "Accept-Encoding: br;q=0",
        "Accept-Encoding: identity;q=0",
        "Accept-Encoding: *;q=0",
        "If-None-Match: *",
        "If-None-Match: \"x\", W/\"y\"",
        "If-Match: \"x\"",
        "If-Match: *",
        "Connection: keep-alive",
        "Connection: close",
        "Connection: Upgrade",
        "connection: keep-alive, x",
        "Upgrade: h2c",
        "Expect: 100-continue",
        "Expect: nothing",
        "Content-Length: 0",
        "Content-Length: 4",
        "Content-Length: -1",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Host: b",
        "Origin: https://a.example",
        "Access-Control-Request-Method: GET",
        "TE: trailers",
        "Cookie: a=b; c=d",
        "X-Empty:",
        "X:\t tabs \t",
        "Range: bytes=0-1",
        "bad field: x",
        "No-Colon",
        "X: \u{1}",
    ]);
    let host = prop_oneof![12 => Just("Host: localhost:8080\r\n"), 1 => Just(""), 1 => Just("Host: a_b.example\r\n"), 1 => Just("host:[::1]:80\r\n"), 1 => Just("Host: \r\n")];
    let end = prop_oneof![20 => Just("\r\n"), 1 => Just("\n")];
    let body = prop_oneof![10 => Just(""), 1 => Just("0\r\n\r\n"), 1 => Just("body"), 1 => Just("\r\n")];
    (
        method,
        target,
        version,
        host,
        prop::collection::vec(field, 0..4),
        end,
        body,
    )
        .prop_map(|(method, target, version, host, fields, end, body)| {
            let fields: String = fields.iter().map(|field| format!("{field}{end}")).collect();
            format!("{method} {target} {version}\r\n{host}{fields}{end}{body}")
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_pipeline_in_any_pieces_is_answered(
        requests in prop::collection::vec(request(), 1..6),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let bytes = requests.concat().into_bytes();
        let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len())).collect();
        places.sort_unstable();
        places.push(bytes.len());
        let mut start = 0;
        let pieces: Vec<&[u8]> = places
            .iter()
            .map(|&end| &bytes[std::mem::replace(&mut start, end)..end])
            .filter(|piece| !piece.is_empty())
            .collect();
        check(&pieces);
    }
}
