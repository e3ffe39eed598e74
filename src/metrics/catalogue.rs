//! The catalogue: which series there are, and which names are taken.
//!
//! It decides whether a series may be: a valid name, free or of the same kind in every format's spelling, and within
//! the bound. It takes no lock; of threads that race to register the same series one wins and all get its series.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::series::{ABSENT, Identity, Kind, Lines, SHOWN, Series, Value, hash_of, is_label_name};
use super::shard::Cells;
use super::sync::AtomicU64;
use super::table::{Full, Table};

/// Series that a registry holds unless it is made with another bound. A program has a few hundred; a label that takes
/// its values from outside runs into this instead of taking all memory.
pub const MAX_SERIES: usize = 16_384;

/// Why a series is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is not one of the Prometheus data model.
    #[error("{name:?} is not a metric name: it must match [a-zA-Z_:][a-zA-Z0-9_:]*")]
    InvalidName {
        /// The name refused.
        name: String,
    },
    /// A label's name is not one of the data model, is reserved, or is given twice.
    #[error("metric {name}: label {label:?} must match [a-zA-Z_][a-zA-Z0-9_]*, be given once and not be reserved")]
    InvalidLabel {
        /// Name of the metric.
        name: String,
        /// Name of the label refused.
        label: String,
    },
    /// The name, or one that its samples would have, belongs to another metric.
    #[error("metric {name} cannot be a {kind}: the name {taken} belongs to {owner}, a {owner_kind}")]
    Conflict {
        /// Name of the metric.
        name: String,
        /// Kind asked for.
        kind: String,
        /// The name that is taken already.
        taken: String,
        /// The metric that took it.
        owner: String,
        /// The kind of that metric.
        owner_kind: String,
    },
    /// The bound on series is reached.
    #[error("metric {name}: no more than {limit} series are kept; is a label's set of values open?")]
    Full {
        /// Name of the metric.
        name: String,
        /// The bound.
        limit: usize,
    },
}

/// A name in use in some format, and who uses it.
struct Claim {
    name: String,
    owner: Box<str>,
    kind: Kind,
}

/// See the module.
pub(super) struct Catalogue {
    pub(super) cells: Arc<Cells>,
    pub(super) series: Table<Arc<Series>>,
    claims: Table<Claim>,
    max_series: usize,
}

impl Catalogue {
    pub(super) fn new(max_series: usize) -> Self {
        let cells = Arc::new(Cells::new());
        // A kind has five names at most.
        Self {
            cells,
            series: Table::new(max_series),
            claims: Table::new(max_series * 5),
            max_series,
        }
    }

    pub(super) fn max_series(&self) -> usize {
        self.max_series
    }

    /// The series of this kind, name and labels, made if it is not there. `varying` is the label of an info.
    pub(super) fn register(
        &self,
        kind: Kind,
        name: &str,
        labels: &[(&str, &str)],
        varying: Option<&str>,
    ) -> Result<&Arc<Series>, RegisterError> {
        let identity = Identity::new(kind, name, labels)?;
        if let Some(label) = varying
            && (!is_label_name(label) || labels.iter().any(|(other, _)| *other == label))
        {
            return Err(RegisterError::InvalidLabel {
                name: name.into(),
                label: label.into(),
            });
        }
        let full = |_: Full| RegisterError::Full {
            name: name.into(),
            limit: self.max_series,
        };
        for claimed in kind.names(name) {
            let claim = self.claim(claimed, kind, name).map_err(full)?;
            if *claim.owner != *name || claim.kind != kind {
                return Err(claim.conflict(kind, name));
            }
        }
        let make = || {
            let lines = Lines::new(kind, &identity, varying);
            Ok(Arc::new(Series {
                value: self.value(kind, varying)?,
                kind,
                lines,
                identity: identity.clone(),
            }))
        };
        let is = |series: &Arc<Series>| series.identity == identity;
        let series = self.series.get_or_insert(identity.hash(), is, make).map_err(full)?;
        match (&series.value, varying) {
            (Value::Info { label, .. }, Some(other)) if **label != *other => Err(RegisterError::InvalidLabel {
                name: name.into(),
                label: other.into(),
            }),
            _ => Ok(series),
        }
    }

    fn claim(&self, claimed: String, kind: Kind, owner: &str) -> Result<&Claim, Full> {
        let name = claimed.clone();
        let make = || {
            Ok(Claim {
                name,
                owner: owner.into(),
                kind,
            })
        };
        self.claims
            .get_or_insert(hash_of(claimed.as_str()), |claim| claim.name == claimed, make)
    }

    /// The value of a new series. A thread that loses the race to publish it leaves its cells unused; they are one
    /// row a lost race, of rows that are enough for every series that can be.
    fn value(&self, kind: Kind, varying: Option<&str>) -> Result<Value, Full> {
        Ok(match kind {
            Kind::Counter | Kind::DurationCounter => Value::Counter {
                at: self.cells.allocate_one().ok_or(Full)?,
                base: AtomicU64::new(0),
                hidden_at: AtomicU64::new(SHOWN),
            },
            Kind::Gauge => Value::Gauge(AtomicU64::new(ABSENT)),
            Kind::Info => Value::Info {
                label: varying.unwrap_or_default().into(),
                value: ArcSwapOption::empty(),
            },
            Kind::Histogram => Value::Histogram(self.cells.allocate_block().ok_or(Full)?),
        })
    }
}

impl Claim {
    fn conflict(&self, kind: Kind, name: &str) -> RegisterError {
        RegisterError::Conflict {
            name: name.into(),
            kind: kind.to_string(),
            taken: self.name.clone(),
            owner: self.owner.to_string(),
            owner_kind: self.kind.to_string(),
        }
    }
}
