//! The PROXY protocol, as a network load balancer speaks it.

use std::time::Duration;

use crate::support::{Client, Server};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

const REQUEST: &[u8] = b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n";

const ITEM: &str = r#"{"id":1,"name":"Item One"}"#;

/// What an NLB sends for a client at 203.0.113.7: version 2, with the id of an endpoint and bytes that fill up.
fn of_a_load_balancer() -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 192, 0, 2, 2, 0xc8, 0x22, 0, 80];
    let extensions = [&[0xea, 0, 5, 1][..], b"vpce", &[0x04, 0, 3, 0, 0, 0]].concat();
    let length = u16::try_from(addresses.len() + extensions.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[0x21, 0x11], &length, &addresses, &extensions].concat()
}

/// Its health check.
fn local() -> Vec<u8> {
    [SIGNATURE, &[0x20, 0x00, 0, 0]].concat()
}

fn start(arguments: &[&str]) -> Server {
    let all = [
        &["--proxy-protocol", "--trusted-proxies", "127.0.0.1", "--access-log"],
        arguments,
    ]
    .concat();
    Server::start(&all)
}

fn client_of_next_line(server: &mut Server) -> String {
    let line: serde_json::Value = serde_json::from_str(&server.wait_for("janus::access")).unwrap();
    line["fields"]["client"].as_str().unwrap().to_owned()
}

#[test]
fn the_client_that_a_trusted_proxy_names_is_logged() {
    let mut server = start(&[]);
    for (header, client) in [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n".to_vec(), "192.0.2.1"),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 80\r\n".to_vec(),
            "2001:db8::7",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (of_a_load_balancer(), "203.0.113.7"),
        (local(), "127.0.0.1"),
    ] {
        // At once, in two, and byte by byte.
        let sent = [&header[..], REQUEST].concat();
        for piece_length in [sent.len(), header.len(), 1] {
            let mut connection = server.connect();
            sent.chunks(piece_length).for_each(|piece| connection.send(piece));
            assert_eq!(connection.receive("GET").unwrap().text(), ITEM, "{header:x?}");
            assert_eq!(client_of_next_line(&mut server), client, "{header:x?}");
            // The connection goes on, and what is a header there is none any more.
            connection.send(REQUEST);
            assert_eq!(connection.receive("GET").unwrap().status, 200);
            assert_eq!(client_of_next_line(&mut server), client);
            connection.send(&header);
            connection.send(REQUEST);
            assert_eq!(connection.receive("GET").unwrap().status, 400, "{header:x?}");
            server.wait_for("janus::access");
        }
    }
}

#[test]
fn what_the_named_client_says_of_itself_is_believed_if_it_is_trusted_too() {
    let mut server = Server::start(&[
        "--proxy-protocol",
        "--trusted-proxies",
        "127.0.0.1,198.51.100.0/24",
        "--access-log",
    ]);
    let forwarded = b"GET /items/1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
    for (source, client) in [("198.51.100.5", "203.0.113.9"), ("192.0.2.1", "192.0.2.1")] {
        let header = format!("PROXY TCP4 {source} 192.0.2.2 1234 80\r\n");
        let mut connection = server.connect();
        connection.send(&[header.as_bytes(), forwarded].concat());
        assert_eq!(connection.receive("GET").unwrap().status, 200);
        assert_eq!(client_of_next_line(&mut server), client);
    }
}

#[test]
fn a_trusted_proxy_without_it_is_closed_and_counted() {
    let mut server = start(&["--admin-listen", "127.0.0.1:0"]);
    for first in [
        REQUEST.to_vec(),
        b"PROXY TCP4 nonsense\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        [SIGNATURE, &[0x11, 0x11, 0, 0]].concat(),
        [SIGNATURE, &[0x21, 0x11, 0, 3, 1, 2, 3]].concat(),
        [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(),
    ] {
        let mut connection = server.connect();
        connection.send(&[&first[..], REQUEST].concat());
        assert!(connection.is_closed(), "{first:x?}");
    }
    server.wait_for("did not begin with the PROXY protocol");
    let admin = server.admin_address.unwrap();
    let scrape = Client::connect(admin).get("/metrics", &[]);
    for (reason, count) in [("missing", 2), ("malformed", 3), ("too_long", 1)] {
        let line = format!("janus_proxy_headers_refused_total{{reason=\"{reason}\"}} {count}\n");
        assert!(scrape.text().contains(&line), "{line}: {}", scrape.text());
    }
    let logged = server.log_so_far();
    assert_eq!(
        logged.iter().filter(|line| line.contains("PROXY protocol")).count(),
        1,
        "{logged:#?}"
    );
    // Somebody that only looks whether the port is open is no fault.
    drop(server.connect());
    assert_eq!(
        Client::connect(admin).get("/livez", &[]).status,
        200,
        "it is not for the admin listener"
    );
}

#[test]
fn from_anybody_else_it_is_a_bad_request() {
    let mut server = start(&[]);
    for header in [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n".to_vec(),
        of_a_load_balancer(),
        local(),
    ] {
        let mut connection = Client::connect_from("127.0.0.2", server.address);
        connection.send(&[&header[..], REQUEST].concat());
        assert_eq!(
            connection.receive("GET").unwrap().problem(),
            (400, "malformed_request".to_owned()),
            "{header:x?}"
        );
        assert!(connection.is_closed());
        assert_eq!(client_of_next_line(&mut server), "127.0.0.2");
    }
    // And who is not trusted need not send it, as the kubelet, which probes by itself.
    let mut connection = Client::connect_from("127.0.0.2", server.address);
    connection.send(REQUEST);
    assert_eq!(connection.receive("GET").unwrap().text(), ITEM);
    // Nor is it believed where it was not asked for.
    let server = Server::start(&["--trusted-proxies", "127.0.0.1"]);
    let mut connection = server.connect();
    connection.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\nGET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(connection.receive("GET").unwrap().status, 400);
}

#[test]
fn it_comes_before_either_version_of_http() {
    let mut server = start(&[]);
    // The preface of HTTP/2, empty settings, and GET /items/1 by literal fields.
    let fields = [&[0x82, 0x86][..], &[0x44, 8], b"/items/1", &[0x41, 1, b'a']].concat();
    let length = u32::try_from(fields.len()).unwrap().to_be_bytes();
    let sent = [
        &of_a_load_balancer()[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0, 0, 0, 4, 0, 0, 0, 0, 0],
        &length[1..],
        &[1, 5, 0, 0, 0, 1],
        &fields,
    ]
    .concat();
    let mut connection = server.connect();
    connection.send(&sent);
    assert_eq!(client_of_next_line(&mut server), "203.0.113.7");
    connection.set_timeout(Duration::from_secs(60));
    let mut first = [0; 9];
    connection.read_exact(&mut first);
    assert_eq!(first[3], 4, "settings come first: {first:?}");
}

#[test]
fn the_program_asks_itself_whether_it_is_well() {
    let server = start(&[]);
    let address = server.address.to_string();
    let ask = |arguments: &[&str]| {
        let mut command = crate::support::janus();
        command.arg("health").args(["--listen", &address]).args(arguments);
        command.status().unwrap().success()
    };
    assert!(ask(&["--proxy-protocol", "--trusted-proxies", "127.0.0.1"]));
    assert!(!ask(&[]), "as a trusted proxy that does not introduce its client");
}
