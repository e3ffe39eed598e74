//! What connections wait for, and for how long: one tick a second a worker, and no timer an event.
//!
//! A connection that waits writes down until when, in a cell of its own: a request costs two stores. The worker's tick
//! looks at all of them once a second, a pass over memory that takes microseconds for thousands of connections, and
//! names those whose time is over. So a limit is kept within a second, never early.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use slab::Slab;

use super::pressure::{Holding, broken_off};
use super::record::Cut;
use super::send_rate::{SendRate, Verdict, WINDOW_SECONDS};
use crate::ledger::{Account, Entry};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The rest of a header of the PROXY protocol.
    Introduction,
    /// The next request, or the first.
    Request,
    /// The rest of a request's head.
    Head,
    /// The client to take what is sent, at the least rate that is asked of it.
    Write,
    /// The client to close, after the server has.
    Close,
}

impl Wait {
    /// How long it may take, in seconds.
    pub const fn seconds_max(self) -> u32 {
        match self {
            Self::Introduction => 5,
            Self::Request => 75,
            Self::Head => 5,
            Self::Write => WINDOW_SECONDS,
            Self::Close => 2,
        }
    }
}

/// The waits of one worker's connections.
#[derive(Debug, Default)]
pub struct Timers {
    /// Whole seconds since the worker started.
    now_seconds: Cell<u32>,
    entries: RefCell<Slab<Rc<Waiting>>>,
    /// The connections whose turn it is, by what has been found out here.
    due: RefCell<Vec<usize>>,
    /// What clients must take of what is sent, in bytes a second.
    min_send_rate: u32,
}

#[derive(Debug)]
struct Waiting {
    /// Whose wait it is: the connection's key.
    of: usize,
    wait: Cell<Option<Wait>>,
    /// The first second at which the wait is over.
    due_seconds: Cell<u32>,
    sending: Cell<Sending>,
    /// The memory that what waits to be sent is a part of, and since when.
    held: RefCell<Option<(Entry, u32)>>,
    /// Whether what waits is to be broken off, so that memory comes back.
    is_broken_off: Cell<bool>,
}

/// How it goes with what is sent.
#[derive(Clone, Copy, Debug)]
struct Sending {
    rate: SendRate,
    /// Bytes that the client was yet to take when it was looked last.
    untaken_length: u64,
    /// Bytes that were sent since.
    sent_length: u64,
}

impl Sending {
    /// What has been taken since it was looked last, where `untaken_length` bytes are yet to be taken now.
    fn look(&mut self, untaken_length: u64) -> u64 {
        let sent_length = std::mem::take(&mut self.sent_length);
        let before = std::mem::replace(&mut self.untaken_length, untaken_length);
        (before + sent_length).saturating_sub(untaken_length)
    }
}

/// Memory in the ledger, compared by what it is.
#[derive(Debug)]
struct Same(Entry);

impl PartialEq for Same {
    fn eq(&self, other: &Self) -> bool {
        self.0.is(&other.0)
    }
}

impl Timers {
    /// Of connections whose clients must take `min_send_rate` bytes a second where bytes wait for them; 0 for any.
    pub fn new(min_send_rate: u32) -> Self {
        Self {
            min_send_rate,
            ..Self::default()
        }
    }

    /// A wait of the connection with this key.
    pub fn timer(self: &Rc<Self>, of: usize) -> Timer {
        let entry = Rc::new(Waiting {
            of,
            wait: Cell::new(None),
            due_seconds: Cell::new(0),
            sending: Cell::new(Sending {
                rate: SendRate::new(self.min_send_rate),
                untaken_length: 0,
                sent_length: 0,
            }),
            held: RefCell::default(),
            is_broken_off: Cell::new(false),
        });
        let key = self.entries.borrow_mut().insert(Rc::clone(&entry));
        Timer {
            timers: Rc::clone(self),
            entry,
            key,
        }
    }

    /// Sets the time, in whole seconds since the worker started; the connections whose wait is over are due.
    pub fn tick(&self, now_seconds: u32) {
        self.now_seconds.set(now_seconds);
        let entries = self.entries.borrow();
        let over = entries.iter().map(|(_, entry)| entry);
        let over = over.filter(|entry| entry.wait.get().is_some() && entry.due_seconds.get() <= now_seconds);
        self.due.borrow_mut().extend(over.map(|entry| entry.of));
    }

    /// Breaks off answers whose data is served no more, the oldest first, so that `needed` bytes of memory come back.
    pub fn relieve(&self, needed: u64) {
        let entries = self.entries.borrow();
        let holdings = entries.iter().filter_map(|(key, entry)| {
            let held = entry.held.borrow();
            let (memory, since_seconds) = held.as_ref()?;
            let is_retired = matches!(memory.account(), Account::Retired | Account::HalfSent);
            is_retired.then(|| Holding {
                key,
                since_seconds: *since_seconds,
                memory: Same(memory.clone()),
                length: memory.bytes(),
            })
        });
        for key in broken_off(holdings.collect(), needed) {
            entries[key].is_broken_off.set(true);
            self.due.borrow_mut().push(entries[key].of);
        }
    }

    /// Moves to `keys` those of the connections that are due.
    pub fn take_due(&self, keys: &mut Vec<usize>) {
        keys.append(&mut self.due.borrow_mut());
    }
}

/// The wait of one connection. It has one at a time.
#[derive(Debug)]
pub struct Timer {
    timers: Rc<Timers>,
    entry: Rc<Waiting>,
    key: usize,
}

impl Timer {
    /// Goes on waiting, or begins to if it did not wait for the same; returns whether it has waited too long. The
    /// connection is due when it has.
    pub fn wait(&self, wait: Wait) -> bool {
        let now_seconds = self.timers.now_seconds.get();
        if self.entry.wait.get() != Some(wait) {
            self.entry.wait.set(Some(wait));
            // A second more: the present one has already begun.
            self.entry.due_seconds.set(now_seconds + wait.seconds_max() + 1);
        }
        self.entry.due_seconds.get() <= now_seconds
    }

    /// Goes on waiting for the client to take what is sent, or begins to; returns why it is not to be waited for any longer.
    /// The connection is due when it is to be looked again. `untaken_length` tells how many of the bytes that were sent the client
    /// has not taken yet, and is asked only then; `held` which memory they are a part of, and is asked at the beginning.
    pub fn wait_to_send(
        &self,
        untaken_length: impl FnOnce() -> usize,
        held: impl FnOnce() -> Option<Entry>,
    ) -> Option<Cut> {
        let now_seconds = self.timers.now_seconds.get();
        if self.entry.is_broken_off.get() {
            return Some(Cut::Memory);
        }
        let mut sending = self.entry.sending.get();
        let taken = if !self.is_sending() {
            // What was sent before is not counted.
            *self.entry.held.borrow_mut() = held().map(|memory| (memory, now_seconds));
            sending.sent_length = 0;
            sending.untaken_length = untaken_length() as u64;
            0
        } else if sending.rate.is_due(now_seconds) {
            sending.look(untaken_length() as u64)
        } else {
            return None;
        };
        let verdict = sending.rate.wait(now_seconds, taken);
        self.entry.sending.set(sending);
        self.entry.wait.set(Some(Wait::Write));
        match verdict {
            Verdict::Wait(due_seconds) => {
                self.entry.due_seconds.set(due_seconds);
                None
            }
            Verdict::TooSlow => Some(Cut::Slow),
        }
    }

    /// Takes note of the memory that what waits to be sent is a part of, for who waits by other means.
    pub fn hold(&self, memory: Option<Entry>) {
        let now_seconds = self.timers.now_seconds.get();
        *self.entry.held.borrow_mut() = memory.map(|memory| (memory, now_seconds));
        self.entry.is_broken_off.set(false);
    }

    /// Whether what waits is to be broken off, so that memory comes back.
    pub fn is_broken_off(&self) -> bool {
        self.entry.is_broken_off.get()
    }

    /// Whether the client is waited for to take what is sent.
    pub fn is_sending(&self) -> bool {
        self.entry.wait.get() == Some(Wait::Write)
    }

    /// Some of what waited was sent.
    pub fn sent(&self, length: usize) {
        if self.is_sending() {
            let mut sending = self.entry.sending.get();
            sending.sent_length += length as u64;
            self.entry.sending.set(sending);
        }
    }

    /// Nothing waits to be sent any more.
    pub fn all_sent(&self) {
        if self.is_sending() {
            let mut sending = self.entry.sending.get();
            // As much is on its way as was before, or less.
            let taken = std::mem::take(&mut sending.sent_length);
            sending.rate.pause(self.timers.now_seconds.get(), taken);
            self.entry.sending.set(sending);
            self.entry.wait.set(None);
            self.entry.held.take();
            self.entry.is_broken_off.set(false);
        }
    }

    /// As [`wait`](Self::wait), until a certain second.
    pub fn wait_until(&self, wait: Wait, due_seconds: u32) -> bool {
        self.entry.wait.set(Some(wait));
        self.entry.due_seconds.set(due_seconds);
        self.wait(wait)
    }

    /// Whole seconds since the worker started.
    pub fn now_seconds(&self) -> u32 {
        self.timers.now_seconds.get()
    }

    /// What was waited for has come; the next wait begins anew. What waits to be sent is another matter.
    pub fn stop(&self) {
        self.entry.wait.set(None);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.timers.entries.borrow_mut().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_over_after_its_time_and_not_before() {
        let timers = Rc::new(Timers::default());
        let timer = timers.timer(7);
        let tick = |now_seconds| {
            timers.tick(now_seconds);
            let mut due = Vec::new();
            timers.take_due(&mut due);
            due
        };
        assert!(tick(10).is_empty());
        assert!(!timer.wait(Wait::Head));
        assert!(tick(15).is_empty());
        assert!(!timer.wait(Wait::Head), "going on waiting does not begin anew");
        assert_eq!(tick(16), [7]);
        assert!(timer.wait(Wait::Head));
        assert!(!timer.wait(Wait::Request), "another wait begins anew");
        timer.stop();
        assert!(tick(1000).is_empty(), "who does not wait is never due");
        timer.wait(Wait::Head);
        drop(timer);
        assert!(tick(2000).is_empty());
    }
}
