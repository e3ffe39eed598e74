//! Puts the git commit and the compiler's version into the program.

use std::path::Path;
use std::process::Command;

fn main() {
    // Image builds have no .git and say it by the variable.
    println!("cargo::rerun-if-env-changed=JANUS_GIT_COMMIT");
    let commit = std::env::var("JANUS_GIT_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty())
        .or_else(commit_of_checkout);
    println!(
        "cargo::rustc-env=JANUS_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(rustc).arg("--version")).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=JANUS_RUSTC={version}");
}

fn commit_of_checkout() -> Option<String> {
    // The log of HEAD changes with each commit and each checkout, and with nothing else.
    let log = output(Command::new("git").args(["rev-parse", "--git-path", "logs/HEAD"]))?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    output(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]))
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
