//! The registry: gives out handles, and renders what was recorded with them.
//!
//! Registration takes no lock: series, names and descriptions are entries of append-only tables. A scrape takes one
//! lock that only other scrapes wait for. Its working memory is kept from one scrape to the next, so that nothing is
//! allocated once every series has been seen.

use std::sync::Arc;

use parking_lot::Mutex;

use super::catalogue::{Catalogue, MAX_SERIES, RegisterError};
use super::exposition::{self, Family, Format, Reading};
use super::handle::{Counter, Gauge, Histogram, Info};
use super::series::{Kind, Series, escape, escape_help, hash_of};
use super::table::Table;

/// HELP and unit of a metric.
pub(super) struct Description {
    name: Box<str>,
    pub(super) help: Box<str>,
    /// Escaped for the text format and for OpenMetrics.
    pub(super) help_text: Box<str>,
    pub(super) help_openmetrics: Box<str>,
    pub(super) unit: Option<Box<str>>,
}

/// All metrics of a program. A program has one; each test makes its own.
pub struct Registry {
    catalogue: Catalogue,
    descriptions: Table<Arc<Description>>,
    rejected: Rejected,
    scrape: Mutex<Scrape>,
}

/// Counts refused registrations by reason.
struct Rejected {
    invalid: Counter,
    conflict: Counter,
    limit: Counter,
}

type Hook = Box<dyn Fn() + Send>;

/// What a scrape works with, kept for the next.
#[derive(Default)]
struct Scrape {
    hooks: Vec<Hook>,
    /// How many series and descriptions `families` was made of.
    seen: (usize, usize),
    /// Sorted by name, each family's series by labels.
    families: Vec<Family>,
    /// The sum of each cell over the shards.
    totals: Vec<u64>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A registry of at most [`MAX_SERIES`] series. It has one metric of its own, `janus_metrics_rejected_total`.
    pub fn new() -> Self {
        Self::with_max_series(MAX_SERIES)
    }

    /// A registry that refuses any series above `max_series`, the three of its own included.
    pub fn with_max_series(max_series: usize) -> Self {
        let max_series = max_series.max(3);
        const REJECTED: &str = "janus_metrics_rejected_total";
        let catalogue = Catalogue::new(max_series);
        let counter = |reason| {
            let series = catalogue.register(Kind::Counter, REJECTED, &[("reason", reason)], None);
            counter_of(&catalogue, series.expect("an empty catalogue takes a valid series"))
        };
        let rejected = Rejected {
            invalid: counter("invalid"),
            conflict: counter("conflict"),
            limit: counter("limit"),
        };
        let registry = Self {
            catalogue,
            descriptions: Table::new(max_series),
            rejected,
            scrape: Mutex::default(),
        };
        registry.describe(REJECTED, "Registrations of series refused, by reason.", None);
        registry
    }

    /// Sets the HELP text and the unit (`seconds`, `bytes`) of a metric, registered already or not. The first
    /// description of a name stays. OpenMetrics shows the unit where the metric's name ends in it.
    pub fn describe(&self, name: &str, help: &str, unit: Option<&str>) {
        let make = || {
            Ok(Arc::new(Description {
                name: name.into(),
                help: help.into(),
                help_text: escape_help(help).into(),
                help_openmetrics: escape(help).into(),
                unit: unit.map(Into::into),
            }))
        };
        // Where the table is full, the metric has no HELP; its series are bounded by the same number.
        let _ = self
            .descriptions
            .get_or_insert(hash_of(name), |known| *known.name == *name, make);
    }

    /// The counter of this name and these labels; registered by the first call, the same for all.
    ///
    /// # Errors
    /// A name or label outside the data model, a name that belongs to another kind, or the bound on series. Each is
    /// counted in `janus_metrics_rejected_total`; so for the other kinds.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Result<Counter, RegisterError> {
        let series = self.register(Kind::Counter, name, labels, None)?;
        Ok(counter_of(&self.catalogue, series))
    }

    /// A counter that is incremented in nanoseconds and exposed in seconds.
    ///
    /// # Errors
    /// As [`Registry::counter`].
    pub fn duration_counter(&self, name: &str, labels: &[(&str, &str)]) -> Result<Counter, RegisterError> {
        let series = self.register(Kind::DurationCounter, name, labels, None)?;
        Ok(counter_of(&self.catalogue, series))
    }

    /// The gauge of this name and these labels.
    ///
    /// # Errors
    /// As [`Registry::counter`].
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Result<Gauge, RegisterError> {
        let series = self.register(Kind::Gauge, name, labels, None)?;
        Ok(Gauge::new(series).expect("it was registered as a gauge"))
    }

    /// The histogram of this name and these labels. All histograms have the same buckets.
    ///
    /// # Errors
    /// As [`Registry::counter`]; the label `le` is reserved.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Result<Histogram, RegisterError> {
        let series = self.register(Kind::Histogram, name, labels, None)?;
        Ok(Histogram::new(&self.catalogue.cells, series).expect("it was registered as a histogram"))
    }

    /// The info series of this name and these labels; [`Info::set`] gives the value of one more label, `varying`.
    ///
    /// # Errors
    /// As [`Registry::counter`].
    pub fn info(&self, name: &str, labels: &[(&str, &str)], varying: &str) -> Result<Info, RegisterError> {
        let series = self.register(Kind::Info, name, labels, Some(varying))?;
        Ok(Info::new(series).expect("it was registered as an info"))
    }

    /// Calls `hook` at the start of every scrape, to set metrics whose value is read rather than recorded.
    ///
    /// Hooks run one scrape at a time, under the lock of the scrape: they may register and record, but must not
    /// render, nor add hooks. They should hold handles, not the registry, which would then never be freed.
    pub fn on_scrape(&self, hook: impl Fn() + Send + 'static) {
        self.scrape.lock().hooks.push(Box::new(hook));
    }

    /// Appends the exposition of everything recorded to `out`, sorted by name and labels.
    ///
    /// Waits for other scrapes, never for a thread that records. What is recorded meanwhile may be in it or not, but
    /// no counter, bucket or sum is ever less than in an earlier exposition.
    pub fn render(&self, format: Format, out: &mut Vec<u8>) {
        let mut scrape = self.scrape.lock();
        let scrape = &mut *scrape;
        scrape.hooks.iter().for_each(|hook| hook());
        let seen = (self.catalogue.series.len(), self.descriptions.len());
        if seen != scrape.seen {
            scrape.families = self.families();
            scrape.seen = seen;
        }
        // After the families, so that the sums reach every cell that their series have.
        self.catalogue.cells.sum_into(&mut scrape.totals);
        let reading = Reading {
            families: &scrape.families,
            cells: &self.catalogue.cells,
            totals: &scrape.totals,
        };
        exposition::write(format, &reading, out);
    }

    /// The bound on series.
    pub(super) fn max_series(&self) -> usize {
        self.catalogue.max_series()
    }

    fn families(&self) -> Vec<Family> {
        let mut series: Vec<Arc<Series>> = self.catalogue.series.iter().cloned().collect();
        series.sort_unstable_by(|a, b| a.identity.cmp(&b.identity));
        let same_name = |a: &Arc<Series>, b: &Arc<Series>| a.identity.name == b.identity.name;
        let family = |series: &[Arc<Series>]| {
            let name = &series[0].identity.name;
            let description = self.descriptions.get(hash_of(&**name), |known| known.name == *name);
            Family {
                series: series.to_vec(),
                description: description.cloned(),
            }
        };
        series.chunk_by(same_name).map(family).collect()
    }

    fn register(
        &self,
        kind: Kind,
        name: &str,
        labels: &[(&str, &str)],
        varying: Option<&str>,
    ) -> Result<&Arc<Series>, RegisterError> {
        self.catalogue
            .register(kind, name, labels, varying)
            .inspect_err(|error| self.count_rejected(error))
    }

    fn count_rejected(&self, error: &RegisterError) {
        match error {
            RegisterError::InvalidName { .. } | RegisterError::InvalidLabel { .. } => &self.rejected.invalid,
            RegisterError::Conflict { .. } => &self.rejected.conflict,
            RegisterError::Full { .. } => &self.rejected.limit,
        }
        .increment(1);
    }
}

fn counter_of(catalogue: &Catalogue, series: &Arc<Series>) -> Counter {
    Counter::new(&catalogue.cells, series).expect("it was registered as a counter")
}
