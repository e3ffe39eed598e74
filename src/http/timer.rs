//! What connections wait for, and for how long: one tick a second a worker, and no timer an event.
//!
//! A connection that waits writes down until when, in a cell of its own: a request costs two stores. The worker's tick
//! looks at all of them once a second, a pass over memory that takes microseconds for thousands of connections, and
//! wakes those whose time is over. So a limit is kept within a second, never early.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use slab::Slab;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The rest of a header of the PROXY protocol.
    Introduction,
    /// The next request, or the first.
    Request,
    /// The rest of a request's head.
    Head,
    /// The client to take some of an answer.
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
            Self::Write => 30,
            Self::Close => 2,
        }
    }
}

/// The waits of one worker's connections.
#[derive(Debug, Default)]
pub struct Timers {
    /// Whole seconds since the worker started.
    now_seconds: Cell<u32>,
    entries: RefCell<Slab<Rc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    wait: Cell<Option<Wait>>,
    /// The first second at which the wait is over.
    due_seconds: Cell<u32>,
    waker: RefCell<Waker>,
}

impl Timers {
    /// The wait of a new connection.
    pub fn timer(self: &Rc<Self>) -> Timer {
        let entry = Rc::new(Entry {
            wait: Cell::new(None),
            due_seconds: Cell::new(0),
            waker: RefCell::new(Waker::noop().clone()),
        });
        let key = self.entries.borrow_mut().insert(Rc::clone(&entry));
        Timer {
            timers: Rc::clone(self),
            entry,
            key,
        }
    }

    /// Sets the time, in whole seconds since the worker started, and wakes the connections whose wait is over.
    pub fn tick(&self, now_seconds: u32) {
        self.now_seconds.set(now_seconds);
        self.wake(|entry| entry.wait.get().is_some() && entry.due_seconds.get() <= now_seconds);
    }

    /// Wakes every connection, to see that the server stops.
    pub fn wake_all(&self) {
        self.wake(|_| true);
    }

    fn wake(&self, is_meant: impl Fn(&Entry) -> bool) {
        for (_, entry) in self.entries.borrow().iter().filter(|(_, entry)| is_meant(entry)) {
            entry.waker.borrow().wake_by_ref();
        }
    }
}

/// The wait of one connection. It has one at a time.
#[derive(Debug)]
pub struct Timer {
    timers: Rc<Timers>,
    entry: Rc<Entry>,
    key: usize,
}

impl Timer {
    /// Goes on waiting, or begins to if it did not wait for the same; returns whether it has waited too long. The task
    /// is woken when it has.
    pub fn wait(&self, wait: Wait, context: &Context<'_>) -> bool {
        let now_seconds = self.timers.now_seconds.get();
        if self.entry.wait.get() != Some(wait) {
            self.entry.wait.set(Some(wait));
            // A second more: the present one has already begun.
            self.entry.due_seconds.set(now_seconds + wait.seconds_max() + 1);
        }
        let waker = &mut *self.entry.waker.borrow_mut();
        if !waker.will_wake(context.waker()) {
            waker.clone_from(context.waker());
        }
        self.entry.due_seconds.get() <= now_seconds
    }

    /// As [`wait`](Self::wait), until a certain second.
    pub fn wait_until(&self, wait: Wait, due_seconds: u32, context: &Context<'_>) -> bool {
        self.entry.wait.set(Some(wait));
        self.entry.due_seconds.set(due_seconds);
        self.wait(wait, context)
    }

    /// Whole seconds since the worker started.
    pub fn now_seconds(&self) -> u32 {
        self.timers.now_seconds.get()
    }

    /// What was waited for has come; the next wait begins anew.
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

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_wait_is_over_after_its_time_and_not_before() {
        let timers = Rc::new(Timers::default());
        let timer = timers.timer();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = Context::from_waker(&waker);
        timers.tick(10);
        assert!(!timer.wait(Wait::Head, &context));
        timers.tick(15);
        assert!(
            !timer.wait(Wait::Head, &context),
            "going on waiting does not begin anew"
        );
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        timers.tick(16);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(timer.wait(Wait::Head, &context));
        assert!(!timer.wait(Wait::Request, &context), "another wait begins anew");
        timer.stop();
        timers.tick(1000);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "who does not wait is not woken");
        timers.wake_all();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        drop(timer);
        timers.wake_all();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    }
}
