//! The recorder against a model, against another exporter, and under load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use janus::metrics::{Format, Recorder, Registry};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use proptest::prelude::*;

/// The classic bounds in nanoseconds.
const BOUNDS_NS: [u64; 22] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

fn render(registry: &Registry, format: Format) -> String {
    let mut out = Vec::new();
    registry.render(format, &mut out);
    String::from_utf8(out).expect("both text formats are UTF-8")
}

/// Samples by their name and labels; comments and the registry's own metric are left out.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pairs = lines.map(|line| line.rsplit_once(' ').expect("a sample has a value"));
    pairs
        .filter(|(series, _)| !series.starts_with("janus_metrics_rejected_total"))
        .map(|(series, value)| (series.to_owned(), value.parse().expect("a value is a number")))
        .collect()
}

#[derive(Clone, Debug)]
enum Step {
    Increment(usize, u64),
    Absolute(usize, u64),
    GaugeSet(usize, f64),
    GaugeAdd(usize, f64),
    Record(usize, u64),
}

/// No backslash: the other exporter takes one before a quotation mark to be an escape already, and leaves it.
const LABELS: [&str; 3] = ["a", "\"\n", "ünï"];

/// Numbers whose sums are exact in an `f64`, so that a comparison can be for equality.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..LABELS.len();
    let eighths = (-8000i32..8000).prop_map(|n| f64::from(n) / 8.0);
    let step = prop_oneof![
        (which.clone(), 0u64..1 << 40).prop_map(|(at, n)| Step::Increment(at, n)),
        (which.clone(), 0u64..1 << 42).prop_map(|(at, n)| Step::Absolute(at, n)),
        (which.clone(), eighths.clone()).prop_map(|(at, n)| Step::GaugeSet(at, n)),
        (which.clone(), eighths).prop_map(|(at, n)| Step::GaugeAdd(at, n)),
        // Multiples of 1/128 s are exact both as floats and in nanoseconds; 25 ms and so on are bounds.
        (which.clone(), (0u64..1000).prop_map(|n| n * 7_812_500)).prop_map(|(at, ns)| Step::Record(at, ns)),
        (which, prop::sample::select(&BOUNDS_NS[..])).prop_map(|(at, ns)| Step::Record(at, ns)),
    ];
    prop::collection::vec(step, 0..60)
}

/// What the samples must be.
#[derive(Default)]
struct Model {
    counters: BTreeMap<usize, u64>,
    gauges: BTreeMap<usize, f64>,
    observations: BTreeMap<usize, Vec<u64>>,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Increment(at, n) => *self.counters.entry(at).or_default() += n,
            Step::Absolute(at, n) => {
                let counter = self.counters.entry(at).or_default();
                *counter = n.max(*counter);
            }
            Step::GaugeSet(at, value) => *self.gauges.entry(at).or_default() = value,
            Step::GaugeAdd(at, value) => *self.gauges.entry(at).or_default() += value,
            Step::Record(at, ns) => self.observations.entry(at).or_default().push(ns),
        }
    }

    fn samples(&self) -> BTreeMap<String, f64> {
        let label = |at: &usize| {
            format!(
                "l=\"{}\"",
                LABELS[*at]
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n")
            )
        };
        let mut samples = BTreeMap::new();
        for (at, n) in &self.counters {
            samples.insert(format!("c_total{{{}}}", label(at)), *n as f64);
        }
        for (at, value) in &self.gauges {
            samples.insert(format!("g{{{}}}", label(at)), *value);
        }
        for (at, all) in &self.observations {
            for (bound, le) in BOUNDS_NS.iter().zip([
                "1e-06", "2.5e-06", "5e-06", "1e-05", "2.5e-05", "5e-05", "0.0001", "0.00025", "0.0005", "0.001",
                "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0",
            ]) {
                let count = all.iter().filter(|ns| *ns <= bound).count();
                samples.insert(format!("h_bucket{{{},le=\"{le}\"}}", label(at)), count as f64);
            }
            samples.insert(format!("h_bucket{{{},le=\"+Inf\"}}", label(at)), all.len() as f64);
            samples.insert(format!("h_count{{{}}}", label(at)), all.len() as f64);
            samples.insert(format!("h_sum{{{}}}", label(at)), all.iter().sum::<u64>() as f64 / 1e9);
        }
        samples
    }
}

/// Records a step through concrete handles.
fn record(registry: &Registry, step: &Step) {
    let label = |at: usize| [("l", LABELS[at])];
    match *step {
        Step::Increment(at, n) => registry.counter("c_total", &label(at)).unwrap().increment(n),
        Step::Absolute(at, n) => registry.counter("c_total", &label(at)).unwrap().absolute(n),
        Step::GaugeSet(at, value) => registry.gauge("g", &label(at)).unwrap().set(value),
        Step::GaugeAdd(at, value) => registry.gauge("g", &label(at)).unwrap().increment(value),
        Step::Record(at, ns) => registry.histogram("h", &label(at)).unwrap().record_ns(ns),
    }
}

/// Records a step through the facade's macros, into whichever recorder is the local one.
fn record_by_facade(step: &Step) {
    match *step {
        Step::Increment(at, n) => metrics::counter!("c_total", "l" => LABELS[at]).increment(n),
        Step::Absolute(at, n) => metrics::counter!("c_total", "l" => LABELS[at]).absolute(n),
        Step::GaugeSet(at, value) => metrics::gauge!("g", "l" => LABELS[at]).set(value),
        Step::GaugeAdd(at, value) if value < 0.0 => metrics::gauge!("g", "l" => LABELS[at]).decrement(-value),
        Step::GaugeAdd(at, value) => metrics::gauge!("g", "l" => LABELS[at]).increment(value),
        Step::Record(at, ns) => metrics::histogram!("h", "l" => LABELS[at]).record(ns as f64 / 1e9),
    }
}

/// The other exporter spells some bounds in another way.
fn canonical_le(samples: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let spell = |series: String| {
        series
            .replace("le=\"1\"", "le=\"1.0\"")
            .replace("le=\"5\"", "le=\"5.0\"")
            .replace("le=\"10\"", "le=\"10.0\"")
            .replace("le=\"0.00005\"", "le=\"5e-05\"")
            .replace("le=\"0.000025\"", "le=\"2.5e-05\"")
            .replace("le=\"0.00001\"", "le=\"1e-05\"")
            .replace("le=\"0.000005\"", "le=\"5e-06\"")
            .replace("le=\"0.0000025\"", "le=\"2.5e-06\"")
            .replace("le=\"0.000001\"", "le=\"1e-06\"")
    };
    samples
        .into_iter()
        .map(|(series, value)| (spell(series), value))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_program_of_one_or_more_threads_reads_as_the_model(programs in prop::collection::vec(steps(), 1..4)) {
        let registry = Registry::with_max_series(64);
        let mut model = Model::default();
        // Threads one after the other, so that the model knows the order: they hand their shard on.
        for program in &programs {
            program.iter().for_each(|step| model.apply(step));
            thread::scope(|scope| {
                scope.spawn(|| program.iter().for_each(|step| record(&registry, step)));
            });
        }
        prop_assert_eq!(samples(&render(&registry, Format::Text)), model.samples());
        // The same samples in the same spelling, since every counter here has its suffix.
        prop_assert_eq!(samples(&render(&registry, Format::OpenMetrics)), model.samples());
    }

    #[test]
    fn the_facade_reads_as_another_exporter_does(program in steps()) {
        let registry = Arc::new(Registry::with_max_series(64));
        let recorder = Recorder::new(Arc::clone(&registry));
        let seconds = BOUNDS_NS.map(|ns| ns as f64 / 1e9);
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full("h".to_owned()), &seconds).unwrap();
        let oracle = builder.build_recorder();
        metrics::with_local_recorder(&recorder, || program.iter().for_each(record_by_facade));
        metrics::with_local_recorder(&oracle, || program.iter().for_each(record_by_facade));
        let expected = canonical_le(samples(&oracle.handle().render()));
        let ours = samples(&render(&registry, Format::Text));
        prop_assert_eq!(ours.len(), expected.len(), "{:?} and {:?}", ours, expected);
        for (ours, theirs) in ours.iter().zip(&expected) {
            prop_assert_eq!(ours.0, theirs.0);
            // Theirs adds floats up, one by one; ours adds whole nanoseconds.
            prop_assert!((ours.1 - theirs.1).abs() <= 1e-9 * theirs.1.abs().max(1.0), "{:?} and {:?}", ours, theirs);
        }
    }

    #[test]
    fn escaped_values_and_help_read_back(value: String, help: String) {
        let registry = Registry::with_max_series(8);
        registry.describe("g", &help, None);
        registry.gauge("g", &[("l", &value)]).unwrap().set(1.0);
        for (format, quotes_in_help) in [(Format::Text, false), (Format::OpenMetrics, true)] {
            let text = render(&registry, format);
            let line = |start: &str| text.split('\n').find_map(|line| line.strip_prefix(start)).unwrap();
            let escaped = line("g{l=\"").strip_suffix("\"} 1").unwrap();
            prop_assert!(!escaped.replace("\\\\", "").replace("\\\"", "").contains('"'));
            prop_assert_eq!(unescape(escaped), value.as_str());
            let help_line = line("# HELP g ");
            prop_assert_eq!(unescape(help_line), help.as_str());
            prop_assert!(!quotes_in_help || !help_line.replace("\\\\", "").replace("\\\"", "").contains('"'));
        }
    }
}

/// The reader's side of the escaping, as the formats define it.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => out.push('\n'),
                Some(escaped) => out.push(escaped),
                None => panic!("a backslash at the end of {text:?}"),
            },
            (plain, _) => out.push(plain),
        }
    }
    out
}

#[test]
fn refused_registrations_of_the_facade_do_nothing_and_are_counted() {
    let registry = Arc::new(Registry::new());
    let recorder = Recorder::new(Arc::clone(&registry));
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_counter!("dotted.name", metrics::Unit::Bytes, "Help.");
        metrics::counter!("dotted.name", "a-label" => "v").increment(2);
        metrics::gauge!("dotted.name").set(1.0);
        metrics::gauge!("dotted.name").set(1.0);
    });
    let text = render(&registry, Format::Text);
    assert!(
        text.contains("# HELP dotted_name Help.\n# TYPE dotted_name counter\ndotted_name{a_label=\"v\"} 2\n"),
        "{text}"
    );
    assert!(
        text.contains("janus_metrics_rejected_total{reason=\"conflict\"} 2\n"),
        "{text}"
    );
}

/// Writers that come and go while scrapers read: every scrape is monotone and agrees with itself, the totals are exact.
#[test]
fn every_scrape_under_load_is_monotone_and_the_totals_are_exact() {
    const GENERATIONS: u64 = 40;
    const RECORDS: u64 = 2_000;
    let registry = Registry::new();
    let counter = registry.counter("c_total", &[]).unwrap();
    let histogram = registry.histogram("h", &[]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let scrapers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = samples(&render(&registry, Format::Text));
                    let mut scrapes = 0;
                    while !done.load(Ordering::Acquire) || scrapes == 0 {
                        let now = samples(&render(&registry, Format::Text));
                        for (series, value) in &now {
                            let before = last.get(series).copied().unwrap_or_default();
                            assert!(before <= *value, "{series} fell from {before} to {value}");
                        }
                        assert_eq!(now["h_bucket{le=\"+Inf\"}"], now["h_count"]);
                        last = now;
                        scrapes += 1;
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..2u64)
            .map(|writer| {
                let (registry, counter, histogram) = (&registry, &counter, &histogram);
                scope.spawn(move || {
                    for generation in 0..GENERATIONS {
                        let name = format!("{writer}-{generation}");
                        thread::scope(|scope| {
                            scope.spawn(|| {
                                let own = registry.counter("own_total", &[("n", &name)]).unwrap();
                                for n in 0..RECORDS {
                                    counter.increment(1);
                                    own.increment(2);
                                    histogram.record_ns(n * 1_000);
                                }
                            });
                        });
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Release);
        scrapers.into_iter().for_each(|scraper| scraper.join().unwrap());
    });
    let totals = samples(&render(&registry, Format::Text));
    let records = (2 * GENERATIONS * RECORDS) as f64;
    assert_eq!((totals["c_total"], totals["h_count"]), (records, records));
    assert_eq!(
        totals["h_sum"],
        (2 * GENERATIONS * (RECORDS * (RECORDS - 1) / 2)) as f64 / 1e6
    );
    let own: Vec<_> = totals
        .iter()
        .filter(|(series, _)| series.starts_with("own_total"))
        .collect();
    assert_eq!(own.len() as u64, 2 * GENERATIONS);
    assert!(own.iter().all(|(_, value)| **value == (2 * RECORDS) as f64));
}
