//! The programs that the exposition is for: Prometheus, `promtool`, and the strict parser of Prometheus's Python client.
//!
//! A program that is missing is said aloud on standard error, and fails the test where it is required: `.ci/run` installs
//! all of them and sets `JANUS_PROMETHEUS=required`. `JANUS_PYTHON` names a Python that has `prometheus_client`;
//! `python3` is the default.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses the part it needs"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Goes on without `program`, which could not be started, unless it is required.
pub fn without(program: &str) {
    let is_required = std::env::var_os("JANUS_PROMETHEUS").is_some_and(|value| value == "required");
    assert!(
        !is_required,
        "{program} is not installed, and JANUS_PROMETHEUS=required is set"
    );
    // Past the test harness, which hides what a passing test prints.
    let line = format!("\nNOT PROVEN: {program} is not installed; .ci/run installs it\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error is open");
}

/// Feeds `input` to a program and returns whether it succeeded and all that it said, or `None` if it is not there.
pub fn feed(program: &str, arguments: &[&str], input: &[u8]) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    // A program that ends early closes the pipe; what it said then tells why.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    let output = child.wait_with_output().expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// Has the Python client's strict parser read an OpenMetrics text: a line a family, or `None` if it is not there.
pub fn parse_strictly(text: &[u8]) -> Option<(bool, String)> {
    const PARSE: &str = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n\
        for family in parse(sys.stdin.read()):\n    \
        print(family.name, family.type, family.unit or '-', len(family.samples))\n";
    let python = std::env::var("JANUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_client = feed(&python, &["-c", "import prometheus_client"], b"").is_some_and(|(has, _)| has);
    has_client.then(|| feed(&python, &["-c", PARSE], text).expect("it ran above"))
}

/// A Prometheus that is killed when it is dropped.
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts one that scrapes `target` every 200 ms, or `None` where it is not installed.
    pub fn start(directory: &Path, target: SocketAddr, features: &[&str]) -> Option<Self> {
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             scrape_configs:\n- job_name: janus\n  static_configs: [{{targets: ['{target}']}}]\n"
        );
        let config_file = directory.join("prometheus.yml");
        std::fs::write(&config_file, config).expect("the directory is writable");
        // It cannot be asked for any free port, so one that was free a moment ago is taken.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(features)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.join("log")).expect("the directory is writable"))
            .spawn()
            .ok()?;
        Some(Self { child, address })
    }

    /// The values of an instant query; empty where there is no result, or no Prometheus yet.
    pub fn query(&self, expression: &str) -> Vec<f64> {
        let body = self.get(expression).unwrap_or_default();
        let Ok(answer) = serde_json::from_str::<Value>(&body) else {
            return Vec::new();
        };
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |result: &Value| result["value"][1].as_str().and_then(|value| value.parse().ok());
        results.iter().filter_map(value).collect()
    }

    pub fn get(&self, expression: &str) -> std::io::Result<String> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET /api/v1/query?query={escaped} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
            .unwrap_or_default())
    }

    /// Asks until the answer is as expected. Prometheus tells nobody that it has scraped, so it must be asked again.
    pub fn expect(&self, expression: &str, expected: &[f64]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut values = self.query(expression);
            values.sort_by(f64::total_cmp);
            if values == expected {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{expression} is {values:?}, not {expected:?}"
            );
            #[allow(clippy::disallowed_methods, reason = "there is nothing to wait for but time")]
            thread::sleep(Duration::from_millis(50));
        }
    }
}
