//! The atomic swap: one writer stores a snapshot, readers load the current one.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use parking_lot::Mutex;

use super::Snapshot;
use crate::ledger::{Account, Entry, Ledger};

/// Where the current snapshot stands, and those that it replaced as long as somebody may read them.
///
/// What a snapshot holds is moved in the [ledger](crate::ledger) with it: from building to current to retired.
#[derive(Clone, Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Snapshot>,
    /// Writers wait for each other, so that "only if this is still the current one" can be asked and answered at once.
    writer: Mutex<Vec<Arc<Snapshot>>>,
    ledger: Ledger,
}

impl Publisher {
    /// Begins with `first` as the current snapshot, and a ledger of its own.
    pub fn new(first: Snapshot) -> Self {
        Self::with_ledger(first, Ledger::default())
    }

    /// Begins with `first` as the current snapshot. `ledger` is where memory of the snapshots is taken note of.
    pub fn with_ledger(first: Snapshot, ledger: Ledger) -> Self {
        first.entries().iter().for_each(|entry| entry.join(Account::Current));
        Self {
            shared: Arc::new(Shared {
                current: ArcSwap::from_pointee(first),
                writer: Mutex::default(),
                ledger,
            }),
        }
    }

    /// Where memory of the snapshots is taken note of.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// The current snapshot.
    pub fn current(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// Makes `next` the current snapshot. The one before it is kept until [`Publisher::reap`] finds that nobody reads it.
    pub fn publish(&self, next: Snapshot) {
        let mut retired = self.shared.writer.lock();
        self.swap(next, &mut retired);
    }

    /// Makes `next` the current snapshot if `expected` still is, and says whether it was. Else `next` is kept to be
    /// reaped: its memory may be large.
    pub fn replace(&self, expected: &Arc<Snapshot>, next: Snapshot) -> bool {
        let mut retired = self.shared.writer.lock();
        if Arc::ptr_eq(&self.shared.current.load(), expected) {
            self.swap(next, &mut retired);
            return true;
        }
        for entry in next.entries() {
            let account = entry.account();
            // The part that it has in common with others stays what it is.
            entry.join(match account {
                Account::Building => Account::Retired,
                other => other,
            });
        }
        retired.push(Arc::new(next));
        false
    }

    fn swap(&self, next: Snapshot, retired: &mut Vec<Arc<Snapshot>>) {
        let entries = next.entries();
        entries.iter().for_each(|entry| entry.join(Account::Current));
        let before = self.shared.current.swap(Arc::new(next));
        for entry in before.entries() {
            if !entries.iter().any(|kept| kept.is(&entry)) {
                entry.transfer(Account::Retired);
            }
        }
        retired.push(before);
    }

    /// Drops the snapshots that are no longer current and that nobody reads, and frees what others have handed back;
    /// says whether there may be more to do later. It is for the thread that loads: memory of hundreds of megabytes takes
    /// its time to be freed.
    pub fn reap(&self) -> bool {
        let unread: Vec<Arc<Snapshot>> = {
            let mut retired = self.shared.writer.lock();
            // What nobody else has now nobody can get any more.
            retired
                .extract_if(.., |snapshot| Arc::strong_count(snapshot) == 1)
                .collect()
        };
        for snapshot in unread {
            let entries = snapshot.entries();
            drop(snapshot);
            self.shared.ledger.reap();
            entries.iter().for_each(Entry::leave);
        }
        self.shared.ledger.reap();
        !self.shared.writer.lock().is_empty() || self.shared.ledger.bytes(Account::HalfSent) > 0
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
