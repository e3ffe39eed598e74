//! The way of data at run time: triggers, loads, publishes, and the codings that join later.
//!
//! One thread loads, one makes codings. Bad data never replaces good data: whatever goes wrong is logged, counted, and
//! the snapshot that is served stays. Half-written data is bad data: a load that sees its source change gives up, and the
//! source's watch tells when to try again.

mod loss;
pub(crate) mod metrics;
mod observe;
mod report;
mod room;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

pub use self::loss::{Guards, Loss, Reason, Share};
use self::metrics::ReloadMetrics;
use self::observe::{Observed, SourceMetrics};
pub use self::report::{Outcome, Reloads, Reply, Report};
use self::room::{Alone, Rooms};
use crate::allocator;
use crate::budget::Budget;
use crate::ledger::Reaping;
use crate::load::{Ask, Found, LoadError, Loaded, Loading, load};
use crate::metrics::Registry;
use crate::progress::Progress;
use crate::snapshot::{Publisher, Settings, Snapshot};
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

/// Why to look at the source.
#[derive(Debug)]
pub enum Trigger {
    /// It has changed.
    Changed(Change),
    /// Somebody asked.
    Requested,
    /// Somebody asked, and waits to hear how it ends.
    Awaited {
        /// Where to tell it.
        reply: Reply,
        /// Whether data that is served may be lost.
        force: bool,
    },
}

impl Trigger {
    fn change(&self) -> Option<Change> {
        match self {
            Self::Changed(change) => Some(*change),
            Self::Requested | Self::Awaited { .. } => None,
        }
    }

    /// Whether it is not to wait for the source's writer.
    fn is_urgent(&self) -> bool {
        matches!(self, Self::Changed(_) | Self::Awaited { force: true, .. })
    }
}

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
        let metrics = Arc::new(ReloadMetrics::new(registry, source.kind()));
        metrics::register_ledger(registry, publisher.ledger());
        let rooms = Rooms::new(publisher.clone(), loading.compile.clone());
        let encoder = spawn_encoder(
            loading.compile.clone(),
            publisher.clone(),
            Arc::clone(&metrics),
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
        log(&report, before.id(), change.is_none(), self.source.is_spent());
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
            catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|panic| Err(LoadError::Panicked(message(&*panic))))
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

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

fn log(report: &Report, before: &str, was_requested: bool, is_spent: bool) {
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
        Outcome::Unchanged if is_spent => tracing::info!(snapshot, "nothing to reload: standard input is read once"),
        Outcome::Unchanged if was_requested => tracing::info!(snapshot, milliseconds, "unchanged"),
        Outcome::Unchanged => tracing::debug!(snapshot, milliseconds, "unchanged"),
        Outcome::Failure => {
            let loss = report.error.as_ref().and_then(LoadError::loss);
            tracing::error!(
                error = report.error.as_ref().map(LoadError::summary),
                refused = loss.map(|loss| loss.reason.label()),
                items_before = loss.map(|loss| loss.items_before),
                items_after = loss.map(|loss| loss.items_after),
                items_removed = loss.map(|loss| loss.items_removed),
                kept_snapshot = snapshot,
                milliseconds,
                "reload failed; the last good snapshot stays"
            );
        }
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
fn spawn_encoder(
    settings: Settings,
    publisher: Publisher,
    metrics: Arc<ReloadMetrics>,
    budget: Budget,
    alone: Alone,
) -> Sender<Arc<Snapshot>> {
    let (sender, snapshots) = channel::<Arc<Snapshot>>();
    let encode = move || {
        while let Ok(first) = snapshots.recv() {
            let _alone = alone.lock();
            let snapshot = snapshots.try_iter().last().unwrap_or(first);
            if !Arc::ptr_eq(&snapshot, &publisher.current()) {
                continue;
            }
            let started = Instant::now();
            let room = || {
                // What the encoder before has used is free, and not yet the system's again.
                allocator::give_back();
                budget.room()
            };
            // Without codings the snapshot is served as it is; the next one is tried again.
            let encode = || snapshot.encoded(&settings, room, lower_priority);
            let encoded = match catch_unwind(AssertUnwindSafe(encode)) {
                Ok(encoded) => encoded,
                Err(panic) => {
                    let error = message(&*panic);
                    tracing::error!(error, snapshot = snapshot.id(), "making the codings panicked");
                    continue;
                }
            };
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

/// Makes this thread the last to be given a core: encoding must not take time from answers.
fn lower_priority() {
    const LEAST: i32 = 19;
    // Of the calling thread alone, on Linux (setpriority(2), "C library/kernel differences"). That it fails is no
    // reason not to encode.
    let _ = rustix::process::setpriority_process(None, LEAST);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::items::ParseOptions;
    use crate::metrics::Format;
    use crate::source::Location;

    /// A reloader of `location`, whose loads are numbered from 0.
    fn reloader(
        location: Location,
        registry: &Registry,
        at_load: impl Fn(usize) + Send + 'static,
    ) -> (Reloader, Publisher) {
        let compile = Settings {
            codings: Vec::new(),
            cache_control: "no-cache".to_owned(),
            version: "0",
            is_sample: false,
            base_path: String::new(),
        };
        let publisher = Publisher::new(Snapshot::pending(&compile));
        let loading = Loading {
            format: None,
            parse: ParseOptions::default(),
            compile,
        };
        let source = Source::new(location, u64::MAX);
        let mut reloader = Reloader::new(source, loading, Guards::default(), publisher.clone(), registry);
        let loads = AtomicUsize::new(0);
        reloader.loader = Box::new(move |source, loading, ask, opened| {
            // Relaxed: one thread loads.
            at_load(loads.fetch_add(1, Ordering::Relaxed));
            load(source, loading, &Ask { same: None, ..*ask }, opened)
        });
        (reloader, publisher)
    }

    #[test]
    fn a_load_that_panics_is_a_failure_and_the_next_one_goes_on() {
        let registry = Registry::new();
        let at_load = |number| assert_ne!(number, 1, "the second load");
        let (mut reloader, publisher) = reloader(Location::Sample, &registry, at_load);
        let (triggers, triggered) = channel();
        reloader.load_first(&triggered).unwrap();
        let served = publisher.current();
        let reloads = reloader.handle(triggers);
        let thread = thread::spawn(move || reloader.run(&triggered));
        let reports = actix_rt::System::new().block_on(async {
            [
                reloads.reload(false).await.unwrap(),
                reloads.reload(false).await.unwrap(),
            ]
        });
        assert_eq!(reports[0].outcome, Outcome::Failure);
        let error = reports[0].error.as_ref().unwrap();
        assert!(error.to_string().contains("the second load"), "{error}");
        assert_eq!((error.exit_code(), error.is_bad_data()), (crate::exit::SOFTWARE, false));
        assert_eq!(reports[1].outcome, Outcome::Unchanged);
        assert!(Arc::ptr_eq(&publisher.current(), &served));
        let mut text = Vec::new();
        registry.render(Format::negotiate(None), &mut text);
        let text = String::from_utf8(text).unwrap();
        for series in [
            "janus_reloads_total{result=\"failure\"} 1",
            "janus_reloads_total{result=\"unchanged\"} 1",
            "janus_reload_in_progress_seconds 0",
        ] {
            assert!(text.contains(series), "{series} is not in {text}");
        }
        drop(reloads);
        thread.join().unwrap();
    }

    #[test]
    fn a_first_load_that_panics_is_an_error() {
        let (mut reloader, _publisher) = reloader(Location::Sample, &Registry::new(), |_| panic!("at once"));
        let (_triggers, triggered) = channel();
        let error = reloader.load_first(&triggered).unwrap_err();
        assert_eq!(error.exit_code(), crate::exit::SOFTWARE);
    }

    #[test]
    fn a_start_in_the_middle_of_a_write_waits_for_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        std::fs::write(&path, "[1,").unwrap();
        let (triggers, triggered) = channel();
        // When it has been found bad, its writer goes on. That the watch tells of that is shown elsewhere.
        let goes_on = {
            let (path, triggers) = (path.clone(), triggers.clone());
            move |number| {
                if number == 1 {
                    std::fs::write(&path, "[1,2]").unwrap();
                } else {
                    triggers.send(Trigger::Requested).unwrap();
                }
            }
        };
        let (mut reloader, publisher) = reloader(Location::File(path), &Registry::new(), goes_on);
        reloader.watch(None, triggers);
        reloader.load_first(&triggered).unwrap();
        assert_eq!(publisher.current().items_count(), 2);
    }

    #[test]
    fn a_start_with_bad_data_that_nobody_writes_fails() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        std::fs::write(&path, "[1,").unwrap();
        let (triggers, triggered) = channel();
        let (mut reloader, _publisher) = reloader(Location::File(path), &Registry::new(), |_| {});
        reloader.watch(None, triggers);
        assert!(reloader.load_first(&triggered).unwrap_err().is_bad_data());
    }
}
