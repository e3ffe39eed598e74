//! Brings the published series in line with the last sample.
//!
//! Owns the memory of which series are published, and hides those that a sample no longer gives. Recording itself is
//! the [`SeriesSink`]'s.

use std::collections::{BTreeMap, BTreeSet};

use super::series::{SeriesId, Value};

/// Where series are recorded.
pub trait SeriesSink: Send {
    /// Shows a series at this value, from now on.
    fn set(&mut self, id: &SeriesId, value: Value);

    /// Takes a series out of the exposition until it is set again.
    fn hide(&mut self, id: &SeriesId);
}

/// The published series.
pub(super) struct Publisher {
    sink: Box<dyn SeriesSink>,
    published: BTreeSet<SeriesId>,
}

impl Publisher {
    pub(super) fn new(sink: Box<dyn SeriesSink>) -> Self {
        Self {
            sink,
            published: BTreeSet::new(),
        }
    }

    /// Publishes exactly these series.
    pub(super) fn publish(&mut self, series: BTreeMap<SeriesId, Value>) {
        for (id, value) in &series {
            self.sink.set(id, *value);
        }
        for id in self.published.iter().filter(|id| !series.contains_key(id)) {
            self.sink.hide(id);
        }
        self.published = series.into_keys().collect();
    }
}
