//! How a load balancer that passes bytes on introduces a client: it begins the connection with a header of the PROXY
//! protocol, before the first head and whatever version of HTTP comes after it.
//!
//! Only trusted proxies may do so, and they must: a connection of theirs that begins otherwise is closed. What anybody else
//! sends is HTTP, and a header of that protocol is none.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::connection::{Line, Step, Whither};
use super::socket::Socket;
use super::timer::Wait;
use super::worker::{READ_LENGTH_MAX, Worker};
use crate::http::message::proxies::TrustedProxies;
use crate::http::message::proxy_header::{Fault, Reading, read};
use crate::lifecycle::Phase;

/// How often a fault is logged at the most: a load balancer that is set up otherwise makes one with each connection.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// When a fault was logged last.
static LOGGED_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// A connection whose client is not known yet.
#[derive(Debug)]
pub(super) struct Introduction<S> {
    pub(super) line: Line<S>,
    /// What was read; in the end, what came behind the header.
    pub(super) input: Vec<u8>,
    proxy: IpAddr,
}

/// Why a connection is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unknown {
    /// It is no introduction.
    Faulty(Fault),
    /// It did not come whole in time.
    Late,
    /// Nothing came, or the other end is gone: so load balancers look whether somebody listens.
    Gone,
}

impl Unknown {
    /// Its name in logs and metric labels; `None` if it is no fault.
    fn label(self) -> Option<&'static str> {
        match self {
            Self::Faulty(Fault::Missing) => Some("missing"),
            Self::Faulty(Fault::Malformed) => Some("malformed"),
            Self::Faulty(Fault::TooLong) => Some("too_long"),
            Self::Faulty(Fault::Checksum) => Some("checksum"),
            Self::Late => Some("late"),
            Self::Gone => None,
        }
    }
}

impl<S: Socket> Introduction<S> {
    /// Of a connection that begins with one, which those of `proxies` do.
    ///
    /// # Errors
    ///
    /// The line again, if it is anybody else's.
    pub(super) fn of(line: Line<S>, proxies: &TrustedProxies) -> Result<Self, Line<S>> {
        match line.socket.peer().map(|peer| peer.ip()) {
            Some(proxy) if proxies.trusts(proxy) => Ok(Self {
                line,
                input: Vec::new(),
                proxy,
            }),
            _ => Err(line),
        }
    }

    /// Reads on. HTTP/1 comes next, if it ends as it should.
    pub(super) fn step(&mut self, worker: &Worker) -> Step {
        match self.read_header(worker) {
            None => Step::Waits,
            Some(Ok(())) => {
                self.line.timer.stop();
                Step::Goes(Whither::Http1)
            }
            Some(Err(unknown)) => {
                if let Some(fault) = unknown.label() {
                    worker.shared.metrics.introduction_refused(fault);
                    log(self.proxy, fault);
                }
                self.line.timer.stop();
                Step::Goes(Whither::Close)
            }
        }
    }

    /// Reads until the header is whole; nothing if more of it has to come. It has some seconds from its first byte; before
    /// that, a connection may be idle for as long as one between two requests, for a load balancer sends nothing as long as
    /// its client does.
    fn read_header(&mut self, worker: &Worker) -> Option<Result<(), Unknown>> {
        loop {
            match read(&self.input) {
                Reading::Whole(header) => {
                    self.line.client = header.client;
                    self.input.drain(..header.length);
                    return Some(Ok(()));
                }
                Reading::Refused(fault) => return Some(Err(Unknown::Faulty(fault))),
                Reading::Partial => {}
            }
            let scratch = &mut *worker.scratch.borrow_mut();
            // No more than a connection may hold that waits for the rest of a head.
            let room = &mut scratch.input[..READ_LENGTH_MAX - self.input.len()];
            match self.line.socket.read(room) {
                Ok(length @ 1..) => self.input.extend_from_slice(&scratch.input[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.wait(worker),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return Some(Err(Unknown::Gone)),
            }
        }
    }

    fn wait(&self, worker: &Worker) -> Option<Result<(), Unknown>> {
        let timer = &self.line.timer;
        if !self.input.is_empty() {
            return timer.wait(Wait::Introduction).then_some(Err(Unknown::Late));
        }
        let is_over = timer.wait(Wait::Request) || worker.shared.lifecycle.phase() == Phase::Stopping;
        is_over.then_some(Err(Unknown::Gone))
    }
}

fn log(proxy: IpAddr, fault: &'static str) {
    let now = Instant::now();
    let mut logged_at = LOGGED_AT.lock();
    if logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL) {
        *logged_at = Some(now);
        tracing::warn!(
            %proxy,
            fault,
            "a connection of a trusted proxy was closed: it did not begin with the PROXY protocol (--proxy-protocol)"
        );
    }
}
