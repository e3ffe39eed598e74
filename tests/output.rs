//! Output that cannot be written, or only up to a limit: exit codes, and a server that goes on.

#![cfg(unix)]

mod support;

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use rustix::process::Signal;
use support::{Client, PATIENCE, Server, janus, put};

/// Commands that print on standard output.
const PRINTING: [&[&str]; 5] = [
    &["check", "items.json"],
    &["completions", "bash"],
    &["--help"],
    &["check", "--help"],
    &["--version"],
];

/// A command within a folder that has the file that [`PRINTING`] names.
fn command(directory: &tempfile::TempDir, arguments: &[&str]) -> Command {
    std::fs::write(directory.path().join("items.json"), "[{\"id\":1}]").unwrap();
    let mut command = janus();
    command
        .args(arguments)
        .current_dir(directory.path())
        .stdin(Stdio::null());
    command
}

fn full() -> File {
    OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("there is /dev/full")
}

fn check(output: &Output, arguments: &[&str], code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    stderr
}

#[test]
fn standard_output_that_takes_nothing_is_told_and_an_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in PRINTING {
        let output = command(&directory, arguments).stdout(full()).output().unwrap();
        let stderr = check(&output, arguments, 74);
        assert!(stderr.contains("standard output"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_pipe_that_nobody_reads_any_more_ends_a_command_quietly() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(&directory, arguments).stdout(writer).output().unwrap();
        let stderr = check(&output, arguments, 0);
        // The progress of a load is told all the same.
        assert!(!stderr.contains("standard output"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn standard_error_that_takes_nothing_changes_no_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (&["check", "missing.json"][..], 66),
        (&["--no-such-flag"], 2),
        (&["check", "items.json", "--workers", "many"], 2),
        (&["health", "--listen", "127.0.0.1:1"], 1),
        (&["check", "items.json"], 0),
    ] {
        let output = command(&directory, arguments).stderr(full()).output().unwrap();
        check(&output, arguments, code);
    }
}

/// A command of a server that may write files of `blocks` times 512 bytes at most.
fn limited(blocks: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -f {blocks} && exec \"$0\" \"$@\"")])
        .arg(janus().get_program())
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .args(arguments);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JANUS_")) {
        command.env_remove(name);
    }
    command
}

#[test]
fn bodies_are_served_where_files_are_limited() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    let text = |mark: &str| format!("[{{\"id\":1,\"text\":\"{}\"}}]", mark.repeat(100_000));
    put(&path, text("a").as_bytes());
    // None at all; less than the body; less than the body and more than a coding of it.
    for blocks in [0, 64, 150] {
        let mut server = Server::spawn(&mut limited(blocks, &["--no-watch", "--data", path.to_str().unwrap()]));
        server.wait_for("\"message\":\"ready\"");
        for mark in ["b", "a"] {
            put(&path, text(mark).as_bytes());
            server.signal(Signal::HUP);
            server.wait_for("\"message\":\"reloaded\"");
            assert!(server.get("/items").body == text(mark).as_bytes());
            let coded = server.get_with("/items", &[("accept-encoding", "gzip")]);
            assert_eq!(support::decode(Some("gzip"), &coded.body), text(mark).as_bytes());
        }
    }
}

#[test]
fn a_log_that_has_reached_its_limit_is_not_the_servers_end() {
    /// Room for the log's first lines, and not for those of many requests.
    const LENGTH_MAX: u64 = 16 << 10;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut server = limited((LENGTH_MAX / 512) as u32, &["--access-log"])
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let address: SocketAddr = wait_for(|| {
        let log = std::fs::read_to_string(&log).unwrap();
        let (_, after) = log.split_once("\"message\":\"listening\",\"address\":\"")?;
        after.split_once('"')?.0.parse().ok()
    });
    let mut client = Client::connect(address);
    wait_for(|| {
        client.get("/items", &[]);
        (std::fs::metadata(&log).unwrap().len() == LENGTH_MAX).then_some(())
    });
    for _ in 0..10 {
        client.get("/items", &[]);
    }
    assert!(server.try_wait().unwrap().is_none(), "it runs");
    assert_eq!(Client::connect(address).get("/items", &[]).status, 200);
    server.kill().unwrap();
    server.wait().unwrap();
}

#[track_caller]
fn wait_for<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "it does not come to that");
    }
}
