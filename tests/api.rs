//! The API over real sockets: every row of the README's table.

mod support;

use std::io::{Read, Write};

use support::{Client, Response, Server};

const SAMPLE: &str = r#"[{"id":1,"name":"Item One"},{"id":2,"name":"Item Two"}]"#;

/// A server of a file with this content; the directory goes with the test.
fn serve(name: &str, content: &[u8], arguments: &[&str]) -> (Server, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    (Server::of_file(&path, arguments), directory)
}

/// Some two hundred items that compress well.
fn many_items() -> String {
    let items: Vec<String> = (0..200)
        .map(|id| format!(r#"{{"id":{id},"name":"Item number {id}","tags":["alpha","beta","gamma"]}}"#))
        .collect();
    format!("[{}]", items.join(","))
}

#[test]
fn the_collection_is_a_bare_array() {
    let server = Server::start(&[]);
    let response = server.get("/items");
    assert_eq!((response.status, response.text()), (200, SAMPLE));
    assert_eq!(response.field("content-type"), Some("application/json"));
    assert_eq!(response.field("content-length"), Some("55"));
    assert_eq!(response.field("x-total-count"), Some("2"));
    assert_eq!(response.field("vary"), Some("accept-encoding"));
    assert_eq!(response.field("cache-control"), Some("no-cache"));
    assert!(response.field("date").is_some());
    let etag = response.field("etag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "a strong tag: {etag}");
    assert_eq!(response.field("content-encoding"), None);
    assert_eq!(response.field("access-control-allow-origin"), None);
}

#[test]
fn an_item_is_found_by_its_id() {
    let items = r#"[{"id":7,"a":1.10},{"id":"a b/c","n":2},{"id":"Åland"},{"id":1e2},{"id":"q\"\u0041"}]"#;
    let (server, _directory) = serve("items.json", items.as_bytes(), &[]);
    for (path, body) in [
        ("/items/7", r#"{"id":7,"a":1.10}"#),
        ("/items/a%20b%2Fc", r#"{"id":"a b/c","n":2}"#),
        ("/items/%C3%85land", r#"{"id":"Åland"}"#),
        ("/items/1e2", r#"{"id":1e2}"#),
        ("/items/q%22A", r#"{"id":"q\"\u0041"}"#),
    ] {
        let response = server.get(path);
        assert_eq!((response.status, response.text()), (200, body), "{path}");
        assert_eq!(response.field("x-total-count"), None);
        assert!(response.field("etag").is_some());
    }
    for path in ["/items/8", "/items/07", "/items/100", "/items/a", "/items/7%20"] {
        assert_eq!(server.get(path).problem(), (404, "item_not_found".to_owned()), "{path}");
    }
    assert_eq!(server.get("/items/%zz").problem(), (400, "malformed_path".to_owned()));
    assert_eq!(server.get("/items/7/").field("location"), Some("/items/7"));
}

#[test]
fn items_of_a_large_collection_answer_as_those_of_a_small_one() {
    // 5,000 items are above the bound below which each item has header blocks of its own.
    let lines = |count: usize| {
        (0..count)
            .map(|id| format!("{{\"id\":{id},\"name\":\"Item {id}\"}}\n"))
            .collect::<String>()
    };
    let (large, _large) = serve("large.ndjson", lines(5_000).as_bytes(), &[]);
    let (small, _small) = serve("small.ndjson", lines(10).as_bytes(), &[]);
    let without_date = |mut response: Response| {
        response.fields.retain(|(name, _)| name != "date");
        response.fields.sort();
        (response.status, response.fields, response.body)
    };
    let etag = small.get("/items/3").field("etag").unwrap().to_owned();
    for fields in [
        vec![],
        vec![("accept-encoding", "gzip")],
        vec![("accept-encoding", "identity;q=0")],
        vec![("if-none-match", etag.as_str())],
        vec![("if-match", etag.as_str())],
        vec![("if-match", "\"other\"")],
    ] {
        for path in ["/items/3", "/items/nobody"] {
            let answers = [&large, &small].map(|server| without_date(server.get_with(path, &fields)));
            assert_eq!(answers[0], answers[1], "{path} {fields:?}");
        }
    }
    assert_eq!(large.get("/items").field("x-total-count"), Some("5000"));
    assert_eq!(large.get("/items/4999").text(), r#"{"id":4999,"name":"Item 4999"}"#);
}

#[test]
fn the_index_names_routes_and_snapshot() {
    let server = Server::start(&[]);
    let index = server.get("/").json();
    assert_eq!(index["items"], 2);
    assert_eq!(index["status"], "ok");
    assert_eq!(index["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(index["routes"], serde_json::json!(["/items", "/items/{id}", "/health"]));
    let etag = server.get("/items").field("etag").unwrap().to_owned();
    assert_eq!(
        format!("\"{}\"", index["snapshot"].as_str().unwrap()),
        etag,
        "replicas are compared by it"
    );
}

#[test]
fn probes_answer() {
    let server = Server::start(&[]);
    for path in ["/health", "/livez", "/readyz", "/health?verbose=1"] {
        let response = server.get(path);
        assert_eq!(
            (response.status, response.text()),
            (200, r#"{"status":"ok"}"#),
            "{path}"
        );
        assert_eq!(response.field("cache-control"), Some("no-store"));
    }
}

#[test]
fn before_the_first_snapshot_it_is_alive_and_not_ready() {
    let mut server = Server::start_loading(&["--data", "-"]);
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.get("/readyz").problem(), (503, "loading".to_owned()));
    let response = server.get("/items");
    assert_eq!(response.problem(), (503, "loading".to_owned()));
    assert_eq!(response.field("retry-after"), Some("1"));
    assert_eq!(server.get("/items/1").problem(), (503, "loading".to_owned()));
    assert_eq!(server.get("/").json()["status"], "loading");
    {
        use std::io::Write;
        server.stdin().write_all(b"[{\"id\":1}]").unwrap();
    }
    server.wait_for("\"message\":\"ready\"");
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.get("/items").text(), r#"[{"id":1}]"#);
}

//= rfc9110#section-9.3.2
//= type=test
//# The HEAD method is identical to GET except that the server MUST NOT send content in the response.
//= rfc9110#section-8.6
//= type=test
//# A server MAY send a Content-Length header field in a response to a HEAD request; a server MUST NOT send Content-Length in such a response unless its field value
//= rfc9110#section-9.1
//= type=test
//# All general-purpose servers MUST support the methods GET and HEAD.
#[test]
fn head_is_get_without_the_body() {
    let (server, _directory) = serve("items.json", many_items().as_bytes(), &[]);
    for path in [
        "/items",
        "/items/7",
        "/",
        "/health",
        "/livez",
        "/readyz",
        "/nowhere",
        "/items/nobody",
        "/items/",
        "/items?x=1",
    ] {
        let mut client = server.connect();
        let get = client.request("GET", path, &[("accept-encoding", "br")]);
        let head = client.request("HEAD", path, &[("accept-encoding", "br")]);
        let fields = |response: &Response| {
            let mut fields = response.fields.clone();
            fields.retain(|(name, _)| name != "date");
            fields
        };
        assert_eq!((get.status, fields(&get)), (head.status, fields(&head)), "{path}");
        assert!(head.body.is_empty());
        // Nothing of a body is on the wire: the next answer begins at once.
        assert_eq!(client.get("/livez", &[]).status, 200, "{path}");
    }
}

//= rfc9110#section-10.2.1
//= type=test
//# An origin server MUST generate an Allow header field in a 405 (Method Not Allowed) response and MAY do so in any other response.
//= rfc9110#section-15.5.6
//= type=test
//# The origin server MUST generate an Allow header field in a 405 response containing a list of the target resource's currently supported methods.
#[test]
fn options_and_other_methods() {
    let server = Server::start(&[]);
    for path in ["/items", "/items/1", "/", "/health", "*"] {
        let response = server.connect().request("OPTIONS", path, &[]);
        assert_eq!(
            (response.status, response.field("allow")),
            (204, Some("GET, HEAD, OPTIONS")),
            "{path}"
        );
        assert!(response.body.is_empty());
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "PROPFIND"] {
        let response = server.connect().request(method, "/items", &[]);
        assert_eq!(response.problem(), (405, "method_not_allowed".to_owned()), "{method}");
        assert_eq!(response.field("allow"), Some("GET, HEAD, OPTIONS"), "{method}");
    }
}

//= rfc9112#section-9.3
//= type=test
//# A server MUST read the entire request message body or close the connection after sending its response; otherwise, the remaining data on a persistent
#[test]
fn a_body_ends_the_connection_and_is_no_request() {
    let server = Server::start(&[]);
    let smuggled = "GET /items/1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for method in ["POST", "GET"] {
        let mut client = server.connect();
        let head = format!(
            "{method} /items HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            smuggled.len()
        );
        client.send(format!("{head}{smuggled}").as_bytes());
        let response = client.receive(method).unwrap();
        assert_eq!(response.status, if method == "GET" { 200 } else { 405 });
        assert_eq!(response.field("connection"), Some("close"), "{method}");
        assert_eq!(client.receive(method), None, "{method}");
    }
}

#[test]
fn unknown_parameters_are_refused_where_parameters_matter() {
    let server = Server::start(&[]);
    for path in ["/items?page=2", "/items/1?x", "/items?&&=", "/items?%70age=2"] {
        assert_eq!(
            server.get(path).problem(),
            (400, "unknown_parameter".to_owned()),
            "{path}"
        );
    }
    for path in ["/items?", "/items/1?", "/items?&", "/?x=1", "/livez?x=1"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

#[test]
fn other_paths_are_not_found() {
    let server = Server::start(&[]);
    for path in ["/nowhere", "/item", "/items.json", "/Items", "//items", "/items/1/2"] {
        assert_eq!(server.get(path).problem(), (404, "not_found".to_owned()), "{path}");
    }
    let response = server.get("/items/");
    assert_eq!((response.status, response.field("location")), (308, Some("/items")));
}

//= rfc9110#section-8.4
//= type=test
//# the sender that applied the encodings MUST generate a Content-Encoding header field that lists the content codings in the order in which they were
#[test]
fn codings_are_chosen_by_weight_and_size() {
    let body = many_items();
    let (server, _directory) = serve("items.json", body.as_bytes(), &[]);
    let mut etags = Vec::new();
    for (accept, coding) in [
        ("br", Some("br")),
        ("zstd", Some("zstd")),
        ("gzip", Some("gzip")),
        ("gzip;q=1.0, br;q=0.1", Some("gzip")),
        ("identity", None),
        ("deflate", None),
        ("", None),
        ("*;q=0.5, identity;q=1", None),
    ] {
        let response = server.get_with("/items", &[("accept-encoding", accept)]);
        assert_eq!(
            (response.status, response.field("content-encoding")),
            (200, coding),
            "{accept}"
        );
        assert_eq!(response.field("vary"), Some("accept-encoding"));
        assert_eq!(decode(&response), body.as_bytes(), "{accept}");
        let etag = response.field("etag").unwrap().to_owned();
        if coding.is_some() && !accept.contains("q=") {
            assert!(response.body.len() < body.len());
            assert!(!etags.contains(&etag), "{accept}: a tag of its own");
            etags.push(etag);
        }
    }
    let browser = server.get_with("/items", &[("accept-encoding", "gzip, deflate, br, zstd")]);
    let smallest =
        ["br", "zstd", "gzip"].map(|coding| server.get_with("/items", &[("accept-encoding", coding)]).body.len());
    assert_eq!(browser.body.len(), *smallest.iter().min().unwrap());
    for accept in ["identity;q=0", "*;q=0", "deflate, identity;q=0"] {
        let response = server.get_with("/items/7", &[("accept-encoding", accept)]);
        assert_eq!(response.problem(), (406, "not_acceptable".to_owned()), "{accept}");
    }
}

#[test]
fn a_small_body_has_no_coding() {
    let server = Server::start(&[]);
    let response = server.get_with("/items", &[("accept-encoding", "gzip, br, zstd")]);
    assert_eq!((response.field("content-encoding"), response.text()), (None, SAMPLE));
}

#[test]
fn only_the_codings_that_were_asked_for_are_made() {
    let body = many_items();
    let (server, _directory) = serve("items.json", body.as_bytes(), &["--encodings", "gzip"]);
    let response = server.get_with("/items", &[("accept-encoding", "br, zstd, gzip;q=0.1")]);
    assert_eq!(response.field("content-encoding"), Some("gzip"));
    let (server, _directory) = serve("items.json", body.as_bytes(), &["--encodings", ""]);
    let response = server.get_with("/items", &[("accept-encoding", "br, zstd, gzip")]);
    assert_eq!(response.field("content-encoding"), None);
}

#[test]
fn codings_of_a_large_collection_join_with_the_same_identity_tag() {
    let body: String = (0..20_000)
        .map(|id| format!("{{\"id\":{id},\"name\":\"Item {id}\"}}\n"))
        .collect();
    let (mut server, _directory) = serve("items.ndjson", body.as_bytes(), &[]);
    let before = server.get("/items").field("etag").unwrap().to_owned();
    server.wait_for("\"message\":\"encoded\"");
    assert_eq!(server.get("/items").field("etag"), Some(before.as_str()));
    let coded = server.get_with("/items", &[("accept-encoding", "br")]);
    assert_eq!(coded.field("content-encoding"), Some("br"));
    assert_eq!(decode(&coded), server.get("/items").body);
}

//= rfc9110#section-13.1.1
//= type=test
//# An origin server MUST use the strong comparison function when comparing entity tags for If-Match, since the client intends this precondition to
//= rfc9110#section-13.1.1
//= type=test
//# and that request includes an If-Match header field, the origin server MUST evaluate the If-Match condition per (evaluation) prior to performing the
//= rfc9110#section-13.1.1
//= type=test
//# An origin server that evaluates an If-Match condition MUST NOT perform the requested method if the condition evaluates to false.
//= rfc9110#section-13.1.2
//= type=test
//# A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match, since weak entity tags can be used for cache
//= rfc9110#section-13.1.2
//= type=test
//# that request includes an If-None-Match header field, the origin server MUST evaluate the If-None-Match condition per (evaluation) prior to performing
//= rfc9110#section-13.1.2
//= type=test
//# An origin server that evaluates an If-None-Match condition MUST NOT perform the requested method if the condition evaluates to false; instead, the
//= rfc9110#section-13.2.2
//= type=test
//# A recipient cache or origin server MUST evaluate the request preconditions defined by this specification in the following order:
//= rfc9110#section-15.4.5
//= type=test
//# The server generating a 304 response MUST generate any of the following header fields that would have been sent in a 200 (OK) response to the same
#[test]
fn preconditions_are_evaluated_in_order() {
    let (server, _directory) = serve("items.json", many_items().as_bytes(), &[]);
    for path in ["/items", "/items/7", "/"] {
        let full = server.get(path);
        let etag = full.field("etag").unwrap();
        let weak = format!("W/{etag}");
        let list = format!("\"x\", {weak}");
        for value in [etag, &weak, &list, "*"] {
            let response = server.get_with(path, &[("if-none-match", value)]);
            assert_eq!(response.status, 304, "{path} {value}");
            assert_eq!(response.field("etag"), Some(etag));
            assert_eq!(response.field("vary"), Some("accept-encoding"));
            assert!(response.field("cache-control").is_some());
            assert!(response.body.is_empty());
        }
        assert_eq!(server.get_with(path, &[("if-none-match", "\"x\"")]).status, 200);
        assert_eq!(
            server
                .get_with(path, &[("if-none-match", "\"x\""), ("if-none-match", etag)])
                .status,
            304
        );
        for value in [etag, "*"] {
            assert_eq!(
                server.get_with(path, &[("if-match", value)]).status,
                200,
                "{path} {value}"
            );
        }
        for value in ["\"x\"", &weak] {
            let response = server.get_with(path, &[("if-match", value), ("if-none-match", etag)]);
            assert_eq!(
                response.problem(),
                (412, "precondition_failed".to_owned()),
                "{path} {value}"
            );
        }
    }
    let coded = server
        .get_with("/items", &[("accept-encoding", "br")])
        .field("etag")
        .unwrap()
        .to_owned();
    assert_eq!(
        server.get_with("/items", &[("if-none-match", &coded)]).status,
        200,
        "another representation's tag"
    );
    let both = [("if-none-match", coded.as_str()), ("accept-encoding", "br")];
    assert_eq!(server.get_with("/items", &both).status, 304);
}

#[test]
fn cross_origin_sharing_is_off_unless_asked_for() {
    let origin = ("origin", "https://a.example");
    let preflight = [origin, ("access-control-request-method", "GET")];
    let server = Server::start(&[]);
    let response = server.connect().request("OPTIONS", "/items", &preflight);
    assert_eq!(
        (response.status, response.field("access-control-allow-origin")),
        (204, None)
    );

    let server = Server::start(&["--cors-origin", "*"]);
    assert_eq!(server.get("/items").field("access-control-allow-origin"), Some("*"));
    assert_eq!(
        server.get("/items/nobody").field("access-control-allow-origin"),
        Some("*"),
        "errors can be read too"
    );

    let server = Server::start(&["--cors-origin", "https://a.example,https://b.example"]);
    let response = server.get_with("/items", &[origin]);
    assert_eq!(response.field("access-control-allow-origin"), Some("https://a.example"));
    assert!(
        response.fields.contains(&("vary".to_owned(), "origin".to_owned())),
        "{}",
        response.head
    );
    let other = server.get_with("/items", &[("origin", "https://c.example")]);
    assert_eq!(other.field("access-control-allow-origin"), None);
    assert!(other.fields.contains(&("vary".to_owned(), "origin".to_owned())));
    let response = server.connect().request("OPTIONS", "/items", &preflight);
    assert_eq!(
        response.field("access-control-allow-methods"),
        Some("GET, HEAD, OPTIONS")
    );
    assert_eq!(response.field("allow"), Some("GET, HEAD, OPTIONS"));
    assert!(
        response
            .field("access-control-allow-headers")
            .unwrap()
            .contains("if-none-match")
    );
}

#[test]
fn cache_control_is_what_was_asked_for() {
    let server = Server::start(&["--cache-control", "public, max-age=60"]);
    for path in ["/items", "/items/1"] {
        assert_eq!(server.get(path).field("cache-control"), Some("public, max-age=60"));
    }
    assert_eq!(server.get("/nowhere").field("cache-control"), Some("no-store"));
}

/// A whole answer as text. The order of header lines means nothing, and `Date` is another each second.
fn golden(response: &Response) -> String {
    let (status_line, section) = response.head.split_once("\r\n").expect("a status line");
    let section = section
        .strip_suffix("\r\n\r\n")
        .expect("an empty line ends the section");
    let mut lines: Vec<&str> = section.split("\r\n").collect();
    lines.sort_unstable();
    for line in &mut lines {
        if let Some(date) = line.strip_prefix("date: ") {
            // RFC 9110, section 5.6.7.
            assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
            *line = "date: *";
        }
    }
    format!("{status_line}\n{}\n\n{}\n", lines.join("\n"), response.text())
}

//= rfc9112#section-4
//= type=test
//# A server MUST send the space that separates the status-code from the reason-phrase even when the reason-phrase is absent (i.e., the status-line would
//= rfc9112#section-2.2
//= type=test
//# A sender MUST NOT send whitespace between the start-line and the first header field.
#[test]
fn whole_answers_are_these_bytes() {
    let server = Server::start(&[]);
    let requests = [
        ("GET", "/items", None),
        ("HEAD", "/items", None),
        ("GET", "/items/1", None),
        ("GET", "/items/1", Some(("If-None-Match", "*"))),
        ("GET", "/items/3", None),
        ("GET", "/health", None),
        ("OPTIONS", "/items", None),
        ("DELETE", "/items", None),
        ("GET", "/items/", None),
    ];
    let mut actual = String::new();
    for (method, path, field) in requests {
        let response = server.connect().request(method, path, field.as_slice());
        let shown = field
            .map(|(name, value)| format!(" {name}: {value}"))
            .unwrap_or_default();
        actual.push_str(&format!("=== {method} {path}{shown}\n{}", golden(&response)));
    }
    let expected = std::fs::read_to_string("tests/fixtures/golden.txt").unwrap();
    assert!(
        actual == expected,
        "tests/fixtures/golden.txt holds\n{expected}\nand this came\n{actual}"
    );
}

#[test]
fn with_an_admin_listener_probes_move_there() {
    let server = Server::start(&["--admin-listen", "127.0.0.1:0"]);
    let admin = server.admin_address.expect("the log names it");
    let ask = |path: &str| Client::connect(admin).get(path, &[]);
    for path in ["/livez", "/readyz", "/health"] {
        assert_eq!(ask(path).status, 200, "{path}");
    }
    for path in ["/items", "/items/1", "/"] {
        assert_eq!(ask(path).problem(), (404, "not_found".to_owned()), "{path}");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(server.get(path).problem(), (404, "not_found".to_owned()), "{path}");
    }
    for path in ["/health", "/items", "/"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

//= rfc9112#section-9.3.2
//= type=test
//# of pipelined requests in parallel if they all have safe methods, but it MUST send the corresponding responses in the same order that the requests
#[test]
fn connections_are_kept_and_requests_pipelined() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(
        "GET /items/1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /items/2 HTTP/1.1\r\nHost: localhost\r\n\r\n".as_bytes(),
    );
    assert_eq!(client.receive("GET").unwrap().text(), r#"{"id":1,"name":"Item One"}"#);
    assert_eq!(client.receive("GET").unwrap().text(), r#"{"id":2,"name":"Item Two"}"#);
    client.send(b"GET /items/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(client.receive("GET").unwrap().status, 200);
    assert!(client.is_closed());
}

//= rfc9112#section-3.2.2
//= type=test
//# A server MUST accept the absolute-form in requests even though most HTTP/1.1 clients will only send the absolute-form to a proxy.
#[test]
fn an_absolute_target_is_the_same_target() {
    let server = Server::start(&[]);
    assert_eq!(
        server.get("http://localhost/items/1").text(),
        r#"{"id":1,"name":"Item One"}"#
    );
}

#[test]
fn more_connections_than_there_may_be_wait_to_be_taken() {
    let server = Server::start(&[
        "--max-connections",
        "2",
        "--workers",
        "1",
        "--admin-listen",
        "127.0.0.1:0",
    ]);
    let admin = server.admin_address.expect("there is an admin listener");
    let connections = || {
        let scrape = Client::connect(admin).get("/metrics", &[]);
        let mut lines = scrape.text().lines().map(str::to_owned);
        lines.find_map(|line| line.strip_prefix("http_connections ")?.parse::<u32>().ok())
    };
    // Twice, so that those that wait are taken again after there was no room.
    for _ in 0..2 {
        let mut taken: Vec<Client> = (0..2).map(|_| server.connect()).collect();
        for client in &mut taken {
            assert_eq!(client.get("/items/1", &[]).status, 200);
        }
        let mut waits = server.connect();
        waits.send(b"GET /items/2 HTTP/1.1\r\nHost: a\r\n\r\n");
        // These two, and who asks: as soon as who asked before has been let go of.
        while connections() != Some(3) {}
        drop(taken);
        assert_eq!(waits.receive("GET").unwrap().status, 200);
    }
}

#[test]
fn who_ends_its_side_with_the_request_is_answered_and_let_go() {
    let server = Server::start(&[]);
    for request in [
        "GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /items/1 HTTP/1.0\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        for _ in 0..20 {
            let mut client = std::net::TcpStream::connect(server.address).unwrap();
            client.set_read_timeout(Some(support::PATIENCE)).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            // Long before the connection would be left for being idle.
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.contains(" 200 OK\r\n"), "{request}: {answer}");
        }
    }
}

#[test]
fn without_ids_the_collection_serves_and_items_do_not() {
    let (mut server, _directory) = serve("items.json", b"[1, \"two\", null]", &[]);
    assert_eq!(server.get("/items").text(), r#"[1,"two",null]"#);
    assert_eq!(server.get("/items/1").problem(), (404, "no_ids".to_owned()));
    assert_eq!(
        server.get("/").json()["routes"],
        serde_json::json!(["/items", "/health"])
    );
    assert!(
        server.log_so_far().iter().any(|line| line.contains("have no")),
        "{:?}",
        server.log_so_far()
    );
}

fn decode(response: &Response) -> Vec<u8> {
    support::decode(response.field("content-encoding"), &response.body)
}
