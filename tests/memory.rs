//! What the program takes of memory, in a control group that kills it when it takes too much.
//!
//! It takes root: see `support::group`. `loadtest/memory` does more of it, with more data and the release build.

mod support;

use std::fs;
use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;
use support::group::Group;
use support::{PATIENCE, Server, janus_in, put};

const MIB: u64 = 1 << 20;

/// Items of about 120 bytes, as many as make `bytes`; another `seed` makes others.
fn items(bytes: usize, seed: u64) -> Vec<u8> {
    let mut text = vec![b'['];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for id in 0_u64.. {
        if text.len() >= bytes {
            break;
        }
        // Xorshift (Marsaglia 2003): half of an item is words that are no other's.
        let mut word = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let (name, price) = (word(), word() % 100_000);
        let line = format!(
            "{{\"id\":{id},\"name\":\"Item {name:016x}\",\"price\":{price},\"available\":true,\"tags\":[\"{:x}\",\"new\"]}},",
            word() % 4096
        );
        text.extend_from_slice(line.as_bytes());
    }
    *text.last_mut().unwrap() = b']';
    text
}

fn serve(group: &Group, data: &Path, arguments: &[&str]) -> Server {
    let mut command = janus_in(group);
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
        "--hardware",
        "off",
    ]);
    command.arg("--data").arg(data).args(arguments);
    let mut server = Server::spawn(&mut command);
    server.wait_for("\"message\":\"ready\"");
    server
}

/// Reloads as often as this, each time with other data and all codings.
fn reload(server: &mut Server, data: &Path, bytes: usize, times: u64) {
    for time in 1..=times {
        put(data, &items(bytes, time));
        server.signal(Signal::HUP);
        server.wait_for("\"message\":\"reloaded\"");
        // A small collection has its codings when it is published.
        if bytes > 128 << 10 {
            server.wait_for("\"message\":\"encoded\"");
        }
    }
}

#[test]
fn twenty_items_are_reloaded_fifty_times_in_64_mib_and_take_little() {
    let Some(group) = Group::new(64 * MIB) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("items.json");
    put(&data, &items(20 * 120, 0));
    let mut server = serve(&group, &data, &["--no-watch"]);
    reload(&mut server, &data, 20 * 120, 50);
    assert_eq!(group.kills(), 0);
    assert!(group.peak() < 32 * MIB, "{} bytes", group.peak());
    // Without the program's own pages, which are a debug build's here.
    assert!(group.used() < 12 * MIB, "{} bytes", group.used());
    assert_eq!(server.get("/items/7").status, 200);
}

#[test]
fn a_megabyte_is_reloaded_in_64_mib_with_all_codings_and_given_back() {
    let Some(group) = Group::new(64 * MIB) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("items.json");
    put(&data, &items(1 << 20, 0));
    let mut server = serve(&group, &data, &["--no-watch"]);
    server.wait_for("\"message\":\"encoded\"");
    reload(&mut server, &data, 1 << 20, 5);
    assert_eq!(group.kills(), 0);
    assert!(group.peak() < 48 * MIB, "{} bytes", group.peak());
    // The last snapshot without codings goes when its memory is looked at next, and what it took with it.
    let deadline = Instant::now() + PATIENCE;
    while group.used() >= 16 * MIB {
        assert!(Instant::now() < deadline, "{} bytes", group.used());
        assert_eq!(server.get("/health").status, 200);
    }
    for coding in ["br", "zstd", "gzip"] {
        let answer = server.get_with("/items", &[("accept-encoding", coding)]);
        assert_eq!(answer.field("content-encoding"), Some(coding));
    }
}

#[test]
fn codings_that_there_is_no_memory_for_are_left_out() {
    // Enough to load and to serve, and not for an encoder's tables.
    let Some(group) = Group::new(28 * MIB) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("items.json");
    fs::write(&data, items(5 << 20, 0)).unwrap();
    let mut server = serve(&group, &data, &["--no-watch"]);
    server.wait_for("there is no memory for this coding");
    server.wait_for("\"message\":\"encoded\"");
    let answer = server.get_with("/items", &[("accept-encoding", "br, zstd, gzip")]);
    assert_eq!((answer.status, answer.field("content-encoding")), (200, None));
    assert_eq!(group.kills(), 0);
}
