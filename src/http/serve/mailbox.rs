//! What other threads tell a loop: it arrives in one place, in order, and wakes the loop if that sleeps.

use std::fmt;
use std::sync::Arc;
use std::task::{Wake, Waker};

use parking_lot::Mutex;

use super::worker::DateLine;

/// What a loop is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mail {
    /// Something has come for the connection with this key, or for another one that had it before.
    Connection(usize),
    /// A second has passed.
    Tick {
        /// Whole seconds since the server started.
        now_seconds: u32,
        /// The present `Date` line.
        date: DateLine,
    },
    /// The server's life has gone on.
    Phase,
    /// The time is over that connections have to end.
    End,
}

/// The mailbox of a loop.
pub struct Mailbox {
    mails: Mutex<Vec<Mail>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl Mailbox {
    /// An empty one. `wake` has the loop look into it.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            mails: Mutex::default(),
            wake: Box::new(wake),
        })
    }

    /// Tells the loop.
    pub fn push(&self, mail: Mail) {
        let mut mails = self.mails.lock();
        mails.push(mail);
        let is_first = mails.len() == 1;
        drop(mails);
        // Who has been woken takes all that there is.
        if is_first {
            (self.wake)();
        }
    }

    /// Takes all that there is; what `into` holds is gone.
    pub(super) fn take(&self, into: &mut Vec<Mail>) {
        into.clear();
        std::mem::swap(&mut *self.mails.lock(), into);
    }

    /// Has the connection with this key looked at.
    pub(super) fn waker(self: &Arc<Self>, key: usize) -> Waker {
        Waker::from(Arc::new(Address {
            mailbox: Arc::clone(self),
            key,
        }))
    }
}

struct Address {
    mailbox: Arc<Mailbox>,
    key: usize,
}

impl Wake for Address {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.mailbox.push(Mail::Connection(self.key));
    }
}
