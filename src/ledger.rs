//! The ledger: every byte of data that is held, in one account at a time.
//!
//! Whoever makes memory for data takes a [`Credit`] for it and keeps it beside the memory, so that the bytes are debited
//! when the memory is really freed, not when the snapshot that it was part of goes: a client that reads slowly may keep a
//! body for much longer. Moves between accounts are the publisher's. Nothing here is touched by a request.
//!
//! Memory of a body is freed by one thread, the one that loads, however it comes to be unused: returning hundreds of
//! megabytes to the system takes longer than a worker may be away. Whoever has the last handle hands the memory back, and
//! the thread that holds [`Reaping`] frees it. Without such a thread it is freed where it is let go of.

use std::any::Any;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// What bytes are held for. Every byte is in one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// A load or an encoder makes them; no request has seen them yet.
    Building,
    /// They are of the snapshot that is served.
    Current,
    /// They are of a snapshot that is served no more, and that a reader may still hold.
    Retired,
    /// No snapshot holds them any more: answers that clients have not taken yet do, or are made of them.
    HalfSent,
}

impl Account {
    /// Every account, each at its place.
    pub const ALL: [Account; 4] = [Account::Building, Account::Current, Account::Retired, Account::HalfSent];

    /// Its name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Current => "current",
            Self::Retired => "retired",
            Self::HalfSent => "half_sent",
        }
    }
}

/// The accounts. A handle, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Books>);

#[derive(Default)]
struct Books {
    /// Relaxed throughout: they are numbers that are compared with limits and shown, and no other memory depends on them.
    accounts: [AtomicU64; Account::ALL.len()],
    /// The sum of all accounts, kept apart so that a move between two is never seen half.
    total: AtomicU64,
    /// What may be held before there is pressure; `u64::MAX` for no limit, stored as its complement so that it is 0.
    limit_complement: AtomicU64,
    /// Bytes that somebody waits for.
    wanted: AtomicU64,
    /// Whether a thread frees what is handed back.
    has_reaper: AtomicBool,
    handed_back: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books")
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Bytes of an account.
    pub fn bytes(&self, account: Account) -> u64 {
        self.0.accounts[account as usize].load(Ordering::Relaxed)
    }

    /// Bytes of all accounts.
    pub fn total(&self) -> u64 {
        self.0.total.load(Ordering::Relaxed)
    }

    /// How many bytes may be held before there is pressure; `None` for as many as there are.
    pub fn limit(&self) -> Option<u64> {
        let limit = !self.0.limit_complement.load(Ordering::Relaxed);
        (limit != u64::MAX).then_some(limit)
    }

    /// Sets the limit. It is asked about, never enforced here: see [`Ledger::is_under_pressure`].
    pub fn set_limit(&self, limit: Option<u64>) {
        self.0
            .limit_complement
            .store(!limit.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Bytes that can still be held within the limit; `u64::MAX` where there is none.
    pub fn room(&self) -> u64 {
        self.limit()
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.total()))
    }

    /// Whether more is held than the limit allows: what can be given back should be. Costs two loads.
    pub fn is_under_pressure(&self) -> bool {
        self.total() > !self.0.limit_complement.load(Ordering::Relaxed)
    }

    /// Takes note that somebody waits for so many bytes, until that is dropped: who can give memory back should.
    pub fn want(&self, bytes: u64) -> Wanted {
        self.0.wanted.store(bytes, Ordering::Relaxed);
        Wanted(self.clone())
    }

    /// How many bytes too many are held for the limit and for who waits for some: what should be given back. Costs three
    /// loads.
    pub fn shortage(&self) -> u64 {
        let limit = !self.0.limit_complement.load(Ordering::Relaxed);
        let wanted = self.0.wanted.load(Ordering::Relaxed);
        self.total().saturating_add(wanted).saturating_sub(limit)
    }

    /// Takes note of bytes, until the credit is dropped.
    pub fn credit(&self, account: Account, bytes: usize) -> Credit {
        let bytes = bytes as u64;
        self.0.add(account, bytes);
        self.0.total.fetch_add(bytes, Ordering::Relaxed);
        let held = Held {
            account,
            bytes,
            snapshots: 0,
        };
        Credit {
            entry: Entry(Arc::new(Line {
                ledger: self.clone(),
                held: Mutex::new(held),
            })),
        }
    }

    /// Makes the caller the one who frees memory that others hand back, by [`Ledger::reap`], until it drops what this
    /// returns.
    pub fn reaping(&self) -> Reaping {
        self.0.has_reaper.store(true, Ordering::Relaxed);
        Reaping(self.clone())
    }

    /// Frees what was handed back.
    pub fn reap(&self) {
        loop {
            let batch = mem::take(&mut *self.0.handed_back.lock());
            if batch.is_empty() {
                return;
            }
            // Outside of the lock: a worker that hands memory back must not wait for another's to be freed.
            drop(batch);
        }
    }
}

impl Books {
    fn add(&self, account: Account, bytes: u64) {
        self.accounts[account as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    fn subtract(&self, account: Account, bytes: u64) {
        self.accounts[account as usize].fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// As long as it is there, bytes are waited for. One who waits at a time.
#[derive(Debug)]
pub struct Wanted(Ledger);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.0.wanted.store(0, Ordering::Relaxed);
    }
}

/// As long as it is there, memory that is handed back waits for [`Ledger::reap`].
#[derive(Debug)]
pub struct Reaping(Ledger);

impl Drop for Reaping {
    fn drop(&mut self) {
        self.0.0.has_reaper.store(false, Ordering::Relaxed);
        self.0.reap();
    }
}

/// Bytes in an account, which are debited when this is dropped. It stands after the memory in its owner, so that the
/// memory goes first.
#[derive(Debug)]
pub struct Credit {
    entry: Entry,
}

/// Names the bytes of a [`Credit`], to move them between accounts; keeps neither them nor the memory.
#[derive(Clone, Debug)]
pub struct Entry(Arc<Line>);

#[derive(Debug)]
struct Line {
    ledger: Ledger,
    /// A lock and not atomics: a move and the end of a credit may come at the same time, and both are rare.
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    account: Account,
    bytes: u64,
    /// Snapshots, published or retired, that the bytes are part of: one arena may be of two.
    snapshots: u32,
}

impl Credit {
    /// The memory has another length now.
    pub fn resize(&self, bytes: usize) {
        self.entry.resize(bytes as u64);
    }

    /// A handle to move the bytes between accounts.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Which ledger it is in.
    pub fn ledger(&self) -> &Ledger {
        &self.entry.0.ledger
    }

    /// Lets go of `memory`, whose credit this is: the thread that reaps frees it, and debits it then. Without one it is
    /// freed at once, and so is what was never published: whoever builds may wait, and wants the memory.
    pub fn hand_back(self, memory: impl Any + Send) {
        let ledger = self.ledger().clone();
        let was_published = self.entry.account() != Account::Building;
        if was_published && ledger.0.has_reaper.load(Ordering::Relaxed) {
            // A tuple's members are dropped in their order.
            let returned = Box::new((memory, self));
            ledger.0.handed_back.lock().push(returned);
            // Whoever reaped may have ended just before, and looks no more.
            if !ledger.0.has_reaper.load(Ordering::Relaxed) {
                ledger.reap();
            }
        } else {
            drop(memory);
        }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.entry.resize(0);
    }
}

impl Entry {
    /// What the bytes are held for.
    pub fn account(&self) -> Account {
        self.0.held.lock().account
    }

    /// How many bytes they are; 0 once they have been debited.
    pub fn bytes(&self) -> u64 {
        self.0.held.lock().bytes
    }

    /// Whether both name the same bytes.
    pub fn is(&self, other: &Entry) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// They are part of a snapshot that is kept, and held for `account` from now on.
    pub fn join(&self, account: Account) {
        self.0.held.lock().snapshots += 1;
        self.transfer(account);
    }

    /// They are held for something else from now on.
    pub fn transfer(&self, account: Account) {
        let mut held = self.0.held.lock();
        let books = &self.0.ledger.0;
        books.add(account, held.bytes);
        books.subtract(held.account, held.bytes);
        held.account = account;
    }

    /// A snapshot that they were part of is gone. What is still there when the last one is, is held by answers.
    pub fn leave(&self) {
        let mut held = self.0.held.lock();
        held.snapshots = held.snapshots.saturating_sub(1);
        let is_last = held.snapshots == 0;
        drop(held);
        if is_last {
            self.transfer(Account::HalfSent);
        }
    }

    fn resize(&self, bytes: u64) {
        let mut held = self.0.held.lock();
        let books = &self.0.ledger.0;
        let before = mem::replace(&mut held.bytes, bytes);
        if bytes >= before {
            books.add(held.account, bytes - before);
            books.total.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            books.subtract(held.account, before - bytes);
            books.total.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(ledger: &Ledger) -> [u64; 4] {
        Account::ALL.map(|account| ledger.bytes(account))
    }

    #[test]
    fn bytes_are_in_one_account_from_their_credit_to_its_end() {
        let ledger = Ledger::default();
        let credit = ledger.credit(Account::Building, 10);
        let other = ledger.credit(Account::Building, 1);
        assert_eq!(accounts(&ledger), [11, 0, 0, 0]);
        credit.resize(25);
        credit.entry().join(Account::Current);
        assert_eq!(accounts(&ledger), [1, 25, 0, 0]);
        // A second snapshot shares them.
        credit.entry().join(Account::Current);
        credit.entry().transfer(Account::Retired);
        credit.entry().leave();
        assert_eq!(accounts(&ledger), [1, 0, 25, 0], "another snapshot has them still");
        credit.entry().leave();
        assert_eq!(accounts(&ledger), [1, 0, 0, 25]);
        let entry = credit.entry().clone();
        drop(credit);
        assert_eq!(accounts(&ledger), [1, 0, 0, 0]);
        entry.transfer(Account::Current);
        assert_eq!(accounts(&ledger), [1, 0, 0, 0], "what is gone is nowhere");
        drop(other);
        assert_eq!(ledger.total(), 0);
    }

    #[test]
    fn there_is_pressure_above_the_limit() {
        let ledger = Ledger::default();
        let credit = ledger.credit(Account::Current, 1000);
        assert_eq!((ledger.limit(), ledger.room()), (None, u64::MAX));
        assert!(!ledger.is_under_pressure());
        for (limit, room, is_under_pressure) in [(1000, 0, false), (999, 0, true), (1500, 500, false)] {
            ledger.set_limit(Some(limit));
            assert_eq!((ledger.limit(), ledger.room()), (Some(limit), room));
            assert_eq!(ledger.is_under_pressure(), is_under_pressure);
        }
        ledger.set_limit(Some(1500));
        assert_eq!(ledger.shortage(), 0);
        let wanted = ledger.want(700);
        assert_eq!(ledger.shortage(), 200);
        drop(wanted);
        assert_eq!(ledger.shortage(), 0);
        ledger.set_limit(None);
        credit.resize(1 << 40);
        assert!(!ledger.is_under_pressure());
        assert_eq!(ledger.shortage(), 0);
    }

    /// Tells which thread it is dropped by.
    struct Witness(std::sync::mpsc::Sender<std::thread::ThreadId>);

    impl Drop for Witness {
        fn drop(&mut self) {
            // The test that listens may have failed already.
            let _ = self.0.send(std::thread::current().id());
        }
    }

    #[test]
    fn what_is_handed_back_is_freed_and_debited_by_the_thread_that_reaps() {
        let ledger = Ledger::default();
        let reaping = ledger.reaping();
        let (freed, dropped) = std::sync::mpsc::channel();
        let hand_back_from = |account| {
            let (credit, witness) = (ledger.credit(account, 7), Witness(freed.clone()));
            std::thread::spawn(move || {
                credit.hand_back(witness);
                std::thread::current().id()
            })
            .join()
            .unwrap()
        };
        let hand_back = || hand_back_from(Account::Retired);
        hand_back();
        assert!(dropped.try_recv().is_err());
        assert_eq!(ledger.total(), 7, "it is there until it is freed");
        ledger.reap();
        assert_eq!(dropped.try_recv(), Ok(std::thread::current().id()));
        assert_eq!(ledger.total(), 0);

        let builder = hand_back_from(Account::Building);
        assert_eq!(dropped.try_recv(), Ok(builder), "nobody has seen it");
        assert_eq!(ledger.total(), 0);

        hand_back();
        drop(reaping);
        assert_eq!(dropped.try_recv(), Ok(std::thread::current().id()));
        let other = hand_back();
        assert_eq!(
            dropped.try_recv(),
            Ok(other),
            "nobody reaps: it is freed where it was let go of"
        );
        assert_eq!(ledger.total(), 0);
    }
}
