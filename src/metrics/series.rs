//! What is registered: one series, its identity in the Prometheus data model, and the text that never changes.
//!
//! Names and labels are checked and escaped here, once. A scrape copies the lines' beginnings and adds numbers.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use super::cell::{BLOCK, CellRef};
use super::collected;
use super::error::RegisterError;
use super::exemplar::Slot;
use super::histogram::Buckets;
use super::sync::{AtomicU64, Ordering};

/// What a family of series is. Two of them are exposed as counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    /// A counter of nanoseconds, exposed in seconds.
    DurationCounter,
    Gauge,
    /// With the classic bounds that it shows.
    Histogram(Buckets),
}

impl Kind {
    /// Of what is collected.
    pub(super) fn of(kind: collected::Kind) -> Self {
        match kind {
            collected::Kind::Gauge => Self::Gauge,
            collected::Kind::Counter => Self::Counter,
        }
    }

    /// The word of the TYPE line.
    pub(super) fn exposed(self) -> &'static str {
        match self {
            Kind::Counter | Kind::DurationCounter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }

    pub(super) fn is_counter(self) -> bool {
        self.exposed() == "counter"
    }

    /// The family's name in OpenMetrics, where a counter's `_total` belongs to the sample, not to the family.
    pub(super) fn family(self, name: &str) -> &str {
        if self.is_counter() {
            name.strip_suffix("_total").unwrap_or(name)
        } else {
            name
        }
    }

    /// Every name that a family uses in some format: nobody else may.
    pub(super) fn names(self, name: &str) -> Vec<String> {
        let suffixes: &[&str] = match self {
            Kind::Counter | Kind::DurationCounter => &["", "_total"],
            Kind::Gauge => &[""],
            Kind::Histogram(_) => &["", "_bucket", "_count", "_sum"],
        };
        suffixes
            .iter()
            .map(|suffix| format!("{}{suffix}", self.family(name)))
            .collect()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::DurationCounter => "duration counter",
            other => other.exposed(),
        })
    }
}

/// Name and labels, valid and in canonical order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Identity {
    pub(super) name: Box<str>,
    pub(super) labels: Box<[(Box<str>, Box<str>)]>,
}

impl Identity {
    /// Checks against the data model (`[a-zA-Z_:][a-zA-Z0-9_:]*`; labels without the colon, none starting with two
    /// underscores, none twice) and the names that `kind` itself needs.
    pub(super) fn new(kind: Kind, name: &str, labels: &[(&str, &str)]) -> Result<Self, RegisterError> {
        if !is_metric_name(name) || kind.family(name).is_empty() {
            return Err(RegisterError::InvalidName { name: name.into() });
        }
        let mut labels: Box<[(Box<str>, Box<str>)]> = labels
            .iter()
            .map(|&(label, value)| (label.into(), value.into()))
            .collect();
        labels.sort_unstable();
        let twice = labels
            .windows(2)
            .find(|pair| pair[0].0 == pair[1].0)
            .map(|pair| &pair[0].0);
        let reserved = |label: &str| matches!(kind, Kind::Histogram(_)) && label == "le";
        let invalid = labels
            .iter()
            .map(|(label, _)| label)
            .find(|label| !is_label_name(label) || reserved(label));
        if let Some(label) = invalid.or(twice) {
            return Err(RegisterError::InvalidLabel {
                name: name.into(),
                label: label.to_string(),
            });
        }
        Ok(Self {
            name: name.into(),
            labels,
        })
    }

    /// Hash of the identity, the same in every run.
    pub(super) fn hash(&self) -> u64 {
        hash_of(self)
    }
}

/// A hash with a fixed seed: names and labels are a closed set, never text that a client sent.
pub(super) fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn is_metric_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    name.bytes().all(inner) && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

pub(super) fn is_label_name(label: &str) -> bool {
    is_metric_name(label) && !label.contains(':') && !label.starts_with("__")
}

/// One series.
pub(super) struct Series {
    pub(super) identity: Identity,
    pub(super) kind: Kind,
    pub(super) value: Value,
    pub(super) lines: Lines,
}

/// Where the value of a series is, and what of it is not in the shards.
pub(super) enum Value {
    Counter {
        at: CellRef<1>,
        /// Added to the sum of the cells; raised by `absolute`, never lowered.
        base: AtomicU64,
    },
    /// Bits of an `f64`, or [`ABSENT`].
    Gauge(AtomicU64),
    Histogram {
        at: CellRef<BLOCK>,
        buckets: Buckets,
        /// One for each line of a bucket, from the first exemplar on.
        exemplars: OnceLock<Box<[Slot]>>,
    },
    /// Read at this scrape.
    Collected(collected::Value),
}

/// A gauge that has no value. It is one of the many NaNs, and not the one that is stored for a NaN that was set.
pub(super) const ABSENT: u64 = 0x7ff8_0000_6e6f_6e65;

impl Value {
    /// The value of a counter given the sum of its cells.
    pub(super) fn counter(&self, sum: u64) -> u64 {
        match self {
            // Relaxed: one word that stands for itself; scrapes are ordered by their lock.
            Value::Counter { base, .. } => base.load(Ordering::Relaxed).wrapping_add(sum),
            _ => sum,
        }
    }

    /// Where the exemplars of a histogram are kept; they are made if they are not there.
    pub(super) fn exemplars(&self) -> Option<&[Slot]> {
        let Value::Histogram { buckets, exemplars, .. } = self else {
            return None;
        };
        let make = || (0..=buckets.le().len()).map(|_| Slot::new()).collect();
        Some(exemplars.get_or_init(make))
    }

    /// The value of a gauge, or `None` where it has none.
    pub(super) fn gauge(&self) -> Option<f64> {
        let Value::Gauge(bits) = self else { return None };
        let bits = bits.load(Ordering::Relaxed);
        (bits != ABSENT).then(|| f64::from_bits(bits))
    }
}

/// The unchanging parts of a series' lines, end to end in one allocation.
pub(super) struct Lines {
    bytes: Box<[u8]>,
    ends: Box<[u32]>,
}

impl Lines {
    /// Line of a counter in OpenMetrics, where the sample's name must end in `_total`.
    pub(super) const OPENMETRICS: usize = 1;

    /// The line of a histogram's sum, which comes after those of its classic buckets and `+Inf`; then comes its count.
    pub(super) fn sum_of(buckets: Buckets) -> usize {
        buckets.le().len() + 1
    }

    pub(super) fn get(&self, line: usize) -> &[u8] {
        let start = if line == 0 { 0 } else { self.ends[line - 1] as usize };
        &self.bytes[start..self.ends[line] as usize]
    }

    /// Every line's beginning up to and with the space before the value.
    pub(super) fn new(kind: Kind, identity: &Identity) -> Self {
        let name = &identity.name;
        let line = |suffix: &str, label: Option<(&str, &str)>| line_start(name, suffix, &identity.labels, label);
        let lines = match kind {
            Kind::Counter | Kind::DurationCounter => {
                let openmetrics = format!("{}_total", kind.family(name));
                vec![line("", None), line_start(&openmetrics, "", &identity.labels, None)]
            }
            Kind::Gauge => vec![line("", None)],
            Kind::Histogram(buckets) => buckets
                .le()
                .iter()
                .chain([&"+Inf"])
                .map(|le| line("_bucket", Some(("le", le))))
                .chain([line("_sum", None), line("_count", None)])
                .collect(),
        };
        let ends = lines.iter().scan(0, |end, line| {
            *end += line.len() as u32;
            Some(*end)
        });
        Self {
            ends: ends.collect(),
            bytes: lines.concat().into_bytes().into(),
        }
    }
}

fn line_start(name: &str, suffix: &str, labels: &[(Box<str>, Box<str>)], last: Option<(&str, &str)>) -> String {
    let labels = labels.iter().map(|(label, value)| (&**label, &**value)).chain(last);
    let pairs: Vec<String> = labels
        .map(|(label, value)| format!("{label}=\"{}\"", escape(value)))
        .collect();
    if pairs.is_empty() {
        format!("{name}{suffix} ")
    } else {
        format!("{name}{suffix}{{{}}} ", pairs.join(","))
    }
}

/// Escapes a label's value, or a HELP text of OpenMetrics: `\`, `"` and line feed.
pub(super) fn escape(text: &str) -> String {
    escape_help(text).replace('"', "\\\"")
}

/// Escapes a HELP text of the text format, where a quotation mark stands for itself.
pub(super) fn escape_help(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}
