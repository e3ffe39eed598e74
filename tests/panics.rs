//! A panic is a line in the log's format, in a process of its own.

use std::process::Command;

use janus::config::{Sources, resolve};

/// Set where this program is run by itself, to panic.
const CHILD: &str = "JANUS_TEST_LOG_FORMAT";

#[test]
fn a_panic_is_a_line_of_the_log() {
    if let Ok(format) = std::env::var(CHILD) {
        let mut sources = Sources::default();
        sources.flags.insert("log-format".to_owned(), format.into());
        let _log = janus::logging::init(&resolve(&sources).unwrap()).unwrap();
        let panicking = std::thread::Builder::new().name("worker-7".to_owned());
        let panicking = panicking.spawn(|| panic!("an \"odd\"\nmessage, number {}", 7)).unwrap();
        assert!(panicking.join().is_err());
        return;
    }
    for format in ["json", "text"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_panic_is_a_line_of_the_log", "--nocapture"])
            .env(CHILD, format)
            .env("NO_COLOR", "1")
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        if format == "text" {
            assert!(
                log.contains("ERROR") && log.contains("panicked: an") && log.contains("thread=\"worker-7\""),
                "{log}"
            );
            assert!(!log.contains("note: run with"), "{log}");
            continue;
        }
        let lines: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?} in {log}")))
            .collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert_eq!(
            (&lines[0]["level"], &lines[0]["target"]),
            (&"ERROR".into(), &"janus::panic".into())
        );
        let fields = &lines[0]["fields"];
        assert_eq!(fields["message"], "panicked: an \"odd\"\nmessage, number 7");
        assert_eq!(fields["thread"], "worker-7");
        assert!(
            fields["place"].as_str().unwrap().starts_with("tests/panics.rs:"),
            "{fields}"
        );
    }
}
