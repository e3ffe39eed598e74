//! The registry: gives out handles, and renders what was recorded with them.
//!
//! Registration takes no lock: series, names and descriptions are entries of append-only tables. A scrape takes one
//! lock that only other scrapes wait for. Its working memory is kept from one scrape to the next, so that nothing is
//! allocated once every series has been seen.

use std::sync::Arc;

use parking_lot::Mutex;

use super::catalogue::{Catalogue, MAX_SERIES};
use super::collected::{self, Samples};
use super::error::RegisterError;
use super::exposition::{self, Description, Family, Reading};
use super::format::Format;
use super::handle::{Counter, Gauge, Histogram};
use super::histogram::Buckets;
use super::series::{Identity, Kind, Lines, Series, Value, hash_of};
use super::table::Table;

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
type Collector = Box<dyn Fn(&mut Samples) + Send>;

/// What a scrape works with, kept for the next.
#[derive(Default)]
struct Scrape {
    hooks: Vec<Hook>,
    collectors: Vec<Collector>,
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
            let series = catalogue.register(Kind::Counter, REJECTED, &[("reason", reason)]);
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
        let make = || Ok(Arc::new(Description::new(name, help, unit)));
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
        let series = self.register(Kind::Counter, name, labels)?;
        Ok(counter_of(&self.catalogue, series))
    }

    /// A counter that is incremented in nanoseconds and exposed in seconds.
    ///
    /// # Errors
    /// As [`Registry::counter`].
    pub fn duration_counter(&self, name: &str, labels: &[(&str, &str)]) -> Result<Counter, RegisterError> {
        let series = self.register(Kind::DurationCounter, name, labels)?;
        Ok(counter_of(&self.catalogue, series))
    }

    /// The gauge of this name and these labels.
    ///
    /// # Errors
    /// As [`Registry::counter`].
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Result<Gauge, RegisterError> {
        let series = self.register(Kind::Gauge, name, labels)?;
        Ok(Gauge::new(series).expect("it was registered as a gauge"))
    }

    /// The histogram of this name and these labels, with the bounds of [`Buckets::REQUESTS`].
    ///
    /// # Errors
    /// As [`Registry::counter`]; the label `le` is reserved.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Result<Histogram, RegisterError> {
        self.histogram_of(Buckets::REQUESTS, name, labels)
    }

    /// The histogram of this name and these labels, with these bounds. All series of a name have the same.
    ///
    /// # Errors
    /// As [`Registry::histogram`]; and if the name has other bounds.
    pub fn histogram_of(
        &self,
        buckets: Buckets,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<Histogram, RegisterError> {
        let series = self.register(Kind::Histogram(buckets), name, labels)?;
        Ok(Histogram::new(&self.catalogue.cells, series).expect("it was registered as a histogram"))
    }

    /// Has every scrape collect series of these families: all that `collect` puts in are there, and no others.
    ///
    /// It is called as the hooks of [`Registry::on_scrape`] are, and after them.
    ///
    /// # Errors
    /// A name outside the data model, or one that belongs to another kind.
    pub fn collect(
        &self,
        families: &[collected::Family],
        collect: impl Fn(&mut Samples) + Send + 'static,
    ) -> Result<(), RegisterError> {
        for family in families {
            let kind = Kind::of(family.kind);
            let claimed =
                Identity::new(kind, family.name, &[]).and_then(|_| self.catalogue.claim_family(kind, family.name));
            claimed.inspect_err(|error| self.count_rejected(error))?;
            self.describe(family.name, family.help, family.unit);
        }
        self.scrape.lock().collectors.push(Box::new(collect));
        Ok(())
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
        let collected = self.collected(&scrape.collectors);
        let seen = (self.catalogue.series.len(), self.descriptions.len());
        if seen != scrape.seen {
            scrape.families = self.families();
            scrape.seen = seen;
        }
        // After the families, so that the sums reach every cell that their series have.
        self.catalogue.cells.sum_into(&mut scrape.totals);
        let reading = Reading {
            families: &scrape.families,
            collected: &collected,
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
        self.by_name(&mut series)
    }

    /// What the collectors have now. A series that is refused is left out and counted, as any other.
    fn collected(&self, collectors: &[Collector]) -> Vec<Family> {
        let mut samples = Samples::new();
        collectors.iter().for_each(|collect| collect(&mut samples));
        let left = self.max_series().saturating_sub(self.catalogue.series.len());
        let mut all = Vec::with_capacity(samples.len());
        for (id, value) in samples {
            let labels: Vec<_> = id
                .labels
                .iter()
                .map(|(label, value)| (*label, value.as_str()))
                .collect();
            let kind = Kind::of(value.kind());
            let identity = if all.len() < left {
                Identity::new(kind, id.name, &labels)
            } else {
                let (name, limit) = (id.name.to_owned(), self.max_series());
                Err(RegisterError::Full { name, limit })
            };
            match identity {
                Ok(identity) => all.push(Arc::new(Series {
                    value: Value::Collected(value),
                    kind,
                    lines: Lines::new(kind, &identity),
                    identity,
                })),
                Err(error) => self.count_rejected(&error),
            }
        }
        self.by_name(&mut all)
    }

    /// Families of these series, sorted by name.
    fn by_name(&self, series: &mut [Arc<Series>]) -> Vec<Family> {
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

    fn register(&self, kind: Kind, name: &str, labels: &[(&str, &str)]) -> Result<&Arc<Series>, RegisterError> {
        self.catalogue
            .register(kind, name, labels)
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
