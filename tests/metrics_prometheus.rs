//! The programs that the exposition is for, run for real: Prometheus scrapes it and answers queries, `promtool` checks
//! it, and the Python client's strict parser reads the OpenMetrics.

#[path = "support/prometheus.rs"]
mod programs;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use janus::metrics::{Format, Registry, process};
use programs::{Prometheus, feed, parse_strictly, without};

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
    registry
        .gauge("janus_test_snapshot_info", &[("id", "abc")])
        .unwrap()
        .set(1.0);
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

#[test]
fn promtool_finds_nothing_to_say() {
    let check = |text: &[u8]| feed("promtool", &["check", "metrics"], text);
    let Some(result) = check(&render(&registry(), Format::Text)) else {
        without("promtool");
        return;
    };
    assert_eq!(result, (true, String::new()));
    let (accepted, _) = check(b"no_help_and_no_type_total{ 1\n").expect("it ran above");
    assert!(!accepted, "promtool refuses what is wrong");
}

#[test]
fn the_strict_openmetrics_parser_reads_every_family() {
    let text = render(&registry(), Format::OpenMetrics);
    let Some((accepted, said)) = parse_strictly(&text) else {
        without("prometheus_client, a package of Python,");
        return;
    };
    assert!(accepted, "{said}");
    for line in [
        "janus_test_requests counter - 3",
        "janus_test_temperature_celsius gauge celsius 1",
        "janus_test_busy_seconds counter seconds 1",
        "janus_test_snapshot_info gauge - 1",
        "janus_test_duration_seconds histogram seconds 25",
        "process_cpu_seconds counter seconds 1",
    ] {
        assert!(said.lines().any(|said| said == line), "{line} in:\n{said}");
    }
    assert!(!said.contains("janus_test_absent"));
    let (accepted, _) = parse_strictly(&text[..text.len() - 6]).expect("it ran above");
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

/// Starts a Prometheus with `features` and has it answer for one metric of each kind.
fn check(features: &[&str], format: Format, histogram_queries: &[(&str, &[f64])]) {
    let directory = tempfile::tempdir().expect("there is a temporary directory");
    let (target, formats) = serve(Arc::new(registry()));
    let Some(prometheus) = Prometheus::start(directory.path(), target, features) else {
        without("prometheus");
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
