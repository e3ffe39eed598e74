//! What the source's watch has to tell, as triggers, metrics and log lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::Trigger;
use crate::metrics::Registry;
use crate::metrics::collected::{Family, Samples, Value};
use crate::source::Change;
use crate::source::watch::{Look, Means, Observer};

/// A change that is not whole after this time is worth a line.
const UNSETTLED_LONG: Duration = Duration::from_secs(60);

const WATCHED: Family = Family::gauge(
    "janus_source_watched",
    None,
    "1 if changes of the source are noticed by the kernel's notification, and by polling; else 0.",
);
const CHECKED: Family = Family::gauge(
    "janus_source_last_checked_timestamp_seconds",
    Some("seconds"),
    "When the source was last looked at.",
);
const MODIFIED: Family = Family::gauge(
    "janus_source_modified_timestamp_seconds",
    Some("seconds"),
    "When the source was modified, as its file system says.",
);
const UNSETTLED: Family = Family::gauge(
    "janus_source_unsettled_seconds",
    Some("seconds"),
    "For how long a change of the source has been waited for that is not whole yet; 0 if there is none.",
);

/// How the source is watched, and what the last look has seen; scrapes collect it.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceMetrics(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    is_notified: bool,
    is_polled: bool,
    look: Option<Look>,
}

impl SourceMetrics {
    /// Of a file that nobody watches yet.
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = Self::default();
        let seen = Arc::clone(&metrics.0);
        registry
            .collect(&[WATCHED, CHECKED, MODIFIED, UNSETTLED], move |samples| {
                seen.lock().collect(samples);
            })
            .expect("the names are valid and no other kind has them");
        metrics
    }
}

impl Seen {
    fn collect(&self, samples: &mut Samples) {
        let mut gauge = |family: Family, labels: Vec<(&'static str, String)>, value: f64| {
            samples.insert(family.series(labels), Value::Gauge(value));
        };
        for (by, is_so) in [("notification", self.is_notified), ("polling", self.is_polled)] {
            gauge(WATCHED, vec![("by", by.to_owned())], f64::from(is_so));
        }
        let Some(look) = &self.look else { return };
        gauge(CHECKED, Vec::new(), since_epoch(look.at));
        if let Some(modified) = look.modified {
            gauge(MODIFIED, Vec::new(), since_epoch(modified));
        }
        let unsettled = look.unsettled.unwrap_or_default();
        gauge(UNSETTLED, Vec::new(), unsettled.as_secs_f64());
    }
}

/// Hands a watch's news on.
#[derive(Debug)]
pub(super) struct Observed {
    triggers: Sender<Trigger>,
    metrics: SourceMetrics,
    has_warned: AtomicBool,
}

impl Observed {
    pub(super) fn new(triggers: Sender<Trigger>, metrics: SourceMetrics) -> Self {
        Self {
            triggers,
            metrics,
            has_warned: AtomicBool::new(false),
        }
    }
}

impl Observer for Observed {
    fn changed(&self, change: Change) {
        // A reloader that has ended reloads no more.
        let _ = self.triggers.send(Trigger::Changed(change));
    }

    fn looked(&self, look: Look) {
        let unsettled = look.unsettled.unwrap_or_default();
        self.metrics.0.lock().look = Some(look);
        let is_long = unsettled >= UNSETTLED_LONG;
        // Relaxed: one thread calls this.
        let has_warned = self.has_warned.swap(is_long, Ordering::Relaxed);
        if is_long && !has_warned {
            tracing::warn!(
                seconds = unsettled.as_secs(),
                "the source is being written and is not whole yet; it is read when its writer closes it, or 10 s after its last change"
            );
        }
    }

    fn noticing(&self, means: &Means) {
        {
            let mut seen = self.metrics.0.lock();
            seen.is_notified = means.not_notified.is_none();
            seen.is_polled = means.poll_interval.is_some();
        }
        let error = means.not_notified.as_deref();
        match (error, means.poll_interval) {
            (None, interval) => tracing::debug!(poll_interval = ?interval, "changes of the source are noticed"),
            (Some(error), Some(interval)) => tracing::warn!(
                error,
                poll_interval = ?interval,
                "changes of the source are noticed by polling alone \
                 (sysctl fs.inotify.max_user_instances and fs.inotify.max_user_watches bound the kernel's watches)"
            ),
            (Some(error), None) => tracing::warn!(
                error,
                "changes of the source are not noticed; --poll-interval looks at it now and then, SIGHUP reloads"
            ),
        }
    }
}

pub(super) fn since_epoch(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
