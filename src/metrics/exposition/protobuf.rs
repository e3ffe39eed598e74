//! The protobuf format: `io.prometheus.client.MetricFamily`, delimited, with native histograms.
//!
//! Field numbers and types are those of `metrics.proto` of prometheus/client_model. The writer is by hand since a
//! dozen fields do not need a code generator, and since a message is written straight into the scrape's buffer.

use std::time::UNIX_EPOCH;

use super::Reading;
use crate::metrics::collected;
use crate::metrics::exemplar::{Exemplar, Slot};
use crate::metrics::histogram::{BUCKETS, Buckets, KEY, SCHEMA, SUM, ZERO_THRESHOLD};
use crate::metrics::series::{Kind, Series, Value};

/// Values of `MetricType`.
const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const HISTOGRAM: u64 = 4;

pub(super) fn write(reading: &Reading<'_>, out: &mut Vec<u8>) {
    for family in reading.all() {
        let start = out.len();
        let Series { identity, kind, .. } = &*family.series[0];
        let mut metrics = 0;
        delimited(out, |out| {
            text(out, 1, &identity.name);
            if let Some(description) = &family.description {
                text(out, 2, &description.help);
            }
            let metric_type = match kind {
                Kind::Counter | Kind::DurationCounter => COUNTER,
                Kind::Gauge => GAUGE,
                Kind::Histogram(_) => HISTOGRAM,
            };
            varint(out, 3, metric_type);
            for series in &family.series {
                metrics += usize::from(write_series(reading, series, out));
            }
            if let Some(unit) = family.unit(kind.family(&identity.name)) {
                text(out, 5, unit);
            }
        });
        if metrics == 0 {
            out.truncate(start);
        }
    }
}

/// Writes `MetricFamily.metric`, or nothing and says so where the series has no value.
fn write_series(reading: &Reading<'_>, series: &Series, out: &mut Vec<u8>) -> bool {
    match &series.value {
        Value::Counter { at, .. } => {
            let total = series.value.counter(reading.totals[at.number()]);
            let value = if series.kind == Kind::DurationCounter {
                seconds(total.into())
            } else {
                total as f64
            };
            metric(out, series, |out| message(out, 3, |out| double(out, 1, value)));
        }
        Value::Gauge(_) => {
            let Some(value) = series.value.gauge() else {
                return false;
            };
            metric(out, series, |out| message(out, 2, |out| double(out, 1, value)));
        }
        Value::Histogram { at, buckets, exemplars } => {
            let cells = &reading.totals[at.number()..at.number() + BUCKETS];
            let sum = seconds(reading.cells.sum_wide(*at, SUM));
            let exemplars: Vec<_> = exemplars.get().into_iter().flatten().map(Slot::scrape).collect();
            metric(out, series, |out| {
                message(out, 7, |out| write_histogram(cells, *buckets, sum, &exemplars, out))
            });
        }
        Value::Collected(value) => {
            let (field, value) = match *value {
                collected::Value::Gauge(value) => (2, value),
                collected::Value::Counter(total) => (3, total as f64),
                collected::Value::Nanoseconds(total) => (3, seconds(total.into())),
            };
            metric(out, series, |out| message(out, field, |out| double(out, 1, value)));
        }
    }
    true
}

/// `MetricFamily.metric` with its labels and what `value` writes.
fn metric(out: &mut Vec<u8>, series: &Series, value: impl FnOnce(&mut Vec<u8>)) {
    message(out, 4, |out| {
        for (label, value) in &series.identity.labels {
            pair(out, label, value);
        }
        value(out);
    });
}

/// A `LabelPair`, field 1 of what has labels.
fn pair(out: &mut Vec<u8>, label: &str, value: &str) {
    message(out, 1, |out| {
        text(out, 1, label);
        text(out, 2, value);
    });
}

/// An `Exemplar`.
fn write_exemplar(out: &mut Vec<u8>, field: u64, Exemplar { trace, ns, at }: &Exemplar) {
    message(out, field, |out| {
        pair(out, "trace_id", trace.trace_id());
        pair(out, "span_id", trace.span_id());
        double(out, 2, seconds((*ns).into()));
        // A clock before 1970 has no better name than the epoch.
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        message(out, 3, |out| {
            varint(out, 1, since.as_secs());
            varint(out, 2, since.subsec_nanos().into());
        });
    });
}

/// `Histogram`: the classic buckets, then the native ones, then the exemplars of those.
fn write_histogram(buckets: &[u64], classic: Buckets, sum: f64, exemplars: &[Option<Exemplar>], out: &mut Vec<u8>) {
    varint(out, 1, buckets.iter().sum());
    double(out, 2, sum);
    let (mut cumulative, mut from) = (0, 0);
    for (place, (&to, &bound)) in classic.cells().iter().zip(classic.seconds()).enumerate() {
        cumulative += buckets[from..=to].iter().sum::<u64>();
        from = to + 1;
        message(out, 3, |out| {
            varint(out, 1, cumulative);
            double(out, 2, bound);
            if let Some(Some(exemplar)) = exemplars.get(place) {
                write_exemplar(out, 3, exemplar);
            }
        });
    }
    signed(out, 5, SCHEMA.into());
    double(out, 6, ZERO_THRESHOLD);
    varint(out, 7, buckets[0]);
    write_spans(buckets, out);
    write_deltas(buckets, out);
    for exemplar in exemplars.iter().flatten() {
        write_exemplar(out, 16, exemplar);
    }
}

/// `Histogram.positive_span`: runs of buckets that are not empty, each with its distance from the one before. With no
/// bucket at all one empty span says that the histogram is native nevertheless.
fn write_spans(buckets: &[u64], out: &mut Vec<u8>) {
    let mut span = |offset: i32, length: u64| {
        message(out, 12, |out| {
            signed(out, 1, offset.into());
            varint(out, 2, length);
        });
    };
    // The key after the last span, and the span that is growing.
    let (mut end, mut offset, mut length) = (0, 0, 0);
    for (key, _) in native(buckets) {
        if length > 0 && key == end {
            length += 1;
        } else {
            if length > 0 {
                span(offset, length);
            }
            (offset, length) = (key - end, 1);
        }
        end = key + 1;
    }
    span(offset, length);
}

/// `Histogram.positive_delta`: the count of the first bucket, then each one's difference from the one before.
fn write_deltas(buckets: &[u64], out: &mut Vec<u8>) {
    let mut before = 0;
    for (_, count) in native(buckets) {
        signed(out, 13, count.wrapping_sub(before) as i64);
        before = count;
    }
}

/// Key and count of each native bucket that is not empty. The cells of a split bucket are put together; what is
/// beyond the last bound is in the bucket after it.
fn native(buckets: &[u64]) -> impl Iterator<Item = (i32, u64)> {
    let mut cell = 1;
    std::iter::from_fn(move || {
        let key = *KEY.get(cell)?;
        let mut count = buckets[cell];
        cell += 1;
        if KEY.get(cell) == Some(&key) {
            count += buckets[cell];
            cell += 1;
        }
        Some((key, count))
    })
    .filter(|&(_, count)| count > 0)
}

fn seconds(ns: u128) -> f64 {
    ns as f64 / 1e9
}

// The wire format: https://protobuf.dev/programming-guides/encoding/

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

fn raw_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn tag(out: &mut Vec<u8>, field: u64, wire_type: u64) {
    raw_varint(out, field << 3 | wire_type);
}

fn varint(out: &mut Vec<u8>, field: u64, value: u64) {
    tag(out, field, VARINT);
    raw_varint(out, value);
}

/// A field of type `sint32` or `sint64`.
fn signed(out: &mut Vec<u8>, field: u64, value: i64) {
    varint(out, field, (value << 1 ^ value >> 63) as u64);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn text(out: &mut Vec<u8>, field: u64, value: &str) {
    tag(out, field, LENGTH);
    raw_varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

fn message(out: &mut Vec<u8>, field: u64, body: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, LENGTH);
    delimited(out, body);
}

/// What `body` writes, after its length. The length is known afterwards only: it is appended and rotated to the front.
fn delimited(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    body(out);
    let end = out.len();
    raw_varint(out, (end - start) as u64);
    let length = out.len() - end;
    out[start..].rotate_right(length);
}
