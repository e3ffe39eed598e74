//! The two text formats: Prometheus's 0.0.4 and OpenMetrics 1.0.
//!
//! They share the lines and differ in the heads of the families, in the name of a counter's sample and in the end.

use super::number::{write_f64, write_ns, write_u64};
use super::{Family, Reading};
use crate::metrics::histogram::{BUCKETS, CLASSIC_CELL, SUM};
use crate::metrics::series::{Kind, Lines, Series, Value};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Text,
    OpenMetrics,
}

pub(super) fn write(reading: &Reading<'_>, dialect: Dialect, out: &mut Vec<u8>) {
    for family in reading.families {
        let start = out.len();
        write_head(family, dialect, out);
        let head_end = out.len();
        for series in &family.series {
            write_series(reading, series, dialect, out);
        }
        if out.len() == head_end {
            // No series has a value: the family is not there.
            out.truncate(start);
        }
    }
    if dialect == Dialect::OpenMetrics {
        out.extend_from_slice(b"# EOF\n");
    }
}

fn write_head(family: &Family, dialect: Dialect, out: &mut Vec<u8>) {
    let Series { identity, kind, .. } = &*family.series[0];
    let name = match dialect {
        Dialect::Text => &*identity.name,
        Dialect::OpenMetrics => kind.family(&identity.name),
    };
    let mut line = |parts: [&str; 5]| {
        parts
            .into_iter()
            .for_each(|part| out.extend_from_slice(part.as_bytes()));
        out.push(b'\n');
    };
    if let Some(description) = &family.description {
        let help = match dialect {
            Dialect::Text => &description.help_text,
            Dialect::OpenMetrics => &description.help_openmetrics,
        };
        line(["# HELP ", name, " ", help, ""]);
    }
    line(["# TYPE ", name, " ", kind.exposed(), ""]);
    if dialect == Dialect::OpenMetrics
        && let Some(unit) = family.unit(name)
    {
        line(["# UNIT ", name, " ", unit, ""]);
    }
}

fn write_series(reading: &Reading<'_>, series: &Series, dialect: Dialect, out: &mut Vec<u8>) {
    let lines = &series.lines;
    match &series.value {
        Value::Counter { at, .. } => {
            if let Some(total) = series.value.counter(reading.totals[at.number()]) {
                out.extend_from_slice(lines.get(if dialect == Dialect::Text {
                    0
                } else {
                    Lines::OPENMETRICS
                }));
                match series.kind {
                    Kind::DurationCounter => write_ns(out, total.into()),
                    _ => write_u64(out, total),
                }
                out.push(b'\n');
            }
        }
        Value::Gauge(_) => {
            if let Some(value) = series.value.gauge() {
                out.extend_from_slice(lines.get(0));
                write_f64(out, value);
                out.push(b'\n');
            }
        }
        Value::Info { value, .. } => {
            if let Some(value) = &*value.load() {
                let (escaped, _) = &**value;
                for part in [lines.get(0), escaped.as_bytes(), lines.get(1), b"1\n"] {
                    out.extend_from_slice(part);
                }
            }
        }
        Value::Histogram(at) => {
            let buckets = &reading.totals[at.number()..at.number() + BUCKETS];
            write_histogram(buckets, reading.cells.sum_wide(*at, SUM), lines, out);
        }
    }
}

/// The count is the sum of the buckets that were read, so it is always what `+Inf` says.
fn write_histogram(buckets: &[u64], sum_ns: u128, lines: &Lines, out: &mut Vec<u8>) {
    let (mut cumulative, mut from) = (0, 0);
    for (line, to) in CLASSIC_CELL.into_iter().chain([BUCKETS - 1]).enumerate() {
        cumulative += buckets[from..=to].iter().sum::<u64>();
        from = to + 1;
        out.extend_from_slice(lines.get(line));
        write_u64(out, cumulative);
        out.push(b'\n');
    }
    out.extend_from_slice(lines.get(Lines::SUM));
    write_ns(out, sum_ns);
    out.push(b'\n');
    out.extend_from_slice(lines.get(Lines::COUNT));
    write_u64(out, cumulative);
    out.push(b'\n');
}
