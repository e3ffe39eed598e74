//! Targets and hosts as clients write them: what is decided where a standard leaves it open.

use crate::support::Server;
use crate::{lines, send, serve};

fn get(target: &str, host: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost:{host}\r\nConnection: close\r\n\r\n").into_bytes()
}

#[test]
fn only_an_id_is_percent_decoded() {
    let server = Server::start(&["--admin-token-file", "/nowhere/token"]);
    assert_eq!(server.get("/items/%31").text(), r#"{"id":1,"name":"Item One"}"#);
    for path in [
        "/%6detrics",
        "/metric%73",
        "/%2d/snapshot",
        "/-/%73napshot",
        "/-%2Fsnapshot",
        "/%69tems",
        "/%69tems/1",
        "/items%2F1",
        "/%68ealth",
        "/live%7A",
        "/%",
    ] {
        assert_eq!(server.get(path).problem(), (404, "not_found".to_owned()), "{path}");
    }
    for path in ["/%2d/reload", "/-/%72eload"] {
        let answer = server.connect().request("POST", path, &[]);
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[test]
fn a_target_that_is_not_ascii_is_told_to_be_percent_encoded() {
    let (server, _directory) = serve("items.json", "[{\"id\":\"\u{d6}rich\"}]".as_bytes(), &[]);
    assert_eq!(server.get("/items/%C3%96rich").status, 200);
    for target in [
        "/items/\u{d6}rich".as_bytes(),
        // The same in Latin-1.
        b"/items/\xd6rich",
        "/\u{e4}".as_bytes(),
        "/items?name=\u{d6}".as_bytes(),
        "/items/1/?\u{d6}".as_bytes(),
        "/items/%zz".as_bytes(),
        "/items/%ff".as_bytes(),
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
            let request = [
                method.as_bytes(),
                b" ",
                target,
                b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            ]
            .concat();
            let shown = String::from_utf8_lossy(&request).into_owned();
            let answer = send(&server, &request);
            assert_eq!(answer.status, 400, "{shown}");
            if method != "HEAD" {
                assert_eq!(answer.problem().1, "malformed_path", "{shown}");
                let detail = answer.json()["detail"].as_str().unwrap().to_owned();
                assert!(detail.contains("Percent-encode"), "{detail}");
            }
        }
    }
}

#[test]
fn a_slash_behind_an_id_leads_to_the_item() {
    let (server, _directory) = serve("items.json", br#"[{"id":1},{"id":"a/b"}]"#, &[]);
    for (target, location) in [
        ("/items/1/", "/items/1"),
        ("/items/1/?", "/items/1?"),
        ("/items/1/?x=1&y=/", "/items/1?x=1&y=/"),
        ("/items/nobody/", "/items/nobody"),
        ("/items/a%2Fb/", "/items/a%2Fb"),
        ("/items/%2F%2Fevil.example/", "/items/%2F%2Fevil.example"),
        ("/items/", "/items"),
        ("/items/?x=1", "/items?x=1"),
        ("http://evil.example/items/1/", "/items/1"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = server.connect().request(method, target, &[]);
            assert_eq!(
                (answer.status, answer.field("location")),
                (308, Some(location)),
                "{method} {target}"
            );
            assert_eq!(answer.field("content-length"), Some("0"));
        }
    }
    // Nothing that a browser would take for another host.
    for target in [
        "//evil.example/",
        "//evil.example/items/1/",
        "/items//evil.example/",
        "/items//",
        "/items/1//",
        "/\\evil.example/",
    ] {
        let answer = server.get(target);
        assert!(answer.field("location").is_none(), "{target}: {}", answer.head);
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.head);
    }
    let answer = server.connect().request("DELETE", "/items/1/", &[]);
    assert_eq!(answer.status, 405);
}

#[test]
fn an_empty_host_is_for_probes_only() {
    let server = Server::start(&[]);
    for host in ["", " ", " \t"] {
        for target in ["/livez", "/readyz", "/health", "/health?verbose"] {
            assert_eq!(send(&server, &get(target, host)).status, 200, "{target} {host:?}");
        }
        for target in ["/items", "/items/1", "/", "/metrics", "/items/", "/nowhere", "/livez/"] {
            let answer = send(&server, &get(target, host));
            assert_eq!(answer.problem(), (400, "bad_host".to_owned()), "{target} {host:?}");
        }
    }
    for request in [
        "GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost:\r\nHost:\r\nConnection: close\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost:\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: :80\r\nConnection: close\r\n\r\n",
    ] {
        let answer = send(&server, request.as_bytes());
        assert_eq!(answer.problem(), (400, "bad_host".to_owned()), "{request:?}");
    }
    // A worker that remembers the lines of the one does not answer the other by them.
    for target in ["/livez", "/items", "/livez", "/items"] {
        let status = if target == "/livez" { 200 } else { 400 };
        assert_eq!(send(&server, &get(target, "")).status, status, "{target}");
    }
}

#[test]
fn without_identity_items_are_answered_as_the_collection_is() {
    // Items of their own heads, and items from a template; each too small to be worth a coding.
    for count in [2, 5_000] {
        let (server, _directory) = serve("items.ndjson", lines(count, 10).as_bytes(), &[]);
        let ask = |path: &str, accept: &str| server.get_with(path, &[("accept-encoding", accept)]);
        for accept in [
            "gzip, identity;q=0",
            "br, identity;q=0",
            "gzip;q=0.1, identity;q=0",
            "identity;q=0, *;q=0.5",
            "*;q=0, zstd",
        ] {
            for path in ["/items", "/items/1"] {
                assert_eq!(ask(path, accept).status, 200, "{count} {path} {accept}");
            }
            let item = ask("/items/1", accept);
            assert_eq!(item.field("content-encoding"), None, "{accept}");
            assert!(item.text().starts_with("{\"id\":1,"));
            assert_eq!(item.field("vary"), Some("accept-encoding"));
        }
        for accept in ["identity;q=0", "*;q=0", "deflate, identity;q=0", "gzip;q=0, *;q=0"] {
            for path in ["/items", "/items/1"] {
                let answer = ask(path, accept);
                assert_eq!(
                    answer.problem(),
                    (406, "not_acceptable".to_owned()),
                    "{count} {path} {accept}"
                );
            }
        }
    }
}

#[test]
fn a_parameter_that_is_to_get_around_caches_is_refused_like_any_other() {
    let server = Server::start(&[]);
    for target in ["/items?_=1441835249458", "/items/1?_=1", "/items?cachebust=1"] {
        let answer = send(&server, &get(target, " a"));
        assert_eq!(answer.problem(), (400, "unknown_parameter".to_owned()), "{target}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("cache"), "it says what to do instead: {detail}");
    }
    assert_eq!(
        server.get("/items").field("cache-control"),
        Some("no-cache"),
        "nobody needs one"
    );
}

#[test]
fn a_preflight_may_ask_for_what_browsers_send() {
    let preflight = |server: &Server, headers: &str| {
        let answer = server.connect().request(
            "OPTIONS",
            "/items",
            &[
                ("origin", "https://app.example"),
                ("access-control-request-method", "GET"),
                ("access-control-request-headers", headers),
            ],
        );
        assert_eq!(answer.status, 204);
        let allowed = answer
            .field("access-control-allow-headers")
            .unwrap_or_default()
            .to_owned();
        let allowed: Vec<&str> = allowed.split(", ").collect();
        headers.split(',').all(|header| allowed.contains(&header))
    };
    let server = Server::start(&["--cors-origin", "https://app.example"]);
    for headers in [
        "content-type",
        "authorization",
        "range",
        "if-range",
        "traceparent,tracestate",
        "if-none-match,x-requested-with",
        "authorization,content-type,range,traceparent",
    ] {
        assert!(preflight(&server, headers), "{headers}");
    }
    assert!(!preflight(&server, "x-own"));
    let read = server.get_with("/items", &[("origin", "https://app.example"), ("range", "bytes=0-1")]);
    let exposed = read.field("access-control-expose-headers").unwrap();
    for name in ["etag", "content-range", "accept-ranges", "x-total-count"] {
        assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}: {exposed}");
    }
    let server = Server::start(&["--cors-origin", "*", "--cors-headers", "X-Own, authorization"]);
    assert!(preflight(&server, "x-own,authorization") && !preflight(&server, "range"));
    let server = Server::start(&["--cors-origin", "*", "--cors-headers", "*"]);
    assert!(preflight(&server, "*,authorization"));
}
