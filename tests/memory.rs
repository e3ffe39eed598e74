//! What the program takes of memory, in a control group that kills it when it takes too much.
//!
//! It takes root: see `support::group`. `loadtest/memory` does more of it, with more data and the release build.

mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::Signal;
use support::group::Group;
use support::{Server, janus_in, put};

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

/// Waits until less than this is in use: what nobody reads any more is freed within a second or two.
fn becomes_less_than(group: &Group, bytes: u64) {
    let deadline = Instant::now() + support::PATIENCE;
    while group.used() >= bytes {
        assert!(Instant::now() < deadline, "{} bytes stay in use", group.used());
        std::thread::park_timeout(Duration::from_millis(20));
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
    becomes_less_than(&group, 12 * MIB);
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
    becomes_less_than(&group, 16 * MIB);
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
    let mut server = serve(&group, &data, &["--no-watch", "--encodings", "br,gzip"]);
    server.wait_for("\"message\":\"encoded\"");
    let log = server.log_so_far().concat();
    assert!(log.contains("there is no memory for this coding"), "{log}");
    // Gzip works in less.
    let answer = server.get_with("/items", &[("accept-encoding", "br")]);
    assert_eq!((answer.status, answer.field("content-encoding")), (200, None));
    assert_eq!(group.kills(), 0);
}

/// Changes the data and returns whether it is served now; otherwise the load was refused for memory.
fn is_taken(server: &mut Server, data: &Path, content: &[u8]) -> bool {
    put(data, content);
    server.signal(Signal::HUP);
    loop {
        let line = server.wait_for("reload");
        if line.contains("\"message\":\"reloaded\"") {
            return true;
        }
        if line.contains("reload failed") {
            assert!(line.contains("memory"), "{line}");
            return false;
        }
    }
}

#[test]
fn data_that_grows_beyond_the_memory_is_refused_and_what_was_there_is_served() {
    let Some(group) = Group::new(512 * MIB) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("items.json");
    let size = 10 << 20;
    put(&data, &items(size, 0));
    let mut server = serve(
        &group,
        &data,
        &["--no-watch", "--max-data-bytes", "1GiB", "--encodings", "gzip"],
    );
    server.wait_for("\"message\":\"encoded\"");
    group.set_limit(group.used() * 3 / 2).unwrap();

    let mut served = items(size, 0);
    let mut outcomes = Vec::new();
    for (time, percent) in [(1, 20), (2, 100), (3, 150), (4, 300), (5, 100), (6, 600), (7, 30)] {
        let content = items(size / 100 * percent, time);
        let taken = is_taken(&mut server, &data, &content);
        if taken {
            served = content;
        }
        outcomes.push((percent, taken));
        assert_eq!(group.kills(), 0, "{outcomes:?}");
        let answer = server.get("/items");
        assert_eq!(answer.body.len(), served.len(), "{outcomes:?}");
        assert!(answer.body == served, "{outcomes:?}");
    }
    for (percent, taken) in &outcomes {
        match percent {
            20 | 30 => assert!(taken, "{outcomes:?}"),
            300 | 600 => assert!(!taken, "{outcomes:?}"),
            _ => {}
        }
    }
    let metrics = server.get("/metrics");
    let refused = outcomes.iter().filter(|(_, taken)| !taken).count();
    let line = format!("janus_loads_refused_for_memory_total {refused}\n");
    assert!(metrics.text().contains(&line), "{line}{}", metrics.text());
}

#[test]
fn a_first_load_that_does_not_fit_ends_with_a_word_and_not_by_the_kernel() {
    let Some(group) = Group::new(32 * MIB) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("items.json");
    fs::write(&data, items(24 << 20, 0)).unwrap();
    for (action, most) in [("check", "1GiB"), ("serve", "1GiB"), ("check", "")] {
        let mut command = janus_in(&group);
        command
            .arg(action)
            .arg("--data")
            .arg(&data)
            .args(["--listen", "127.0.0.1:0"]);
        let output = command.env("JANUS_MAX_DATA_BYTES", most).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(group.kills(), 0, "{error}");
        if most.is_empty() {
            // Three quarters of the group's limit.
            assert!(
                error.contains("JANUS_MAX_DATA_BYTES") || error.contains("no memory"),
                "{error}"
            );
        } else {
            assert_eq!(output.status.code(), Some(69), "{error}");
            assert!(error.contains("there is no memory for more"), "{error}");
        }
    }
}

/// A gzip file of `start`, so many times `filler`, and `end`.
fn bomb(path: &Path, start: &[u8], filler: u8, length: usize, end: &[u8]) {
    let mut encoder = GzEncoder::new(fs::File::create(path).unwrap(), Compression::fast());
    encoder.write_all(start).unwrap();
    let chunk = vec![filler; 1 << 20];
    for _ in 0..length >> 20 {
        encoder.write_all(&chunk).unwrap();
    }
    encoder.write_all(end).unwrap();
    encoder.finish().unwrap();
}

#[test]
fn bombs_and_junk_are_refused_while_they_are_cheap() {
    const PEAK_MAX: u64 = 128 * MIB;
    const LENGTH: usize = 200 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let rows = format!("id,{}\n{}", "x".repeat(40_000), "1,2\n".repeat(15_000));
    fs::write(path("header.csv"), rows).unwrap();
    fs::File::create(path("nul.csv")).unwrap().set_len(600 << 20).unwrap();
    fs::File::create(path("nul.ndjson"))
        .unwrap()
        .set_len(600 << 20)
        .unwrap();
    bomb(&path("one-line.ndjson.gz"), b"", b'x', LENGTH, b"");
    bomb(&path("array.ndjson.gz"), b"[1] ", b'[', LENGTH, b"");
    bomb(&path("space.json.gz"), b"[{\"id\":1,", b' ', LENGTH, b"\"a\":2}]");
    bomb(
        &path("lines.json.gz"),
        b"[{\"id\":1,",
        b'\n',
        LENGTH,
        b"\"a\":2},\n{\"id\":1}]",
    );
    bomb(&path("space.ndjson.gz"), b"{\"id\":1,", b' ', LENGTH, b"\"a\":2}\n");
    bomb(&path("between.json.gz"), b"[", b'\n', LENGTH, b"{\"id\":1}]");
    for (name, most, said) in [
        (
            "header.csv",
            "1MiB",
            "the items become more than 1048576 bytes of JSON; --max-data-bytes",
        ),
        ("nul.csv", "1GiB", "line 1, column 1: control character"),
        ("nul.ndjson", "1GiB", "line 1, column 1"),
        (
            "one-line.ndjson.gz",
            "1GiB",
            "line 1, column 1: expected a value, found `x`",
        ),
        ("array.ndjson.gz", "1GiB", "line 1, column 5: one value a line"),
        ("space.json.gz", "1GiB", ""),
        (
            "lines.json.gz",
            "1GiB",
            "line 209715202, column 1: duplicate id \"1\": item 1 (line 1)",
        ),
        ("space.ndjson.gz", "1GiB", ""),
        ("between.json.gz", "1GiB", ""),
        (
            "space.json.gz",
            "64MiB",
            "more than 67108864 bytes to read, after decompression; --max-data-bytes",
        ),
    ] {
        let Some(group) = Group::new(1024 * MIB) else { return };
        let mut command = janus_in(&group);
        let output = command
            .args(["check", "--max-data-bytes", most, "--data"])
            .arg(path(name))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(group.peak() < PEAK_MAX, "{name}: {} bytes: {error}", group.peak());
        assert!(error.contains(said), "{name}: {error}");
        assert_eq!(
            output.status.code(),
            Some(if said.is_empty() { 0 } else { 65 }),
            "{name}: {error}"
        );
    }
}
