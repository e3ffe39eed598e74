//! Brings the published series in line with the last sample.
//!
//! Owns the handles of the hardware series: each series is registered when a sample gives it for the first time and
//! taken out of the exposition as soon as one does not give it. Its input is the whole set of series after a sample.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tracing::warn;

use super::series::{FAMILIES, Kind, SeriesId, Value};
use crate::metrics::{Counter, Gauge, RegisterError, Registry};

/// The published series.
pub(super) struct Publisher {
    registry: Arc<Registry>,
    handles: HashMap<SeriesId, Handle>,
    has_warned: bool,
}

enum Handle {
    Gauge(Gauge),
    Counter(Counter),
}

impl Publisher {
    /// Describes the hardware metrics in `registry`; there is no series yet.
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        for family in FAMILIES {
            registry.describe(family.name, family.help, family.unit);
        }
        Self {
            registry,
            handles: HashMap::new(),
            has_warned: false,
        }
    }

    /// Publishes exactly these series.
    pub(super) fn publish(&mut self, series: &BTreeMap<SeriesId, Value>) {
        for (_, handle) in self.handles.iter().filter(|(id, _)| !series.contains_key(id)) {
            handle.clear();
        }
        for (id, value) in series {
            let refused = self.set(id, *value).err();
            // Once: a machine with too many devices has them at every sample, and the registry counts refusals.
            if let Some(error) = refused.filter(|_| !self.has_warned) {
                warn!(%error, "a hardware series is left out; any further one will be without a word");
                self.has_warned = true;
            }
        }
    }

    fn set(&mut self, id: &SeriesId, value: Value) -> Result<(), RegisterError> {
        if !self.handles.contains_key(id) {
            self.handles
                .insert(id.clone(), Handle::register(&self.registry, id, value.kind())?);
        }
        self.handles[id].set(value);
        Ok(())
    }
}

impl Handle {
    fn register(registry: &Registry, id: &SeriesId, kind: Kind) -> Result<Self, RegisterError> {
        let labels: Vec<_> = id.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Ok(match kind {
            Kind::Gauge => Self::Gauge(registry.gauge(id.name, &labels)?),
            Kind::Counter => Self::Counter(registry.counter(id.name, &labels)?),
        })
    }

    fn set(&self, value: Value) {
        match (self, value) {
            (Self::Gauge(gauge), Value::Gauge(value)) => gauge.set(value),
            (Self::Counter(counter), Value::Counter(total)) => counter.absolute(total),
            _ => unreachable!("a metric is of one kind"),
        }
    }

    fn clear(&self) {
        match self {
            Self::Gauge(gauge) => gauge.clear(),
            Self::Counter(counter) => counter.clear(),
        }
    }
}
