//! Holds who may import whom, and what the pure modules never name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module and the modules of the crate that it may name; `app` and what it is made of may name all.
const RULES: &[(&str, &[&str])] = &[
    ("allocator", &[]),
    ("ledger", &[]),
    ("body", &["ledger"]),
    ("items", &["body", "ledger"]),
    ("memory", &[]),
    ("budget", &["ledger", "memory"]),
    ("metrics", &[]),
    ("source", &[]),
    ("lifecycle", &[]),
    ("snapshot", &["body", "items", "ledger"]),
    ("hardware", &["metrics"]),
    (
        "http",
        &["body", "ledger", "snapshot", "metrics", "lifecycle", "reload"],
    ),
];

/// Paths that never name an actix, tokio or file-system type.
const PURE: &[&str] = &[
    "ledger.rs",
    "body.rs",
    "items",
    "snapshot",
    "metrics",
    "http/framing.rs",
    "http/h2/frames.rs",
    "http/h2/request.rs",
    "http/host.rs",
    "http/request.rs",
    "http/route.rs",
    "http/negotiate.rs",
    "http/range.rs",
    "http/proxies.rs",
    "http/proxy_header.rs",
    "http/answer.rs",
    "http/reply.rs",
    "http/problem.rs",
    "http/cors.rs",
    "http/pressure.rs",
    "http/send_rate.rs",
    "http/slice.rs",
];

/// The one place of the pure modules that reads a file system, procfs, and nothing else.
const EXCEPTIONS: &[&str] = &["metrics/process.rs"];

const IMPURE: &[&str] = &["actix", "tokio::", "std::fs", "std::path", "std::net", "notify::"];

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut files: Vec<_> = entries.flat_map(|entry| sources(&entry.unwrap().path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// A file's code: without comments, and without the unit tests at its end.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn modules_import_only_what_they_may() {
    for (module, allowed) in RULES {
        let allowed: BTreeSet<&str> = allowed.iter().copied().chain([*module]).collect();
        let root = Path::new("src").join(module);
        let root = if root.is_dir() { root } else { root.with_extension("rs") };
        for file in sources(&root) {
            for (number, line) in code(&file).lines().enumerate() {
                for import in line.split("crate::").skip(1) {
                    let name: String = import
                        .chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect();
                    assert!(
                        allowed.contains(name.as_str()),
                        "{}:{}: {module} may name {allowed:?}, and names {name}: {line}",
                        file.display(),
                        number + 1
                    );
                }
            }
        }
    }
}

#[test]
fn pure_modules_do_no_input_or_output() {
    for path in PURE {
        for file in sources(&Path::new("src").join(path)) {
            let name = file.strip_prefix("src").unwrap().to_str().unwrap().to_owned();
            if EXCEPTIONS.contains(&name.as_str()) {
                continue;
            }
            for line in code(&file).lines() {
                for impure in IMPURE {
                    assert!(!line.contains(impure), "{name} is pure and names {impure}: {line}");
                }
            }
        }
    }
}

#[test]
fn the_main_file_only_parses_and_runs() {
    let lines = fs::read_to_string("src/main.rs").unwrap().lines().count();
    assert!(lines < 60, "src/main.rs has {lines} lines");
}
