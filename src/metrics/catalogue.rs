//! The catalogue: which series there are, and which names are taken.
//!
//! It decides whether a series may be: a valid name, free or of the same kind in every format's spelling, and within
//! the bound. It takes no lock; of threads that race to register the same series one wins and all get its series.

use std::sync::{Arc, OnceLock};

use super::error::RegisterError;
use super::series::{ABSENT, Identity, Kind, Lines, Series, Value, hash_of};
use super::shard::Cells;
use super::sync::AtomicU64;
use super::table::{Full, Table};

/// Series that a registry holds unless it is made with another bound. A program has a few hundred; a label that takes
/// its values from outside runs into this instead of taking all memory.
pub const MAX_SERIES: usize = 16_384;

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

    /// The series of this kind, name and labels, made if it is not there.
    pub(super) fn register(
        &self,
        kind: Kind,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<&Arc<Series>, RegisterError> {
        let identity = Identity::new(kind, name, labels)?;
        self.claim_family(kind, name)?;
        let make = || {
            let lines = Lines::new(kind, &identity);
            Ok(Arc::new(Series {
                value: self.value(kind)?,
                kind,
                lines,
                identity: identity.clone(),
            }))
        };
        let is = |series: &Arc<Series>| series.identity == identity;
        let full = |_: Full| self.full(name);
        self.series.get_or_insert(identity.hash(), is, make).map_err(full)
    }

    /// Takes the names of a family of this kind, or finds them taken by it.
    pub(super) fn claim_family(&self, kind: Kind, name: &str) -> Result<(), RegisterError> {
        for claimed in kind.names(name) {
            let claim = self.claim(claimed, kind, name).map_err(|_| self.full(name))?;
            if *claim.owner != *name || claim.kind != kind {
                return Err(claim.conflict(kind, name));
            }
        }
        Ok(())
    }

    fn full(&self, name: &str) -> RegisterError {
        RegisterError::Full {
            name: name.into(),
            limit: self.max_series,
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
    fn value(&self, kind: Kind) -> Result<Value, Full> {
        Ok(match kind {
            Kind::Counter | Kind::DurationCounter => Value::Counter {
                at: self.cells.allocate_one().ok_or(Full)?,
                base: AtomicU64::new(0),
            },
            Kind::Gauge => Value::Gauge(AtomicU64::new(ABSENT)),
            Kind::Histogram(buckets) => Value::Histogram {
                at: self.cells.allocate_block().ok_or(Full)?,
                buckets,
                exemplars: OnceLock::new(),
            },
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
