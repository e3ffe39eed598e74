//! The budget of data: what the [ledger](crate::ledger) may hold, by what is left of the process's [memory](crate::memory).
//!
//! The ledger counts data alone, and memory is also taken by connections, by the program and by the allocator's own
//! needs. So its limit follows from what is left now and is set anew before each load, and now and then besides.

use crate::ledger::Ledger;
use crate::memory::{Memory, Room};

/// What data may take.
#[derive(Clone, Debug)]
pub struct Budget {
    memory: Memory,
    ledger: Ledger,
}

/// What is left to those who are not data, in bytes: connections that come, what they send, and the tables that grow a
/// step at a time.
fn reserve(limit: u64) -> u64 {
    const FIXED: u64 = 4 << 20;
    FIXED + limit / 16
}

impl Budget {
    /// Of what `ledger` counts.
    pub fn new(memory: Memory, ledger: Ledger) -> Self {
        Self { memory, ledger }
    }

    /// Which ledger it is of.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The limit of memory and what is left of it; `None` where nothing tells of memory.
    pub fn memory(&self) -> Option<Room> {
        self.memory.room()
    }

    /// Bytes that more data may take now; `u64::MAX` where nothing tells of memory.
    pub fn room(&self) -> u64 {
        self.memory()
            .map_or(u64::MAX, |room| room.left().saturating_sub(reserve(room.limit)))
    }

    /// Makes what is left now the limit of the ledger, and returns it.
    pub fn renew(&self) -> u64 {
        let room = self.room();
        self.ledger
            .set_limit((room != u64::MAX).then(|| self.ledger.total().saturating_add(room)));
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Account;

    #[test]
    fn the_ledgers_limit_is_what_is_held_and_what_is_left() {
        let root = tempfile::tempdir().unwrap();
        let meminfo = root.path().join("proc/meminfo");
        std::fs::create_dir_all(meminfo.parent().unwrap()).unwrap();
        let write = |left: u64| {
            std::fs::write(
                &meminfo,
                format!("MemTotal: {} kB\nMemAvailable: {left} kB\n", 64 << 10),
            )
            .unwrap();
        };
        write(32 << 10);
        let ledger = Ledger::default();
        let budget = Budget::new(Memory::under(root.path()), ledger.clone());
        let _held = ledger.credit(Account::Current, 5 << 20);
        // Of 32 MiB that are left 4 and a sixteenth of 64 are not for data.
        assert_eq!(budget.renew(), 24 << 20);
        assert_eq!(ledger.room(), 24 << 20);
        write(1 << 10);
        assert_eq!(budget.renew(), 0);
        assert!(!ledger.is_under_pressure(), "what is held may be held");
        assert_eq!(ledger.room(), 0);

        let unknown = Budget::new(Memory::default(), ledger.clone());
        assert_eq!((unknown.renew(), ledger.limit()), (u64::MAX, None));
    }
}
