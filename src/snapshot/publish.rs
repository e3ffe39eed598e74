//! The atomic swap: one writer stores a snapshot, readers load the current one.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use parking_lot::Mutex;

use super::Snapshot;

/// Where the current snapshot stands.
#[derive(Clone, Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Snapshot>,
    /// Writers wait for each other, so that "only if this is still the current one" can be asked and answered at once.
    writer: Mutex<()>,
}

impl Publisher {
    /// Begins with `first` as the current snapshot.
    pub fn new(first: Snapshot) -> Self {
        Self {
            shared: Arc::new(Shared {
                current: ArcSwap::from_pointee(first),
                writer: Mutex::new(()),
            }),
        }
    }

    /// The current snapshot.
    pub fn current(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// Makes `next` the current snapshot and returns the one before it, for the caller to drop outside of the
    /// request path.
    pub fn publish(&self, next: Snapshot) -> Arc<Snapshot> {
        let _writer = self.shared.writer.lock();
        self.shared.current.swap(Arc::new(next))
    }

    /// Makes `next` the current snapshot if `expected` still is; else gives `next` back.
    pub fn replace(&self, expected: &Arc<Snapshot>, next: Snapshot) -> Result<Arc<Snapshot>, Box<Snapshot>> {
        let _writer = self.shared.writer.lock();
        if !Arc::ptr_eq(&self.shared.current.load(), expected) {
            return Err(Box::new(next));
        }
        Ok(self.shared.current.swap(Arc::new(next)))
    }

    /// A handle for one thread's reads.
    pub fn reader(&self) -> Reader {
        Reader {
            cache: Cache::new(SharedRef(Arc::clone(&self.shared))),
        }
    }
}

/// One thread's cached handle of the current snapshot: a read costs one relaxed load and a comparison.
///
/// A reader keeps the snapshot of its last read alive, so whoever owns one reads now and then also when idle.
#[derive(Debug)]
pub struct Reader {
    cache: Cache<SharedRef, Arc<Snapshot>>,
}

impl Reader {
    /// The current snapshot.
    pub fn read(&mut self) -> &Arc<Snapshot> {
        self.cache.load()
    }
}

#[derive(Debug)]
struct SharedRef(Arc<Shared>);

impl std::ops::Deref for SharedRef {
    type Target = ArcSwap<Snapshot>;

    fn deref(&self) -> &Self::Target {
        &self.0.current
    }
}
