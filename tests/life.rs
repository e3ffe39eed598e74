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
    // The file may be named by the flag.
    let flag = janus().arg("check").arg("--data").arg(&path).output().unwrap();
    // What took how long is different each time.
    let (lasting, _) = report
        .split_once("parse ")
        .expect("the report tells how long that took");
    assert!(flag.stdout.starts_with(lasting.as_bytes()));
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

/// Runs `janus` in a directory with these files.
fn run_among(files: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    let output = janus()
        .args(arguments)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_tells_all_that_is_wrong_with_each_of_several_files() {
    let files = [
        ("good.json", "[{\"id\":1}]"),
        (
            "bad.ndjson",
            "{\"id\":1}\n{\"id\":\n{\"id\":2}\noops\n{\"id\":1}\n{\"id\":null}\n",
        ),
        ("bad.csv", "id,n\n1,a\n2\n3,c\n3,d\n4,\"x\"y\n5,e\n"),
        ("twice.json", "[{\"id\":1},\n{\"id\":1},\n{\"id\":2},\n{\"id\":1}]"),
        ("cut.json", "[{\"id\":1},"),
    ];
    let (code, report, errors) = run_among(
        &files,
        &[
            "check",
            "good.json",
            "bad.ndjson",
            "bad.csv",
            "twice.json",
            "cut.json",
            "none.json",
        ],
    );
    assert_eq!(code, 65, "{errors}");
    assert!(
        report.contains("good.json") && report.contains("items       1"),
        "{report}"
    );
    for line in [
        "bad.ndjson: line 2, column ",
        "bad.ndjson: line 4, column 1: expected",
        "bad.ndjson: line 5, column 1: duplicate id \"1\": item 1 (line 1) has it too",
        "bad.ndjson: line 6, column 1: the id (member \"id\") is null",
        "bad.csv: line 3, column ",
        "bad.csv: line 5, column 1: duplicate id \"3\"",
        "bad.csv: line 6, column ",
        "twice.json: line 2, column ",
        "twice.json: line 4, column ",
        "cut.json: line 1, column 11: unexpected end of input: expected",
        "none.json: there is no such file",
        "5 of 6 files are bad",
    ] {
        assert!(errors.contains(line), "{line:?} is not in {errors}");
    }
    let count = |name: &str| errors.matches(&format!("janus: {name}: line ")).count();
    assert_eq!(
        (count("bad.ndjson"), count("bad.csv"), count("twice.json")),
        (4, 3, 2),
        "{errors}"
    );
}

#[test]
fn check_tells_ten_errors_of_a_file_or_as_many_as_asked_for() {
    let lines = "no\n".repeat(50);
    for (arguments, expected) in [
        (&["check", "a.ndjson"][..], 10),
        (&["check", "a.ndjson", "--max-errors", "3"], 3),
        (&["check", "a.ndjson", "--max-errors=1"], 1),
        (&["check", "a.ndjson", "--max-errors=1000"], 50),
    ] {
        let (code, _, errors) = run_among(&[("a.ndjson", &lines)], arguments);
        assert_eq!(
            (code, errors.matches("a.ndjson: line ").count()),
            (65, expected),
            "{errors}"
        );
        let is_cut = expected > 1 && expected < 50;
        assert_eq!(errors.contains("there may be more"), is_cut, "{errors}");
    }
}

#[test]
fn check_reports_as_json_for_programs() {
    let files = [("good.csv", "id,n\n1,a\n"), ("bad.json", "[{\"id\":1},{\"id\":1}]")];
    let (code, report, errors) = run_among(
        &files,
        &["check", "--output", "json", "good.csv", "bad.json", "none.json"],
    );
    assert_eq!((code, errors.as_str()), (65, ""));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["ok"], false);
    let [good, bad, none] = &report["files"].as_array().unwrap()[..] else {
        panic!("{report}");
    };
    assert_eq!(
        (&good["ok"], &good["data"]["items"], &good["data"]["format"]),
        (&true.into(), &1.into(), &"csv".into())
    );
    assert_eq!(good["data"]["bodies"][0]["encoding"], "identity");
    assert_eq!(good["errors"], serde_json::json!([]));
    assert_eq!((&bad["ok"], bad.get("data")), (&false.into(), None));
    let error = &bad["errors"][0];
    assert_eq!(
        (&error["code"], &error["line"], &error["column"]),
        (&"duplicate_id".into(), &1.into(), &11.into())
    );
    assert!(error["message"].as_str().unwrap().starts_with("duplicate id \"1\""));
    assert_eq!(none["errors"][0]["code"], "not_found");
    let (code, report, _) = run_among(&files, &["check", "--output=json", "good.csv"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((code, &report["ok"]), (0, &true.into()));
}

#[test]
fn a_setting_of_csv_for_data_that_is_none_is_told() {
    let files = [("a.json", "[{\"id\":1}]")];
    let (code, report, _) = run_among(
        &files,
        &[
            "check",
            "a.json",
            "--delimiter",
            ";",
            "--unnamed-column",
            "x",
            "--csv-types",
            "--csv-no-quotes",
        ],
    );
    assert_eq!(code, 0);
    for setting in ["delimiter", "unnamed-column", "csv-types", "csv-no-quotes"] {
        let note = format!("--{setting} is for CSV, and this is json: it changes nothing");
        assert!(report.contains(&note), "{note} is not in {report}");
    }
    let (_, report, _) = run_among(
        &[("a.csv", "id;n\n1;2\n")],
        &["check", "a.csv", "--delimiter", ";", "--csv-types"],
    );
    assert!(!report.contains("note"), "{report}");
}

#[test]
fn a_source_that_may_not_be_read_or_fails_has_exit_codes_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (secret, folder) = (path("secret.json"), path("folder"));
    std::fs::write(&secret, "[]").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::create_dir(&folder).unwrap();
    // Memory that is not mapped: it opens, and reading it fails.
    let failing = "/proc/self/mem";
    let is_permitted = std::fs::read(&secret).is_ok();
    let below = format!("{secret}/a.json");
    for command in ["serve", "check"] {
        // To root everything is permitted.
        if !is_permitted {
            check_exit(&[command, &secret], 77, &["secret.json", "ermission denied"]);
        }
        check_exit(&[command, failing], 74, &[failing]);
        check_exit(&[command, &folder], 66, &["a directory"]);
        check_exit(&[command, &below], 66, &["a.json"]);
    }
}

#[test]
fn a_bad_source_is_found_before_a_port_is_bound() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, code) in [(&["none.json"][..], 66), (&["serve", "."], 66), (&[], 69)] {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--listen", &address]).collect();
        check_exit(&arguments, code, &[]);
    }
}

#[test]
fn a_file_alone_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("countries.json");
    put(&path, br#"[{"cca3":"AND"}]"#);
    let mut command = janus();
    command
        .arg(&path)
        .args(["--id-field", "cca3", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut server = Server::spawn(&mut command);
    server.wait_for("\"message\":\"ready\"");
    assert_eq!(server.get("/items/AND").text(), r#"{"cca3":"AND"}"#);
}

#[test]
fn the_configuration_is_printed_in_place_of_serving() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("janus.toml");
    std::fs::write(&file, "workers = 2\n").unwrap();
    for command in [&[][..], &["serve"], &["check", "none.json"]] {
        let output = janus()
            .args(command)
            .arg("--config")
            .arg(&file)
            .arg("--print-config")
            .env("JANUS_ENCODINGS", "gzip")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        for line in [
            "encodings = \"gzip\"  # the environment: JANUS_ENCODINGS",
            "listen = \"127.0.0.1:8080\"  # the default",
            "janus.toml, line 1",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}

#[test]
fn the_first_success_after_failures_says_recovered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    put(&path, b"[1]");
    let mut server = Server::of_file(&path, &[]);
    for (content, says) in [
        (&b"[1,"[..], "reload failed"),
        (b"[1,,", "reload failed"),
        (b"[1,2]", "\"recovered\""),
    ] {
        put(&path, content);
        server.wait_for(says);
    }
    let recovered = |server: &mut Server| {
        server
            .log_so_far()
            .iter()
            .filter(|line| line.contains("\"recovered\""))
            .count()
    };
    // Once, and not again.
    put(&path, b"[1,2,3]");
    server.wait_for("\"items\":3");
    assert_eq!(recovered(&mut server), 1);
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
    let (short, long) = (print(&["-h"]), print(&["--help"]));
    assert!(short.contains("Examples:") && long.contains("Examples:"));
    assert!(short.len() * 2 < long.len() && !short.contains("--hardware-device-label"));
    // Every exit code is told of.
    for code in [0_u32, 1, 2, 65, 66, 69, 70, 74, 77, 78, 130] {
        let is_code = |word: &str| word.parse() == Ok(code);
        assert!(
            long.split(|c: char| !c.is_ascii_digit()).any(is_code),
            "{code} is not in {long}"
        );
    }
    let health = print(&["health", "--help"]);
    assert!(
        health.contains("--listen") && !health.contains("--encodings"),
        "{health}"
    );
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
