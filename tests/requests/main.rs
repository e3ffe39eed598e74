//! What clients, browsers and load balancers ask in earnest, over real sockets.

#[path = "../support/mod.rs"]
mod support;

mod access_log;
mod base_path;
mod proxy_protocol;
mod ranges;
mod rules;
mod targets;

use support::{Client, Response, Server};

/// Sends these bytes on a connection of its own, and reads the answer.
#[track_caller]
fn send(server: &Server, bytes: &[u8]) -> Response {
    let mut client = server.connect();
    client.send(bytes);
    let method = if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    client.receive(method).expect("an answer")
}

/// A server of a file with this content; the directory goes with the test.
fn serve(name: &str, content: &[u8], arguments: &[&str]) -> (Server, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    (Server::of_file(&path, arguments), directory)
}

/// So many items, each of some `length` bytes, as NDJSON.
fn lines(count: usize, length: usize) -> String {
    let line = |id| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", "text ".repeat(length / 5));
    (0..count).map(line).collect()
}

/// Asks with one field on a connection that is there.
fn ask(client: &mut Client, path: &str, fields: &[(&str, &str)]) -> Response {
    client.get(path, fields)
}
