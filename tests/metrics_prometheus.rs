//! The programs that the exposition is for, run for real: Prometheus scrapes it and answers queries, `promtool` checks
//! it, and the Python client's strict parser reads the OpenMetrics.
//!
//! A program that is missing fails the test, for a skipped proof looks like a passed one. Where that is wanted
//! nevertheless, `JANUS_WITHOUT_PROMETHEUS=1` says so aloud. `JANUS_PYTHON` names a Python that has
//! `prometheus_client`; `python3` is the default.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use janus::metrics::{Format, Registry, process};
use serde_json::Value;

/// Whether the test is to do without `program`, which could not be started.
fn without(program: &str) -> bool {
    let allowed = std::env::var_os("JANUS_WITHOUT_PROMETHEUS").is_some_and(|value| value == "1");
    assert!(
        allowed,
        "{program} is not installed; install it, or set JANUS_WITHOUT_PROMETHEUS=1 to go without its proof"
    );
    eprintln!("NOT PROVEN: {program} is not installed and JANUS_WITHOUT_PROMETHEUS=1 is set");
    true
}

/// One of every kind, with values that are known.
fn registry() -> Registry {
    let registry = Registry::new();
    registry.describe("janus_test_requests_total", "Requests, by \"route\"\nand status.", None);
    for (route, status, n) in [("/items", "200", 40), ("/items/{id}", "200", 2), ("/\"\\\n", "404", 1)] {
        let labels = [("route", route), ("status", status)];
        registry
            .counter("janus_test_requests_total", &labels)
            .unwrap()
            .increment(n);
    }
    registry.describe("janus_test_temperature_celsius", "A temperature.", Some("celsius"));
    registry
        .gauge("janus_test_temperature_celsius", &[])
        .unwrap()
        .set(-40.5);
    registry.describe("janus_test_absent", "A sensor that is not there.", None);
    registry.gauge("janus_test_absent", &[]).unwrap();
    registry.describe("janus_test_busy_seconds_total", "Time.", Some("seconds"));
    registry
        .duration_counter("janus_test_busy_seconds_total", &[])
        .unwrap()
        .increment(1_500_000_000);
    registry.describe("janus_test_snapshot_info", "The snapshot.", None);
    registry.info("janus_test_snapshot_info", &[], "id").unwrap().set("abc");
    registry.describe("janus_test_duration_seconds", "Durations.", Some("seconds"));
    let histogram = registry
        .histogram("janus_test_duration_seconds", &[("route", "/items")])
        .unwrap();
    for ns in [
        100,
        40_000,
        50_000,
        60_000,
        1_000_000,
        900_000_000,
        5_000_000_000,
        2_000_000_000_000,
    ] {
        histogram.record_ns(ns);
    }
    process::register(&registry, Path::new("/proc")).unwrap();
    registry
}

fn render(registry: &Registry, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    registry.render(format, &mut out);
    out
}

/// Feeds `input` to a program and returns whether it succeeded and all that it said, or `None` if it is not there.
fn feed(program: &str, arguments: &[&str], input: &[u8]) -> Option<(bool, String)> {
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

#[test]
fn promtool_finds_nothing_to_say() {
    let check = |text: &[u8]| feed("promtool", &["check", "metrics"], text);
    let Some(result) = check(&render(&registry(), Format::Text)) else {
        assert!(without("promtool"));
        return;
    };
    assert_eq!(result, (true, String::new()));
    let (accepted, _) = check(b"no_help_and_no_type_total{ 1\n").expect("it ran above");
    assert!(!accepted, "promtool refuses what is wrong");
}

#[test]
fn the_strict_openmetrics_parser_reads_every_family() {
    const PARSE: &str = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n\
        for family in parse(sys.stdin.read()):\n    \
        print(family.name, family.type, family.unit or '-', len(family.samples))\n";
    let python = std::env::var("JANUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_client = feed(&python, &["-c", "import prometheus_client"], b"").is_some_and(|(has, _)| has);
    if !has_client {
        assert!(without("prometheus_client, a package of Python,"));
        return;
    }
    let text = render(&registry(), Format::OpenMetrics);
    let (accepted, said) = feed(&python, &["-c", PARSE], &text).expect("it ran above");
    assert!(accepted, "{said}");
    for line in [
        "janus_test_requests counter - 3",
        "janus_test_temperature_celsius gauge celsius 1",
        "janus_test_busy_seconds counter seconds 1",
        "janus_test_snapshot_info gauge - 1",
        "janus_test_duration_seconds histogram seconds 18",
        "process_cpu_seconds counter seconds 1",
    ] {
        assert!(said.lines().any(|said| said == line), "{line} in:\n{said}");
    }
    assert!(!said.contains("janus_test_absent"));
    let (accepted, _) = feed(&python, &["-c", PARSE], &text[..text.len() - 6]).expect("it ran above");
    assert!(!accepted, "the parser refuses what has no end");
}

/// Answers every request on a loopback port with the exposition in the format that `Accept` asks for, and tells the
/// formats that it chose.
fn serve(registry: Arc<Registry>) -> (SocketAddr, mpsc::Receiver<Format>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    let address = listener.local_addr().expect("it is bound");
    let (chosen, formats) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some(format) = answer(&stream, &registry)
                && chosen.send(format).is_err()
            {
                // The test is over.
                return;
            }
        }
    });
    (address, formats)
}

fn answer(stream: &TcpStream, registry: &Registry) -> Option<Format> {
    let head = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty());
    let mut accept = None;
    for line in head {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("accept")
        {
            accept = Some(value.trim().to_owned());
        }
    }
    let format = Format::negotiate(accept.as_deref().map(str::as_bytes));
    let body = render(registry, format);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        format.content_type(),
        body.len()
    );
    let mut stream = stream;
    stream.write_all(&[head.as_bytes(), &body].concat()).ok()?;
    Some(format)
}

/// A Prometheus that is killed when it is dropped.
struct Prometheus {
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
    fn start(directory: &Path, target: SocketAddr, features: &[&str]) -> Option<Self> {
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
    fn query(&self, expression: &str) -> Vec<f64> {
        let body = self.get(expression).unwrap_or_default();
        let Ok(answer) = serde_json::from_str::<Value>(&body) else {
            return Vec::new();
        };
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |result: &Value| result["value"][1].as_str().and_then(|value| value.parse().ok());
        results.iter().filter_map(value).collect()
    }

    fn get(&self, expression: &str) -> std::io::Result<String> {
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
    fn expect(&self, expression: &str, expected: &[f64]) {
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
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Starts a Prometheus with `features` and has it answer for one metric of each kind.
fn check(features: &[&str], format: Format, histogram_queries: &[(&str, &[f64])]) {
    let directory = tempfile::tempdir().expect("there is a temporary directory");
    let (target, formats) = serve(Arc::new(registry()));
    let Some(prometheus) = Prometheus::start(directory.path(), target, features) else {
        assert!(without("prometheus"));
        return;
    };
    prometheus.expect("up{job=\"janus\"}", &[1.0]);
    assert_eq!(formats.recv(), Ok(format), "what this Prometheus asks for first");
    prometheus.expect("janus_test_requests_total{route=\"/items\",status=\"200\"}", &[40.0]);
    prometheus.expect("janus_test_requests_total{route=\"/\\\"\\\\\\n\"}", &[1.0]);
    prometheus.expect("sum(janus_test_requests_total)", &[43.0]);
    prometheus.expect("janus_test_temperature_celsius", &[-40.5]);
    prometheus.expect("janus_test_absent", &[]);
    prometheus.expect("janus_test_busy_seconds_total", &[1.5]);
    prometheus.expect("janus_test_snapshot_info{id=\"abc\"}", &[1.0]);
    prometheus.expect("process_threads > bool 0", &[1.0]);
    prometheus.expect("process_resident_memory_bytes > bool 1e6", &[1.0]);
    prometheus.expect(
        "process_virtual_memory_bytes >= bool process_resident_memory_bytes",
        &[1.0],
    );
    prometheus.expect("process_open_fds < bool process_max_fds", &[1.0]);
    prometheus.expect("process_cpu_seconds_total >= bool 0", &[1.0]);
    prometheus.expect("abs(time() - process_start_time_seconds) < bool 600", &[1.0]);
    for (expression, expected) in histogram_queries {
        prometheus.expect(expression, expected);
    }
}

#[test]
fn prometheus_scrapes_openmetrics_with_classic_histograms() {
    check(
        &[],
        Format::OpenMetrics,
        &[
            ("janus_test_duration_seconds_count", &[8.0]),
            ("janus_test_duration_seconds_bucket{le=\"5e-05\"}", &[3.0]),
            ("janus_test_duration_seconds_bucket{le=\"1.0\"}", &[6.0]),
            ("janus_test_duration_seconds_bucket{le=\"+Inf\"}", &[8.0]),
            ("round(janus_test_duration_seconds_sum, 0.001)", &[2005.901]),
        ],
    );
}

#[test]
fn prometheus_scrapes_protobuf_with_native_histograms() {
    check(
        &["--enable-feature=native-histograms"],
        Format::Protobuf,
        &[
            ("histogram_count(janus_test_duration_seconds)", &[8.0]),
            ("round(histogram_sum(janus_test_duration_seconds), 0.001)", &[2005.901]),
            // The fifth of eight is the one of 1 ms: the bucket around it is at most 9 % wide to each side.
            (
                "abs(histogram_quantile(0.6, janus_test_duration_seconds) - 0.001) < bool 0.0001",
                &[1.0],
            ),
            ("histogram_fraction(0, 0.25, janus_test_duration_seconds)", &[0.625]),
        ],
    );
}
