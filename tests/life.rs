//! The server's life over real sockets and signals: start, reload, drain, exit codes.

mod support;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{Client, PATIENCE, Server, janus, put};

#[track_caller]
fn check_exit(arguments: &[&str], code: i32, messages: &[&str]) {
    let output = janus().args(arguments).stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    for message in messages {
        assert!(
            stderr.contains(message),
            "{arguments:?} does not say {message:?}: {stderr}"
        );
    }
}

#[test]
fn exit_codes_tell_what_was_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bad = file("bad.json", b"[\n  {\"id\": 1},\n  {\"id\": oops}\n]");
    let empty = file("empty.json", b"");
    let twice = file("twice.ndjson", b"{\"id\":1}\n{\"id\":1}\n");
    let missing = directory.path().join("missing.json").to_str().unwrap().to_owned();
    for command in ["serve", "check"] {
        check_exit(
            &[command, &bad],
            65,
            &["bad.json", "line 3, column 10", "{\"id\": oops}", "^"],
        );
        check_exit(&[command, &empty], 65, &["empty.json"]);
        check_exit(&[command, &twice], 65, &["twice.ndjson", "line 2"]);
        check_exit(&[command, &missing], 66, &["missing.json"]);
    }
    check_exit(&["--no-such-flag"], 2, &["--no-such-flag"]);
    check_exit(&["--workers", "many"], 2, &["--workers", "JANUS_WORKERS", "many"]);
    let config = file("janus.toml", b"workers = \"many\"\n");
    check_exit(&["--config", &config], 78, &["workers", "janus.toml", "many"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check_exit(&["serve", "--listen", &address], 69, &[&address, "--listen"]);
}

#[test]
fn the_sample_is_served_only_where_nothing_was_said_and_says_so() {
    let mut server = Server::start(&[]);
    assert!(
        server
            .log_so_far()
            .iter()
            .any(|line| line.contains("built-in sample is served"))
    );
    assert_eq!(server.get("/").json()["sample"], true);
    assert!(
        server
            .get("/metrics")
            .text()
            .contains("janus_source_info{kind=\"sample\"} 1")
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    put(&path, b"[]");
    let mut server = Server::of_file(&path, &[]);
    assert!(!server.log_so_far().iter().any(|line| line.contains("built-in sample")));
    assert!(server.get("/").json().get("sample").is_none());
    let metrics = server.get("/metrics").text().to_owned();
    assert!(
        metrics.contains("janus_source_info{kind=\"file\"} 1") && !metrics.contains("kind=\"sample\""),
        "{metrics}"
    );

    for arguments in [
        &["serve", ""][..],
        &["check", ""],
        &["serve", "--data", ""],
        &["--data="],
    ] {
        check_exit(arguments, 2, &["--data", "names no file"]);
    }
    for (value, code) in [("", 78), ("missing.json", 66)] {
        let output = janus().env("JANUS_DATA", value).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{value:?}");
    }
}

#[test]
fn a_path_that_is_not_utf_8_is_served_from_argument_flag_and_variable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(OsStr::from_bytes(b"caf\xe9.json"));
    put(&path, br#"[{"id":1}]"#);
    let serve = || {
        let mut command = janus();
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
        command
    };
    let (mut argument, mut flag, mut variable) = (serve(), serve(), serve());
    for command in [
        argument.arg(&path),
        flag.arg("--data").arg(&path),
        variable.env("JANUS_DATA", &path),
    ] {
        let mut server = Server::spawn(command);
        server.wait_for("\"message\":\"ready\"");
        assert_eq!(server.get("/items").text(), r#"[{"id":1}]"#);
    }
    assert!(janus().arg("check").arg(&path).output().unwrap().status.success());
}

#[test]
fn check_reports_what_would_be_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.csv");
    let rows: String = (0..100).map(|id| format!("{id},Item {id}\n")).collect();
    std::fs::write(&path, format!("id,name\n{rows}")).unwrap();
    let output = janus().args(["check", path.to_str().unwrap()]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    for row in [
        "format      csv",
        "items       100",
        "id field    id",
        "identity    ",
        "br          ",
        "gzip        ",
        "parse       ",
    ] {
        assert!(report.contains(row), "{row:?} is not in {report}");
    }
}

#[test]
fn health_asks_a_running_server() {
    let server = Server::start(&[]);
    let ask = |url: &str| janus().args(["health", url]).output().unwrap();
    assert!(ask(&format!("http://{}/health", server.address)).status.success());
    let other = ask(&format!("http://{}/nowhere", server.address));
    assert_eq!(other.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&other.stderr).contains("404"));
    let by_configuration = janus()
        .arg("health")
        .env("JANUS_LISTEN", server.address.to_string())
        .output()
        .unwrap();
    assert!(by_configuration.status.success());
    // Where there is an admin listener it is asked, and nobody else.
    let server = Server::start(&["--admin-listen", "127.0.0.1:0"]);
    let admin = server.admin_address.expect("the log names it").to_string();
    let ask = |admin: &str| {
        janus()
            .arg("health")
            .env("JANUS_ADMIN_LISTEN", admin)
            .env("PORT", "1")
            .output()
            .unwrap()
    };
    assert!(ask(&admin).status.success());
    drop(server);
    assert_eq!(ask(&admin).status.code(), Some(1));
}

#[test]
fn completions_and_version_are_printed() {
    let print = |arguments: &[&str]| {
        let output = janus().args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish"] {
        assert!(print(&["completions", shell]).contains("janus"));
    }
    assert!(print(&["--version"]).starts_with(&format!("janus {} (", env!("CARGO_PKG_VERSION"))));
    assert!(print(&["--help"]).contains("Examples:"));
}

#[test]
fn a_change_is_served_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    put(&path, br#"[{"id":1}]"#);
    let mut server = Server::of_file(&path, &[]);
    assert_eq!(server.get("/items").text(), r#"[{"id":1}]"#);

    put(&path, br#"[{"id":1},{"id":2}]"#);
    let line = server.wait_for("\"message\":\"reloaded\"");
    for field in ["old_snapshot", "snapshot", "items", "bytes", "milliseconds"] {
        assert!(line.contains(&format!("\"{field}\":")), "{line}");
    }
    assert_eq!(server.get("/items").text(), r#"[{"id":1},{"id":2}]"#);

    // In place, as an editor that keeps the inode does.
    std::fs::write(&path, br#"[{"id":3}]"#).unwrap();
    server.wait_for("\"message\":\"reloaded\"");
    assert_eq!(server.get("/items").text(), r#"[{"id":3}]"#);
}

#[test]
fn bad_data_never_replaces_good_data() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    put(&path, br#"[{"id":1}]"#);
    let mut server = Server::of_file(&path, &[]);
    let good = server.get("/items");
    for bad in [
        &b"[{\"id\":1},{\"id\":oops}]"[..],
        b"",
        b"[{\"id\":1},{\"id\":1}]",
        b"[{\"id\":1}",
    ] {
        put(&path, bad);
        let line = server.wait_for("reload failed");
        assert!(line.contains("items.json"), "{line}");
        let answer = server.get("/items");
        assert_eq!((answer.status, &answer.body), (200, &good.body));
        assert_eq!(server.get("/readyz").status, 200);
    }
    std::fs::remove_file(&path).unwrap();
    server.signal(Signal::HUP);
    server.wait_for("reload failed");
    assert_eq!(server.get("/items").body, good.body);
    put(&path, br#"[{"id":2}]"#);
    server.wait_for("\"message\":\"reloaded\"");
    assert_eq!(server.get("/items").text(), r#"[{"id":2}]"#);
}

#[test]
fn a_hangup_reloads_at_once_even_when_nothing_is_watched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    put(&path, br#"[{"id":1}]"#);
    let mut server = Server::of_file(&path, &["--no-watch"]);
    server.signal(Signal::HUP);
    server.wait_for("\"message\":\"unchanged\"");
    put(&path, br#"[{"id":2}]"#);
    server.signal(Signal::HUP);
    server.wait_for("\"message\":\"reloaded\"");
    assert_eq!(server.get("/items").text(), r#"[{"id":2}]"#);
}

#[test]
fn eight_clients_see_no_failed_and_no_mixed_answer_through_fifty_reloads() {
    const RELOADS: usize = 50;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    // Every item of a generation names it, so a mixture shows.
    let generation = |number: usize| {
        let items: Vec<String> = (0..500)
            .map(|id| format!("{{\"id\":{id},\"generation\":{number}}}"))
            .collect();
        format!("[{}]", items.join(","))
    };
    put(&path, generation(0).as_bytes());
    let mut server = Server::of_file(&path, &["--no-watch"]);
    let address = server.address;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            let coding = ["identity", "br", "gzip", "zstd"][number % 4];
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                let mut generations = std::collections::BTreeMap::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get("/items", &[("accept-encoding", coding)]);
                    assert_eq!(answer.status, 200);
                    // One tag stands for one body, for ever.
                    let etag = answer.field("etag").unwrap().to_owned();
                    let first = generations.entry(etag).or_insert_with(|| answer.body.clone());
                    assert_eq!(*first, answer.body);
                    seen.fetch_add(1, Ordering::Relaxed);
                }
                (coding, generations)
            })
        })
        .collect();
    for number in 1..=RELOADS {
        let corrupt = number % 5 == 0;
        let content = generation(number);
        put(
            &path,
            if corrupt {
                &content.as_bytes()[..content.len() / 2]
            } else {
                content.as_bytes()
            },
        );
        server.signal(Signal::HUP);
        server.wait_for(if corrupt {
            "reload failed"
        } else {
            "\"message\":\"reloaded\""
        });
    }
    stop.store(true, Ordering::Relaxed);
    let mut whole = 0;
    for client in clients {
        let (coding, generations) = client.join().expect("a client saw only whole answers");
        for body in generations.into_values() {
            let text = support::decode(Some(coding).filter(|coding| *coding != "identity"), &body);
            let items: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("a whole answer");
            assert_eq!(items.len(), 500);
            assert!(
                items.iter().all(|item| item["generation"] == items[0]["generation"]),
                "one snapshot an answer"
            );
            whole += 1;
        }
    }
    assert!(whole >= 8 && seen.load(Ordering::Relaxed) > RELOADS);
}

#[test]
fn a_termination_under_load_with_a_drain_delay_loses_no_request() {
    let mut server = Server::start(&["--drain-delay", "1s"]);
    let address = server.address;
    let answered = Arc::new(AtomicUsize::new(0));
    let closing = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (answered, closing) = (Arc::clone(&answered), Arc::clone(&closing));
            std::thread::spawn(move || {
                // As a load balancer's target does: follows `Connection: close` with a new connection until it is told
                // of none, and takes itself out of rotation before the delay is over.
                let mut client = Client::connect(address);
                let mut first_close = None::<Instant>;
                while first_close.is_none_or(|at| at.elapsed() < Duration::from_millis(500)) {
                    let answer = client.get("/items", &[]);
                    assert_eq!(answer.status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                    if answer.field("connection") == Some("close") {
                        closing.fetch_add(1, Ordering::Relaxed);
                        first_close.get_or_insert_with(Instant::now);
                        assert!(client.is_closed());
                        client = Client::connect(address);
                    }
                }
            })
        })
        .collect();
    while answered.load(Ordering::Relaxed) < 100 {
        std::thread::yield_now();
    }
    server.signal(Signal::TERM);
    server.wait_for("\"message\":\"draining\"");
    assert_eq!(server.get("/readyz").problem(), (503, "draining".to_owned()));
    assert_eq!(server.get("/livez").status, 200);
    for client in clients {
        client.join().expect("no request is lost");
    }
    assert!(closing.load(Ordering::Relaxed) >= 8);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_idle_connection_does_not_delay_the_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let mut idle = server.connect();
        assert_eq!(idle.get("/items", &[]).status, 200);
        let mut silent = server.connect();
        silent.send(b"GET /items HTTP/1.1\r\n");
        let started = Instant::now();
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "the shutdown timeout was not waited for"
        );
    }
}

#[test]
fn an_answer_that_is_under_way_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    // More than socket buffers hold, so that the server waits for this client.
    let item = format!("{{\"id\":1,\"text\":\"{}\"}}", "a".repeat(32 << 20));
    put(&path, format!("[{item}]").as_bytes());
    let mut server = Server::of_file(&path, &["--encodings", ""]);
    let mut client = server.connect();
    client.send(b"GET /items HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut first = [0; 1];
    client.peek(&mut first);
    server.signal(Signal::TERM);
    server.wait_for("\"message\":\"draining\"");
    let answer = client.receive("GET").expect("a whole answer");
    assert_eq!(answer.body.len(), item.len() + 2);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    put(&path, format!("[\"{}\"]", "a".repeat(32 << 20)).as_bytes());
    let mut server = Server::of_file(&path, &["--encodings", ""]);
    let mut client = server.connect();
    client.send(b"GET /items HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut first = [0; 1];
    client.peek(&mut first);
    server.signal(Signal::INT);
    server.wait_for("\"message\":\"stopping");
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(130));
}

#[test]
fn the_access_log_believes_trusted_proxies_only() {
    let fields = [("x-forwarded-for", "198.51.100.7"), ("x-request-id", "abc-1")];
    let mut server = Server::start(&["--access-log", "--trusted-proxies", "127.0.0.0/8"]);
    server.get_with("/items/1", &fields);
    let line: serde_json::Value = serde_json::from_str(&server.wait_for("janus::access")).unwrap();
    let record = &line["fields"];
    assert!(line["timestamp"].is_string());
    assert_eq!(
        (&record["method"], &record["route"], &record["status"], &record["bytes"]),
        (&"GET".into(), &"/items/{id}".into(), &200.into(), &26.into())
    );
    assert_eq!(
        (&record["client"], &record["request_id"]),
        (&"198.51.100.7".into(), &"abc-1".into())
    );
    assert!(record["microseconds"].is_u64());

    let mut server = Server::start(&["--access-log"]);
    server.get_with("/nowhere", &fields);
    let line: serde_json::Value = serde_json::from_str(&server.wait_for("janus::access")).unwrap();
    assert_eq!(
        (&line["fields"]["route"], &line["fields"]["client"]),
        (&"unmatched".into(), &"127.0.0.1".into())
    );
    assert_ne!(line["fields"]["request_id"], "abc-1");
}

#[test]
fn requests_are_answered_though_nobody_reads_the_access_log() {
    let mut server = Ended(
        janus()
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log-format",
                "json",
                "--access-log",
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut log = BufReader::new(server.0.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let listening: serde_json::Value =
        serde_json::from_str(&log.find(|line| line.contains("\"listening\"")).unwrap()).unwrap();
    log.find(|line| line.contains("\"ready\"")).unwrap();
    // Read no more. The pipe is soon full, and so is what is kept for it.
    let mut client = TcpStream::connect(listening["fields"]["address"].as_str().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut answer, mut length) = (vec![0; 4096], 0);
    for _ in 0..100 {
        client
            .write_all(&b"GET /items/1 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200))
            .unwrap();
        let mut answered = 0;
        while answered < 200 {
            length += client.read(&mut answer[length..]).unwrap();
            let end = b"{\"id\":1,\"name\":\"Item One\"}";
            while let Some(at) = answer[..length].windows(end.len()).position(|window| window == end) {
                answer.copy_within(at + end.len()..length, 0);
                length -= at + end.len();
                answered += 1;
            }
        }
    }
    // Read again: what was dropped is told.
    let told = log.find(|line| line.contains("were dropped")).unwrap();
    assert!(
        serde_json::from_str::<serde_json::Value>(&told).unwrap()["fields"]["lines"].as_u64() > Some(0),
        "{told}"
    );
}

/// A program that ends with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn standard_input_is_a_source() {
    let mut server = Server::start_loading(&["--data", "-"]);
    server.stdin().write_all(b"{\"id\":1}\n{\"id\":2}\n").unwrap();
    server.wait_for("\"message\":\"ready\"");
    assert_eq!(server.get("/items").text(), r#"[{"id":1},{"id":2}]"#);
}

#[test]
fn http_2_with_prior_knowledge_is_spoken() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    // RFC 9113, section 3.4: the preface and an empty SETTINGS frame; the server's own SETTINGS comes back first.
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00");
    let mut frame = [0; 9];
    client.read_exact(&mut frame);
    assert_eq!(frame[3], 4, "a SETTINGS frame: {frame:?}");
}
