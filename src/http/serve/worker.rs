//! What one loop answers with: the current snapshot, the time, its scratch memory, and what is shared with the others.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Instant, SystemTime};

use super::access_log::AccessLog;
use super::batch::Answers;
use super::mailbox::Mailbox;
use super::record::{Due, HttpMetrics, WorkerLevels};
use super::timer::Timers;
use crate::http::answer::Site;
use crate::http::call::Calls;
use crate::http::message::framing::HEAD_LENGTH_MAX;
use crate::lifecycle::Lifecycle;
use crate::snapshot::{Publisher, Reader};

/// Bytes that one read takes in at the most: two of the longest heads, so that there is room behind one that is not
/// whole yet.
pub const READ_LENGTH_MAX: usize = 2 * HEAD_LENGTH_MAX;

/// What the loops of a listener share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What is served on this listener.
    pub site: Arc<Site>,
    /// The current snapshot.
    pub publisher: Publisher,
    /// Whether the server is draining.
    pub lifecycle: Arc<Lifecycle>,
    /// Where requests are counted.
    pub metrics: Arc<HttpMetrics>,
    /// Where to log requests, if anywhere.
    pub access_log: Option<Arc<AccessLog>>,
    /// Where requests are put that the application answers.
    pub calls: Calls,
    /// What clients must take of their answers, in bytes a second, where bytes wait for them; 0 for any.
    pub min_send_rate: u32,
}

/// One loop's part of a listener.
#[derive(Debug)]
pub struct Worker {
    /// What it shares with the others.
    pub shared: Shared,
    /// This thread's handle of the current snapshot.
    pub reader: RefCell<Reader>,
    /// How many connections and requests there are in this thread.
    pub levels: WorkerLevels,
    /// What its connections wait for.
    pub timers: Rc<Timers>,
    /// The present `Date` line.
    pub date: Cell<DateLine>,
    /// When the present turn began: read when the loop has woken, and after each write.
    pub clock: Cell<Instant>,
    /// Memory that a connection uses in its turn, and leaves empty.
    pub scratch: RefCell<Scratch>,
    mailbox: Arc<Mailbox>,
}

/// Memory for one turn of one connection.
#[derive(Debug)]
pub struct Scratch {
    /// Where is read to.
    pub input: Box<[u8]>,
    /// What is answered by.
    pub answers: Answers,
}

impl Worker {
    /// Makes a worker for this thread, which is told of through `mailbox`.
    pub fn new(shared: Shared, mailbox: Arc<Mailbox>) -> Rc<Self> {
        Rc::new(Self {
            reader: RefCell::new(shared.publisher.reader()),
            levels: shared.metrics.worker(),
            timers: Rc::new(Timers::new(shared.min_send_rate)),
            date: Cell::new(date_line(SystemTime::now())),
            clock: Cell::new(Instant::now()),
            scratch: RefCell::new(Scratch {
                input: vec![0; READ_LENGTH_MAX].into_boxed_slice(),
                answers: Answers::default(),
            }),
            shared,
            mailbox,
        })
    }

    /// A second has passed.
    pub(super) fn tick(&self, now_seconds: u32, date: DateLine) {
        self.date.set(date);
        self.timers.tick(now_seconds);
        // A reader keeps alive what it read last, and so does what is remembered of answers.
        self.scratch
            .borrow_mut()
            .answers
            .follow(self.reader.borrow_mut().read());
        let shortage = self.shared.publisher.ledger().shortage();
        if shortage > 0 {
            self.timers.relieve(shortage);
        }
    }

    /// Records how long answers have taken whose batch began at `started`, and has been sent by now. They have been counted.
    pub(super) fn record(&self, due: &mut Due, started: Instant) {
        if due.is_empty() {
            return;
        }
        let now = Instant::now();
        self.clock.set(now);
        self.levels.took(due, now - started);
    }

    /// Has the connection with this key looked at.
    pub(super) fn waker(&self, key: usize) -> Waker {
        self.mailbox.waker(key)
    }
}

/// `date: Wed, 25 Nov 2026 12:00:00 GMT` and the line's end (RFC 9110, section 6.6.1).
pub type DateLine = [u8; 37];

//= rfc9110#section-6.6.1
//# An origin server with a clock (as defined in (http.date)) MUST generate a Date header field in all 2xx (Successful), 3xx (Redirection), and 4xx
//= rfc9110#section-5.6.7
//# that contains one or more timestamps defined as HTTP-date, the sender MUST generate those timestamps in the IMF-fixdate format.
/// The line of this moment.
pub fn date_line(now: SystemTime) -> DateLine {
    let mut line = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    let date = httpdate::fmt_http_date(now);
    line[6..6 + date.len()].copy_from_slice(date.as_bytes());
    line
}
