//! Byte ranges: a download that was broken off is resumed, and no other request is answered otherwise for it.

use crate::support::{Response, Server, decode, put};
use crate::{ask, lines, send, serve};

/// A small collection, whose items have heads of their own; one whose items have not; and one that is sealed in a file.
fn servers() -> Vec<(&'static str, Server, tempfile::TempDir)> {
    [
        ("small", 20, 400),
        ("templated", 5_000, 400),
        ("large items", 20, 40_000),
    ]
    .into_iter()
    .map(|(name, count, length)| {
        let (server, directory) = serve("items.ndjson", lines(count, length).as_bytes(), &[]);
        (name, server, directory)
    })
    .collect()
}

fn without(response: &Response, names: &[&str]) -> Vec<(String, String)> {
    let mut fields = response.fields.clone();
    fields.retain(|(name, _)| name != "date" && !names.contains(&name.as_str()));
    fields.sort();
    fields
}

//= rfc9110#section-15.3.7
//= type=test
//# A server that generates a 206 response MUST generate the following header fields, in addition to those required in the subsections below, if the
//= rfc9110#section-15.3.7
//= type=test
//# Otherwise, a sender MUST generate all of the representation header fields that would have been sent in a 200 (OK) response to the same request.
//= rfc9110#section-15.3.7.1
//= type=test
//# If a single part is being transferred, the server generating the 206 response MUST generate a Content-Range header field, describing what range of the
#[test]
fn every_part_of_a_body_is_the_bytes_of_the_whole() {
    for (name, server, _directory) in servers() {
        for path in ["/items", "/items/7", "/"] {
            let mut client = server.connect();
            let whole = ask(&mut client, path, &[]);
            assert_eq!(
                (whole.status, whole.field("accept-ranges")),
                (200, Some("bytes")),
                "{name} {path}"
            );
            let length = whole.body.len();
            for (range, part) in [
                ("bytes=0-".to_owned(), 0..length),
                ("bytes=0-0".to_owned(), 0..1),
                ("bytes=20-29".to_owned(), 20..30),
                (format!("bytes={}-", length / 2), length / 2..length),
                (format!("bytes=10-{}", length * 2), 10..length),
                (format!("bytes={}-", length - 1), length - 1..length),
                ("bytes=-1".to_owned(), length - 1..length),
                (format!("bytes=-{}", length * 2), 0..length),
            ] {
                let answer = ask(&mut client, path, &[("range", &range)]);
                assert_eq!(answer.status, 206, "{name} {path} {range}");
                assert!(answer.body == whole.body[part.clone()], "{name} {path} {range}");
                let expected = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                assert_eq!(
                    answer.field("content-range"),
                    Some(expected.as_str()),
                    "{name} {path} {range}"
                );
                let shown = ["content-length", "content-range"];
                assert_eq!(
                    without(&answer, &shown),
                    without(&whole, &shown),
                    "the same lines otherwise"
                );
            }
        }
    }
}

//= rfc9110#section-14.2
//= type=test
//# A server MUST ignore a Range header field received with a request method that is unrecognized or for which range handling is not defined.
//= rfc9110#section-14.2
//= type=test
//# An origin server MUST ignore a Range header field that contains a range unit it does not understand.
#[test]
fn nothing_but_one_range_of_bytes_makes_a_part() {
    for (name, server, _directory) in servers() {
        for path in ["/items", "/items/7"] {
            let mut client = server.connect();
            let whole = ask(&mut client, path, &[]);
            for range in [
                "items=0-1",
                "bytes=0-1,3-4",
                "bytes=5-3",
                "bytes=a-b",
                "bytes",
                "",
                "seconds=1-",
            ] {
                let answer = ask(&mut client, path, &[("range", range)]);
                assert_eq!(
                    (answer.status, &answer.body),
                    (200, &whole.body),
                    "{name} {path} {range}"
                );
                assert_eq!(answer.field("content-range"), None);
            }
            let answer = ask(&mut client, path, &[("range", "bytes=0-1"), ("range", "bytes=0-1")]);
            assert_eq!(answer.status, 200, "two fields are no range");
            let head = client.request("HEAD", path, &[("range", "bytes=0-1")]);
            assert_eq!(
                (head.status, without(&head, &[])),
                (200, without(&whole, &[])),
                "only GET has ranges"
            );
            let options = client.request("OPTIONS", path, &[("range", "bytes=0-1")]);
            assert_eq!(options.status, 204);
        }
        let mut client = server.connect();
        for (path, status) in [
            ("/health", 200),
            ("/items/nobody", 404),
            ("/nowhere", 404),
            ("/items/7/", 308),
        ] {
            assert_eq!(
                ask(&mut client, path, &[("range", "bytes=0-1")]).status,
                status,
                "{name} {path}"
            );
        }
    }
}

#[test]
fn a_range_behind_the_end_is_told_the_length() {
    for (name, server, _directory) in servers() {
        for path in ["/items", "/items/7"] {
            let mut client = server.connect();
            let length = ask(&mut client, path, &[]).body.len();
            for range in [
                format!("bytes={length}-"),
                format!("bytes={}-{}", length + 5, length + 9),
                "bytes=-0".to_owned(),
            ] {
                let answer = ask(&mut client, path, &[("range", &range)]);
                assert_eq!(
                    answer.problem(),
                    (416, "range_not_satisfiable".to_owned()),
                    "{name} {path} {range}"
                );
                let expected = format!("bytes */{length}");
                assert_eq!(
                    answer.field("content-range"),
                    Some(expected.as_str()),
                    "{name} {path} {range}"
                );
            }
        }
    }
}

//= rfc9110#section-13.1.5
//= type=test
//# A server MUST ignore an If-Range header field received in a request that does not contain a Range header field.
//= rfc9110#section-13.1.5
//= type=test
//# A server that receives an If-Range header field on a Range request MUST evaluate the condition per (evaluation) prior to performing the method.
//= rfc9110#section-13.1.5
//= type=test
//# A recipient of an If-Range header field MUST ignore the Range header field if the If-Range condition evaluates to false.
#[test]
fn preconditions_come_first_and_if_range_last() {
    for (name, server, _directory) in servers() {
        for path in ["/items", "/items/7"] {
            let mut client = server.connect();
            let whole = ask(&mut client, path, &[]);
            let etag = whole.field("etag").unwrap().to_owned();
            let weak = format!("W/{etag}");
            let range = ("range", "bytes=0-1");
            let behind = ("range", "bytes=999999999-");
            for (fields, status) in [
                (vec![range, ("if-range", etag.as_str())], 206),
                (vec![range, ("if-range", weak.as_str())], 200),
                (vec![range, ("if-range", "\"other\"")], 200),
                (vec![range, ("if-range", "Wed, 25 Nov 2026 12:00:00 GMT")], 200),
                (
                    vec![range, ("if-range", etag.as_str()), ("if-range", etag.as_str())],
                    200,
                ),
                (vec![behind, ("if-range", "\"other\"")], 200),
                (vec![behind, ("if-range", etag.as_str())], 416),
                (vec![("if-range", etag.as_str())], 200),
                (vec![range, ("if-none-match", etag.as_str())], 304),
                (vec![behind, ("if-none-match", etag.as_str())], 304),
                (vec![range, ("if-none-match", "\"other\"")], 206),
                (vec![range, ("if-match", etag.as_str())], 206),
                (vec![range, ("if-match", "\"other\"")], 412),
                (vec![behind, ("if-match", "\"other\"")], 412),
            ] {
                let answer = ask(&mut client, path, &fields);
                assert_eq!(answer.status, status, "{name} {path} {fields:?}");
            }
        }
    }
}

#[test]
fn a_part_is_one_of_the_coding_that_was_chosen() {
    let (server, _directory) = serve("items.ndjson", lines(200, 400).as_bytes(), &[]);
    let identity = server.get("/items");
    for coding in ["gzip", "br", "zstd"] {
        let mut client = server.connect();
        let accept = ("accept-encoding", coding);
        let whole = ask(&mut client, "/items", &[accept]);
        assert_eq!(whole.field("content-encoding"), Some(coding));
        let etag = whole.field("etag").unwrap();
        let middle = whole.body.len() / 2;
        let first = ask(
            &mut client,
            "/items",
            &[accept, ("range", &format!("bytes=0-{}", middle - 1))],
        );
        let rest = format!("bytes={middle}-");
        let rest = ask(&mut client, "/items", &[accept, ("range", &rest), ("if-range", etag)]);
        for part in [&first, &rest] {
            assert_eq!((part.status, part.field("content-encoding")), (206, Some(coding)));
            assert_eq!(part.field("etag"), Some(etag));
            assert_eq!(part.field("vary"), Some("accept-encoding"));
        }
        let joined = [first.body, rest.body].concat();
        assert!(decode(Some(coding), &joined) == identity.body, "{coding}");
        let other = ask(&mut client, "/items", &[("range", "bytes=5-"), ("if-range", etag)]);
        assert_eq!(
            (other.status, other.body),
            (200, identity.body.clone()),
            "the tag of another coding"
        );
    }
}

#[test]
fn a_download_that_was_broken_off_is_resumed_and_never_mixed() {
    let (mut server, directory) = serve("items.ndjson", lines(2_000, 400).as_bytes(), &[]);
    let whole = server.get("/items");
    let etag = whole.field("etag").unwrap().to_owned();
    let taken = whole.body.len() / 3;
    let rest = format!("bytes={taken}-");
    // As `curl -C -` asks, and as a browser does.
    for fields in [
        vec![("range", rest.as_str())],
        vec![("range", &rest), ("if-range", &etag)],
    ] {
        let answer = server.get_with("/items", &fields);
        assert_eq!(answer.status, 206);
        assert!([&whole.body[..taken], &answer.body].concat() == whole.body);
    }
    put(&directory.path().join("items.ndjson"), lines(1_999, 400).as_bytes());
    server.wait_for("reloaded");
    let answer = server.get_with("/items", &[("range", &rest), ("if-range", &etag)]);
    assert_eq!(answer.status, 200, "other data is sent from its beginning");
    assert_ne!(answer.field("etag"), Some(etag.as_str()));
}

#[test]
fn a_resumed_download_as_it_is_sent() {
    let server = Server::start(&[]);
    let answer = send(
        &server,
        b"GET /items HTTP/1.1\r\nHost: a\r\nRange: bytes=50-\r\nConnection: close\r\n\r\n",
    );
    assert_eq!((answer.status, answer.text()), (206, "wo\"}]"));
    assert_eq!(answer.field("content-range"), Some("bytes 50-54/55"));
    assert_eq!(answer.field("x-total-count"), Some("2"));
}
