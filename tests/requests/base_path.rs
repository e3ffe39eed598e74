//! `--base-path`: behind a load balancer that leaves the path as it was asked for.

use crate::serve;
use crate::support::{Client, Server};

#[test]
fn all_routes_are_below_it_and_nothing_else_is_there() {
    for base in ["/prefix", "/prefix/", "/a/b"] {
        let server = Server::start(&["--base-path", base]);
        let base = base.trim_end_matches('/');
        for (path, status) in [
            ("/items", 200),
            ("/items/1", 200),
            ("/items/3", 404),
            ("/", 200),
            ("", 200),
            ("/metrics", 200),
            ("/health", 200),
            ("/livez", 200),
            ("/readyz", 200),
            ("/nowhere", 404),
        ] {
            assert_eq!(server.get(&format!("{base}{path}")).status, status, "{base}{path}");
        }
        for path in ["/health", "/livez", "/readyz"] {
            assert_eq!(server.get(path).status, 200, "{path}");
        }
        for path in [
            "/",
            "/items",
            "/items/1",
            "/items/",
            "/metrics",
            "/prefix2/items",
            "//prefix/items",
            "/PREFIX/items",
        ] {
            assert_eq!(
                server.get(path).problem(),
                (404, "not_found".to_owned()),
                "{base}: {path}"
            );
        }
        for path in [
            format!("{base}x/items"),
            format!("{base}//items"),
            format!("/items{base}"),
            format!("/x{base}/items"),
        ] {
            assert_eq!(server.get(&path).status, 404, "{path}");
        }
    }
}

#[test]
fn links_and_redirects_have_it() {
    let server = Server::start(&["--base-path", "/prefix"]);
    let index = server.get("/prefix/").json();
    assert_eq!(
        index["routes"],
        serde_json::json!(["/prefix/items", "/prefix/items/{id}", "/prefix/health"])
    );
    for (path, location) in [
        ("/prefix/items/", "/prefix/items"),
        ("/prefix/items/1/?a", "/prefix/items/1?a"),
    ] {
        let answer = server.get(path);
        assert_eq!(
            (answer.status, answer.field("location")),
            (308, Some(location)),
            "{path}"
        );
    }
    assert_eq!(server.get("/prefix//evil.example/").field("location"), None);
}

#[test]
fn an_empty_host_is_for_probes_with_it_too() {
    let server = Server::start(&["--base-path", "/prefix"]);
    for (path, status) in [
        ("/prefix/livez", 200),
        ("/livez", 200),
        ("/prefix/items", 400),
        ("/items", 400),
    ] {
        let mut client = server.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost:\r\n\r\n").as_bytes());
        assert_eq!(client.receive("GET").unwrap().status, status, "{path}");
    }
}

#[test]
fn the_log_and_the_metrics_name_what_there_is() {
    let (mut server, _directory) = serve("items.json", b"[{\"id\":1}]", &["--base-path", "/prefix"]);
    let ready = server
        .log_so_far()
        .into_iter()
        .find(|line| line.contains("\"ready\""))
        .unwrap();
    assert!(
        ready.contains(&format!("http://{}/prefix/items", server.address)),
        "{ready}"
    );
    assert_eq!(server.get("/prefix/items/1").status, 200);
    let scrape = server.get("/prefix/metrics");
    assert!(
        scrape.text().contains("route=\"/items/{id}\",status=\"200\"} 1"),
        "{}",
        scrape.text()
    );
}

#[test]
fn the_admin_listener_answers_with_it_and_without() {
    let server = Server::start(&["--base-path", "/prefix", "--admin-listen", "127.0.0.1:0"]);
    let admin = server.admin_address.expect("the log names it");
    for path in ["/metrics", "/prefix/metrics", "/livez", "/prefix/livez", "/readyz"] {
        assert_eq!(Client::connect(admin).get(path, &[]).status, 200, "{path}");
    }
    for path in ["/items", "/prefix/items"] {
        assert_eq!(Client::connect(admin).get(path, &[]).status, 404, "{path}");
    }
    assert_eq!(server.get("/prefix/items").status, 200);
    assert_eq!(
        server.get("/prefix/livez").status,
        404,
        "probes are on the other listener"
    );
}
