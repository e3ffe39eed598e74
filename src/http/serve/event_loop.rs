//! The loop: it owns its connections from accept to close, and gives each of them its turn.
//!
//! It knows no kernel and no runtime. Whoever drives it tells it what the sockets are ready for, and has it go through a
//! [`round`](EventLoop::round) whenever there is anything to do; `listen` does so by epoll, tests do so in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;

use super::connection::{Connection, Turn};
use super::mailbox::{Mail, Mailbox};
use super::socket::Socket;
use super::worker::{Shared, Worker};
use crate::lifecycle::Phase;

/// A loop, and the connections that it owns.
#[derive(Debug)]
pub struct EventLoop<S: Socket> {
    worker: Rc<Worker>,
    mailbox: Arc<Mailbox>,
    connections: Slab<Entry<S>>,
    /// Those whose turn it is, each once.
    ready: Vec<usize>,
    /// Memory for the next ones.
    spare: Vec<usize>,
    mails: Vec<Mail>,
    is_ended: bool,
}

/// What a socket may be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// To be written to.
    Write,
    /// To be read from, and perhaps to be written to.
    Read,
    /// To be read from to its end: nothing comes behind what has come.
    ReadToEnd,
}

#[derive(Debug)]
struct Entry<S: Socket> {
    connection: Connection<S>,
    is_ready: bool,
}

impl<S: Socket> EventLoop<S> {
    /// A loop without connections, which is told of through `mailbox`.
    pub fn new(shared: Shared, mailbox: Arc<Mailbox>) -> Self {
        Self {
            worker: Worker::new(shared, Arc::clone(&mailbox)),
            mailbox,
            connections: Slab::new(),
            ready: Vec::new(),
            spare: Vec::new(),
            mails: Vec::new(),
            is_ended: false,
        }
    }

    /// How many connections there are.
    pub fn connections_count(&self) -> usize {
        self.connections.len()
    }

    /// Takes a connection, which has a turn in the next round, and returns the key by which it is known.
    pub fn open(&mut self, socket: S) -> usize {
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        entry.insert(Entry {
            connection: Connection::new(socket, key, &self.worker),
            is_ready: false,
        });
        self.is_due(key);
        key
    }

    /// Whether the connection with this key is there.
    pub fn has(&self, key: usize) -> bool {
        self.connections.contains(key)
    }

    /// The socket of the connection with this key is ready for something. What it is not ready for costs a call that says so.
    pub fn is_told(&mut self, key: usize, ready: Ready) {
        if ready != Ready::Write
            && let Some(entry) = self.connections.get_mut(key)
        {
            entry.connection.readable(ready == Ready::ReadToEnd);
        }
        self.is_due(key);
    }

    /// Whether there is anything to do before something happens.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether the loop is at its end: the server stops, and nothing is left to be finished.
    pub fn is_over(&self) -> bool {
        self.is_ended || self.is_stopping() && self.connections.is_empty()
    }

    /// Whether no connection is to be taken any more.
    pub fn is_stopping(&self) -> bool {
        self.is_ended || self.worker.shared.lifecycle.phase() == Phase::Stopping
    }

    /// The time is now: to be called after each wait, since what came in it did not wait.
    pub fn wakes(&self) {
        self.worker.clock.set(Instant::now());
    }

    /// Reads the mail.
    pub fn reads_mail(&mut self) {
        let mut mails = std::mem::take(&mut self.mails);
        self.mailbox.take(&mut mails);
        for mail in mails.drain(..) {
            match mail {
                Mail::Connection(key) => self.is_due(key),
                Mail::Tick { now_seconds, date } => {
                    self.worker.tick(now_seconds, date);
                    self.sees_who_is_due();
                }
                Mail::Phase => {
                    for key in 0..self.connections.capacity() {
                        self.is_due(key);
                    }
                }
                Mail::End => self.is_ended = true,
            }
        }
        self.mails = mails;
    }

    /// Gives each connection that is ready a turn. Those that give way are ready for the next round.
    pub fn round(&mut self) {
        let mut keys = std::mem::replace(&mut self.ready, std::mem::take(&mut self.spare));
        for key in keys.drain(..) {
            self.gives_turn(key);
        }
        self.spare = keys;
        if let Some(log) = &self.worker.shared.access_log {
            log.flush();
        }
    }

    fn gives_turn(&mut self, key: usize) {
        let Some(entry) = self.connections.get_mut(key) else {
            return;
        };
        entry.is_ready = false;
        let turn = catch_unwind(AssertUnwindSafe(|| entry.connection.turn(&self.worker)));
        match turn {
            Ok(Turn::Waits) => {}
            Ok(Turn::GivesWay) => self.is_due(key),
            Ok(Turn::Over) => drop(self.connections.remove(key)),
            // What it was about is lost, and nothing else: what it used of the others' was left empty.
            Err(_) => drop(self.connections.remove(key)),
        }
    }

    fn sees_who_is_due(&mut self) {
        let mut due = std::mem::take(&mut self.spare);
        self.worker.timers.take_due(&mut due);
        for key in due.drain(..) {
            self.is_due(key);
        }
        self.spare = due;
    }

    fn is_due(&mut self, key: usize) {
        if let Some(entry) = self.connections.get_mut(key)
            && !std::mem::replace(&mut entry.is_ready, true)
        {
            self.ready.push(key);
        }
    }
}

impl<S: Socket> Drop for EventLoop<S> {
    fn drop(&mut self) {
        // Those that have not ended in time are cut, and what they were sent is recorded.
        for (_, entry) in &mut self.connections {
            entry.connection.leave(&self.worker);
        }
    }
}
