//! The two text formats: Prometheus's 0.0.4 and OpenMetrics 1.0.
//!
//! They share the lines and differ in the heads of the families, in the name of a counter's sample and in the end.

use std::time::UNIX_EPOCH;

use super::number::{write_f64, write_ns, write_u64};
use super::{Family, Reading};
use crate::metrics::collected;
use crate::metrics::exemplar::{Exemplar, Slot};
use crate::metrics::histogram::{BUCKETS, Buckets, SUM};
use crate::metrics::series::{Kind, Lines, Series, Value};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Text,
    OpenMetrics,
}

impl Dialect {
    /// The line of a counter's sample.
    fn counter_line(self) -> usize {
        match self {
            Self::Text => 0,
            Self::OpenMetrics => Lines::OPENMETRICS,
        }
    }
}

pub(super) fn write(reading: &Reading<'_>, dialect: Dialect, out: &mut Vec<u8>) {
    for family in reading.all() {
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
            let total = series.value.counter(reading.totals[at.number()]);
            out.extend_from_slice(lines.get(dialect.counter_line()));
            match series.kind {
                Kind::DurationCounter => write_ns(out, total.into()),
                _ => write_u64(out, total),
            }
            out.push(b'\n');
        }
        Value::Gauge(_) => {
            if let Some(value) = series.value.gauge() {
                out.extend_from_slice(lines.get(0));
                write_f64(out, value);
                out.push(b'\n');
            }
        }
        Value::Histogram { at, buckets, exemplars } => {
            let cells = &reading.totals[at.number()..at.number() + BUCKETS];
            let exemplars = exemplars.get().filter(|_| dialect == Dialect::OpenMetrics);
            let sum = reading.cells.sum_wide(*at, SUM);
            write_histogram(cells, *buckets, sum, lines, exemplars.map(|all| &**all), out);
        }
        Value::Collected(value) => {
            match *value {
                collected::Value::Gauge(value) => {
                    out.extend_from_slice(lines.get(0));
                    write_f64(out, value);
                }
                collected::Value::Counter(total) => {
                    out.extend_from_slice(lines.get(dialect.counter_line()));
                    write_u64(out, total);
                }
                collected::Value::Nanoseconds(total) => {
                    out.extend_from_slice(lines.get(dialect.counter_line()));
                    write_ns(out, total.into());
                }
            }
            out.push(b'\n');
        }
    }
}

/// The count is the sum of the buckets that were read, so it is always what `+Inf` says.
fn write_histogram(
    cells: &[u64],
    buckets: Buckets,
    sum_ns: u128,
    lines: &Lines,
    exemplars: Option<&[Slot]>,
    out: &mut Vec<u8>,
) {
    let (mut cumulative, mut from) = (0, 0);
    for (line, to) in buckets.cells().iter().copied().chain([BUCKETS - 1]).enumerate() {
        cumulative += cells[from..=to].iter().sum::<u64>();
        from = to + 1;
        out.extend_from_slice(lines.get(line));
        write_u64(out, cumulative);
        if let Some(exemplar) = exemplars.and_then(|slots| slots[line].scrape()) {
            write_exemplar(&exemplar, out);
        }
        out.push(b'\n');
    }
    let sum = Lines::sum_of(buckets);
    out.extend_from_slice(lines.get(sum));
    write_ns(out, sum_ns);
    out.push(b'\n');
    out.extend_from_slice(lines.get(sum + 1));
    write_u64(out, cumulative);
    out.push(b'\n');
}

/// ` # {labels} value timestamp` (OpenMetrics 1.0, section "Exemplars").
fn write_exemplar(Exemplar { trace, ns, at }: &Exemplar, out: &mut Vec<u8>) {
    for part in [
        " # {trace_id=\"",
        trace.trace_id(),
        "\",span_id=\"",
        trace.span_id(),
        "\"} ",
    ] {
        out.extend_from_slice(part.as_bytes());
    }
    write_ns(out, (*ns).into());
    // A clock before 1970 has no better name than the epoch.
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    out.push(b' ');
    write_ns(out, since.as_nanos());
}
