//! HTTP/2 in memory: the same answers as over HTTP/1, and limits on whatever a client sends or does not take.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Request};
use janus::http::serve::h2::frames::{CONTROLS, PREFACE, RESETS};
use janus::http::serve::h2::{HEADER_LIST_LENGTH_MAX, STREAMS_MAX};
use janus::ledger::Ledger;
use janus::lifecycle::Phase;
use janus::snapshot::Publisher;
use proptest::prelude::*;
use tokio::io::AsyncReadExt;

use crate::frames::{
    ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GOAWAY, HEADERS, NO_ERROR,
    PING, PRIORITY, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS, WINDOW_UPDATE, begin, block, frame, frames,
    get, get_block,
};
use crate::memory::{Client, Server, pass, run, settle, snapshot};

impl Client {
    fn frames(&self) -> Vec<Frame> {
        frames(&self.received().bytes)
    }

    /// The error code of the last GOAWAY.
    fn goaway(&self) -> Option<u32> {
        let frames = self.frames();
        frames.iter().rfind(|frame| frame.kind == GOAWAY).map(Frame::code)
    }

    /// The error code with which a stream was reset.
    fn reset(&self, stream: u32) -> Option<u32> {
        let frames = self.frames();
        let mut resets = frames.iter().filter(|frame| frame.kind == RST_STREAM);
        resets.find(|frame| frame.stream == stream).map(Frame::code)
    }

    /// What came of a stream's body, and whether that was all.
    fn body(&self, stream: u32) -> (String, bool) {
        let frames: Vec<Frame> = self
            .frames()
            .into_iter()
            .filter(|frame| frame.stream == stream)
            .collect();
        let data = frames.iter().filter(|frame| frame.kind == DATA);
        let body: Vec<u8> = data.flat_map(|frame| frame.payload.clone()).collect();
        let ends = |frame: &Frame| matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
        (String::from_utf8(body).unwrap(), frames.iter().any(ends))
    }
}

async fn open(server: &Server) -> Client {
    let mut client = server.connect(64 << 10).await;
    client.send(&begin(None)).await;
    client
}

/// An answer without what belongs to the moment and to the connection.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    fields: BTreeMap<String, String>,
    body: String,
}

/// What is answered to a request over HTTP/2.
async fn ask(server: &Server, method: &str, path: &str, fields: &[(&str, &str)]) -> Result<Told, h2::Error> {
    let stream = server.open(64 << 10).await;
    let (mut send, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::task::spawn_local(connection);
    let mut request = Request::builder().method(method).uri(format!("http://a{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (response, _) = send.send_request(request.body(()).unwrap(), true)?;
    let response = response.await?;
    let status = response.status().as_u16();
    let fields = texts(response.headers());
    let mut body = Vec::new();
    let mut data = response.into_body();
    while let Some(piece) = data.data().await {
        let piece: Bytes = piece?;
        data.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    drop((send, data));
    let _ = connection.await;
    let body = body.escape_ascii().to_string();
    Ok(Told { status, fields, body })
}

fn texts(fields: &HeaderMap) -> BTreeMap<String, String> {
    assert!(fields.contains_key("date"));
    let fields = fields.iter().filter(|(name, _)| *name != "date");
    fields
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

/// What is answered to the same request over HTTP/1.1.
async fn ask_over_http_1(server: &Server, method: &str, path: &str, fields: &[(&str, &str)]) -> Told {
    let mut client = server.connect(64 << 10).await;
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\n{fields}connection: close\r\n\r\n");
    client.send(request.as_bytes()).await;
    let bytes = client.received().bytes;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap()[9..12].parse().unwrap();
    let mut fields = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        if !matches!(name, "date" | "connection") {
            fields.insert(name.to_owned(), value.to_owned());
        }
    }
    let body = bytes[end + 4..].escape_ascii().to_string();
    Told { status, fields, body }
}

#[track_caller]
fn check_alike(method: &str, path: &str, fields: &[(&str, &str)]) -> Told {
    run(async {
        let server = Server::new();
        let over_http_1 = ask_over_http_1(&server, method, path, fields).await;
        let over_http_2 = ask(&server, method, path, fields).await.expect("an answer");
        assert_eq!(over_http_2, over_http_1, "{method} {path} {fields:?}");
        over_http_2
    })
}

#[test]
fn answers_are_those_of_http_1() {
    for (method, path, fields, status) in [
        ("GET", "/items/1", &[][..], 200),
        ("GET", "/items", &[("accept-encoding", "br")], 200),
        ("HEAD", "/items", &[], 200),
        ("GET", "/", &[], 200),
        ("GET", "/items", &[("if-none-match", "*")], 304),
        ("GET", "/items", &[("range", "bytes=10-19")], 206),
        ("GET", "/items/1", &[("range", "bytes=1000-")], 416),
        ("GET", "/items", &[("if-match", "\"x\"")], 412),
        ("GET", "/items?a=1", &[], 400),
        ("GET", "/items/%zz", &[], 400),
        ("GET", "/nowhere", &[], 404),
        ("HEAD", "/nowhere", &[], 404),
        ("GET", "/items/", &[], 308),
        ("POST", "/items", &[], 405),
        ("M-SEARCH", "/items", &[], 405),
        ("OPTIONS", "/items", &[], 204),
        ("GET", "/readyz", &[], 200),
    ] {
        assert_eq!(check_alike(method, path, fields).status, status, "{method} {path}");
    }
    let long = format!("/{}", "a".repeat(8192));
    let told = check_alike("GET", &long, &[]);
    assert!(told.status == 414 && told.body.contains("target_too_long"), "{told:?}");
    let told = check_alike("GET", "/", &[("x", &"y".repeat(HEADER_LIST_LENGTH_MAX))]);
    assert!(told.status == 431 && told.body.contains("head_too_large"), "{told:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_request_is_answered_as_over_http_1(
        method in prop::sample::select(vec!["GET", "HEAD", "OPTIONS", "POST", "PUT", "get"]),
        path in prop_oneof![
            (0..420_u32).prop_map(|id| format!("/items/{id}")),
            prop::sample::select(vec![
                "/", "/items", "/health", "/livez", "/readyz", "/items/", "/items/%31", "/items/%ff", "/%69tems", "/items?&",
                "/items/1?x", "/items/a%2Fb", "/-/snapshot", "/items/1;v=1",
            ]).prop_map(str::to_owned),
        ],
        fields in prop::collection::vec(prop::sample::select(vec![
            ("accept-encoding", "gzip, br"), ("accept-encoding", "identity;q=0"), ("if-none-match", "*"), ("if-match", "*"),
            ("origin", "https://a.example"), ("te", "trailers"), ("cookie", "a=b"), ("range", "bytes=0-1"),
        ]), 0..3),
    ) {
        check_alike(method, &path, &fields);
    }
}

/// A frame that may be right, as often as not of streams that are there.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = (0_u32..6).prop_map(|number| number.max(1) * 2 - 1);
    prop_oneof![
        4 => (stream.clone(), prop::sample::select(vec!["/items/1", "/items", "/nowhere", "/-/snapshot"]))
            .prop_map(|(stream, path)| get(stream, path)),
        2 => (stream.clone(), any::<bool>()).prop_map(|(stream, ends)| {
            let block = get_block("/items/2");
            let (first, rest) = block.split_at(20);
            let begun = frame(HEADERS, u8::from(ends), stream, first);
            [begun, frame(CONTINUATION, END_HEADERS, stream, rest)].concat()
        }),
        2 => (stream.clone(), 0_u32..70_000).prop_map(|(stream, more)| frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())),
        1 => (0_u32..70_000).prop_map(|more| frame(WINDOW_UPDATE, 0, 0, &more.to_be_bytes())),
        1 => (0_u32..70_000).prop_map(|window| frame(SETTINGS, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat())),
        1 => stream.clone().prop_map(|stream| frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())),
        2 => (stream.clone(), 0_usize..2000, any::<bool>())
            .prop_map(|(stream, length, ends)| frame(DATA, u8::from(ends), stream, &vec![0; length])),
        1 => (any::<u8>(), any::<u8>(), prop_oneof![Just(0), stream], prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    // No scrape: it is made by a thread, which the clock does not wait for.
    #[test]
    fn whatever_frames_come_whole_frames_are_sent_and_nothing_is_left_in_the_end(
        all in prop::collection::vec(any_frame(), 1..30),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let bytes = all.concat();
        let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len())).collect();
        places.sort_unstable();
        places.push(bytes.len());
        run(async {
            let server = Server::new();
            let mut client = open(&server).await;
            let mut start = 0;
            for end in places {
                client.send(&bytes[std::mem::replace(&mut start, end)..end]).await;
            }
            // Longer than any limit.
            pass(200).await;
            assert!(client.received().is_ended);
            let mut heads = BTreeMap::new();
            for frame in client.frames() {
                match frame.kind {
                    HEADERS => assert!(heads.insert(frame.stream, frame.flags & END_STREAM != 0).is_none()),
                    DATA => {
                        let ended = heads.get_mut(&frame.stream).expect("a head comes before its body");
                        assert!(!std::mem::replace(ended, frame.flags & END_STREAM != 0), "nothing comes after the end");
                    }
                    _ => {}
                }
            }
            let text = server.scrape();
            for line in ["http_connections 0", "http_requests_in_flight 0"] {
                assert!(text.lines().any(|found| found == line), "{line}: {text}");
            }
        });
    }
}

#[test]
fn what_the_application_answers_is_answered_in_this_process() {
    run(async {
        let server = Server::new();
        let told = ask(&server, "GET", "/metrics", &[]).await.unwrap();
        assert_eq!(told.status, 200);
        assert!(told.body.contains("http_connections 1"), "{}", told.body);
        assert_eq!(told.fields["cache-control"], "no-store");
        let head = ask(&server, "HEAD", "/metrics", &[]).await.unwrap();
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert!(
            server
                .scrape()
                .contains("http_requests_total{method=\"HEAD\",route=\"/metrics\",status=\"200\"} 1")
        );
        assert!(server.scrape().contains("http_requests_in_flight 0"));
    });
}

#[test]
fn requests_are_recorded_as_over_http_1() {
    let requests = [
        ("GET", "/items/1", &[][..]),
        ("HEAD", "/items", &[("accept-encoding", "br")]),
        ("GET", "/nowhere", &[]),
        ("GET", "/", &[("host", "b")]),
    ];
    run(async {
        let server = Server::new();
        for (method, path, fields) in requests {
            ask(&server, method, path, fields).await.unwrap();
        }
        pass(5).await;
        let text = server.scrape();
        for line in [
            "http_requests_total{method=\"GET\",route=\"/items/{id}\",status=\"200\"} 1",
            "http_requests_total{method=\"HEAD\",route=\"/items\",status=\"200\"} 1",
            "http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
            // `:authority` and `Host` name two hosts.
            "http_requests_total{method=\"other\",route=\"unmatched\",status=\"400\"} 1",
            "http_request_duration_seconds_count{method=\"GET\",route=\"/items/{id}\"} 1",
            "http_connections 0",
            "http_requests_in_flight 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    });
}

#[test]
fn what_http_2_calls_malformed_ends_its_stream_and_no_other() {
    let malformed = [
        &[("connection", "close")][..],
        &[("transfer-encoding", "chunked")],
        &[("keep-alive", "5")],
        &[("upgrade", "h2c")],
        &[("te", "gzip")],
        &[(":path", "/")],
    ];
    for fields in malformed {
        run(async {
            let server = Server::new();
            let mut client = open(&server).await;
            let all = [&get_block("/items/1")[..], &block(fields)].concat();
            client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &all)).await;
            assert_eq!(client.reset(1), Some(PROTOCOL_ERROR), "{fields:?}");
            client.send(&get(3, "/items/1")).await;
            assert!(client.body(3).1, "{fields:?}");
        });
    }
}

#[test]
fn a_client_is_told_the_limits() {
    run(async {
        let server = Server::new();
        let client = open(&server).await;
        let settings = &client.frames()[0];
        assert_eq!((settings.kind, settings.flags), (SETTINGS, 0));
        let told: BTreeMap<u16, u32> = settings
            .payload
            .chunks_exact(6)
            .map(|one| {
                let name = u16::from_be_bytes(one[..2].try_into().unwrap());
                (name, u32::from_be_bytes(one[2..].try_into().unwrap()))
            })
            .collect();
        assert_eq!(
            told,
            BTreeMap::from([(3, STREAMS_MAX), (6, HEADER_LIST_LENGTH_MAX as u32)])
        );
    });
}

#[test]
fn a_request_is_answered_whatever_pieces_it_comes_in() {
    let bytes = [begin(None), get(1, "/items/1"), get(3, "/items/2")].concat();
    for length in [1, 4, 7, 9, 10, 50] {
        run(async {
            let server = Server::new();
            let mut client = server.connect(64 << 10).await;
            for piece in bytes.chunks(length) {
                client.send(piece).await;
            }
            // No time has passed but that of a few milliseconds.
            assert!(client.body(1).1 && client.body(3).1, "in pieces of {length} bytes");
            assert_eq!(client.goaway(), None);
        });
    }
}

#[test]
fn a_stream_too_many_is_refused() {
    run(async {
        let server = Server::new();
        let mut client = server.connect(64 << 10).await;
        client.send(&begin(Some(0))).await;
        for number in 0..=STREAMS_MAX {
            client.send(&get(2 * number + 1, "/items/1")).await;
        }
        assert_eq!(client.reset(2 * STREAMS_MAX + 1), Some(REFUSED_STREAM));
        assert_eq!(client.reset(2 * STREAMS_MAX - 1), None);
        // They wait for their windows, and are answered when these are open.
        client.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])).await;
        assert!((0..STREAMS_MAX).all(|number| client.body(2 * number + 1).1));
    });
}

#[test]
fn a_head_has_five_seconds_from_its_first_byte_to_its_last() {
    let begun = begin(None);
    let head = frame(HEADERS, END_STREAM, 1, &get_block("/items/1"));
    let with_continuation = [&head[..], &frame(CONTINUATION, 0, 1, &block(&[("x", "y")]))].concat();
    for (name, before, pieces) in [
        ("half a preface", &b""[..], vec![&PREFACE[..4], &PREFACE[4..8]]),
        ("most of a preface", b"", vec![&PREFACE[..14], &PREFACE[14..20]]),
        ("a preface without SETTINGS", b"", vec![&PREFACE[..14], &PREFACE[14..]]),
        ("half of SETTINGS", b"", vec![&begun[..30], &begun[30..32]]),
        ("half a frame's header", &begun, vec![&head[..4], &head[4..8]]),
        ("half a header block", &begun, vec![&head[..12], &head[12..14]]),
        ("a block that goes on", &begun, vec![&with_continuation]),
    ] {
        run(async {
            let server = Server::new();
            let mut client = server.connect(64 << 10).await;
            client.send(before).await;
            for piece in pieces {
                client.send(piece).await;
                pass(2).await;
            }
            assert!(!client.received().is_ended, "{name}: too early");
            pass(5).await;
            // The answer to a head of HTTP/1 is waited with a little longer.
            pass(3).await;
            assert!(client.received().is_ended, "{name}: it is still open");
        });
    }
}

#[test]
fn what_begins_like_a_preface_and_is_none_is_refused() {
    run(async {
        let server = Server::new();
        let mut client = server.connect(64 << 10).await;
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r!").await;
        assert_eq!(client.goaway(), Some(PROTOCOL_ERROR));
        pass(3).await;
        assert!(client.received().is_ended);
    });
    // After a request it is no preface at all.

    run(async {
        let server = Server::new();
        let mut client = server.connect(64 << 10).await;
        let request = b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n";
        client.send(&[request, begin(None).as_slice()].concat()).await;
        let text = client.text();
        let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!((statuses[0], statuses.len()), ("200", 2), "{text}");
        assert!(matches!(statuses[1], "400" | "505"), "{text}");
    });
}

#[test]
fn frames_that_ask_for_nothing_are_bounded_by_rate() {
    let zero = [0; 4];
    for (name, one) in [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("PING that answers none", frame(PING, ACK, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("an unknown kind", frame(0x7f, 0, 0, &zero)),
    ] {
        run(async {
            let server = Server::new();
            let mut client = open(&server).await;
            for _ in 0..CONTROLS.burst / 10 - 1 {
                client.send(&one.repeat(10)).await;
            }
            assert_eq!(client.goaway(), None, "{name}");
            client.send(&get(3, "/items/1")).await;
            assert!(client.body(3).1, "{name}: who stays below is answered");
            client.send(&one.repeat(30)).await;
            assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM), "{name}");
            pass(3).await;
            assert!(client.received().is_ended, "{name}");
        });
    }
}

#[test]
fn who_sends_slowly_may_send_for_long() {
    run(async {
        let server = Server::new();
        let mut client = open(&server).await;
        for stream in 0..20 {
            client
                .send(&frame(PING, 0, 0, &[0; 8]).repeat(CONTROLS.a_second as usize))
                .await;
            client.send(&get(2 * stream + 1, "/items/1")).await;
            pass(1).await;
        }
        assert_eq!(client.goaway(), None);
    });
}

#[test]
fn empty_data_is_bounded_by_rate() {
    run(async {
        let server = Server::new();
        let mut client = server.connect(64 << 10).await;
        // The answer waits, so that the stream stays open.
        client.send(&begin(Some(0))).await;
        client
            .send(&frame(HEADERS, END_HEADERS, 1, &get_block("/items/1")))
            .await;
        client
            .send(&frame(DATA, 0, 1, &[]).repeat(CONTROLS.burst as usize + 10))
            .await;
        assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    });
}

#[test]
fn resets_are_bounded_by_rate() {
    run(async {
        let server = Server::new();
        let mut client = open(&server).await;
        for number in 0..2 * RESETS.burst {
            let stream = 2 * number + 1;
            let reset = frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
            client.send(&[get(stream, "/items"), reset].concat()).await;
        }
        assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
        let answered = client.frames().iter().filter(|frame| frame.kind == HEADERS).count();
        assert!(answered <= RESETS.burst as usize + 1, "{answered}");
    });
    // Those that the server makes, for what a client sends, count too.
    run(async {
        let server = Server::new();
        let mut client = open(&server).await;
        let bad = [get_block("/items/1"), block(&[("connection", "close")])].concat();
        for number in 0..2 * RESETS.burst {
            client
                .send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &bad))
                .await;
        }
        assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    });
}

#[test]
fn header_blocks_are_bounded_however_they_come() {
    // One byte a field: an entry of the dynamic table, again and again, without an end.
    run(async {
        let server = Server::new();
        let mut client = open(&server).await;
        let mut first = get_block("/items/1");
        first.extend_from_slice(b"\x40\x01x\x01y");
        client.send(&frame(HEADERS, END_STREAM, 1, &first)).await;
        for _ in 0..100 {
            client.send(&frame(CONTINUATION, 0, 1, &[0xbe; 4096])).await;
        }
        assert!(client.goaway().is_some_and(|code| code == ENHANCE_YOUR_CALM));
    });
    // More distinct names than there is room for.
    run(async {
        let server = Server::new();
        let mut client = open(&server).await;
        let names: Vec<String> = (0..25_000).map(|number| format!("x{number}")).collect();
        let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let all = [get_block("/items/1"), block(&fields)].concat();
        let pieces: Vec<&[u8]> = all.chunks(16 << 10).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let kind = if number == 0 { HEADERS } else { CONTINUATION };
            let flags = if number + 1 == pieces.len() { END_HEADERS } else { 0 };
            client.send(&frame(kind, flags, 1, piece)).await;
        }
        assert!(client.goaway().is_some_and(|code| code == ENHANCE_YOUR_CALM));
        let (_, mut next) = server.connect_slow(64 << 10).await;
        next.send(&begin(None)).await;
    });
}

#[test]
fn who_takes_nothing_for_30_seconds_is_left_whatever_else_it_sends() {
    for window in [0, 1000] {
        run(async {
            let server = Server::new();
            let mut client = server.connect(64 << 10).await;
            client.send(&begin(Some(window))).await;
            client.send(&[get(1, "/items"), get(3, "/items")].concat()).await;
            for second in 0..29 {
                client.send(&frame(PING, 0, 0, &[0; 8])).await;
                // Of the connection's window, which is not what is lacking.
                client.send(&frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())).await;
                assert!(!client.received().is_ended, "{second}");
                pass(1).await;
            }
            assert_eq!(client.goaway(), None);
            for _ in 0..5 {
                client.send(&frame(PING, 0, 0, &[0; 8])).await;
                pass(1).await;
            }
            assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
            assert!(client.received().is_ended);
            assert!(server.scrape().contains("http_requests_in_flight 0"));
            assert_eq!(server.metric("http_connections_cut_total{reason=\"slow\"}"), Some(2.0));
        });
    }
}

#[test]
fn a_stalled_stream_ends_and_the_others_go_on() {
    run(async {
        let server = Server::new();
        let mut client = server.connect(64 << 10).await;
        client.send(&begin(Some(0))).await;
        client.send(&[get(1, "/items"), get(3, "/items")].concat()).await;
        for _ in 0..40 {
            client.send(&frame(WINDOW_UPDATE, 0, 3, &1500_u32.to_be_bytes())).await;
            pass(1).await;
        }
        assert_eq!(client.reset(1), Some(CANCEL));
        assert_eq!((client.reset(3), client.goaway()), (None, None));
        client
            .send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes()))
            .await;
        client
            .send(&frame(WINDOW_UPDATE, 0, 3, &(1_u32 << 20).to_be_bytes()))
            .await;
        assert!(client.body(3).1);
    });
}

#[test]
fn stalled_streams_hold_what_has_been_replaced_for_30_seconds_and_no_longer() {
    run(async {
        let ledger = Ledger::default();
        let publisher = Publisher::with_ledger(snapshot("0", ledger.clone()), ledger.clone());
        let server = Server::of(1024, publisher.clone());
        let one = ledger.total();
        let mut clients = Vec::new();
        let mut most = 0;
        for time in 1..30 {
            let mut client = server.connect(64 << 10).await;
            client.send(&[begin(Some(0)), get(1, "/items")].concat()).await;
            clients.push(client);
            publisher.publish(snapshot(&(time % 10).to_string(), ledger.clone()));
            publisher.reap();
            most = most.max(ledger.total());
            for _ in 0..5 {
                for client in &mut clients {
                    client.send(&frame(PING, 0, 0, &[0; 8])).await;
                }
                pass(1).await;
            }
        }
        // The one that is current, and of the last six or so what is less than a half: the body that is held. All of them would
        // be more than twice as much.
        assert!((2 * one..=5 * one).contains(&most), "{most} bytes, of {one} each");
    });
}

#[test]
fn when_memory_is_short_the_oldest_streams_of_retired_data_are_broken_off() {
    run(async {
        let ledger = Ledger::default();
        let publisher = Publisher::with_ledger(snapshot("a", ledger.clone()), ledger.clone());
        let server = Server::of(0, publisher.clone());
        let mut clients = Vec::new();
        for mark in ["b", "c", ""] {
            // One whose window is closed, and one whose socket is full.
            let mut stalled = server.connect(64 << 10).await;
            stalled.send(&[begin(Some(0)), get(1, "/items")].concat()).await;
            let (reading, mut unread) = server.connect_slow(1024).await;
            unread.send(&[begin(Some(1 << 20)), get(1, "/items")].concat()).await;
            clients.push((stalled, reading, unread));
            if !mark.is_empty() {
                publisher.publish(snapshot(mark, ledger.clone()));
            }
            pass(2).await;
            publisher.reap();
        }
        let cuts = || server.metric("http_connections_cut_total{reason=\"memory\"}");
        assert_eq!(cuts(), Some(0.0), "there is no limit");
        for expected in [2.0, 4.0] {
            ledger.set_limit(Some(ledger.total() - 1));
            pass(3).await;
            publisher.reap();
            assert_eq!(cuts(), Some(expected));
        }
        // What is served is never let go of.
        ledger.set_limit(Some(0));
        pass(3).await;
        assert_eq!(cuts(), Some(4.0));
        let resets: Vec<_> = clients.iter().map(|(stalled, ..)| stalled.reset(1)).collect();
        assert_eq!(resets, [Some(CANCEL), Some(CANCEL), None]);
    });
}

#[test]
fn a_client_that_does_not_read_its_socket_is_left_after_30_seconds() {
    run(async {
        let server = Server::new();
        let (mut reading, mut client) = server.connect_slow(1024).await;
        client.send(&begin(Some(1 << 20))).await;
        client.send(&get(1, "/items")).await;
        let mut some = [0; 5000];
        // Slow, and yet fast enough: longer than the limit in all.
        for _ in 0..12 {
            pass(4).await;
            assert_eq!(reading.read_exact(&mut some).await.unwrap(), some.len());
        }
        pass(42).await;
        let mut rest = Vec::new();
        reading.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() <= 1024, "{} bytes came after the limit", rest.len());
    });
}

#[test]
fn an_idle_connection_ends_after_75_seconds_whatever_it_pings() {
    run(async {
        let server = Server::new();
        let mut client = open(&server).await;
        client.send(&get(1, "/items/1")).await;
        for _ in 0..7 {
            pass(10).await;
            client.send(&frame(PING, 0, 0, &[0; 8])).await;
            assert_eq!(client.goaway(), None);
        }
        pass(7).await;
        assert_eq!(client.goaway(), Some(NO_ERROR));
        pass(3).await;
        assert!(client.received().is_ended);
    });
}

#[test]
fn a_request_s_body_is_thrown_away_within_bounds() {
    run(async {
        let server = Server::new();
        let mut client = open(&server).await;
        let asks = |stream| frame(HEADERS, END_HEADERS, stream, &get_block("/items/1"));
        // A body that ends.
        client.send(&asks(1)).await;
        client.send(&frame(DATA, 0, 1, &[0; 1000])).await;
        client.send(&frame(DATA, END_STREAM, 1, &[0; 1000])).await;
        assert!(client.body(1).1 && client.reset(1).is_none());
        // One that does not.
        client.send(&asks(3)).await;
        pass(5).await;
        assert!(client.body(3).1);
        assert_eq!(client.reset(3), Some(NO_ERROR));
        // One that is long: the client is told to stop, and the connection's window stays open.
        for stream in [5, 7, 9] {
            client.send(&asks(stream)).await;
            for _ in 0..5 {
                client.send(&frame(DATA, 0, stream, &[0; 16000])).await;
            }
            assert!(client.body(stream).1);
            assert_eq!(client.reset(stream), Some(NO_ERROR));
        }
        assert_eq!(client.goaway(), None);
    });
}

#[test]
fn while_draining_a_client_is_told_to_go_and_what_it_asked_is_answered() {
    run(async {
        let server = Server::new();
        let mut client = server.connect(64 << 10).await;
        client.send(&begin(Some(1000))).await;
        client.send(&get(1, "/items")).await;
        let mut fresh = server.connect(64 << 10).await;
        fresh.send(&begin(None)).await;
        server.lifecycle.advance(Phase::Draining);
        settle().await;
        assert_eq!(client.goaway(), Some(NO_ERROR));
        assert_eq!(fresh.goaway(), None, "who has not asked yet may do so");
        // Sent before it knew.
        client.send(&get(3, "/items/1")).await;
        assert!(client.body(3).1);
        // One that is told has only to say that it has heard.
        let ping = client
            .frames()
            .into_iter()
            .rfind(|frame| frame.kind == PING)
            .expect("a PING");
        client.send(&frame(PING, ACK, 0, &ping.payload)).await;
        assert!(!client.received().is_ended, "an answer is under way");
        client.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 16, 0, 0])).await;
        client
            .send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes()))
            .await;
        let (body, is_whole) = client.body(1);
        assert!(is_whole && body.ends_with(']'));
        let last = client.frames().into_iter().rfind(|frame| frame.kind == GOAWAY).unwrap();
        assert_eq!(last.payload[..4], 3_u32.to_be_bytes());
        pass(3).await;
        assert!(client.received().is_ended);
        fresh.send(&get(1, "/items/1")).await;
        assert!(fresh.body(1).1);
        assert_eq!(fresh.goaway(), Some(NO_ERROR));
    });
}

#[test]
fn a_stop_ends_idle_connections_and_others_after_their_answer() {
    run(async {
        let server = Server::new();
        let fresh = open(&server).await;
        let mut idle = open(&server).await;
        idle.send(&get(1, "/items/1")).await;
        let mut taking = server.connect(64 << 10).await;
        taking.send(&begin(Some(0))).await;
        taking.send(&get(1, "/items")).await;
        server.lifecycle.advance(Phase::Draining);
        server.lifecycle.advance(Phase::Stopping);
        // Nobody answers the PING that comes with it.
        pass(6).await;
        for client in [&fresh, &idle] {
            assert_eq!(client.goaway(), Some(NO_ERROR));
            assert!(client.received().is_ended);
        }
        assert!(!taking.received().is_ended);
        taking.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 16, 0, 0])).await;
        taking
            .send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes()))
            .await;
        assert!(taking.body(1).1);
        pass(6).await;
        assert!(taking.received().is_ended);
    });
}

#[test]
fn a_large_body_is_sent_in_frames_as_the_client_makes_room() {
    run(async {
        let server = Server::new();
        let mut client = server.connect(1 << 20).await;
        client.send(&begin(Some(20_000))).await;
        client.send(&get(1, "/items")).await;
        let (some, is_whole) = client.body(1);
        assert_eq!((some.len(), is_whole), (20_000, false));
        client
            .send(&frame(WINDOW_UPDATE, 0, 1, &(1_u32 << 20).to_be_bytes()))
            .await;
        // What is left of the connection's first window.
        assert_eq!(client.body(1).0.len(), 65_535);
        client
            .send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes()))
            .await;
        let (body, is_whole) = client.body(1);
        assert!(is_whole && body.starts_with('[') && body.ends_with(']'));
        assert!(client.frames().iter().all(|frame| frame.payload.len() <= 16 << 10));
    });
}
