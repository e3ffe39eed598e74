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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::{Format, ParseOptions, parse};
    use crate::snapshot::{Coding, Settings, compile};

    fn settings() -> Settings {
        Settings {
            codings: vec![Coding::Gzip],
            cache_control: "no-cache".to_owned(),
            version: "0",
            is_sample: false,
            base_path: String::new(),
        }
    }

    /// A snapshot of about `length` bytes; from 128 KiB on it has no codings yet.
    fn snapshot(ledger: &Ledger, mark: &str, length: usize) -> Snapshot {
        let options = ParseOptions {
            ledger: ledger.clone(),
            ..ParseOptions::default()
        };
        let line = |id: usize| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", mark.repeat(1000));
        let text: String = (0..length / 1000).map(line).collect();
        let items = parse(Format::Ndjson, text.as_bytes(), &options).expect("good items");
        compile(items, &settings())
    }

    fn accounts(publisher: &Publisher) -> [u64; 4] {
        Account::ALL.map(|account| publisher.ledger().bytes(account))
    }

    fn publisher() -> Publisher {
        Publisher::with_ledger(Snapshot::pending(&settings()), Ledger::default())
    }

    #[test]
    fn what_is_published_is_current_then_retired_then_gone() {
        for length in [20_000, 500_000] {
            let publisher = publisher();
            let first = snapshot(publisher.ledger(), "a", length);
            let held = publisher.ledger().total();
            assert_eq!(accounts(&publisher), [held, 0, 0, 0]);
            assert!(held as usize > length);
            publisher.publish(first);
            assert_eq!(accounts(&publisher), [0, held, 0, 0]);
            let mut reader = publisher.reader();
            let body = reader.read().collection().unwrap().identity().body().slice(10..20);
            let arena = body.entry().unwrap().bytes();

            publisher.publish(snapshot(publisher.ledger(), "b", length));
            assert_eq!(accounts(&publisher), [0, held, held, 0]);
            assert!(publisher.reap(), "it is read still");
            assert_eq!(accounts(&publisher), [0, held, held, 0]);
            reader.read();
            assert!(publisher.reap(), "an answer has it still");
            assert_eq!(accounts(&publisher), [0, held, 0, arena]);
            assert!(body.is_retired());
            drop(body);
            assert!(!publisher.reap());
            assert_eq!(accounts(&publisher), [0, held, 0, 0]);
        }
    }

    #[test]
    fn what_two_snapshots_share_counts_once() {
        let publisher = publisher();
        publisher.publish(snapshot(publisher.ledger(), "a", 500_000));
        let plain = publisher.ledger().total();
        let current = publisher.current();
        let encoded = current.encoded(&settings(), || u64::MAX, || {});
        let codings = publisher.ledger().bytes(Account::Building);
        assert!(codings > 0);
        let mut reader = publisher.reader();
        reader.read();
        assert!(publisher.replace(&current, encoded));
        drop(current);
        // The header blocks of items are made anew, and the first ones are still read.
        let [building, current, retired, half_sent] = accounts(&publisher);
        assert_eq!((building, half_sent), (0, 0));
        assert_eq!(current + retired, plain + codings);
        reader.read();
        assert!(!publisher.reap());
        assert_eq!(accounts(&publisher), [0, current, 0, 0]);
    }

    #[test]
    fn codings_that_come_too_late_are_reaped() {
        let publisher = publisher();
        publisher.publish(snapshot(publisher.ledger(), "a", 500_000));
        let old = publisher.current();
        let encoded = old.encoded(&settings(), || u64::MAX, || {});
        publisher.publish(snapshot(publisher.ledger(), "b", 300_000));
        let current = publisher.ledger().bytes(Account::Current);
        assert!(!publisher.replace(&old, encoded));
        let [building, _, retired, half_sent] = accounts(&publisher);
        assert_eq!((building, half_sent), (0, 0));
        assert_eq!(current + retired, publisher.ledger().total());
        drop(old);
        assert!(!publisher.reap());
        assert_eq!(accounts(&publisher), [0, current, 0, 0]);
    }

    #[test]
    fn nobody_but_the_one_who_reaps_frees_what_was_published() {
        let publisher = publisher();
        let _reaping = publisher.ledger().reaping();
        publisher.publish(snapshot(publisher.ledger(), "a", 500_000));
        let all = |publisher: &Publisher| publisher.ledger().total();
        let before = all(&publisher);
        let elsewhere = publisher.clone();
        // An encoder that publishes a second time, a reader that is the last to let go, and an answer that is.
        std::thread::spawn(move || {
            let mut reader = elsewhere.reader();
            let body = reader.read().collection().unwrap().identity().body().clone();
            let current = elsewhere.current();
            let encoded = current.encoded(&settings(), || u64::MAX, || {});
            assert!(elsewhere.replace(&current, encoded));
            drop(current);
            elsewhere.publish(Snapshot::pending(&settings()));
            drop((reader, body));
        })
        .join()
        .unwrap();
        assert!(all(&publisher) > before, "nothing is freed");
        assert!(!publisher.reap());
        assert_eq!(all(&publisher), 0);
    }
}
