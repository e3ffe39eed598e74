//! The access log: who asked, what is passed over, and in which form.

use crate::support::{Server, janus};
use crate::{send, serve};

/// The fields of the next line of the access log.
fn next_line(server: &mut Server) -> serde_json::Value {
    let line = server.wait_for("janus::access");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    line["fields"].clone()
}

fn request(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n").into_bytes()
}

#[test]
fn a_forwarded_address_may_have_its_port() {
    let arguments = ["--access-log", "--trusted-proxies", "127.0.0.0/8"];
    let mut server = Server::start(&arguments);
    for (forwarded_for, client) in [
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("6.6.6.6, 203.0.113.7:51234, 127.0.0.2:80", "203.0.113.7"),
        ("203.0.113.7:nonsense", "127.0.0.1"),
    ] {
        let field = format!("X-Forwarded-For: {forwarded_for}\r\n");
        assert_eq!(send(&server, &request("/items/1", &field)).status, 200);
        assert_eq!(next_line(&mut server)["client"], client, "{forwarded_for}");
    }

    let mut server = Server::start(&["--access-log"]);
    send(&server, &request("/items/1", "X-Forwarded-For: 203.0.113.7:51234\r\n"));
    assert_eq!(
        next_line(&mut server)["client"],
        "127.0.0.1",
        "who is not trusted names nobody"
    );
}

#[test]
fn probes_and_scrapes_may_be_passed_over_but_for_their_failures() {
    let arguments = [
        "--access-log",
        "--access-log-exclude",
        "probes,scrapes,/items/{id}",
        "--workers",
        "1",
        "--drain-delay",
        "60s",
    ];
    let (mut server, _directory) = serve("items.json", b"[{\"id\":1}]", &arguments);
    for target in [
        "/health", "/livez", "/readyz", "/metrics", "/items/1", "/items/2", "/items",
    ] {
        send(&server, &request(target, ""));
    }
    assert_eq!(next_line(&mut server)["status"], 404, "/items/2 is not there");
    assert_eq!(next_line(&mut server)["route"], "/items");
    server.signal(rustix::process::Signal::TERM);
    server.wait_for("draining");
    assert_eq!(send(&server, &request("/readyz", "")).status, 503);
    let line = next_line(&mut server);
    assert_eq!((&line["route"], &line["status"]), (&"/readyz".into(), &503.into()));
}

#[test]
fn every_request_of_a_pipeline_has_its_line() {
    let mut server = Server::start(&["--access-log", "--trusted-proxies", "127.0.0.1"]);
    let requests: Vec<u8> = (0..500)
        .flat_map(|number| format!("GET /items/1 HTTP/1.1\r\nHost: a\r\nX-Request-Id: {number}\r\n\r\n").into_bytes())
        .collect();
    let mut client = server.connect();
    client.send(&requests);
    for number in 0..500 {
        assert_eq!(client.receive("GET").unwrap().status, 200);
        assert_eq!(next_line(&mut server)["request_id"], number.to_string());
    }
}

#[test]
fn an_id_is_quoted_in_the_text_form() {
    let mut command = janus();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "text",
        "--access-log",
        "--trusted-proxies",
        "127.0.0.1",
    ]);
    let mut server = Server::spawn_text(&mut command);
    send(
        &server,
        &request("/items/1", "X-Request-Id: a=b,route=\"/metrics\"\r\n"),
    );
    let line = server.wait_for("request_id");
    assert!(line.contains(r#"request_id="a=b,route=\"/metrics\"""#), "{line}");
    assert!(
        line.contains(r#"route="/items/{id}""#) && line.contains("client=127.0.0.1"),
        "{line}"
    );
    send(&server, &request("/items/1", ""));
    let line = server.wait_for("request_id");
    assert!(line.contains("request_id=\""), "{line}");
}
