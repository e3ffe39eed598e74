//! The way of data at run time: triggers, loads, publishes, and the codings that join later.
//!
//! One thread loads, one makes codings. Bad data never replaces good data: whatever goes wrong is logged, counted, and
//! the snapshot that is served stays.

pub(crate) mod metrics;
mod report;

use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use self::metrics::ReloadMetrics;
pub use self::report::{Outcome, Reloads, Reply, Report};
use crate::allocator;
use crate::ledger::Reaping;
use crate::load::{LoadError, Loaded, Loading, load};
use crate::memory::Memory;
use crate::metrics::Registry;
use crate::progress::Progress;
use crate::snapshot::{Publisher, Settings, Snapshot};
use crate::source::{Revision, Source};

/// How often memory of data that is no longer current is looked at, to be freed when nobody reads it.
const REAP_INTERVAL: Duration = Duration::from_secs(1);

/// Why to look at the source.
#[derive(Debug)]
pub enum Trigger {
    /// It seems to have changed.
    Changed,
    /// Somebody asked.
    Requested,
    /// Somebody asked, and waits to hear how it ends.
    Awaited(Reply),
}

/// Loads, publishes, and loads again.
#[derive(Debug)]
pub struct Reloader {
    source: Source,
    loading: Loading,
    publisher: Publisher,
    encoder: Sender<Arc<Snapshot>>,
    metrics: Arc<ReloadMetrics>,
    last: Arc<ArcSwapOption<Report>>,
    revision: Option<Revision>,
    /// Memory of data is freed by this thread alone.
    _reaping: Reaping,
}

impl Reloader {
    /// Prepares to load `source`; starts the thread that makes codings.
    pub fn new(source: Source, loading: Loading, publisher: Publisher, registry: &Registry) -> Self {
        let metrics = Arc::new(ReloadMetrics::new(registry, source.kind()));
        metrics::register_ledger(registry, publisher.ledger());
        let encoder = spawn_encoder(loading.compile.clone(), publisher.clone(), Arc::clone(&metrics));
        Self {
            source,
            loading,
            _reaping: publisher.ledger().reaping(),
            publisher,
            encoder,
            metrics,
            last: Arc::default(),
            revision: None,
        }
    }

    /// A handle to ask this reloader, once it runs on the other end of `triggers`.
    pub fn handle(&self, triggers: Sender<Trigger>) -> Reloads {
        Reloads {
            triggers,
            last: Arc::clone(&self.last),
            source_name: self.source.name(),
        }
    }

    /// The file that may change, if the source is one.
    pub fn watchable(&self) -> Option<PathBuf> {
        self.source.watchable().map(Path::to_owned)
    }

    /// The first load: there is no last good snapshot yet, so an error is the caller's.
    ///
    /// # Errors
    ///
    /// If the source cannot be read, or is not a collection.
    pub fn load_first(&mut self) -> Result<(), LoadError> {
        let started = Instant::now();
        let progress = Progress::start(self.source.name());
        let loaded = load(&self.source, &self.loading, &|input| progress.follow(input))?;
        drop(progress);
        let format = loaded.format;
        let served = self.publish(loaded);
        tracing::info!(
            snapshot = served.id(),
            items = served.items_count(),
            bytes = served.bytes(),
            milliseconds = milliseconds(started),
            source = self.source.name(),
            %format,
            "loaded"
        );
        if self.loading.compile.is_sample {
            tracing::warn!("no data was named, so the built-in sample is served; --data (JANUS_DATA) names a file");
        }
        warn_without_ids(&served);
        allocator::give_back();
        Ok(())
    }

    /// Loads at each trigger, until there can be no more.
    pub fn run(mut self, triggers: &Receiver<Trigger>) {
        loop {
            let trigger = triggers.recv_timeout(REAP_INTERVAL);
            let is_loaded = trigger.is_ok();
            match trigger {
                Ok(first) => {
                    // What came meanwhile is served by the same load.
                    let triggers: Vec<Trigger> = iter::once(first).chain(triggers.try_iter()).collect();
                    let report = self.reload(triggers.iter().any(|trigger| !matches!(trigger, Trigger::Changed)));
                    for trigger in triggers {
                        if let Trigger::Awaited(reply) = trigger {
                            reply.send(Arc::clone(&report));
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Here and not by the encoder, or by the worker that happens to be the last to let go: it may be hundreds of
            // megabytes.
            let held = self.publisher.ledger().total();
            self.publisher.reap();
            if is_loaded || self.publisher.ledger().total() < held {
                allocator::give_back();
            }
        }
    }

    /// Loads, and publishes what is new. A reload that somebody asked for is logged even if nothing has changed.
    fn reload(&mut self, was_requested: bool) -> Arc<Report> {
        let started = Instant::now();
        let before = self.publisher.current();
        let result = self.load_if_changed().map(|loaded| match loaded {
            Some(loaded) if loaded.snapshot.id() != before.id() => {
                self.publish(loaded);
                Outcome::Success
            }
            unchanged => {
                if let Some(loaded) = unchanged {
                    self.revision = Some(loaded.revision);
                }
                Outcome::Unchanged
            }
        });
        let served = self.publisher.current();
        let report = Arc::new(Report::new(result, started.elapsed(), &served));
        self.metrics.reloaded(report.outcome, report.took);
        self.last.store(Some(Arc::clone(&report)));
        log(&report, before.id(), was_requested);
        if report.outcome == Outcome::Success {
            warn_without_ids(&served);
        }
        report
    }

    /// Reads the bytes only, as long as they are those of the current snapshot.
    fn load_if_changed(&self) -> Result<Option<Loaded>, LoadError> {
        if self.revision.is_some() && self.source.revision().ok().flatten() == self.revision {
            return Ok(None);
        }
        load(&self.source, &self.loading, &|_| {}).map(Some)
    }

    /// Serves what was loaded from now on.
    fn publish(&mut self, loaded: Loaded) -> Arc<Snapshot> {
        for note in &loaded.notes {
            tracing::warn!("{}: {note}", self.source.name());
        }
        self.revision = Some(loaded.revision);
        self.metrics.published(&loaded.snapshot);
        self.publisher.publish(loaded.snapshot);
        let served = self.publisher.current();
        if !served.is_encoded() {
            // The encoder ends only with the process.
            let _ = self.encoder.send(Arc::clone(&served));
        }
        served
    }
}

fn log(report: &Report, before: &str, was_requested: bool) {
    let snapshot = report.snapshot_id.as_str();
    let milliseconds = report.took.as_millis() as u64;
    match report.outcome {
        Outcome::Success => tracing::info!(
            old_snapshot = before,
            snapshot,
            items = report.items_count,
            bytes = report.bytes,
            milliseconds,
            "reloaded"
        ),
        Outcome::Unchanged if was_requested => tracing::info!(snapshot, milliseconds, "unchanged"),
        Outcome::Unchanged => tracing::debug!(snapshot, milliseconds, "unchanged"),
        Outcome::Failure => tracing::error!(
            error = report.error.as_ref().map(LoadError::summary),
            kept_snapshot = snapshot,
            milliseconds,
            "reload failed; the last good snapshot stays"
        ),
    }
}

fn warn_without_ids(snapshot: &Snapshot) {
    if let Some(reason) = snapshot.no_ids_reason() {
        tracing::warn!("{reason}: /items is served, /items/{{id}} is off");
    }
}

fn milliseconds(started: Instant) -> u64 {
    started.elapsed().as_millis() as u64
}

/// Makes the codings of the newest snapshot that has none; passes over those that are not current any more.
fn spawn_encoder(settings: Settings, publisher: Publisher, metrics: Arc<ReloadMetrics>) -> Sender<Arc<Snapshot>> {
    let (sender, snapshots) = channel::<Arc<Snapshot>>();
    let memory = Memory::of_this_process();
    let encode = move || {
        while let Ok(first) = snapshots.recv() {
            let snapshot = snapshots.try_iter().last().unwrap_or(first);
            let started = Instant::now();
            let encoded = snapshot.encoded(&settings, || room(&memory), lower_priority);
            let is_current = publisher.replace(&snapshot, encoded);
            allocator::give_back();
            if is_current {
                metrics.encoded(&publisher.current());
                tracing::info!(
                    snapshot = snapshot.id(),
                    milliseconds = milliseconds(started),
                    "encoded"
                );
            }
        }
    };
    thread::Builder::new()
        .name("janus-encode".to_owned())
        .spawn(encode)
        .expect("a thread can be started");
    sender
}

/// Bytes that data may take beyond what is held now. Some are left for connections, and for what they send.
fn room(memory: &Memory) -> u64 {
    /// What is not given to data, in bytes.
    const RESERVE: u64 = 8 << 20;
    memory
        .room()
        .map_or(u64::MAX, |room| room.left().saturating_sub(RESERVE))
}

/// Makes this thread the last to be given a core: encoding must not take time from answers.
fn lower_priority() {
    const LEAST: i32 = 19;
    // Of the calling thread alone, on Linux (setpriority(2), "C library/kernel differences"). That it fails is no
    // reason not to encode.
    let _ = rustix::process::setpriority_process(None, LEAST);
}
