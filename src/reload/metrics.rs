//! What is recorded of snapshots and reloads.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::loss::{Loss, Reason};
use super::observe::since_epoch;
use super::report::Outcome;
use crate::ledger::{Account, Ledger};
use crate::metrics::collected::{Family, Samples, Value};
use crate::metrics::{Buckets, Counter, Gauge, Histogram, Registry};
use crate::snapshot::{Publisher, Snapshot};

const SNAPSHOT_INFO: Family = Family::gauge(
    "janus_snapshot_info",
    None,
    "The snapshot that is served; the same data has the same id on every replica.",
);
const SNAPSHOT_ITEMS: Family = Family::gauge("janus_snapshot_items", None, "Items of the snapshot that is served.");
const SNAPSHOT_BYTES: Family = Family::gauge(
    "janus_snapshot_bytes",
    Some("bytes"),
    "Length of the collection's body, by content coding.",
);
const SNAPSHOT_LOADED: Family = Family::gauge(
    "janus_snapshot_loaded_timestamp_seconds",
    Some("seconds"),
    "When the snapshot that is served was loaded.",
);
const IN_PROGRESS: Family = Family::gauge(
    "janus_reload_in_progress_seconds",
    Some("seconds"),
    "For how long the load that is under way has been going on; 0 if there is none.",
);

/// What a scrape collects of the snapshot that is served. All of it is of one snapshot, whatever is published meanwhile.
fn collect_snapshot(snapshot: &Snapshot, samples: &mut Samples) {
    let Some(collection) = snapshot.collection() else {
        return;
    };
    let mut gauge = |family: Family, labels: Vec<(&'static str, String)>, value: f64| {
        samples.insert(family.series(labels), Value::Gauge(value));
    };
    gauge(SNAPSHOT_INFO, vec![("id", snapshot.id().to_owned())], 1.0);
    gauge(SNAPSHOT_ITEMS, Vec::new(), snapshot.items_count() as f64);
    if let Some(loaded) = snapshot.loaded_at() {
        gauge(SNAPSHOT_LOADED, Vec::new(), since_epoch(loaded));
    }
    for made in collection.representations() {
        let labels = vec![("encoding", made.coding().token().to_owned())];
        gauge(SNAPSHOT_BYTES, labels, made.body().len() as f64);
    }
}

/// The reload series.
#[derive(Debug)]
pub(super) struct ReloadMetrics {
    reloads: [Counter; Outcome::ALL.len()],
    last_successful: Gauge,
    duration: Histogram,
    refused_for_memory: Counter,
    last_attempt: Gauge,
    refused: [Counter; Reason::LABELS.len()],
    refused_items: Gauge,
    /// When the load that is under way began.
    began: Arc<Mutex<Option<Instant>>>,
}

/// A load that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct InProgress(Arc<Mutex<Option<Instant>>>);

impl Drop for InProgress {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl ReloadMetrics {
    /// Of a source of this kind, and of what `publisher` serves.
    pub(super) fn new(registry: &Registry, kind: &'static str, publisher: &Publisher) -> Self {
        registry.describe(
            "janus_source_info",
            "1; what kind of source is served: file, stdin, or the built-in sample, which stands in for no data.",
            None,
        );
        registry.describe(
            "janus_reloads_total",
            "Reloads after the first load, by their result.",
            None,
        );
        registry.describe(
            "janus_last_reload_successful",
            "1 if the last load left the source's data served; 0 while an older snapshot stands in for bad data.",
            None,
        );
        registry.describe(
            "janus_reload_duration_seconds",
            "From the trigger of a reload to its end.",
            Some("seconds"),
        );
        registry.describe(
            "janus_loads_refused_for_memory_total",
            "Loads that were refused, or broken off, since what they make would not fit into memory.",
            None,
        );
        registry.describe(
            "janus_last_reload_attempt_timestamp_seconds",
            "When the last load began, the first one included.",
            Some("seconds"),
        );
        registry.describe(
            "janus_reloads_refused_total",
            "Reloads that failed because they would have lost data, by what they would have lost.",
            None,
        );
        registry.describe(
            "janus_last_reload_refused_items",
            "Items that the last reload would have removed, if it was refused for what it would have lost; else 0.",
            None,
        );
        const VALID: &str = "the names are valid and no other kind has them";
        let gauge = |name, labels: &[(&str, &str)]| registry.gauge(name, labels).expect(VALID);
        gauge("janus_source_info", &[("kind", kind)]).set(1.0);
        let reloads = Outcome::ALL.map(|outcome| {
            registry
                .counter("janus_reloads_total", &[("result", outcome.label())])
                .expect(VALID)
        });
        let refused = Reason::LABELS.map(|reason| {
            registry
                .counter("janus_reloads_refused_total", &[("reason", reason)])
                .expect(VALID)
        });
        let began = Arc::<Mutex<Option<Instant>>>::default();
        let families = [
            SNAPSHOT_INFO,
            SNAPSHOT_ITEMS,
            SNAPSHOT_BYTES,
            SNAPSHOT_LOADED,
            IN_PROGRESS,
        ];
        let collect = {
            let (publisher, began) = (publisher.clone(), Arc::clone(&began));
            move |samples: &mut Samples| {
                collect_snapshot(&publisher.current(), samples);
                let took = began.lock().map_or(Duration::ZERO, |began| began.elapsed());
                samples.insert(IN_PROGRESS.series(Vec::new()), Value::Gauge(took.as_secs_f64()));
            }
        };
        registry.collect(&families, collect).expect(VALID);
        // A counter is there from the start, at 0, so that its first increment can be seen.
        let refused_for_memory = registry
            .counter("janus_loads_refused_for_memory_total", &[])
            .expect(VALID);
        // Nothing has been refused, which is a value.
        let refused_items = gauge("janus_last_reload_refused_items", &[]);
        refused_items.set(0.0);
        Self {
            reloads,
            last_successful: gauge("janus_last_reload_successful", &[]),
            duration: registry
                .histogram_of(Buckets::LOADS, "janus_reload_duration_seconds", &[])
                .expect(VALID),
            last_attempt: gauge("janus_last_reload_attempt_timestamp_seconds", &[]),
            refused,
            refused_items,
            began,
            refused_for_memory,
        }
    }

    /// New data is served.
    pub(super) fn published(&self) {
        self.last_successful.set(1.0);
    }

    /// A load begins.
    pub(super) fn begin(&self) -> InProgress {
        self.last_attempt.set(since_epoch(SystemTime::now()));
        *self.began.lock() = Some(Instant::now());
        InProgress(Arc::clone(&self.began))
    }

    /// A load did not fit into memory.
    pub(super) fn refused_for_memory(&self) {
        self.refused_for_memory.increment(1);
    }

    /// A reload has ended.
    pub(super) fn reloaded(&self, outcome: Outcome, took: Duration, loss: Option<&Loss>) {
        self.reloads[outcome as usize].increment(1);
        if let Some(loss) = loss {
            self.refused[loss.reason.place()].increment(1);
        }
        self.refused_items
            .set(loss.map_or(0.0, |loss| loss.items_removed as f64));
        self.last_successful.set(f64::from(outcome != Outcome::Failure));
        self.duration.record_ns(took.as_nanos() as u64);
    }
}

/// Shows the ledger's accounts to every scrape.
pub(super) fn register_ledger(registry: &Registry, ledger: &Ledger) {
    const BYTES: Family = Family::gauge(
        "janus_data_bytes",
        Some("bytes"),
        "Memory of data, by what it is held for; each byte counts once.",
    );
    let ledger = ledger.clone();
    let collect = move |samples: &mut Samples| {
        for account in Account::ALL {
            let id = BYTES.series(vec![("account", account.label().to_owned())]);
            samples.insert(id, Value::Gauge(ledger.bytes(account) as f64));
        }
    };
    registry
        .collect(&[BYTES], collect)
        .expect("the name is valid and no other kind has it");
}

/// Describes the build.
pub(crate) fn register_build(registry: &Arc<Registry>) {
    registry.describe("janus_build_info", "The program that runs.", None);
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("commit", env!("JANUS_COMMIT")),
        ("rustc", env!("JANUS_RUSTC")),
    ];
    registry
        .gauge("janus_build_info", &labels)
        .expect("the name is valid and no other kind has it")
        .set(1.0);
}
