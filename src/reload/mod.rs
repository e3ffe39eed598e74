//! The way of data: a load, and at run time triggers, loads, publishes, and the codings that join later.
//!
//! `load` is one load, `trigger` why there is one, `report` how it ended, `loss` what it may not lose, `room` whether there
//! is memory for it, `encoder` makes codings, `observe`, `metrics` and `log` tell of it.
//!
//! One thread loads, one makes codings. Bad data never replaces good data: whatever goes wrong is logged, counted, and
//! the snapshot that is served stays. Half-written data is bad data: a load that sees its source change gives up, and the
//! source's watch tells when to try again.

mod encoder;
mod load;
mod log;
mod loss;
pub(crate) mod metrics;
mod observe;
mod report;
mod room;
mod trigger;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use self::encoder::spawn_encoder;
pub use self::load::{Ask, Found, LoadError, Loaded, Loading, faults, load, load_first};
use self::log::{Failures, milliseconds, panic_message, warn_without_ids};
pub use self::loss::{Guards, Loss, Reason, Share};
use self::metrics::ReloadMetrics;
use self::observe::{Observed, SourceMetrics};
pub use self::report::{Outcome, Reloads, Reply, Report};
use self::room::Rooms;
pub use self::trigger::Trigger;
use crate::allocator;
use crate::ledger::Reaping;
use crate::metrics::Registry;
use crate::progress::Progress;
use crate::snapshot::{Publisher, Snapshot};
use crate::source::watch::Watch;
use crate::source::{Change, Extent, Input, Revision, Source, SourceError, Standing};

/// How often memory of data that is no longer current is looked at, to be freed when nobody reads it.
const REAP_INTERVAL: Duration = Duration::from_secs(1);

/// How long who asks for a reload waits for the source's writer: longer than an idle one is waited for.
const WRITER_MAX: Duration = Duration::from_secs(15);

/// A file that was written so long ago, at a start, is whole.
const FRESH_MAX: Duration = Duration::from_secs(2);

/// How long a start waits for a sign of the writer of a fresh file that is bad.
const SIGN_MAX: Duration = Duration::from_secs(1);

/// How often such a sign is looked for.
const SIGN_INTERVAL: Duration = Duration::from_millis(50);

/// How long a source that goes on growing is left alone after a load of it has failed.
const GROWN_FAILED: Duration = Duration::from_secs(10);

/// What reads and compiles a source: [`load`], or what a test puts in its place.
type Loader = dyn Fn(&Source, &Loading, &Ask, &dyn Fn(&Input)) -> Result<Found, LoadError> + Send;

/// Loads, publishes, and loads again.
pub struct Reloader {
    source: Source,
    loading: Loading,
    guards: Guards,
    loader: Box<Loader>,
    publisher: Publisher,
    rooms: Rooms,
    encoder: Sender<Arc<Snapshot>>,
    metrics: Arc<ReloadMetrics>,
    source_metrics: Option<SourceMetrics>,
    watch: Option<Watch>,
    last: Arc<ArcSwapOption<Report>>,
    failures: Failures,
    /// What was read last of what is served.
    known: Option<(Revision, Extent)>,
    /// Before this time a source that only grows is not read again.
    grown_not_before: Option<Instant>,
    /// Memory of data is freed by this thread alone.
    _reaping: Reaping,
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("source", &self.source)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl Reloader {
    /// Prepares to load `source`; starts the thread that makes codings.
    pub fn new(source: Source, loading: Loading, guards: Guards, publisher: Publisher, registry: &Registry) -> Self {
        let metrics = Arc::new(ReloadMetrics::new(registry, source.kind(), &publisher));
        metrics::register_ledger(registry, publisher.ledger());
        let rooms = Rooms::new(publisher.clone(), loading.compile.clone());
        let encoder = spawn_encoder(
            loading.compile.clone(),
            publisher.clone(),
            rooms.budget().clone(),
            rooms.alone(),
        );
        Self {
            source_metrics: source.watchable().map(|_| SourceMetrics::new(registry)),
            source,
            loading,
            guards,
            loader: Box::new(load),
            _reaping: publisher.ledger().reaping(),
            publisher,
            rooms,
            encoder,
            metrics,
            watch: None,
            last: Arc::default(),
            failures: Failures::default(),
            known: None,
            grown_not_before: None,
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

    /// Has each change from now on make a trigger, if the source is a file. Called before the first load, so that no
    /// change falls between the two.
    pub fn watch(&mut self, poll_interval: Option<Duration>, triggers: Sender<Trigger>) {
        let (Some(path), Some(metrics)) = (self.source.watchable(), &self.source_metrics) else {
            return;
        };
        match Watch::start(path, poll_interval, Observed::new(triggers, metrics.clone())) {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => tracing::warn!(%error, "changes of the source are not noticed; SIGHUP reloads"),
        }
    }

    /// The first load: there is no last good snapshot yet, so an error is the caller's.
    ///
    /// # Errors
    ///
    /// If the source cannot be read, or is not a collection. What is bad because it is being written is waited for.
    pub fn load_first(&mut self, triggers: &Receiver<Trigger>) -> Result<(), LoadError> {
        let mut ask = Ask::default();
        loop {
            match self.try_first(&ask) {
                Err(error) if error.is_bad_data() || error.is_change() => {
                    ask.extent = self.wait_for_writer(triggers).ok_or(error)?;
                }
                result => return result,
            }
        }
    }

    /// Waits until the writer of the source is done, if there seems to be one; then how much can be read.
    fn wait_for_writer(&self, triggers: &Receiver<Trigger>) -> Option<Extent> {
        let watch = self.watch.as_ref()?.reader();
        let modified = self.source.watchable()?.metadata().ok()?.modified().ok()?;
        // A time in the future is no age.
        let is_fresh = modified.elapsed().is_ok_and(|age| age < FRESH_MAX);
        let until = Instant::now() + if is_fresh { SIGN_MAX } else { Duration::ZERO };
        let mut has_told = false;
        loop {
            match triggers.recv_timeout(SIGN_INTERVAL) {
                Ok(trigger) => return Some(trigger.change().map_or(Extent::Whole, |change| change.extent)),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let is_written = watch.standing() != Standing::Whole;
            if is_written && !has_told {
                has_told = true;
                tracing::info!(
                    source = self.source.name(),
                    "the source is being written; it is loaded when that is done"
                );
            }
            if !is_written && Instant::now() >= until {
                return None;
            }
        }
    }

    fn try_first(&mut self, ask: &Ask) -> Result<(), LoadError> {
        let started = Instant::now();
        let progress = Progress::start(self.source.name());
        let found = self.load(ask, &|input| progress.follow(input))?;
        drop(progress);
        let Found::New(loaded) = found else {
            unreachable!("nothing is known yet");
        };
        let format = loaded.format;
        let served = self.publish(*loaded);
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
        let mut waiting: Vec<Trigger> = Vec::new();
        let mut waiting_since = Instant::now();
        let mut has_told = false;
        loop {
            // What came meanwhile is served by the same load.
            waiting.extend(triggers.try_iter());
            if waiting.is_empty() {
                waiting_since = Instant::now();
            }
            let held_back = self.held_back(&waiting, waiting_since);
            let is_loaded = !waiting.is_empty() && held_back.is_none();
            let trigger = if is_loaded {
                self.serve(std::mem::take(&mut waiting));
                has_told = false;
                Err(RecvTimeoutError::Timeout)
            } else {
                if !has_told && waiting.iter().any(|trigger| trigger.change().is_none()) {
                    has_told = true;
                    tracing::info!("the source is being written; it is reloaded when its writer is done");
                }
                triggers.recv_timeout(held_back.unwrap_or(REAP_INTERVAL).min(REAP_INTERVAL))
            };
            match trigger {
                Ok(trigger) => waiting.push(trigger),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Here and not by the encoder, or by the worker that happens to be the last to let go: it may be hundreds of
            // megabytes.
            let held = self.publisher.ledger().total();
            self.publisher.reap();
            self.rooms.budget().renew();
            if is_loaded || self.publisher.ledger().total() < held {
                allocator::give_back();
            }
        }
    }

    /// For how long these are to wait: until the writer is done, of whom somebody asks not to know; and a source that goes
    /// on growing would be read all the time.
    fn held_back(&self, triggers: &[Trigger], since: Instant) -> Option<Duration> {
        let is_growth = |change: Change| change.extent == Extent::Grown;
        let until = if triggers.iter().all(|trigger| trigger.change().is_some_and(is_growth)) {
            self.grown_not_before?
        } else if self.is_written() && !triggers.iter().any(Trigger::is_urgent) {
            since + WRITER_MAX
        } else {
            return None;
        };
        let until = until.saturating_duration_since(Instant::now());
        (!triggers.is_empty() && !until.is_zero()).then_some(until)
    }

    /// Whether the source's writer is known not to be done.
    fn is_written(&self) -> bool {
        self.standing() == Standing::Written
    }

    fn standing(&self) -> Standing {
        self.watch
            .as_ref()
            .map_or(Standing::Whole, |watch| watch.reader().standing())
    }

    /// One load for all of these, and a report to who waits for one.
    fn serve(&mut self, triggers: Vec<Trigger>) {
        let change = triggers.iter().rev().find_map(Trigger::change);
        let is_requested = triggers.iter().any(|trigger| trigger.change().is_none());
        let force = triggers
            .iter()
            .any(|trigger| matches!(trigger, Trigger::Awaited { force: true, .. }));
        // Who asks is answered by what is there now.
        let Some(report) = self.reload(change.filter(|_| !is_requested), force) else {
            return;
        };
        for trigger in triggers {
            if let Trigger::Awaited { reply, .. } = trigger {
                reply.send(Arc::clone(&report));
            }
        }
    }

    /// Loads, and publishes what is new. `None` if that is to be done again when the writer is done, of which the
    /// source's watch tells. A reload that somebody asked for, and no change, is logged even if nothing is new.
    fn reload(&mut self, change: Option<Change>, force: bool) -> Option<Arc<Report>> {
        let started = Instant::now();
        let before = self.publisher.current();
        let result = if change.is_none() && !force && self.is_written() {
            // It was waited for, and goes on being written.
            let name = self.source.name();
            Err(SourceError::Written { name }.into())
        } else {
            self.load_and_publish(change, force)
        };
        self.tell_watch(change, &result);
        let served = self.publisher.current();
        if !matches!(result, Ok(Outcome::Success)) && served.is_ready() && !served.is_encoded() {
            // It stays, and codings that were dropped for the load are made again.
            let _ = self.encoder.send(Arc::clone(&served));
        }
        if let Err(error) = &result
            && change.is_some_and(|change| error.is_change() || !change.is_sure)
        {
            tracing::debug!(
                error = error.summary(),
                "the source is being written, and is read when that is done"
            );
            return None;
        }
        if change.is_some_and(|change| change.extent == Extent::Grown) {
            let pause = if result.is_ok() {
                started.elapsed()
            } else {
                GROWN_FAILED
            };
            self.grown_not_before = Instant::now().checked_add(pause);
        }
        let report = Arc::new(Report::new(result, started.elapsed(), &served));
        let loss = report.error.as_ref().and_then(LoadError::loss);
        self.metrics.reloaded(report.outcome, report.took, loss);
        self.last.store(Some(Arc::clone(&report)));
        log::reloaded(&report, before.id(), change.is_none(), self.source.is_spent());
        self.failures.after(&report);
        if report.outcome == Outcome::Success {
            warn_without_ids(&served);
        }
        Some(report)
    }

    fn load_and_publish(&mut self, change: Option<Change>, force: bool) -> Result<Outcome, LoadError> {
        if self.source.is_spent() {
            return Ok(Outcome::Unchanged);
        }
        let is_cut = self.known.is_some_and(|(_, extent)| extent == Extent::Grown);
        let extent = match change {
            Some(change) => change.extent,
            None if !force && (is_cut || self.standing() == Standing::Growing) => Extent::Grown,
            None => Extent::Whole,
        };
        // The same bytes are the same data, unless the end of them was not whole then and is now.
        let is_same = |(_, read): &(Revision, Extent)| *read == Extent::Whole || extent == Extent::Grown;
        let ask = Ask {
            extent,
            begins_with: self.known.map(|(revision, _)| revision),
            same: self.known.filter(is_same).map(|(revision, _)| revision),
            is_watched: change.is_some(),
        };
        let progress = Progress::start_in_log(self.source.name());
        let found = self.load(&ask, &|input| progress.follow(input))?;
        drop(progress);
        let loaded = match found {
            Found::New(loaded) => *loaded,
            Found::Same => return Ok(Outcome::Unchanged),
        };
        let before = self.publisher.current();
        if loaded.snapshot.id() == before.id() {
            self.known = Some((loaded.revision, loaded.extent));
            return Ok(Outcome::Unchanged);
        }
        if !force {
            self.guards
                .check(&before, &loaded.snapshot)
                .map_err(|loss| LoadError::Loss {
                    source_name: self.source.name(),
                    loss,
                })?;
        }
        self.publish(loaded);
        Ok(Outcome::Success)
    }

    /// Loads, if there is memory for it. A panic is a failure as any other: the thread goes on, and so does what is served.
    fn load(&self, ask: &Ask, opened: &dyn Fn(&Input)) -> Result<Found, LoadError> {
        let _in_progress = self.metrics.begin();
        let load = || {
            let load = || (self.loader)(&self.source, &self.loading, ask, opened);
            // What a load makes is its own until it returns, so nothing half-made is seen after a panic.
            catch_unwind(AssertUnwindSafe(load))
                .unwrap_or_else(|panic| Err(LoadError::Panicked(panic_message(&*panic))))
        };
        let result = self.rooms.load(&self.source.name(), self.source.length(), load);
        if result.as_ref().is_err_and(LoadError::is_for_memory) {
            self.metrics.refused_for_memory();
        }
        result
    }

    /// Tells the source's watch what is to be known of its change.
    fn tell_watch(&self, change: Option<Change>, result: &Result<Outcome, LoadError>) {
        let (Some(watch), Some(change)) = (&self.watch, change) else {
            return;
        };
        match result {
            // The end of a line that has none is waited for.
            Ok(_) if self.known.is_some_and(|(_, extent)| extent == Extent::Grown) => {}
            Ok(_) => watch.reader().was_whole(change),
            Err(LoadError::Source(SourceError::Rewritten { .. })) => watch.reader().was_rewritten(change),
            Err(_) => {}
        }
    }

    /// Serves what was loaded from now on.
    fn publish(&mut self, loaded: Loaded) -> Arc<Snapshot> {
        for note in &loaded.notes {
            tracing::warn!("{}: {note}", self.source.name());
        }
        self.known = Some((loaded.revision, loaded.extent));
        if let Some(watch) = &self.watch {
            watch.reader().shape(loaded.shape);
        }
        if let Some(length) = self.source.length() {
            self.rooms.learn(&loaded.snapshot, length);
        }
        self.publisher.publish(loaded.snapshot);
        self.metrics.published();
        let served = self.publisher.current();
        if !served.is_encoded() {
            // The encoder ends only with the process.
            let _ = self.encoder.send(Arc::clone(&served));
        }
        served
    }
}

#[cfg(test)]
mod tests;
