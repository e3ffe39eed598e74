//! `/metrics` of a running server: every series that the document lists, and no other.

#[path = "support/prometheus.rs"]
mod programs;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use programs::{Prometheus, feed, parse_strictly, without};
use support::{Client, Server};

/// Families of a scrape: name to type and the names of labels.
fn families(scrape: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families = BTreeMap::new();
    for line in scrape.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix));
            let family = base.filter(|base| families.contains_key(*base)).unwrap_or(name);
            let labels = line
                .split_once('{')
                .and_then(|(_, rest)| rest.rsplit_once('}'))
                .map_or("", |(labels, _)| labels);
            let names = labels
                .split("\",")
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name.to_owned());
            let (_, known) = families.get_mut(family).unwrap_or_else(|| panic!("{line} has no type"));
            known.extend(names.filter(|name| name != "le" && name != "simulated"));
        }
    }
    families
}

/// The queries of the tables in docs/metrics.md, by name.
fn queries() -> BTreeMap<String, String> {
    let document = std::fs::read_to_string("docs/metrics.md").unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.trim_end_matches(" |").split(" | ");
        let name = cells.next().unwrap().trim_matches(['|', ' ', '`']);
        (name.to_owned(), cells.last().unwrap().trim_matches('`').to_owned())
    })
    .collect()
}

/// The rows of the tables in docs/metrics.md: name, type, unit, labels, meaning, query.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let document = std::fs::read_to_string("docs/metrics.md").unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 6, "{row}");
        let name = cells[0].trim_matches('`').to_owned();
        assert!(cells[5].contains(&name), "the query of {name} asks for it: {row}");
        let unit = cells[2];
        assert!(
            unit.is_empty() || name.contains(unit),
            "{name} has its unit in its name: {unit}"
        );
        let labels = cells[3].split(", ").filter(|label| !label.is_empty());
        (
            name,
            (
                cells[1].to_owned(),
                labels.map(|label| label.trim_matches('`').to_owned()).collect(),
            ),
        )
    })
    .collect()
}

#[test]
fn the_document_lists_what_a_scrape_shows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    let items: Vec<String> = (0..100)
        .map(|id| format!("{{\"id\":{id},\"name\":\"Item number {id}\"}}"))
        .collect();
    std::fs::write(&path, format!("[{}]", items.join(","))).unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "t0ken").unwrap();
    let proxy = "127.0.0.9";
    let arguments = [
        "--admin-token-file",
        token.to_str().unwrap(),
        "--hardware",
        "simulated",
        "--proxy-protocol",
        "--trusted-proxies",
        proxy,
    ];
    let mut server = Server::of_file(&path, &arguments);
    let mut unintroduced = Client::connect_from(proxy, server.address);
    unintroduced.send(b"GET / HTTP/1.1\r\n");
    assert!(unintroduced.is_closed());
    for path in [
        "/",
        "/items",
        "/items/1",
        "/items/nobody",
        "/health",
        "/livez",
        "/readyz",
        "/metrics",
    ] {
        server.get(path);
    }
    server.get_with("/items", &[("accept-encoding", "br")]);
    server.signal(rustix::process::Signal::HUP);
    server.wait_for("\"message\":\"unchanged\"");
    let scrape = server.get("/metrics");
    assert_eq!(
        scrape.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let shown = families(scrape.text());
    let documented = documented();
    let names = |families: &BTreeMap<String, _>| families.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(
        names(&shown),
        names(&documented),
        "a scrape on the left, docs/metrics.md on the right"
    );
    for (name, (kind, labels)) in &documented {
        assert_eq!((&shown[name].0, &shown[name].1), (kind, labels), "{name}");
    }
}

/// The value of a series, by its text up to the space.
#[track_caller]
fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in {scrape}"))
        .parse()
        .unwrap()
}

#[test]
fn requests_are_counted_by_route_and_status_and_never_by_what_a_client_sent() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for _ in 0..3 {
        client.get("/items/1", &[]);
    }
    client.get("/items/secret-token", &[]);
    client.request("HEAD", "/items", &[]);
    client.request("PROPFIND", "/items", &[]);
    client.get("/secret-path", &[]);
    let scrape = server.get("/metrics");
    let text = scrape.text();
    let requests = |method, route, status| {
        value(
            text,
            &format!("http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"),
        )
    };
    assert_eq!(requests("GET", "/items/{id}", 200), 3.0);
    assert_eq!(requests("GET", "/items/{id}", 404), 1.0);
    assert_eq!(requests("HEAD", "/items", 200), 1.0);
    assert_eq!(requests("other", "/items", 405), 1.0);
    assert_eq!(requests("GET", "unmatched", 404), 1.0);
    assert!(!text.contains("secret") && !text.contains("PROPFIND"), "{text}");
    assert_eq!(
        value(
            text,
            "http_request_duration_seconds_count{method=\"GET\",route=\"/items/{id}\"}"
        ),
        4.0
    );
    let item = r#"{"id":1,"name":"Item One"}"#.len() as f64;
    let problem = server.get("/items/nobody").body.len() as f64;
    assert_eq!(
        value(
            text,
            "http_response_size_bytes_total{encoding=\"identity\",route=\"/items/{id}\"}"
        ),
        3.0 * item + problem
    );
    assert_eq!(value(text, "http_connections"), 2.0, "the client and the scrape");
    assert_eq!(value(text, "http_requests_in_flight"), 1.0, "the scrape itself");
}

#[test]
fn the_usual_statuses_are_there_before_they_are_sent() {
    let server = Server::start(&[]);
    let scrape = server.get("/metrics");
    let text = scrape.text();
    for series in [
        "http_requests_total{method=\"GET\",route=\"/items\",status=\"200\"}",
        "http_requests_total{method=\"GET\",route=\"/items\",status=\"304\"}",
        "http_requests_total{method=\"GET\",route=\"/items\",status=\"503\"}",
        "http_requests_total{method=\"GET\",route=\"/items/{id}\",status=\"404\"}",
        "http_requests_total{method=\"GET\",route=\"/readyz\",status=\"503\"}",
        "http_requests_total{method=\"other\",route=\"unmatched\",status=\"431\"}",
        "http_request_duration_seconds_count{method=\"GET\",route=\"/items/{id}\"}",
        "http_connections_cut_total{reason=\"slow\"}",
    ] {
        assert_eq!(value(text, series), 0.0, "{series}");
    }
    // What nobody is answered with has none.
    assert!(!text.contains("route=\"/livez\",status=\"304\""));
}

#[test]
fn a_503_of_before_the_first_data_is_an_increase() {
    let mut server = Server::start_loading(&["--data", "-"]);
    let unready = "http_requests_total{method=\"GET\",route=\"/readyz\",status=\"503\"}";
    assert_eq!(value(server.get("/metrics").text(), unready), 0.0);
    assert_eq!(server.get("/readyz").status, 503);
    assert_eq!(value(server.get("/metrics").text(), unready), 1.0);
    // There is no snapshot yet, and no series of it.
    assert!(!server.get("/metrics").text().contains("janus_snapshot_"));
    drop(server.stdin());
}

#[test]
fn reloads_and_snapshots_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    std::fs::write(&path, br#"[{"id":1}]"#).unwrap();
    let mut server = Server::of_file(&path, &["--no-watch"]);
    let id = |server: &Server| server.get("/").json()["snapshot"].as_str().unwrap().to_owned();
    let info = |id: &str| format!("janus_snapshot_info{{id=\"{id}\"}}");
    let first = id(&server);
    let last_successful = |server: &Server| value(server.get("/metrics").text(), "janus_last_reload_successful");
    assert_eq!(last_successful(&server), 1.0, "the first load");
    for (content, line, is_successful) in [
        (&br#"[{"id":1}]"#[..], "\"message\":\"unchanged\"", 1.0),
        (b"nonsense", "reload failed", 0.0),
        (br#"[{"id":1},{"id":2}]"#, "\"message\":\"reloaded\"", 1.0),
    ] {
        std::fs::write(&path, content).unwrap();
        server.signal(rustix::process::Signal::HUP);
        server.wait_for(line);
        assert_eq!(last_successful(&server), is_successful, "{line}");
    }
    let scrape = server.get("/metrics");
    let text = scrape.text();
    for result in ["success", "unchanged", "failure"] {
        assert_eq!(value(text, &format!("janus_reloads_total{{result=\"{result}\"}}")), 1.0);
    }
    assert_eq!(value(text, "janus_snapshot_items"), 2.0);
    assert_eq!(value(text, "janus_snapshot_bytes{encoding=\"identity\"}"), 19.0);
    assert_eq!(value(text, &info(&id(&server))), 1.0);
    assert!(!text.contains(&info(&first)), "the one before has no series any more");
    assert!(value(text, "janus_snapshot_loaded_timestamp_seconds") > 1.7e9);
}

#[test]
fn metrics_move_to_the_admin_listener() {
    let server = Server::start(&["--admin-listen", "127.0.0.1:0"]);
    assert_eq!(server.get("/metrics").problem(), (404, "not_found".to_owned()));
    let mut admin = Client::connect(server.admin_address.unwrap());
    assert_eq!(admin.get("/metrics", &[]).status, 200);
    let head = admin.request("HEAD", "/metrics", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        admin.request("POST", "/metrics", &[]).problem(),
        (405, "method_not_allowed".to_owned())
    );
}

#[test]
fn the_format_is_the_scrapers_choice() {
    let server = Server::start(&[]);
    let open = server.get_with(
        "/metrics",
        &[("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")],
    );
    assert_eq!(
        open.field("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.text().ends_with("# EOF\n"));
    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let binary = server.get_with("/metrics", &[("accept", protobuf)]);
    assert!(
        binary
            .field("content-type")
            .unwrap()
            .starts_with("application/vnd.google.protobuf")
    );
    assert!(!binary.body.is_empty() && !binary.body.starts_with(b"#"));
}

#[test]
fn a_machine_without_sensors_has_no_sensor_series() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_str().unwrap();
    let server = Server::start(&["--sysfs-root", root]);
    let scrape = server.get("/metrics");
    for name in [
        "cpu_temperature_celsius",
        "cpu_package_temperature_celsius",
        "hd_errors_total",
        "fs_errors_total",
    ] {
        assert!(!scrape.text().contains(name), "{name}");
    }
    assert_eq!(value(scrape.text(), "janus_hardware_simulated"), 0.0);
    assert_eq!(
        value(scrape.text(), "janus_hardware_source_up{source=\"cpu_temperature\"}"),
        0.0
    );

    let mut server = Server::start_loading(&["--hardware", "simulated"]);
    server.wait_for("\"message\":\"ready\"");
    let warned = |line: &String| line.contains("WARN") && line.contains("simulated");
    assert!(server.log_so_far().iter().any(warned), "{:?}", server.log_so_far());
    let scrape = server.get("/metrics");
    assert!(
        scrape
            .text()
            .lines()
            .any(|line| line.starts_with("cpu_temperature_celsius{simulated=\"true\"}"))
    );
}

/// A server of which every series that is documented is there.
fn busy_server(arguments: &[&str]) -> Server {
    let proxy = "127.0.0.9";
    let mut all = vec!["--hardware", "simulated", "--admin-token-file", "/nowhere/token"];
    // Of a file, since only that has series of how changes are noticed.
    all.extend_from_slice(&[
        "--data",
        "demo/items.json",
        "--proxy-protocol",
        "--trusted-proxies",
        proxy,
    ]);
    all.extend_from_slice(arguments);
    let server = Server::start(&all);
    let mut unintroduced = Client::connect_from(proxy, server.address);
    unintroduced.send(b"GET / HTTP/1.1\r\n");
    assert!(unintroduced.is_closed());
    server.get("/items");
    server
}

#[test]
fn every_metric_is_scraped_by_a_real_prometheus_and_every_query_is_one() {
    let server = busy_server(&[]);
    let directory = tempfile::tempdir().unwrap();
    let Some(prometheus) = Prometheus::start(directory.path(), server.address, &[]) else {
        without("prometheus");
        return;
    };
    prometheus.expect("up{job=\"janus\"}", &[1.0]);
    for (name, query) in queries() {
        // Nothing is refused, so this one has no series: it would be an alert.
        if name != "janus_metrics_rejected_total" {
            let series = if documented()[&name].0 == "histogram" {
                format!("{name}_count")
            } else {
                name.clone()
            };
            prometheus.expect(&format!("count({series}) > bool 0"), &[1.0]);
        }
        let answer = prometheus.get(&query).unwrap();
        assert!(answer.contains("\"status\":\"success\""), "{name}: {query}: {answer}");
    }
}

#[test]
fn a_scrape_is_what_promtool_and_the_strict_parser_accept() {
    let server = busy_server(&[]);
    let text = server.get("/metrics");
    match feed("promtool", &["check", "metrics"], &text.body) {
        Some(result) => assert_eq!(result, (true, String::new())),
        None => without("promtool"),
    }
    let open = server.get_with("/metrics", &[("accept", "application/openmetrics-text;version=1.0.0")]);
    match parse_strictly(&open.body) {
        Some((accepted, said)) => assert!(accepted && said.contains("http_requests counter"), "{said}"),
        None => without("prometheus_client, a package of Python,"),
    }
}
