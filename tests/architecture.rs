//! Holds who may import whom, and what the pure modules never name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module and the modules of the crate that it may name; `app` and what it is made of may name all.
const RULES: &[(&str, &[&str])] = &[
    ("allocator", &[]),
    ("coding", &[]),
    ("ledger", &[]),
    ("body", &["ledger"]),
    ("items", &["body", "ledger"]),
    ("memory", &[]),
    ("budget", &["ledger", "memory"]),
    ("metrics", &[]),
    ("source", &[]),
    ("lifecycle", &[]),
    ("status", &[]),
    ("snapshot", &["body", "coding", "items", "ledger", "status"]),
    ("hardware", &["metrics"]),
];

/// A part of `http`, the modules of the crate that it may name, and the parts of `http`.
const HTTP: &[(&str, &[&str], &[&str])] = &[
    ("message", &["coding"], &[]),
    ("answer", &["body", "snapshot", "status"], &["message"]),
    ("call", &["snapshot"], &[]),
    (
        "serve",
        &["body", "exit", "ledger", "lifecycle", "metrics", "snapshot", "status"],
        &["message", "answer", "call"],
    ),
    (
        "app",
        &["body", "lifecycle", "metrics", "reload", "snapshot"],
        &["message", "answer", "call"],
    ),
];

/// Paths that never name an actix, tokio or file-system type.
const PURE: &[&str] = &[
    "ledger.rs",
    "body.rs",
    "items",
    "snapshot",
    "metrics",
    "coding.rs",
    "http/message",
    "http/answer",
    "http/serve/h2/frames.rs",
    "http/serve/h2/request.rs",
    "http/serve/pressure.rs",
    "http/serve/send_rate.rs",
    "http/serve/slice.rs",
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

/// The names that follow `prefix` in a file's code, each with its line.
fn names<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = (usize, String, &'a str)> {
    code.lines().enumerate().flat_map(move |(number, line)| {
        let imports = line.split(prefix).skip(1);
        imports.map(move |import| {
            let is_in_name = |c: &char| c.is_alphanumeric() || *c == '_';
            (number + 1, import.chars().take_while(is_in_name).collect(), line)
        })
    })
}

/// Checks that a module names only what it may behind `prefix`.
fn check(root: &Path, prefix: &str, allowed: &BTreeSet<&str>) {
    let root = if root.is_dir() {
        root.to_owned()
    } else {
        root.with_extension("rs")
    };
    for file in sources(&root) {
        for (number, name, line) in names(&code(&file), prefix) {
            assert!(
                allowed.contains(name.as_str()),
                "{}:{number}: it may name {allowed:?}, and names {name}: {line}",
                file.display(),
            );
        }
    }
}

#[test]
fn modules_import_only_what_they_may() {
    for (module, allowed) in RULES {
        let allowed = allowed.iter().copied().chain([*module]).collect();
        check(&Path::new("src").join(module), "crate::", &allowed);
    }
    for (part, allowed, parts) in HTTP {
        let root = Path::new("src/http").join(part);
        check(&root, "crate::", &allowed.iter().copied().chain(["http"]).collect());
        check(&root, "crate::http::", &parts.iter().copied().chain([*part]).collect());
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
