//! What is sent through the proxies: a table of ways to make two parsers disagree about where a request ends.

/// A request that must never be answered as one: whoever sees it has taken a body, or what follows one, for a head.
pub(crate) const SMUGGLED: &str =
    "GET /items/2?smuggled HTTP/1.1\r\nHost: smuggled\r\nX-Request-Id: smuggled\r\nConnection: close\r\n\r\n";

/// One connection's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    /// What it tries, for whoever reads a failure.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Lines that may or may not say that the body is chunked.
const TRANSFER_ENCODINGS: &[&str] = &[
    "Transfer-Encoding: chunked",
    "Transfer-Encoding:chunked",
    "transfer-encoding: chunked",
    "TRANSFER-ENCODING: CHUNKED",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding:  chunked  ",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: \u{c}chunked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked, cow",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: identity",
    "Transfer-Encoding:",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: chunked\r\nTransfer-encoding: cow",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding:\r\n\tchunked",
    "Transfer-Encoding: chun\r\n ked",
    " Transfer-Encoding: chunked",
    "\tTransfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\0\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\nX: y",
    "Transfer-Encoding: chunked\r",
    "Transfer-Encoding: chunked\0",
    "Transfer-Encoding\0: chunked",
    "Transfer_Encoding: chunked",
    "Transfer Encoding: chunked",
    "Transfer-Encoding: chu\tnked",
    "Transfer-Encoding: chun\u{130}ked",
    "Transfer-\u{c9}ncoding: chunked",
    "Transfer-Encoding chunked",
    ":Transfer-Encoding: chunked",
    "Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
    "Content-Encoding: chunked",
    "TE: chunked",
];

/// Lines that may or may not say how long the body is. `N` is its length, `M` one less.
const CONTENT_LENGTHS: &[&str] = &[
    "Content-Length: N",
    "content-length:N",
    "Content-Length: 0",
    "Content-Length: M",
    "Content-Length: +N",
    "Content-Length: -N",
    "Content-Length: -1",
    "Content-Length: 0N",
    "Content-Length: 0xN",
    "Content-Length: Ne0",
    "Content-Length: N.0",
    "Content-Length: N,N",
    "Content-Length: N, N",
    "Content-Length: 0, N",
    "Content-Length: N 0",
    "Content-Length: N;a=b",
    "Content-Length: \"N\"",
    "Content-Length: N\0",
    "Content-Length: \u{b}N",
    "Content-Length:\tN",
    "Content-Length : N",
    "Content-Length\t: N",
    "Content-Length\0: N",
    "Content_Length: N",
    "Content-Length:\r\n N",
    "Content-Length: N\r\nContent-Length: N",
    "Content-Length: 0\r\nContent-Length: N",
    "Content-Length: N\r\nContent-Length: 0",
    "Content-Length: N\r\ncontent-length: M",
    "Content-Length: 18446744073709551616",
    "Content-Length: 99999999999999999999999999",
    "Content-Length: ",
    "Content-Length: N\nX: y",
    "X: y\nContent-Length: N",
    "X: y\rContent-Length: N",
    " Content-Length: N",
    "Connection: content-length\r\nContent-Length: N",
    "Content-Length: \u{0663}",
];

/// Chunks, right and wrong, each before what must not be seen.
const CHUNKS: &[&str] = &[
    "0\r\n\r\n",
    "1\r\nZ\r\n0\r\n\r\n",
    "1;a=b\r\nZ\r\n0\r\n\r\n",
    "1;a=\"b\r\nc\"\r\nZ\r\n0\r\n\r\n",
    "1;\nZ\r\n0\r\n\r\n",
    "1\nZ\n0\n\n",
    "1\r\nZ\n0\r\n\r\n",
    "1\rZ\r0\r\r",
    "1 \r\nZ\r\n0\r\n\r\n",
    " 1\r\nZ\r\n0\r\n\r\n",
    "01\r\nZ\r\n00\r\n\r\n",
    "00000000000000000001\r\nZ\r\n0\r\n\r\n",
    "0x1\r\nZ\r\n0\r\n\r\n",
    "+1\r\nZ\r\n0\r\n\r\n",
    "-1\r\nZ\r\n0\r\n\r\n",
    "1\r\nZZ\r\n0\r\n\r\n",
    "2\r\nZ\r\n0\r\n\r\n",
    "1\r\nZ0\r\n\r\n",
    "g\r\nZ\r\n0\r\n\r\n",
    "\r\n1\r\nZ\r\n0\r\n\r\n",
    "FFFFFFFFFFFFFFFF\r\nZ\r\n0\r\n\r\n",
    "10000000000000001\r\nZ\r\n0\r\n\r\n",
    "100000001\r\nZ\r\n0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "0\r\nContent-Length: 5\r\n\r\n",
    "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "0\r\nX: y\n\n",
    "0\r\n X: y\r\n\r\n",
    "0\n\n",
    "0\r\n\n",
    "0\n\r\n",
    "0;\0\r\n\r\n",
    "0\0\r\n\r\n",
];

/// Request lines that may name another target, version or method than it seems.
const LINES: &[&str] = &[
    "GET /items/1 HTTP/1.1",
    "GET /items/1 HTTP/1.0",
    "GET /items/1 HTTP/1.2",
    "GET /items/1 HTTP/1.10",
    "GET /items/1 HTTP/2.0",
    "GET /items/1 HTTP/0.9",
    "GET /items/1 HTTP/1",
    "GET /items/1 HTTP/11",
    "GET /items/1 http/1.1",
    "GET /items/1 HTTP /1.1",
    "GET /items/1 HTTP/1.1 ",
    "GET /items/1  HTTP/1.1",
    "GET  /items/1 HTTP/1.1",
    "GET\t/items/1\tHTTP/1.1",
    "GET /items/1\u{b}HTTP/1.1",
    " GET /items/1 HTTP/1.1",
    "\r\nGET /items/1 HTTP/1.1",
    "\nGET /items/1 HTTP/1.1",
    "GET /items/1",
    "GET /items/1\rX HTTP/1.1",
    "GET /items/1\0 HTTP/1.1",
    "GET /items/1\t HTTP/1.1",
    "GET /items/1 HTTP/1.1 HTTP/1.1",
    "GET /items/1 /items/2 HTTP/1.1",
    "get /items/1 HTTP/1.1",
    "GE(T /items/1 HTTP/1.1",
    "HEAD /items/1 HTTP/1.1",
    "POST /items/1 HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "OPTIONS /items HTTP/1.1",
    "TRACE /items/1 HTTP/1.1",
    "CONNECT a:80 HTTP/1.1",
    "CONNECT /items/1 HTTP/1.1",
    "PRI * HTTP/2.0",
    "GET http://localhost/items/1 HTTP/1.1",
    "GET http://other.example/items/1 HTTP/1.1",
    "GET http://user@localhost/items/1 HTTP/1.1",
    "GET https://localhost/items/1 HTTP/1.1",
    "GET HTTP://LOCALHOST/items/1 HTTP/1.1",
    "GET http:///items/1 HTTP/1.1",
    "GET //other.example/items/1 HTTP/1.1",
    "GET /items/1/ HTTP/1.1",
    "GET /items/%31 HTTP/1.1",
    "GET /%69tems/1 HTTP/1.1",
    "GET /items/%2e%2e/health HTTP/1.1",
    "GET /items/../health HTTP/1.1",
    "GET /items/./1 HTTP/1.1",
    "GET /items//1 HTTP/1.1",
    "GET /items/1%20HTTP/1.1%0d%0aX: HTTP/1.1",
    "GET /items/1%0d%0a%0d%0aGET%20/items/2 HTTP/1.1",
    "GET /items/1%00 HTTP/1.1",
    "GET /items/1#fragment HTTP/1.1",
    "GET /items/1?a#b HTTP/1.1",
    "GET /items/1\\..\\2 HTTP/1.1",
    "GET /items/\u{d6} HTTP/1.1",
    "GET /items/1;a=b HTTP/1.1",
    "GET items/1 HTTP/1.1",
    "GET ?a HTTP/1.1",
    "GET * HTTP/1.1",
];

/// Fields that say who is meant, who asks, or what becomes of the connection.
const FIELDS: &[&str] = &[
    "Host: localhost",
    "Host: localhost\r\nHost: other.example",
    "Host: localhost\r\n Host: other.example",
    "Host: localhost\r\nX: y\n\nGET /items/2 HTTP/1.1\r\nX-Request-Id: smuggled",
    "Host: localhost\r\nX: y\r\r\nGET /items/2 HTTP/1.1\r\nX-Request-Id: smuggled",
    "Host: localhost\r\nX: y\n\r\nGET /items/2 HTTP/1.1\r\nHost: a",
    "Host: localhost\r\nX: y\r\n\nGET /items/2 HTTP/1.1\r\nHost: a",
    "Host : localhost",
    "Host: localhost:80:80",
    "Host: a, b",
    "Host: a/b",
    "Host: user@a",
    "Host:",
    "Host: \t",
    "",
    "Host: localhost\r\nX-Request-Id: smuggled",
    "Host: localhost\r\nX-Request-Id: smuggled\r\nX-Request-Id: smuggled",
    "Host: localhost\r\nx_request_id: smuggled",
    "Host: localhost\r\nConnection: x-request-id",
    "Host: localhost\r\nConnection: close, x-request-id, host",
    "Host: localhost\r\nConnection: keep-alive, te",
    "Host: localhost\r\nConnection: upgrade\r\nUpgrade: websocket",
    "Host: localhost\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    "Host: localhost\r\nExpect: 100-continue",
    "Host: localhost\r\nExpect: 100-continue\r\nContent-Length: 3",
    "Host: localhost\r\nExpect: nothing",
    "Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: \0",
    "Host: localhost\r\nX: \u{1}",
    "Host: localhost\r\nX: a\u{7f}b",
    "Host: localhost\r\nno colon",
    "Host: localhost\r\n: no name",
    "Host: localhost\r\nX[]: y",
    "Host: localhost\r\nX\r\n: y",
    "Host: localhost\r\nX: y\r\n\t folded",
    "Host: localhost\r\nRange: bytes=0-1, 2-3",
    "Host: localhost\r\nKeep-Alive: 300\r\nProxy-Connection: keep-alive",
    "Host: localhost\r\nX-HTTP-Method-Override: DELETE",
    "Host: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0",
];

/// Every payload.
pub(crate) fn all() -> Vec<Payload> {
    let mut all = Vec::new();
    let mut add = |name: String, bytes: String| {
        all.push(Payload {
            name,
            bytes: bytes.into_bytes(),
        });
    };
    let with_length = |line: &str, body: &str| {
        let length = body.len();
        line.replace('N', &length.to_string())
            .replace('M', &(length - 1).to_string())
    };
    for method in ["GET", "POST"] {
        let line = format!("{method} /items/1 HTTP/1.1\r\nHost: localhost\r\n");
        for coding in TRANSFER_ENCODINGS {
            let name = format!("{method} {coding:?}");
            let body = format!("0\r\n\r\n{SMUGGLED}");
            add(format!("{name}, chunks"), format!("{line}{coding}\r\n\r\n{body}"));
            for length in ["Content-Length: N", "Content-Length: 5", "Content-Length: 0"] {
                let lengths = with_length(length, &body);
                add(
                    format!("{name}, then {length}"),
                    format!("{line}{coding}\r\n{lengths}\r\n\r\n{body}"),
                );
            }
            let lengths = with_length("Content-Length: N", &body);
            add(
                format!("{name}, after its length"),
                format!("{line}{lengths}\r\n{coding}\r\n\r\n{body}"),
            );
        }
        for length in CONTENT_LENGTHS {
            let lengths = with_length(length, SMUGGLED);
            add(
                format!("{method} {length:?}"),
                format!("{line}{lengths}\r\n\r\n{SMUGGLED}"),
            );
        }
        for chunks in CHUNKS {
            add(
                format!("{method} {chunks:?}"),
                format!("{line}Transfer-Encoding: chunked\r\n\r\n{chunks}{SMUGGLED}"),
            );
        }
    }
    for line in LINES {
        add(format!("{line:?}"), format!("{line}\r\nHost: localhost\r\n\r\n"));
        // A second request that is meant, if the first one is taken.
        add(
            format!("{line:?}, and another"),
            format!(
                "{line}\r\nHost: localhost\r\n\r\nGET /items/2?meant HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            ),
        );
    }
    for fields in FIELDS {
        for version in ["1.1", "1.0"] {
            add(
                format!("HTTP/{version} {fields:?}"),
                format!("GET /items/1 HTTP/{version}\r\n{fields}\r\n\r\n"),
            );
        }
    }
    for version in ["1.0", "1.1"] {
        for kept in ["keep-alive", "close", "Keep-Alive, close", "te, keep-alive"] {
            let one = format!("GET /items/1 HTTP/{version}\r\nHost: localhost\r\nConnection: {kept}\r\n\r\n");
            add(format!("three of HTTP/{version}, {kept}"), one.repeat(3));
            add(
                format!("HTTP/{version}, {kept}, then junk"),
                format!("{one}\0\0junk\r\n\r\n{SMUGGLED}"),
            );
        }
        add(
            format!("HTTP/{version} by bare line feeds"),
            format!("GET /items/1 HTTP/{version}\nHost: localhost\n\n"),
        );
        add(
            format!("HTTP/{version} by bare carriage returns"),
            format!("GET /items/1 HTTP/{version}\rHost: localhost\r\r"),
        );
    }
    add("HTTP/0.9".to_owned(), "GET /items/1\r\n".to_owned());
    add("HTTP/0.9 and another".to_owned(), format!("GET /items/1\r\n{SMUGGLED}"));
    all
}
