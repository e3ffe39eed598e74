//! The server's life: serving, draining, stopping.
//!
//! Signals drive it (see [`crate::app`]); readiness and every connection look at it. It never goes back.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Where in its life the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Requests are answered and connections kept.
    Serving = 0,
    /// Not ready any more; requests are still answered, each with `Connection: close`.
    Draining = 1,
    /// Idle connections are closed, busy ones after their answer.
    Stopping = 2,
}

/// The phase, shared by everything that depends on it.
#[derive(Debug, Default)]
pub struct Lifecycle {
    phase: AtomicU8,
    advanced: Notify,
}

impl Lifecycle {
    /// The present phase.
    pub fn phase(&self) -> Phase {
        // Relaxed: nothing else is published by the phase, and a request may see it a moment late.
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Whether answers are to close their connections.
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Moves on to `phase`; an earlier one changes nothing.
    pub fn advance(&self, phase: Phase) {
        // Relaxed: as in `phase`; `Notify` orders the store before the wake-up by itself.
        self.phase.fetch_max(phase as u8, Ordering::Relaxed);
        self.advanced.notify_waiters();
    }

    /// Ends when the server is stopping.
    pub async fn stopping(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Ends when the server has come to `phase`.
    pub async fn reached(&self, phase: Phase) {
        loop {
            let mut advanced = std::pin::pin!(self.advanced.notified());
            // Registered before the phase is looked at, so that a wake-up in between is not missed.
            advanced.as_mut().enable();
            if self.phase() >= phase {
                return;
            }
            advanced.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_goes_one_way() {
        let life = Lifecycle::default();
        assert_eq!((life.phase(), life.is_draining()), (Phase::Serving, false));
        life.advance(Phase::Draining);
        assert_eq!((life.phase(), life.is_draining()), (Phase::Draining, true));
        life.advance(Phase::Stopping);
        life.advance(Phase::Draining);
        assert_eq!((life.phase(), life.is_draining()), (Phase::Stopping, true));
    }

    #[test]
    fn whoever_waits_before_or_after_is_woken() {
        actix_rt::System::new().block_on(async {
            let life = std::sync::Arc::new(Lifecycle::default());
            let early = actix_rt::spawn({
                let life = std::sync::Arc::clone(&life);
                async move { life.stopping().await }
            });
            actix_rt::task::yield_now().await;
            life.advance(Phase::Draining);
            life.reached(Phase::Draining).await;
            actix_rt::task::yield_now().await;
            assert!(!early.is_finished());
            life.advance(Phase::Stopping);
            early.await.unwrap();
            life.stopping().await;
            life.reached(Phase::Draining).await;
        });
    }
}
