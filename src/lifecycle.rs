//! The server's life: serving, draining, stopping.
//!
//! Signals drive it (see [`crate::app`]); readiness and every connection look at it. It never goes back.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

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

type Told = Box<dyn Fn() + Send + Sync>;

/// The phase, shared by everything that depends on it.
#[derive(Default)]
pub struct Lifecycle {
    phase: AtomicU8,
    told: Mutex<Vec<Told>>,
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
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

    /// Has `tell` called whenever the server's life goes on, by the thread that has it go on.
    pub fn on_advance(&self, tell: impl Fn() + Send + Sync + 'static) {
        self.told.lock().push(Box::new(tell));
    }

    /// Moves on to `phase`; an earlier one changes nothing.
    pub fn advance(&self, phase: Phase) {
        // Relaxed: as in `phase`; whoever is told is so by a lock, which orders the store before that.
        self.phase.fetch_max(phase as u8, Ordering::Relaxed);
        for tell in &*self.told.lock() {
            tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;

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
    fn whoever_asks_for_it_is_told() {
        let life = Arc::new(Lifecycle::default());
        let seen: Arc<Mutex<Vec<Phase>>> = Arc::default();
        let (of, into) = (Arc::downgrade(&life), Arc::clone(&seen));
        life.on_advance(move || into.lock().push(of.upgrade().expect("it lives").phase()));
        life.advance(Phase::Draining);
        life.advance(Phase::Stopping);
        assert_eq!(*seen.lock(), [Phase::Draining, Phase::Stopping]);
    }
}
