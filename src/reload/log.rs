//! What the log says of loads.

use std::any::Any;
use std::time::Instant;

use super::load::LoadError;
use super::report::{Outcome, Report};
use crate::snapshot::Snapshot;

/// What lines of loads are found by, whichever module writes them.
pub(super) const TARGET: &str = "janus::reload";

/// Failures since the last success, so that the first success after them can say so.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: u64,
    since: Option<Instant>,
}

impl Failures {
    /// Takes note of how a load ended.
    pub(super) fn after(&mut self, report: &Report) {
        if report.outcome == Outcome::Failure {
            self.count += 1;
            self.since.get_or_insert_with(Instant::now);
        } else if let Some(since) = self.since.take() {
            let snapshot = report.snapshot_id.as_str();
            tracing::info!(target: TARGET,
                failures = self.count,
                seconds = since.elapsed().as_secs(),
                snapshot,
                "recovered"
            );
            self.count = 0;
        }
    }
}

/// What a panic said.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

/// How a reload ended.
pub(super) fn reloaded(report: &Report, before: &str, was_requested: bool, is_spent: bool) {
    let snapshot = report.snapshot_id.as_str();
    let milliseconds = report.took.as_millis() as u64;
    match report.outcome {
        Outcome::Success => tracing::info!(target: TARGET,
            old_snapshot = before,
            snapshot,
            items = report.items_count,
            bytes = report.bytes,
            milliseconds,
            "reloaded"
        ),
        Outcome::Unchanged if is_spent => {
            tracing::info!(target: TARGET, snapshot, "nothing to reload: standard input is read once")
        }
        Outcome::Unchanged if was_requested => tracing::info!(target: TARGET, snapshot, milliseconds, "unchanged"),
        Outcome::Unchanged => tracing::debug!(target: TARGET, snapshot, milliseconds, "unchanged"),
        Outcome::Failure => {
            let loss = report.error.as_ref().and_then(LoadError::loss);
            tracing::error!(target: TARGET,
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

pub(super) fn warn_without_ids(snapshot: &Snapshot) {
    if let Some(reason) = snapshot.no_ids_reason() {
        tracing::warn!(target: TARGET, "{reason}: /items is served, /items/{{id}} is off");
    }
}

pub(super) fn milliseconds(started: Instant) -> u64 {
    started.elapsed().as_millis() as u64
}
