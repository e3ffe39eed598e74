//! The protobuf exposition, read back by an independent decoder with the messages of `metrics.proto`.

use std::collections::BTreeMap;

use janus::metrics::{Format, Registry, TraceContext};
use proptest::prelude::*;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `Gauge` and `Counter` have the same first field.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct BucketSpan {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Value>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Value>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    metric_type: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
    #[prost(string, tag = "5")]
    unit: String,
}

impl Histogram {
    /// The native buckets by key, as the format defines spans and deltas.
    fn native(&self) -> BTreeMap<i32, i64> {
        let (mut key, mut count, mut deltas) = (0, 0, self.positive_delta.iter());
        let mut buckets = BTreeMap::new();
        for span in &self.positive_span {
            key += span.offset;
            for _ in 0..span.length {
                count += deltas.next().expect("a delta for each bucket of the spans");
                buckets.insert(key, count);
                key += 1;
            }
        }
        assert_eq!(deltas.next(), None, "no delta without a bucket");
        buckets
    }
}

fn families(registry: &Registry) -> Vec<MetricFamily> {
    let mut out = Vec::new();
    registry.render(Format::Protobuf, &mut out);
    let mut rest = out.as_slice();
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).expect("a delimited message"));
    }
    assert_eq!(families.remove(0).name, "janus_metrics_rejected_total");
    families
}

fn label(name: &str, value: &str) -> LabelPair {
    LabelPair {
        name: name.into(),
        value: value.into(),
    }
}

#[test]
fn counters_gauges_and_infos() {
    let registry = Registry::new();
    // After the registry's own metric in the order of names.
    registry.describe("k_total", "Raw \"help\"\n.", None);
    registry
        .counter("k_total", &[("z", "\"raw\"\n"), ("a", "ü")])
        .unwrap()
        .increment(300);
    registry.gauge("l_absent", &[]).unwrap();
    registry.describe("m_bytes", "", Some("bytes"));
    registry.gauge("m_bytes", &[]).unwrap().set(-0.25);
    registry
        .duration_counter("n_seconds_total", &[])
        .unwrap()
        .increment(2_500_000_000);
    registry.gauge("o_info", &[("id", "\"x\"")]).unwrap().set(1.0);
    let families = families(&registry);
    let summary: Vec<_> = families
        .iter()
        .map(|family| (family.name.as_str(), family.metric_type, &*family.unit))
        .collect();
    assert_eq!(
        summary,
        [
            ("k_total", 0, ""),
            ("m_bytes", 1, "bytes"),
            ("n_seconds_total", 0, ""),
            ("o_info", 1, "")
        ]
    );
    assert_eq!(families[0].help, "Raw \"help\"\n.");
    assert_eq!(families[0].metric[0].label, [label("a", "ü"), label("z", "\"raw\"\n")]);
    assert_eq!(families[0].metric[0].counter, Some(Value { value: 300.0 }));
    assert_eq!(families[1].metric[0].gauge, Some(Value { value: -0.25 }));
    assert_eq!(families[2].metric[0].counter, Some(Value { value: 2.5 }));
    assert_eq!(families[3].metric[0].label, [label("id", "\"x\"")]);
}

#[test]
fn a_histogram_without_observations_is_native_all_the_same() {
    let registry = Registry::new();
    registry.histogram("z", &[]).unwrap();
    let histogram = families(&registry)[0].metric[0].histogram.clone().unwrap();
    assert_eq!((histogram.schema, histogram.zero_threshold), (3, 2f64.powi(-20)));
    assert_eq!(histogram.positive_span, [BucketSpan { offset: 0, length: 0 }]);
}

#[test]
fn both_forms_show_exemplars() {
    let registry = Registry::new();
    let histogram = registry.histogram("z", &[]).unwrap();
    let trace = TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
    histogram.record_ns(3_000_000);
    histogram.offer_exemplar(3_000_000, || Some(trace));
    let read = families(&registry)[0].metric[0].histogram.clone().unwrap();
    let [exemplar] = &read.exemplars[..] else {
        panic!("{read:?}");
    };
    assert_eq!(exemplar.value, 0.003);
    let expected = [
        label("trace_id", "0af7651916cd43dd8448eb211c80319c"),
        label("span_id", "b7ad6b7169203331"),
    ];
    assert_eq!(exemplar.label, expected);
    assert!(exemplar.timestamp.as_ref().unwrap().seconds > 1_600_000_000);
    for bucket in &read.bucket {
        let is_its_own = bucket.upper_bound == 0.005;
        assert_eq!(
            bucket.exemplar.as_ref(),
            is_its_own.then_some(exemplar),
            "{}",
            bucket.upper_bound
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Both forms of a histogram count each observation in the bucket that the definition gives it.
    #[test]
    fn both_forms_are_exact(exponents in prop::collection::vec(-25.0f64..12.0, 0..200)) {
        let registry = Registry::new();
        let histogram = registry.histogram("z", &[]).unwrap();
        let observations: Vec<f64> = exponents.iter().map(|exponent| 2f64.powf(*exponent)).collect();
        observations.iter().for_each(|seconds| histogram.record(*seconds));
        let read = families(&registry)[0].metric[0].histogram.clone().unwrap();

        prop_assert_eq!(read.sample_count, observations.len() as u64);
        let sum: f64 = observations.iter().sum();
        prop_assert!((read.sample_sum - sum).abs() <= 1e-9 * observations.len() as f64 + 1e-12 * sum);
        prop_assert_eq!(read.bucket.len(), 22);
        for bucket in &read.bucket {
            let within = observations.iter().filter(|seconds| **seconds <= bucket.upper_bound).count();
            prop_assert_eq!(bucket.cumulative_count, within as u64, "up to {}", bucket.upper_bound);
        }
        let mut expected = BTreeMap::new();
        for exponent in exponents.iter().filter(|exponent| **exponent > -20.0) {
            // Beyond 2^8.625 s all is in the next bucket.
            let key = ((exponent * 8.0).ceil() as i32).min(70);
            *expected.entry(key).or_insert(0i64) += 1;
        }
        prop_assert_eq!(read.native(), expected);
        prop_assert_eq!(read.zero_count, exponents.iter().filter(|exponent| **exponent <= -20.0).count() as u64);
    }
}
