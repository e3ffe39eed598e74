//! The thread that makes codings, after a snapshot is served without them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use super::log::{TARGET, milliseconds, panic_message};
use super::room::Alone;
use crate::allocator;
use crate::budget::Budget;
use crate::snapshot::{Publisher, Settings, Snapshot};

/// Makes the codings of the newest snapshot that has none; passes over those that are not current any more.
pub(super) fn spawn_encoder(
    settings: Settings,
    publisher: Publisher,
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
                    let error = panic_message(&*panic);
                    tracing::error!(target: TARGET, error, snapshot = snapshot.id(), "making the codings panicked");
                    continue;
                }
            };
            let is_current = publisher.replace(&snapshot, encoded);
            allocator::give_back();
            if is_current {
                tracing::info!(target: TARGET,
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
