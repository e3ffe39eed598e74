//! Series that nobody records: at each scrape they are read from what they tell of.
//!
//! So they cannot disagree with it, and nothing has to be hidden when it goes: what is not collected has no series.

use std::collections::BTreeMap;

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A count that only goes up.
    Counter,
}

/// A metric: what stands behind its `# HELP`, `# TYPE` and `# UNIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The metric's name.
    pub name: &'static str,
    /// Gauge or counter.
    pub kind: Kind,
    /// The unit that the name ends with (before `_total`), if it has one.
    pub unit: Option<&'static str>,
    /// One sentence.
    pub help: &'static str,
}

impl Family {
    /// A value that goes up and down.
    pub const fn gauge(name: &'static str, unit: Option<&'static str>, help: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Gauge,
            unit,
            help,
        }
    }

    /// A count that only goes up.
    pub const fn counter(name: &'static str, unit: Option<&'static str>, help: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Counter,
            unit,
            help,
        }
    }

    /// The series of this family with these labels.
    pub fn series(self, labels: Vec<(&'static str, String)>) -> SeriesId {
        SeriesId {
            name: self.name,
            labels,
        }
    }
}

/// A series: a metric and its labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId {
    /// The metric's name.
    pub name: &'static str,
    /// Names and values of the labels.
    pub labels: Vec<(&'static str, String)>,
}

/// What a series stands at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// The value of a gauge.
    Gauge(f64),
    /// The total of a counter; over the life of the process it never falls.
    Counter(u64),
    /// The total of a counter of nanoseconds, which is shown in seconds.
    Nanoseconds(u64),
}

impl Value {
    /// What the metric is that has this value.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Gauge(_) => Kind::Gauge,
            Self::Counter(_) | Self::Nanoseconds(_) => Kind::Counter,
        }
    }
}

/// All series that there are at one moment.
pub type Samples = BTreeMap<SeriesId, Value>;
