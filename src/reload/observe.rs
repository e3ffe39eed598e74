//! What the source's watch has to tell, as triggers, metrics and log lines.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Trigger;
use crate::metrics::{Gauge, Registry};
use crate::source::Change;
use crate::source::watch::{Look, Means, Observer};

/// A change that is not whole after this time is worth a line.
const UNSETTLED_LONG: Duration = Duration::from_secs(60);

/// How the source is watched, as series.
#[derive(Clone, Debug)]
pub(super) struct SourceMetrics {
    notified: Gauge,
    polled: Gauge,
    checked: Gauge,
    modified: Gauge,
    unsettled: Gauge,
}

impl SourceMetrics {
    /// Of a file that nobody watches yet.
    pub(super) fn new(registry: &Registry) -> Self {
        registry.describe(
            "janus_source_watched",
            "1 if changes of the source are noticed by the kernel's notification, and by polling; else 0.",
            None,
        );
        registry.describe(
            "janus_source_last_checked_timestamp_seconds",
            "When the source was last looked at.",
            Some("seconds"),
        );
        registry.describe(
            "janus_source_modified_timestamp_seconds",
            "When the source was modified, as its file system says.",
            Some("seconds"),
        );
        registry.describe(
            "janus_source_unsettled_seconds",
            "For how long a change of the source has been waited for that is not whole yet; 0 if there is none.",
            Some("seconds"),
        );
        const VALID: &str = "the names are valid and no other kind has them";
        let gauge = |name, labels: &[(&str, &str)]| registry.gauge(name, labels).expect(VALID);
        let metrics = Self {
            notified: gauge("janus_source_watched", &[("by", "notification")]),
            polled: gauge("janus_source_watched", &[("by", "polling")]),
            checked: gauge("janus_source_last_checked_timestamp_seconds", &[]),
            modified: gauge("janus_source_modified_timestamp_seconds", &[]),
            unsettled: gauge("janus_source_unsettled_seconds", &[]),
        };
        metrics.notified.set(0.0);
        metrics.polled.set(0.0);
        metrics
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
        self.metrics.checked.set(since_epoch(look.at));
        match look.modified {
            Some(modified) => self.metrics.modified.set(since_epoch(modified)),
            None => self.metrics.modified.clear(),
        }
        let unsettled = look.unsettled.unwrap_or_default();
        self.metrics.unsettled.set(unsettled.as_secs_f64());
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
        let is_notified = means.not_notified.is_none();
        self.metrics.notified.set(f64::from(is_notified));
        self.metrics.polled.set(f64::from(means.poll_interval.is_some()));
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
