//! Attacks on HTTP/1 in a control group of the chart's memory: bounded in number and time, and so is what they cost.
//!
//! It takes root: see `support::group`. Who waits for whom is counted in `tests/connections/fairness.rs`.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use support::group::Group;
use support::{PATIENCE, Server, janus_in, put};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What a pod of the chart has.
const POD: u64 = 128 * MIB;

/// Two items; one has a text of this length.
fn items(mark: char, length: usize) -> String {
    format!(
        r#"[{{"id":"small","text":"{mark}"}},{{"id":"large","text":"{}"}}]"#,
        mark.to_string().repeat(length)
    )
}

/// A server in `group` of a file in a directory of its own.
fn serve(group: &Group, data: &Path, arguments: &[&str]) -> Server {
    let mut command = janus_in(group);
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.args([
        "--log-format",
        "json",
        "--hardware",
        "off",
        "--encodings",
        "none",
        "--no-watch",
    ]);
    command.arg("--data").arg(data).args(arguments);
    let mut server = Server::spawn(&mut command);
    server.wait_for("\"message\":\"ready\"");
    // What is made once, at the first request or scrape, is no client's.
    for _ in 0..8 {
        assert_eq!(server.get("/items").status, 200);
        assert!(metric(&server, "http_connections") > 0);
    }
    server
}

/// The value of a series; 0 if it is not there yet.
fn metric(server: &Server, series: &str) -> u64 {
    let address = server.admin_address.expect("there is an admin listener");
    let scrape = support::Client::connect(address).get("/metrics", &[]);
    let mut values = scrape
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    values
        .next()
        .map_or(0, |value| value.parse::<f64>().expect("a number") as u64)
}

/// Asks again and again, for as long as a test is patient.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "{what}: never");
        std::thread::yield_now();
    }
}

/// A connection that has sent this.
fn sent(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).expect("the server accepts");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket takes a timeout");
    stream.write_all(bytes).expect("the server reads");
    stream
}

/// Room for so many descriptors in this process and in those that it starts.
fn make_room(descriptors: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < descriptors) {
        let raised = Rlimit {
            current: Some(descriptors),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).unwrap_or_else(|error| panic!("{descriptors} descriptors: {error}"));
    }
}

/// The attack has not hurt: it took no more than `most` bytes of memory beyond `before`, and others are served.
#[track_caller]
fn is_unhurt(group: &Group, server: &Server, before: u64, most: u64) {
    let used = group.used();
    eprintln!("{} KiB before, {} KiB now", before / KIB, used / KIB);
    assert_eq!(group.kills(), 0, "killed for want of memory");
    assert!(used <= before + most, "{} KiB more", used.saturating_sub(before) / KIB);
    assert_eq!(server.get("/items/small").status, 200);
}

#[test]
fn three_hundred_clients_that_read_nothing_hold_no_copies() {
    const CLIENTS: usize = 300;
    let Some(group) = Group::new(POD) else { return };
    make_room(2048);
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("items.json");
    // 300 copies would be 1.2 GB.
    put(&data, items('a', 4 << 20).as_bytes());

    let server = serve(&group, &data, &[]);
    let before = group.used();
    // Each of these had a whole body copied once; the last has one gathered where it was small.
    let asked = [
        "GET /items HTTP/1.0\r\n\r\n",
        "GET /items HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "OPTIONS /items HTTP/1.1\r\nHost: a\r\n\r\nGET /items HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /items HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET /items HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /items HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "GET http://a/items HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let clients: Vec<TcpStream> = asked
        .iter()
        .cycle()
        .take(CLIENTS)
        .map(|request| sent(&server, request.as_bytes()))
        .collect();
    wait_until("all are being answered", || {
        metric(&server, "http_requests_in_flight") >= CLIENTS as u64
    });
    is_unhurt(&group, &server, before, CLIENTS as u64 * 64 * KIB);
    drop(clients);
}

#[test]
fn five_thousand_slow_heads_cost_what_they_sent() {
    const CLIENTS: usize = 5000;
    let Some(group) = Group::new(POD) else { return };
    make_room(2 * CLIENTS as u64);
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("items.json");
    put(&data, items('a', 4 << 10).as_bytes());
    let server = serve(&group, &data, &[]);
    let before = group.used();
    let head = format!("GET /items HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(1000));
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| sent(&server, head.as_bytes())).collect();
    wait_until("all are accepted", || {
        metric(&server, "http_connections") >= CLIENTS as u64
    });
    // The head and what a connection is.
    is_unhurt(&group, &server, before, CLIENTS as u64 * 8 * KIB);
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("it is closed");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    is_unhurt(&group, &server, before, CLIENTS as u64 * 8 * KIB);
}

#[test]
fn a_hundred_thousand_pipelined_requests_that_are_not_read_wait_in_the_socket() {
    const REQUESTS: usize = 100_000;
    let Some(group) = Group::new(POD) else { return };
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("items.json");
    put(&data, items('a', 1 << 20).as_bytes());

    for target in ["/items/small", "/items"] {
        let server = serve(&group, &data, &["--workers", "1"]);
        let before = group.used();
        let requests = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
            .repeat(REQUESTS)
            .into_bytes();
        let mut client = TcpStream::connect(server.address).unwrap();
        client.set_nonblocking(true).unwrap();
        let route = if target == "/items" { "/items" } else { "/items/{id}" };
        let answered = format!("http_requests_total{{method=\"GET\",route=\"{route}\",status=\"200\"}}");
        // As much as is taken, until the server has nothing left to do but to wait for this client. A scrape is in flight too.
        let (mut at, mut last) = (0, None);
        loop {
            match client.write(&requests[at..]) {
                Ok(length) if length > 0 => at += length,
                Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
                _ => {
                    let now = (at, metric(&server, &answered));
                    if last.replace(now) == Some(now) && metric(&server, "http_requests_in_flight") > 1 {
                        break;
                    }
                }
            }
        }
        let count = metric(&server, &answered);
        assert!(count < REQUESTS as u64, "all were answered: nothing waits");
        // Of the client's, half of this: its worker goes on with memory that it has to make anew.
        is_unhurt(&group, &server, before, 512 * KIB);
    }
}

#[test]
fn slow_readers_over_twenty_reloads_are_cut_before_memory_is_short() {
    const RELOADS: usize = 20;
    let Some(group) = Group::new(POD) else { return };
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("items.json");
    // Twenty of them, held by a client each, would be more than there is; each is more than the sockets take.
    let length = 7 << 20;
    put(&data, items('a', length).as_bytes());
    let mut server = serve(&group, &data, &[]);
    let mut clients = Vec::new();
    for reload in 1..=RELOADS {
        let mut client = sent(&server, b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n");
        // It has begun to be answered, from the snapshot of now.
        client.read_exact(&mut [0; 64]).expect("an answer begins");
        clients.push(client);
        put(&data, items(char::from(b'a' + reload as u8), length).as_bytes());
        server.signal(Signal::HUP);
        loop {
            let line = server.wait_for("\"target\":\"janus::reload\"");
            if line.contains("\"message\":\"reloaded\"") {
                break;
            }
            // One that there is no room for yet is tried again.
            if line.contains("reload failed") {
                server.signal(Signal::HUP);
            }
        }
    }
    assert_eq!(group.kills(), 0, "killed for want of memory");
    assert!(metric(&server, "http_connections_cut_total{reason=\"memory\"}") > 0);
    assert_eq!(server.get("/items/small").status, 200);
    assert!(group.peak() <= POD);
}
