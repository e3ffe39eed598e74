//! Asking for a reload, and hearing how it ended.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::oneshot;

use super::Trigger;
use super::load::LoadError;
use crate::snapshot::Snapshot;

/// How a reload ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// New data is served.
    Success,
    /// The data is what it was.
    Unchanged,
    /// The last good data stays.
    Failure,
}

impl Outcome {
    /// Every outcome, each at its place.
    pub(super) const ALL: [Outcome; 3] = [Outcome::Success, Outcome::Unchanged, Outcome::Failure];

    /// Its name in metrics and answers.
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Unchanged => "unchanged",
            Self::Failure => "failure",
        }
    }
}

/// How a reload ended, and what has been served since.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Why there is no new data, if it failed.
    pub error: Option<LoadError>,
    /// When it ended.
    pub ended: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The id of the snapshot that was current when it ended.
    pub snapshot_id: String,
    /// That snapshot's number of items.
    pub items_count: usize,
    /// The length of its collection's identity body, in bytes.
    pub bytes: usize,
}

impl Report {
    /// Of a reload that has just ended, with `served` as the current snapshot.
    pub(super) fn new(result: Result<Outcome, LoadError>, took: Duration, served: &Snapshot) -> Self {
        let (outcome, error) = match result {
            Ok(outcome) => (outcome, None),
            Err(error) => (Outcome::Failure, Some(error)),
        };
        Self {
            outcome,
            error,
            ended: SystemTime::now(),
            took,
            snapshot_id: served.id().to_owned(),
            items_count: served.items_count(),
            bytes: served.bytes(),
        }
    }
}

/// Where the report of a reload that somebody waits for is sent.
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Arc<Report>>);

impl Reply {
    pub(super) fn send(self, report: Arc<Report>) {
        // Whoever asked may have gone meanwhile.
        let _ = self.0.send(report);
    }
}

/// Asks for reloads, and knows how the last one ended.
#[derive(Clone, Debug)]
pub struct Reloads {
    pub(super) triggers: Sender<Trigger>,
    pub(super) last: Arc<ArcSwapOption<Report>>,
    pub(super) source_name: String,
}

impl Reloads {
    /// Reloads, and waits until that has ended. `None` if the thread that loads has ended, which it does only with the
    /// process.
    ///
    /// The load begins after the call, so its data is at least as new as the call; a load that is under way is not
    /// taken for it. All who ask while one is under way share the next.
    ///
    /// With `force` it may lose what is served; that goes for all who share the load.
    pub async fn reload(&self, force: bool) -> Option<Arc<Report>> {
        let (sender, report) = oneshot::channel();
        let reply = Reply(sender);
        self.triggers.send(Trigger::Awaited { reply, force }).ok()?;
        report.await.ok()
    }

    /// How the last reload ended; `None` as long as there was only the first load.
    pub fn last(&self) -> Option<Arc<Report>> {
        self.last.load_full()
    }

    /// The name of the source that is reloaded.
    pub fn source_name(&self) -> &str {
        &self.source_name
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::task::{Context, Poll, Waker};
    use std::{pin, thread};

    use super::*;
    use crate::metrics::Registry;
    use crate::reload::Loading;
    use crate::reload::{Guards, Reloader};
    use crate::snapshot::{Publisher, Settings};
    use crate::source::{Location, Source};

    fn reloader() -> Reloader {
        let compile = Settings {
            codings: Vec::new(),
            cache_control: "no-cache".to_owned(),
            version: "0",
            ..Settings::default()
        };
        let publisher = Publisher::new(Snapshot::pending(&compile));
        let loading = Loading {
            format: None,
            parse: Default::default(),
            compile,
        };
        Reloader::new(
            Source::new(Location::Sample, u64::MAX),
            loading,
            Guards::default(),
            publisher,
            &Registry::new(),
        )
    }

    #[test]
    fn all_who_ask_before_a_load_begins_share_it_and_who_asks_later_does_not() {
        let (triggers, triggered) = channel();
        let reloader = reloader();
        let reloads = reloader.handle(triggers);
        assert!(reloads.last().is_none());
        let mut early: Vec<_> = (0..3).map(|_| Box::pin(reloads.reload(false))).collect();
        let mut context = Context::from_waker(Waker::noop());
        for asked in &mut early {
            assert!(asked.as_mut().poll(&mut context).is_pending(), "nobody loads yet");
        }
        let thread = thread::spawn(move || reloader.run(&triggered));
        actix_rt::System::new().block_on(async {
            let mut reports = Vec::new();
            for asked in early {
                reports.push(asked.await.unwrap());
            }
            assert_eq!(reports[0].outcome, Outcome::Success);
            assert!(reports.iter().all(|report| Arc::ptr_eq(report, &reports[0])));
            let later = reloads.reload(false).await.unwrap();
            assert_eq!(later.outcome, Outcome::Unchanged);
            assert!(Arc::ptr_eq(&later, &reloads.last().unwrap()));
        });
        drop(reloads);
        thread.join().unwrap();
    }

    #[test]
    fn who_asks_a_reloader_that_has_ended_is_told() {
        let (triggers, triggered) = channel();
        let reloads = reloader().handle(triggers);
        let mut asked = pin::pin!(reloads.reload(false));
        let mut context = Context::from_waker(Waker::noop());
        assert!(asked.as_mut().poll(&mut context).is_pending());
        drop(triggered);
        assert!(matches!(asked.as_mut().poll(&mut context), Poll::Ready(None)));
        assert!(matches!(
            pin::pin!(reloads.reload(false)).poll(&mut context),
            Poll::Ready(None)
        ));
    }
}
