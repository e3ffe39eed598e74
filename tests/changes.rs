//! Changes of the source, as a user sees them: each is noticed, and none is served half.

mod support;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{PATIENCE, Server, janus, put};

/// Each change that can be noticed is to be served within this time; on a busy machine a little later.
const NOTICED: Duration = Duration::from_secs(20);

/// The value of a series, as `/metrics` shows it.
fn metric(server: &Server, series: &str) -> f64 {
    let text = server.get("/metrics").text().to_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in {text}"))
        .parse()
        .unwrap()
}

#[track_caller]
fn wait_until(what: &str, patience: Duration, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::yield_now();
    }
}

#[track_caller]
fn wait_for_items(server: &Server, expected: &str) {
    wait_until(expected, NOTICED, || server.get("/items").text() == expected);
}

/// Waits until the server has been waiting for the end of a change for a while, and asserts that it serves what it
/// served before all the time.
#[track_caller]
fn check_waits(server: &Server, expected: &str) {
    wait_until("the change is waited for", PATIENCE, || {
        assert_eq!(server.get("/items").text(), expected);
        metric(server, "janus_source_unsettled_seconds") > 1.5
    });
    assert_eq!(server.get("/items").text(), expected);
    assert_eq!(metric(server, "janus_last_reload_successful"), 1.0);
    assert_eq!(metric(server, "janus_reloads_total{result=\"failure\"}"), 0.0);
}

fn truncated(path: &Path) -> File {
    OpenOptions::new().write(true).truncate(true).open(path).unwrap()
}

#[test]
fn a_partial_write_is_not_served() {
    let old = r#"[{"id":"1"}]"#;
    let new = r#"[{"id":"2"},{"id":"3"},{"id":"4"}]"#;
    for (name, before, parts) in [
        ("a.csv", "id\n1\n", ["id\n2\n", "3\n", "4\n"]),
        (
            "a.ndjson",
            "{\"id\":\"1\"}\n",
            ["{\"id\":\"2\"}\n", "{\"id\":\"3\"}\n", "{\"id\":\"4\"}\n"],
        ),
        (
            "a.json",
            "[{\"id\":\"1\"}]",
            ["[{\"id\":\"2\"},", "{\"id\":\"3\"},", "{\"id\":\"4\"}]"],
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        put(&path, before.as_bytes());
        let server = Server::of_file(&path, &[]);
        let mut writer = truncated(&path);
        writer.write_all(parts[0].as_bytes()).unwrap();
        check_waits(&server, old);
        writer.write_all(parts[1].as_bytes()).unwrap();
        writer.write_all(parts[2].as_bytes()).unwrap();
        drop(writer);
        wait_for_items(&server, new);
        assert_eq!(
            metric(&server, "janus_reloads_total{result=\"success\"}"),
            1.0,
            "{name}"
        );
    }
}

#[test]
fn a_file_that_is_written_over_is_not_served_half() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.ndjson");
    put(&path, b"{\"id\":1}\n{\"id\":2}\n");
    let server = Server::of_file(&path, &[]);
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    writer.write_all(b"{\"id\":3}\n").unwrap();
    check_waits(&server, r#"[{"id":1},{"id":2}]"#);
    writer.write_all(b"{\"id\":4}\n").unwrap();
    drop(writer);
    wait_for_items(&server, r#"[{"id":3},{"id":4}]"#);

    // Longer than it was in one write, as if it had grown.
    let mut writer = truncated(&path);
    writer.write_all(b"{\"id\":5}\n{\"id\":6}\n{\"id\":7}\n").unwrap();
    check_waits(&server, r#"[{"id":3},{"id":4}]"#);
    drop(writer);
    wait_for_items(&server, r#"[{"id":5},{"id":6},{"id":7}]"#);
}

#[test]
fn a_file_that_is_made_anew_is_not_served_half() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.csv");
    put(&path, b"id\n1\n");
    let server = Server::of_file(&path, &[]);
    std::fs::remove_file(&path).unwrap();
    let mut writer = File::create(&path).unwrap();
    writer.write_all(b"id\n2\n").unwrap();
    check_waits(&server, r#"[{"id":"1"}]"#);
    writer.write_all(b"3\n").unwrap();
    drop(writer);
    wait_for_items(&server, r#"[{"id":"2"},{"id":"3"}]"#);
}

#[test]
fn a_log_is_served_while_it_grows() {
    for (name, head, line) in [
        (
            "a.ndjson",
            "",
            (|id| format!("{{\"id\":\"{id}\"}}\n")) as fn(usize) -> String,
        ),
        ("a.csv", "id,text\n", |id| format!("{id},\"two\nlines\"\n")),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        put(&path, format!("{head}{}", line(0)).as_bytes());
        let mut server = Server::of_file(&path, &[]);
        let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
        let count = |server: &Server| metric(server, "janus_snapshot_items") as usize;
        let started = Instant::now();
        let mut written = 1;
        let mut seen = vec![count(&server)];
        // It is never closed, never quiet, and mostly ends in the middle of a line.
        while seen.len() < 4 {
            assert!(started.elapsed() < PATIENCE, "{name}: {seen:?} of {written}");
            let next = line(written);
            let (first, rest) = next.split_at(5);
            writer.write_all(first.as_bytes()).unwrap();
            writer.flush().unwrap();
            let items = count(&server);
            assert!(items <= written, "{name}: {items} of {written}");
            if items > *seen.last().unwrap() {
                seen.push(items);
            }
            writer.write_all(rest.as_bytes()).unwrap();
            written += 1;
        }
        assert_eq!(
            metric(&server, "janus_reloads_total{result=\"failure\"}"),
            0.0,
            "{name}"
        );
        // Who asks gets what there is, as far as it is whole.
        writer.write_all(&line(written).as_bytes()[..5]).unwrap();
        wait_until("all whole lines", PATIENCE, || count(&server) == written);
        assert_eq!(server.get(&format!("/items/{}", written - 1)).status, 200);
        server.signal(Signal::HUP);
        server.wait_for("\"message\":\"unchanged\"");
        assert_eq!(count(&server), written);
        assert_eq!(
            metric(&server, "janus_reloads_total{result=\"failure\"}"),
            0.0,
            "{name}"
        );
        // A last line without an end counts when its writer is gone.
        writer
            .write_all(line(written).trim_end().as_bytes().split_at(5).1)
            .unwrap();
        drop(writer);
        wait_until("the last line", PATIENCE, || count(&server) == written + 1);
    }
}

#[test]
fn who_asks_for_a_reload_waits_for_the_writer() {
    let directory = tempfile::tempdir().unwrap();
    let (path, token) = (directory.path().join("a.json"), directory.path().join("token"));
    put(&path, b"[1]");
    put(&token, b"secret");
    let mut server = Server::of_file(&path, &["--admin-token-file", token.to_str().unwrap()]);
    let mut writer = truncated(&path);
    writer.write_all(b"[2,").unwrap();
    check_waits(&server, "[1]");
    server.signal(Signal::HUP);
    server.wait_for("it is reloaded when its writer is done");
    let bearer = [("authorization", "Bearer secret")];
    let mut client = server.connect();
    client.send(b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n");
    check_waits(&server, "[1]");
    writer.write_all(b"3]").unwrap();
    drop(writer);
    let answer = client.receive("POST").unwrap();
    assert_eq!((answer.status, &answer.json()["result"]), (200, &"success".into()));
    assert_eq!(server.get("/items").text(), "[2,3]");

    // Unless it is forced: then it is as it is.
    let mut writer = truncated(&path);
    writer.write_all(b"[4,").unwrap();
    check_waits(&server, "[2,3]");
    let answer = server.connect().request("POST", "/-/reload?force=true", &bearer);
    assert_eq!(answer.problem(), (422, "bad_data".to_owned()));
    assert_eq!(server.get("/items").text(), "[2,3]");
}

#[test]
fn a_file_with_another_name_is_noticed_when_it_is_written_by_that() {
    let directory = tempfile::tempdir().unwrap();
    let (here, there) = (directory.path().join("here"), directory.path().join("there"));
    for path in [&here, &there] {
        std::fs::create_dir(path).unwrap();
    }
    put(&here.join("a.json"), br#"[{"id":1}]"#);
    std::fs::hard_link(here.join("a.json"), there.join("b.json")).unwrap();
    let server = Server::of_file(&here.join("a.json"), &["--poll-interval", "0"]);
    std::fs::write(there.join("b.json"), br#"[{"id":2}]"#).unwrap();
    wait_for_items(&server, r#"[{"id":2}]"#);
}

#[test]
fn a_directory_above_that_is_replaced_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, id) in [("current", 1), ("next", 2)] {
        std::fs::create_dir_all(path(name).join("data")).unwrap();
        put(&path(name).join("data/a.json"), format!("[{{\"id\":{id}}}]").as_bytes());
    }
    let server = Server::of_file(&path("current/data/a.json"), &[]);
    std::fs::rename(path("current"), path("old")).unwrap();
    std::fs::rename(path("next"), path("current")).unwrap();
    wait_for_items(&server, r#"[{"id":2}]"#);
    // It is watched where it is now.
    std::fs::write(path("current/data/a.json"), br#"[{"id":3}]"#).unwrap();
    wait_for_items(&server, r#"[{"id":3}]"#);
}

/// A command that runs `script` in namespaces of its own, and then the server of `data`; `None` where there are none,
/// which is said.
fn in_namespaces(script: &str, data: &Path) -> Option<Command> {
    let is_root = rustix::process::geteuid().is_root();
    let flags = if is_root { "-m" } else { "-Urm" };
    let can = Command::new("unshare").args([flags, "true"]).status();
    if !can.is_ok_and(|status| status.success()) {
        let is_required = std::env::var("JANUS_NAMESPACES").is_ok_and(|value| value == "required")
            || (is_root && std::env::var("CI").is_ok_and(|value| value == "true"));
        assert!(
            !is_required,
            "namespaces are required, and there are none to be had (unshare {flags})"
        );
        // Past the capture of a test that passes.
        let told = writeln!(
            std::io::stderr(),
            "NOT RUN: there are no namespaces to be had (unshare {flags})"
        );
        told.unwrap();
        return None;
    }
    let mut command = janus();
    let program = command.get_program().to_owned();
    let mut outer = Command::new("unshare");
    outer.args([flags, "sh", "-ec", &format!("{script}\nexec \"$0\" \"$@\"")]);
    outer
        .arg(program)
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data"]);
    outer.arg(data);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    command = outer;
    Some(command)
}

fn start_in_namespaces(script: &str, data: &Path) -> Option<Server> {
    let mut server = Server::spawn(&mut in_namespaces(script, data)?);
    server.wait_for("\"message\":\"ready\"");
    Some(server)
}

#[test]
fn a_file_that_is_mounted_alone_is_noticed_when_it_is_written_outside() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, before, after) in [
        ("a.json", r#"[{"id":"1"},{"id":"2"}]"#, r#"[{"id":"3"}]"#),
        ("a.csv", "id\n1\n2\n", "id\n3\n"),
    ] {
        let (outside, inside) = (path(name), path("mounted").join(name));
        std::fs::create_dir_all(path("mounted")).unwrap();
        std::fs::write(&outside, before).unwrap();
        std::fs::write(&inside, "").unwrap();
        let script = format!("mount --bind '{}' '{}'", outside.display(), inside.display());
        let Some(server) = start_in_namespaces(&script, &inside) else {
            return;
        };
        assert_eq!(server.get("/items").text(), r#"[{"id":"1"},{"id":"2"}]"#);
        std::fs::write(&outside, after).unwrap();
        wait_for_items(&server, r#"[{"id":"3"}]"#);
    }
}

#[test]
fn without_inotify_changes_are_noticed_by_polling() {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("a.json");
    put(&path, br#"[{"id":1}]"#);
    // The limit is that of a user namespace of its own.
    let script =
        "exec unshare -Ur sh -ec 'echo 0 > /proc/sys/user/max_inotify_instances; exec \"$0\" \"$@\"' \"$0\" \"$@\"";
    let Some(mut server) = start_in_namespaces(script, &path) else {
        return;
    };
    let log = server.log_so_far();
    assert!(log.iter().any(|line| line.contains("by polling alone")), "{log:#?}");
    assert_eq!(metric(&server, "janus_source_watched{by=\"notification\"}"), 0.0);
    assert_eq!(metric(&server, "janus_source_watched{by=\"polling\"}"), 1.0);
    for (id, is_renamed) in [(22, false), (3, false), (44, true)] {
        let content = format!("[{{\"id\":{id}}}]");
        if is_renamed {
            put(&path, content.as_bytes());
        } else {
            std::fs::write(&path, &content).unwrap();
        }
        wait_for_items(&server, &content);
    }
    assert_eq!(metric(&server, "janus_reloads_total{result=\"failure\"}"), 0.0);
}

#[test]
fn metrics_say_how_changes_are_noticed_and_when_the_source_was_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    put(&path, b"[1]");
    let modified = |seconds| {
        let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        File::open(&path).unwrap().set_modified(time).unwrap();
    };
    modified(1_000_000);
    let server = Server::of_file(&path, &["--poll-interval", "100ms"]);
    for by in ["notification", "polling"] {
        assert_eq!(metric(&server, &format!("janus_source_watched{{by=\"{by}\"}}")), 1.0);
    }
    assert_eq!(metric(&server, "janus_source_modified_timestamp_seconds"), 1e6);
    let checked = || metric(&server, "janus_source_last_checked_timestamp_seconds");
    let before = checked();
    wait_until("it is looked at again", PATIENCE, || checked() > before);
    modified(2_000_000);
    let shown = || metric(&server, "janus_source_modified_timestamp_seconds");
    wait_until("the new time", PATIENCE, || shown() == 2e6);
    assert_eq!(metric(&server, "janus_reload_in_progress_seconds"), 0.0);
    assert!(metric(&server, "janus_last_reload_attempt_timestamp_seconds") > 1e9);

    let server = Server::of_file(&path, &["--no-watch"]);
    for by in ["notification", "polling"] {
        assert_eq!(metric(&server, &format!("janus_source_watched{{by=\"{by}\"}}")), 0.0);
    }
    // What is no file cannot be watched.
    assert!(
        !Server::start(&[])
            .get("/metrics")
            .text()
            .contains("janus_source_watched")
    );
}

#[test]
fn what_is_no_file_any_more_is_refused_and_what_was_good_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let replace = |make: &dyn Fn(&Path)| {
        let temporary = directory.path().join("temporary");
        make(&temporary);
        std::fs::rename(&temporary, &path).unwrap();
    };
    put(&path, b"[1]");
    let mut server = Server::of_file(&path, &["--max-data-bytes", "1MiB"]);
    let sparse = |path: &Path| File::create(path).unwrap().set_len(8 << 40).unwrap();
    let fifo = |path: &Path| {
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, path, fifo, mode, 0).unwrap();
    };
    let zero = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    for (make, message) in [
        (&sparse as &dyn Fn(&Path), "--max-data-bytes"),
        (&fifo, "a pipe or device"),
        (&zero, "a pipe or device"),
    ] {
        replace(make);
        let line = server.wait_for("reload failed");
        assert!(line.contains(message), "{line}");
        assert_eq!(server.get("/items").text(), "[1]");
        assert_eq!(metric(&server, "janus_last_reload_successful"), 0.0);
    }
    replace(&|path| std::fs::write(path, b"[2]").unwrap());
    server.wait_for("\"message\":\"reloaded\"");
    assert_eq!(server.get("/items").text(), "[2]");
}

#[test]
fn a_hangup_with_standard_input_has_nothing_to_reload() {
    let mut server = Server::start_loading(&["--data", "-"]);
    server.stdin().write_all(b"{\"id\":1}\n").unwrap();
    server.wait_for("\"message\":\"ready\"");
    server.signal(Signal::HUP);
    server.wait_for("nothing to reload");
    assert_eq!(metric(&server, "janus_last_reload_successful"), 1.0);
    assert_eq!(metric(&server, "janus_reloads_total{result=\"failure\"}"), 0.0);
    assert_eq!(server.get("/items").text(), r#"[{"id":1}]"#);
}

#[test]
fn data_does_not_vanish() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let good = r#"[{"id":1},{"id":2},{"id":3},{"id":4}]"#;
    put(&path, good.as_bytes());
    let mut server = Server::of_file(&path, &["--min-items", "2", "--max-removed", "50%"]);
    let mut refused = |content: &str, reason: &str, removed: f64| {
        put(&path, content.as_bytes());
        let line: serde_json::Value = serde_json::from_str(&server.wait_for("reload failed")).unwrap();
        let fields = &line["fields"];
        assert_eq!(fields["refused"], reason, "{line}");
        assert_eq!(
            (&fields["items_before"], &fields["items_removed"]),
            (&4.into(), &(removed as u64).into())
        );
        assert_eq!(server.get("/items").text(), good);
        assert_eq!(metric(&server, "janus_last_reload_successful"), 0.0);
        assert_eq!(metric(&server, "janus_last_reload_refused_items"), removed);
        let series = format!("janus_reloads_refused_total{{reason=\"{reason}\"}}");
        assert_eq!(metric(&server, &series), 1.0);
    };
    refused("[]", "empty", 4.0);
    refused(r#"[{"ID":1},{"ID":2},{"ID":3},{"ID":4}]"#, "ids", 0.0);
    refused(r#"[{"id":1}]"#, "min_items", 3.0);
    refused(r#"[{"id":1},{"id":5},{"id":6},{"id":7}]"#, "max_removed", 3.0);
    put(&path, br#"[{"id":1},{"id":2}]"#);
    server.wait_for("\"message\":\"reloaded\"");
    assert_eq!(metric(&server, "janus_last_reload_refused_items"), 0.0);
    assert_eq!(metric(&server, "janus_reloads_total{result=\"failure\"}"), 4.0);

    // Whoever starts with nothing has nothing to lose, and whoever says so may lose it.
    put(&path, b"[]");
    let mut server = Server::of_file(&path, &["--allow-empty", "--min-items", "0"]);
    assert_eq!(server.get("/items").text(), "[]");
    for content in ["[{\"id\":1}]", "[]"] {
        put(&path, content.as_bytes());
        server.wait_for("\"message\":\"reloaded\"");
        assert_eq!(server.get("/items").text(), content);
    }
}
