//! Room for a load: what does not fit is refused before it can have the process killed, and good data stays.
//!
//! Three things keep a load within the memory that is left. What it would take is estimated by what the current data took,
//! before anything is read. While it is read, the [ledger](crate::ledger) has a limit, which the items that are made are
//! held against. And where either says no, the codings of the current snapshot are dropped, which can be made again,
//! answers of data that is served no more are broken off, and what nobody reads any more is freed; then it is tried once
//! more.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::load::LoadError;
use crate::allocator;
use crate::budget::Budget;
use crate::ledger::{Account, Entry};
use crate::memory::{Bound, Memory};
use crate::snapshot::{Publisher, Settings, Snapshot};

/// How long readers of a snapshot that was current may take to let go of it: each looks once a second when it is idle.
const RETIRE_MAX: Duration = Duration::from_secs(3);

/// How often it is looked whether they have.
const RETIRE_INTERVAL: Duration = Duration::from_millis(20);

/// Keeps loads within memory.
#[derive(Debug)]
pub(super) struct Rooms {
    budget: Budget,
    publisher: Publisher,
    settings: Settings,
    /// Who makes codings, and a load where memory is short, do so one after the other: each takes all that is left.
    alone: Alone,
    /// What the current data takes, in bytes, and the length of its source as stored.
    known: Option<(u64, u64)>,
}

/// A lock for what takes much memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Alone(Arc<Mutex<()>>);

impl Alone {
    /// Waits until nobody else has it.
    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        self.0.lock()
    }
}

impl Rooms {
    pub(super) fn new(publisher: Publisher, settings: Settings) -> Self {
        Self {
            budget: Budget::new(Memory::of_this_process(), publisher.ledger().clone()),
            publisher,
            settings,
            alone: Alone::default(),
            known: None,
        }
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(super) fn alone(&self) -> Alone {
        self.alone.clone()
    }

    /// The data that is served now was read of a source of this length, in bytes as stored.
    pub(super) fn learn(&mut self, served: &Snapshot, stored: u64) {
        self.known = Some((bytes(served), stored));
    }

    /// Runs `load`, within what is left of memory. `stored` is the length of what it reads, in bytes as stored, if that is
    /// known.
    pub(super) fn load<T>(
        &self,
        source_name: &str,
        stored: Option<u64>,
        load: impl Fn() -> Result<T, LoadError>,
    ) -> Result<T, LoadError> {
        let needed = self.needed(stored);
        let attempt = || {
            let room = self.budget.renew();
            // The estimate errs: the next data may have less white space. Far off it is not.
            if needed / 4 * 3 > room {
                return Err(self.refusal(source_name, needed, room));
            }
            load()
        };
        let is_short = |room: u64| room < needed.saturating_mul(2).saturating_add(PLENTY);
        let _alone = is_short(self.budget.room()).then(|| self.alone.lock());
        match attempt() {
            Err(error) if error.is_for_memory() && self.make_room(needed) => attempt(),
            result => result,
        }
    }

    /// What a load will take, in bytes, if it is like the last one.
    fn needed(&self, stored: Option<u64>) -> u64 {
        let Some(((held, stored_then), stored)) = self.known.zip(stored) else {
            return 0;
        };
        let needed = u128::from(held) * u128::from(stored) / u128::from(stored_then.max(1));
        u64::try_from(needed).unwrap_or(u64::MAX)
    }

    fn refusal(&self, source_name: &str, needed: u64, left: u64) -> LoadError {
        let memory = self.budget.memory();
        LoadError::DoesNotFit {
            source_name: source_name.to_owned(),
            needed,
            left,
            limit: memory.as_ref().map_or(0, |memory| memory.limit),
            bound: memory.map_or(Bound::Machine, |memory| memory.bound),
        }
    }

    /// Drops the codings of what is served, has answers of data that is served no more broken off, the oldest first, and frees
    /// what is not read any more. Says whether there is more room now.
    fn make_room(&self, needed: u64) -> bool {
        let ledger = self.budget.ledger();
        let before = ledger.total();
        let current = self.publisher.current();
        if current.has_codings() {
            tracing::warn!(
                snapshot = current.id(),
                "memory is short for a load: the codings of what is served are dropped"
            );
            self.publisher
                .replace(&current, current.without_codings(&self.settings));
        }
        drop(current);
        // How much it lacked is not known where it failed in the middle: so as much as it takes, besides what there is.
        let missing = if needed == 0 { u64::MAX } else { needed };
        let _wanted = ledger.want(ledger.room().saturating_add(missing));
        let deadline = Instant::now() + RETIRE_MAX;
        loop {
            self.publisher.reap();
            let is_enough = ledger.shortage() == 0 || ledger.bytes(Account::HalfSent) == 0;
            if is_enough && ledger.bytes(Account::Retired) == 0 || Instant::now() >= deadline {
                break;
            }
            thread::park_timeout(RETIRE_INTERVAL);
        }
        allocator::give_back();
        ledger.total() < before
    }
}

/// So much more than twice what a load takes is left that it need not wait for an encoder, in bytes.
const PLENTY: u64 = 64 << 20;

/// What a snapshot takes without its codings, in bytes.
fn bytes(snapshot: &Snapshot) -> u64 {
    let coded: u64 = snapshot.coded_bytes();
    let all: u64 = snapshot.entries().iter().map(Entry::bytes).sum();
    all.saturating_sub(coded)
}
