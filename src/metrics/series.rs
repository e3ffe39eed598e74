//! What is registered: one series, its identity in the Prometheus data model, and the text that never changes.
//!
//! Names and labels are checked and escaped here, once. A scrape copies the lines' beginnings and adds numbers.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use arc_swap::ArcSwapOption;

use super::RegisterError;
use super::cell::{BLOCK, CellRef};
use super::histogram::CLASSIC_LE;
use super::sync::{AtomicU64, Ordering};

/// What a family of series is. Two of them are exposed as counters and two as gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    /// A counter of nanoseconds, exposed in seconds.
    DurationCounter,
    Gauge,
    /// A gauge of 1 with one label whose value is replaced.
    Info,
    Histogram,
}

impl Kind {
    /// The word of the TYPE line.
    pub(super) fn exposed(self) -> &'static str {
        match self {
            Kind::Counter | Kind::DurationCounter => "counter",
            Kind::Gauge | Kind::Info => "gauge",
            Kind::Histogram => "histogram",
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
            Kind::Counter | Kind::DurationCounter => &["", "_total", "_created"],
            Kind::Gauge | Kind::Info => &[""],
            Kind::Histogram => &["", "_bucket", "_count", "_sum", "_created"],
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
            Kind::Info => "info",
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
        let reserved = |label: &str| kind == Kind::Histogram && label == "le";
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
        /// The total at which the series was cleared, or [`SHOWN`].
        hidden_at: AtomicU64,
    },
    /// Bits of an `f64`, or [`ABSENT`].
    Gauge(AtomicU64),
    Info {
        label: Box<str>,
        /// The label's value, escaped and as it is, or nothing.
        value: ArcSwapOption<(String, String)>,
    },
    Histogram(CellRef<BLOCK>),
}

/// A counter that is not cleared. No total reaches it.
pub(super) const SHOWN: u64 = u64::MAX;

/// A gauge that has no value. It is one of the many NaNs, and not the one that is stored for a NaN that was set.
pub(super) const ABSENT: u64 = 0x7ff8_0000_6e6f_6e65;

impl Value {
    /// The value of a counter given the sum of its cells, or `None` where it is cleared.
    pub(super) fn counter(&self, sum: u64) -> Option<u64> {
        let Value::Counter { base, hidden_at, .. } = self else {
            return None;
        };
        // Relaxed: each is one word that stands for itself; scrapes are ordered by their lock.
        let total = base.load(Ordering::Relaxed).wrapping_add(sum);
        (hidden_at.load(Ordering::Relaxed) != total).then_some(total)
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
    /// Lines of a histogram: its classic buckets in order, `+Inf`, then these two.
    pub(super) const SUM: usize = CLASSIC_LE.len() + 1;
    pub(super) const COUNT: usize = Self::SUM + 1;

    pub(super) fn get(&self, line: usize) -> &[u8] {
        let start = if line == 0 { 0 } else { self.ends[line - 1] as usize };
        &self.bytes[start..self.ends[line] as usize]
    }

    /// Every line's beginning up to and with the space before the value. An info series has two pieces instead: what
    /// comes before the value of `varying`, and what comes after it.
    pub(super) fn new(kind: Kind, identity: &Identity, varying: Option<&str>) -> Self {
        let name = &identity.name;
        let line = |suffix: &str, label: Option<(&str, &str)>| line_start(name, suffix, &identity.labels, label);
        let lines = match kind {
            Kind::Counter | Kind::DurationCounter => {
                let openmetrics = format!("{}_total", kind.family(name));
                vec![line("", None), line_start(&openmetrics, "", &identity.labels, None)]
            }
            Kind::Gauge => vec![line("", None)],
            Kind::Info => {
                let whole = line("", Some((varying.unwrap_or_default(), "")));
                let (before, after) = whole.split_at(whole.len() - 3);
                vec![before.to_owned(), after.to_owned()]
            }
            Kind::Histogram => CLASSIC_LE
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
