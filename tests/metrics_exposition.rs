//! The exposition, byte by byte: what a scrape says of what was recorded.

use std::sync::{Arc, Mutex};

use janus::metrics::collected::{Family, Value};
use janus::metrics::{Buckets, Format, RegisterError, Registry, TraceContext};

fn render(registry: &Registry, format: Format) -> String {
    let mut out = Vec::new();
    registry.render(format, &mut out);
    String::from_utf8(out).expect("both text formats are UTF-8")
}

/// The exposition without the registry's own metric.
fn render_own(registry: &Registry, format: Format) -> String {
    let text = render(registry, format);
    text.lines()
        .filter(|line| !line.contains("janus_metrics_rejected"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn text_is_sorted_with_help_type_and_escaped_labels() {
    let registry = Registry::new();
    registry.describe("b_total", "Back\\slash, \"quotes\"\nand a line feed.", None);
    registry
        .counter("b_total", &[("z", "1"), ("a", "\\\"\n")])
        .unwrap()
        .increment(3);
    registry.counter("b_total", &[]).unwrap().increment(u64::MAX - 1);
    registry.gauge("a", &[]).unwrap().set(-1.5);
    assert_eq!(
        render_own(&registry, Format::Text),
        "# TYPE a gauge\n\
         a -1.5\n\
         # HELP b_total Back\\\\slash, \"quotes\"\\nand a line feed.\n\
         # TYPE b_total counter\n\
         b_total 18446744073709551614\n\
         b_total{a=\"\\\\\\\"\\n\",z=\"1\"} 3\n"
    );
}

#[test]
fn openmetrics_names_units_and_ends() {
    let registry = Registry::new();
    registry.describe("cpu_seconds_total", "Say \"CPU\".", Some("seconds"));
    registry.describe("plain", "No suffix.", Some("bytes"));
    registry
        .duration_counter("cpu_seconds_total", &[])
        .unwrap()
        .increment(1_250_000_000);
    registry.counter("plain", &[("k", "v")]).unwrap().increment(7);
    assert_eq!(
        render_own(&registry, Format::OpenMetrics),
        "# HELP cpu_seconds Say \\\"CPU\\\".\n\
         # TYPE cpu_seconds counter\n\
         # UNIT cpu_seconds seconds\n\
         cpu_seconds_total 1.25\n\
         # HELP plain No suffix.\n\
         # TYPE plain counter\n\
         plain_total{k=\"v\"} 7\n\
         # EOF\n"
    );
}

#[test]
fn a_histogram_has_every_bucket_and_a_count_that_agrees() {
    let registry = Registry::new();
    let histogram = registry.histogram("d_seconds", &[("route", "/x")]).unwrap();
    histogram.record_ns(50_000);
    histogram.record_ns(50_001);
    histogram.record(0.25);
    histogram.record(1e6);
    histogram.record(f64::NAN);
    histogram.record(-1.0);
    assert_eq!(
        render_own(&registry, Format::Text),
        "# TYPE d_seconds histogram\n\
         d_seconds_bucket{route=\"/x\",le=\"1e-06\"} 1\n\
         d_seconds_bucket{route=\"/x\",le=\"2.5e-06\"} 1\n\
         d_seconds_bucket{route=\"/x\",le=\"5e-06\"} 1\n\
         d_seconds_bucket{route=\"/x\",le=\"1e-05\"} 1\n\
         d_seconds_bucket{route=\"/x\",le=\"2.5e-05\"} 1\n\
         d_seconds_bucket{route=\"/x\",le=\"5e-05\"} 2\n\
         d_seconds_bucket{route=\"/x\",le=\"0.0001\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.00025\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.0005\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.001\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.0025\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.005\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.01\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.025\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.05\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.1\"} 3\n\
         d_seconds_bucket{route=\"/x\",le=\"0.25\"} 4\n\
         d_seconds_bucket{route=\"/x\",le=\"0.5\"} 4\n\
         d_seconds_bucket{route=\"/x\",le=\"1.0\"} 4\n\
         d_seconds_bucket{route=\"/x\",le=\"2.5\"} 4\n\
         d_seconds_bucket{route=\"/x\",le=\"5.0\"} 4\n\
         d_seconds_bucket{route=\"/x\",le=\"10.0\"} 4\n\
         d_seconds_bucket{route=\"/x\",le=\"+Inf\"} 5\n\
         d_seconds_sum{route=\"/x\"} 1000000.250100001\n\
         d_seconds_count{route=\"/x\"} 5\n"
    );
}

#[test]
fn floats_read_back_as_the_same_value() {
    let registry = Registry::new();
    let gauge = registry.gauge("g", &[]).unwrap();
    for value in [
        0.0,
        -0.0,
        1.0,
        -3.0,
        0.1,
        1e300,
        -2.5e-300,
        9_007_199_254_740_993.0,
        f64::MIN_POSITIVE,
    ] {
        gauge.set(value);
        let text = render_own(&registry, Format::Text);
        let written = text.lines().last().unwrap().strip_prefix("g ").unwrap();
        assert_eq!(written.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{written}");
    }
    for (value, written) in [(f64::INFINITY, "+Inf"), (f64::NEG_INFINITY, "-Inf"), (f64::NAN, "NaN")] {
        gauge.set(value);
        assert!(render_own(&registry, Format::Text).ends_with(&format!("g {written}\n")));
    }
}

#[test]
fn a_series_without_a_value_is_not_there_and_neither_is_its_family() {
    let registry = Registry::new();
    let empty = || render_own(&registry, Format::Text);
    let gauge = registry.gauge("sensor_celsius", &[]).unwrap();
    assert_eq!(empty(), "");
    gauge.set(41.0);
    assert!(empty().ends_with("sensor_celsius 41\n"));
    gauge.increment(2.0);
    assert!(empty().ends_with("sensor_celsius 43\n"));
    registry.counter("errors_total", &[]).unwrap();
    assert!(empty().contains("errors_total 0\n"));
}

#[test]
fn absolute_raises_and_never_lowers_whatever_was_incremented() {
    let registry = Registry::new();
    let counter = registry.counter("c_total", &[]).unwrap();
    let expect = |total: u64| assert!(render(&registry, Format::Text).contains(&format!("\nc_total {total}\n")));
    counter.increment(5);
    counter.absolute(12);
    expect(12);
    counter.increment(1);
    expect(13);
    counter.absolute(7);
    expect(13);
    counter.absolute(20);
    expect(20);
}

const STATE: Family = Family::gauge("snapshot_info", None, "What is served.");
const ERRORS: Family = Family::counter("disk_errors_total", None, "Errors.");
const TIME: Family = Family::counter("busy_seconds_total", Some("seconds"), "Time.");

#[test]
fn what_is_collected_is_there_as_long_as_it_is_collected() {
    let registry = Registry::new();
    registry.gauge("between", &[]).unwrap().set(7.0);
    let served = Arc::new(Mutex::new(Some("old")));
    let collected = Arc::clone(&served);
    registry
        .collect(&[STATE, ERRORS, TIME], move |samples| {
            if let Some(id) = *collected.lock().unwrap() {
                samples.insert(STATE.series(vec![("id", id.to_owned())]), Value::Gauge(1.0));
                samples.insert(ERRORS.series(vec![("device", "b".to_owned())]), Value::Counter(3));
                samples.insert(ERRORS.series(vec![("device", "a".to_owned())]), Value::Counter(0));
                samples.insert(TIME.series(vec![]), Value::Nanoseconds(1_500_000_000));
            }
        })
        .unwrap();
    let text = |id: &str| {
        format!(
            "# TYPE between gauge\nbetween 7\n\
             # HELP busy_seconds_total Time.\n# TYPE busy_seconds_total counter\nbusy_seconds_total 1.5\n\
             # HELP disk_errors_total Errors.\n# TYPE disk_errors_total counter\n\
             disk_errors_total{{device=\"a\"}} 0\ndisk_errors_total{{device=\"b\"}} 3\n\
             # HELP snapshot_info What is served.\n# TYPE snapshot_info gauge\nsnapshot_info{{id=\"{id}\"}} 1\n"
        )
    };
    assert_eq!(render_own(&registry, Format::Text), text("old"));
    *served.lock().unwrap() = Some("\"new\"");
    assert_eq!(render_own(&registry, Format::Text), text("\\\"new\\\""));
    assert!(
        render_own(&registry, Format::OpenMetrics)
            .contains("# TYPE disk_errors counter\ndisk_errors_total{device=\"a\"} 0\n")
    );
    *served.lock().unwrap() = None;
    assert_eq!(render_own(&registry, Format::Text), "# TYPE between gauge\nbetween 7\n");
}

#[test]
fn what_is_collected_is_refused_as_what_is_registered() {
    let registry = Registry::with_max_series(5);
    registry.histogram("h_seconds", &[]).unwrap();
    for name in ["h_seconds_count", "0", ""] {
        let family = Family::gauge(name, None, "");
        assert!(registry.collect(&[family], |_| ()).is_err(), "{name}");
    }
    registry
        .collect(&[STATE], |samples| {
            for id in ["a", "b", "c"] {
                samples.insert(STATE.series(vec![("id", id.to_owned())]), Value::Gauge(1.0));
            }
            samples.insert(STATE.series(vec![("0", String::new())]), Value::Gauge(1.0));
        })
        .unwrap();
    // Three of the registry's own, one histogram: one is left.
    let text = render(&registry, Format::Text);
    assert_eq!(text.matches("snapshot_info{").count(), 1, "{text}");
    let text = render(&registry, Format::Text);
    assert!(text.contains("reason=\"limit\"} "), "{text}");
}

/// The field `traceparent` of a trace with this number.
fn trace(number: u8) -> TraceContext {
    TraceContext::parse(format!("00-{number:032x}-{:016x}-01", 0xabc).as_bytes()).unwrap()
}

#[test]
fn a_bucket_shows_the_first_trace_since_the_last_scrape() {
    let registry = Registry::new();
    let histogram = registry.histogram("d_seconds", &[]).unwrap();
    let offer = |ns: u64, number: u8| {
        histogram.record_ns(ns);
        histogram.offer_exemplar(ns, || Some(trace(number)));
    };
    let exemplar = |le: &str| {
        let text = render(&registry, Format::OpenMetrics);
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("d_seconds_bucket{{le=\"{le}\"}}")));
        line.unwrap().split_once(" # ").map(|(_, exemplar)| exemplar.to_owned())
    };
    histogram.record_ns(3_000_000);
    assert_eq!(exemplar("0.005"), None);
    offer(3_000_000, 1);
    offer(4_000_000, 2);
    offer(11_000_000_000, 3);
    let of =
        |number: u8, seconds: &str| format!("{{trace_id=\"{number:032x}\",span_id=\"{:016x}\"}} {seconds} ", 0xabc);
    // The text format has none, and does not take them either.
    assert!(!render(&registry, Format::Text).contains(" # {"));
    let first = exemplar("0.005").unwrap();
    assert!(first.starts_with(&of(1, "0.003")), "{first}");
    let timestamp: f64 = first.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(timestamp > 1.6e9);
    assert!(exemplar("+Inf").unwrap().starts_with(&of(3, "11")));
    assert_eq!(exemplar("0.01"), None);
    // It stays until there is another.
    assert_eq!(exemplar("0.005"), Some(first));
    offer(5_000_000, 4);
    offer(5_000_000, 5);
    assert!(exemplar("0.005").unwrap().starts_with(&of(4, "0.005")));
}

#[test]
fn a_family_has_its_own_bounds_and_no_others() {
    let registry = Registry::new();
    registry
        .histogram_of(Buckets::LOADS, "load_seconds", &[])
        .unwrap()
        .record_ns(200_000_000_000);
    registry.histogram("request_seconds", &[]).unwrap().record_ns(1_500);
    let text = render(&registry, Format::Text);
    for line in [
        "load_seconds_bucket{le=\"5e-05\"} 0",
        "load_seconds_bucket{le=\"120.0\"} 0",
        "load_seconds_bucket{le=\"300.0\"} 1",
        "request_seconds_bucket{le=\"1e-06\"} 0",
        "request_seconds_bucket{le=\"2.5e-06\"} 1",
        "request_seconds_bucket{le=\"10.0\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is not in {text}");
    }
    assert!(
        !text.contains("load_seconds_bucket{le=\"1e-06\"}") && !text.contains("request_seconds_bucket{le=\"30.0\"}")
    );
    assert!(
        registry.histogram("load_seconds", &[("a", "b")]).is_err(),
        "one name, one set of bounds"
    );
}

#[test]
fn names_that_nobody_emits_are_free() {
    let registry = Registry::new();
    registry.histogram("d_seconds", &[]).unwrap();
    registry.counter("c_total", &[]).unwrap();
    for name in ["d_seconds_created", "c_created"] {
        registry.gauge(name, &[]).unwrap();
    }
    for name in ["d_seconds_count", "c"] {
        assert!(registry.gauge(name, &[]).is_err(), "{name}");
    }
}

#[test]
fn hooks_run_before_each_scrape() {
    let registry = Registry::new();
    let scrapes = registry.counter("scrapes_total", &[]).unwrap();
    registry.on_scrape(move || scrapes.increment(1));
    for scrape in 1..=3 {
        assert!(render(&registry, Format::Text).contains(&format!("scrapes_total {scrape}\n")));
    }
}

#[test]
fn the_same_series_is_one_series() {
    let registry = Registry::new();
    registry
        .counter("c_total", &[("a", "1"), ("b", "2")])
        .unwrap()
        .increment(1);
    registry
        .counter("c_total", &[("b", "2"), ("a", "1")])
        .unwrap()
        .increment(1);
    assert!(render(&registry, Format::Text).contains("c_total{a=\"1\",b=\"2\"} 2\n"));
}

#[test]
fn what_breaks_the_data_model_is_refused_and_counted() {
    let registry = Registry::new();
    for name in ["", "1a", "a-b", "a b", "ä", "_total"] {
        assert!(
            matches!(registry.counter(name, &[]), Err(RegisterError::InvalidName { .. })),
            "{name:?}"
        );
    }
    for label in ["", "1a", "a:b", "__a", "ä"] {
        let refused = registry.counter("c_total", &[(label, "")]);
        assert!(matches!(refused, Err(RegisterError::InvalidLabel { .. })), "{label:?}");
    }
    assert!(registry.gauge("g", &[("a", "1"), ("a", "2")]).is_err());
    assert!(registry.histogram("h", &[("le", "1")]).is_err());
    let text = render(&registry, Format::Text);
    assert!(
        text.contains("janus_metrics_rejected_total{reason=\"invalid\"} 13\n"),
        "{text}"
    );
    assert_eq!(
        render_own(&registry, Format::Text),
        "",
        "nothing refused has left a series"
    );
}

#[test]
fn a_name_belongs_to_one_kind_in_every_format() {
    let registry = Registry::new();
    registry.counter("requests_total", &[]).unwrap();
    registry.histogram("latency_seconds", &[]).unwrap();
    let refused = [
        registry.gauge("requests_total", &[]).err(),
        registry.gauge("requests", &[]).err(),
        registry.counter("requests", &[]).err(),
        registry.duration_counter("requests_total", &[]).err(),
        registry.gauge("latency_seconds_count", &[]).err(),
        registry.counter("latency_seconds_sum", &[]).err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(RegisterError::Conflict { .. })), "{error:?}");
    }
    assert!(render(&registry, Format::Text).contains("rejected_total{reason=\"conflict\"} 6\n"));
    let error = registry.gauge("requests_total", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "metric requests_total cannot be a gauge: the name requests_total belongs to requests_total, a counter"
    );
}

#[test]
fn series_are_bounded_and_the_refused_are_counted() {
    let registry = Registry::with_max_series(2 + 3);
    registry.counter("c_total", &[("n", "1")]).unwrap();
    registry.counter("c_total", &[("n", "2")]).unwrap();
    assert!(matches!(
        registry.counter("c_total", &[("n", "3")]),
        Err(RegisterError::Full { limit: 5, .. })
    ));
    registry
        .counter("c_total", &[("n", "2")])
        .expect("one that is there is still found");
    assert!(render(&registry, Format::Text).contains("rejected_total{reason=\"limit\"} 1\n"));
}

#[test]
fn accept_decides_the_format() {
    let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                      application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;\
                      q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let (text, open, proto) = (Format::Text, Format::OpenMetrics, Format::Protobuf);
    for (accept, format) in [
        ("", text),
        ("*/*", text),
        ("text/html", text),
        ("text/plain", text),
        ("text/*, application/json", text),
        (prometheus, proto),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            open,
        ),
        ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", open),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", text),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.3", text),
        ("text/plain;q=0.3,application/openmetrics-text;q=0.4", open),
        ("text/plain,application/openmetrics-text", text),
        ("application/openmetrics-text,text/plain", open),
        ("application/openmetrics-text,*/*", open),
        ("application/openmetrics-text;q=0,*/*;q=0.1", text),
        ("text/plain;q=0,*/*", open),
        ("APPLICATION/OpenMetrics-Text ; Q=1", open),
        ("application/openmetrics-text;q=2,text/plain", text),
        ("application/vnd.google.protobuf;proto=other;encoding=delimited", text),
        ("application/vnd.google.protobuf;encoding=text", text),
    ] {
        assert_eq!(Format::negotiate(Some(accept.as_bytes())), format, "{accept}");
    }
    assert_eq!(Format::negotiate(None), text);
    assert_eq!(Format::negotiate(Some(b"\xff\xfe")), text);
}
