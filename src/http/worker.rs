//! What one worker thread answers with, on one listener: the current snapshot, the time, and its scratch memory.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::access_log::AccessLog;
use super::admin::Admin;
use super::answer::Site;
use super::lane::Answers;
use super::record::{HttpMetrics, WorkerLevels};
use super::timer::Timers;
use crate::lifecycle::{Lifecycle, Phase};
use crate::snapshot::{Publisher, Reader};

/// How often the clock is read, waits are looked at, and a snapshot that is no longer current is let go of.
const TICK: Duration = Duration::from_secs(1);

/// Bytes that one read takes in at the most: two of the longest heads, so that there is room behind one that is not
/// whole yet.
pub const READ_LENGTH_MAX: usize = 2 * super::framing::HEAD_LENGTH_MAX;

/// What the listeners' workers share.
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
    /// What the admin endpoints are answered from, where the site has them.
    pub admin: Option<Arc<Admin>>,
    /// Whether requests are answered in the lane, where they can be.
    pub has_lane: bool,
    /// What clients must take of their answers, in bytes a second, where bytes wait for them; 0 for any.
    pub min_send_rate: u32,
}

/// One worker's part of a listener.
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
    /// Memory that a connection uses while it is polled, and leaves empty.
    pub scratch: RefCell<Scratch>,
}

/// Memory for one poll of one connection.
#[derive(Debug)]
pub struct Scratch {
    /// Where is read to.
    pub input: Box<[u8]>,
    /// What is answered by.
    pub answers: Answers,
}

impl Worker {
    /// Makes a worker in this thread, whose clock runs as long as the worker is there.
    ///
    /// # Panics
    ///
    /// If the thread runs no tokio tasks of its own.
    pub fn start(shared: Shared) -> Rc<Self> {
        let worker = Rc::new(Self {
            reader: RefCell::new(shared.publisher.reader()),
            levels: shared.metrics.worker(),
            timers: Rc::new(Timers::new(shared.min_send_rate)),
            date: Cell::new(date_line(SystemTime::now())),
            scratch: RefCell::new(Scratch {
                input: vec![0; READ_LENGTH_MAX].into_boxed_slice(),
                answers: Answers::default(),
            }),
            shared,
        });
        tokio::task::spawn_local(tick(Rc::downgrade(&worker)));
        let (lifecycle, timers) = (Arc::clone(&worker.shared.lifecycle), Rc::downgrade(&worker.timers));
        tokio::task::spawn_local(async move {
            // Draining concerns those that can tell their clients so without being asked.
            for phase in [Phase::Draining, Phase::Stopping] {
                lifecycle.reached(phase).await;
                let Some(timers) = timers.upgrade() else { return };
                timers.wake_all();
            }
        });
        worker
    }
}

async fn tick(worker: Weak<Worker>) {
    let started = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = ticks.tick().await;
        let Some(worker) = worker.upgrade() else { return };
        worker.date.set(date_line(SystemTime::now()));
        worker.timers.tick((now - started).as_secs() as u32);
        // Whatever logged a request and did not say that its answer is sent.
        if let Some(log) = &worker.shared.access_log {
            log.flush();
        }
        // A reader keeps alive what it read last.
        worker.reader.borrow_mut().read();
        let shortage = worker.shared.publisher.ledger().shortage();
        if shortage > 0 {
            worker.timers.relieve(shortage);
        }
    }
}

/// Has the task polled again when all others have had their turn, and what the kernel has to tell has been heard.
///
/// A task that wakes itself is polled dozens of times before the runtime looks whether anybody new has come.
pub fn give_way(context: &mut Context<'_>) {
    // Its first poll leaves the waker with the runtime, which wakes it after the next look; that is all it is for.
    let _ = pin!(tokio::task::yield_now()).poll(context);
}

/// `date: Wed, 25 Nov 2026 12:00:00 GMT` and the line's end (RFC 9110, section 6.6.1).
pub type DateLine = [u8; 37];

fn date_line(now: SystemTime) -> DateLine {
    let mut line = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    let date = httpdate::fmt_http_date(now);
    line[6..6 + date.len()].copy_from_slice(date.as_bytes());
    line
}
