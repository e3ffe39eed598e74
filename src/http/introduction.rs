//! How a load balancer that passes bytes on introduces a client: it begins the connection with a header of the PROXY
//! protocol, before the first head and whatever version of HTTP comes after it.
//!
//! Only trusted proxies may do so, and they must: a connection of theirs that begins otherwise is closed. What anybody else
//! sends is HTTP, and a header of that protocol is none.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::ReadBuf;

use super::closing::Closing;
use super::proxies::TrustedProxies;
use super::proxy_header::{Fault, Reading, read};
use super::timer::{Timer, Wait};
use super::transport::Transport;
use super::worker::{READ_LENGTH_MAX, Worker};
use crate::lifecycle::Phase;

/// How often a fault is logged at the most: a load balancer that is set up otherwise makes one with each connection.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// When a fault was logged last.
static LOGGED_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// Who is at the other end, and what came of the connection after that was said.
#[derive(Debug, Default)]
pub struct Introduced {
    /// The client, if it is another than the peer.
    pub client: Option<SocketAddr>,
    /// What was read behind the header.
    pub input: Vec<u8>,
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

/// Reads the introduction of a connection that begins with one, which those of `proxies` do. `None` if that fails: then the
/// connection is closed.
pub async fn introduce<S: Transport>(stream: &mut S, proxies: &TrustedProxies, worker: &Worker) -> Option<Introduced> {
    let peer = stream.peer().map(|peer| peer.ip());
    if !peer.is_some_and(|peer| proxies.trusts(peer)) {
        return Some(Introduced::default());
    }
    let timer = worker.timers.timer();
    match read_header(stream, &timer, worker).await {
        Ok(introduced) => Some(introduced),
        Err(unknown) => {
            if let Some(fault) = unknown.label() {
                worker.shared.metrics.introduction_refused(fault);
                log(peer, fault);
            }
            timer.stop();
            let mut closing = Closing::default();
            poll_fn(|context| closing.poll(stream, &timer, worker, context)).await;
            None
        }
    }
}

fn log(peer: Option<IpAddr>, fault: &'static str) {
    let now = Instant::now();
    let mut logged_at = LOGGED_AT.lock();
    if logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL) {
        *logged_at = Some(now);
        tracing::warn!(
            proxy = peer.map(tracing::field::display),
            fault,
            "a connection of a trusted proxy was closed: it did not begin with the PROXY protocol (--proxy-protocol)"
        );
    }
}

/// Reads until the header is whole. It has some seconds from its first byte; before that, a connection may be idle for as
/// long as one between two requests, for a load balancer sends nothing as long as its client does.
async fn read_header<S: Transport>(stream: &mut S, timer: &Timer, worker: &Worker) -> Result<Introduced, Unknown> {
    let mut input = Vec::new();
    poll_fn(|context| {
        loop {
            match read(&input) {
                Reading::Whole(header) => {
                    input.drain(..header.length);
                    let input = std::mem::take(&mut input);
                    let client = header.client;
                    return Poll::Ready(Ok(Introduced { client, input }));
                }
                Reading::Refused(fault) => return Poll::Ready(Err(Unknown::Faulty(fault))),
                Reading::Partial => {}
            }
            let scratch = &mut *worker.scratch.borrow_mut();
            // No more than a connection may hold that waits for the rest of a head.
            let mut buffer = ReadBuf::new(&mut scratch.input[..READ_LENGTH_MAX - input.len()]);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => input.extend_from_slice(buffer.filled()),
                Poll::Ready(_) => return Poll::Ready(Err(Unknown::Gone)),
                Poll::Pending if input.is_empty() => {
                    let is_stopping = worker.shared.lifecycle.phase() == Phase::Stopping;
                    if timer.wait(Wait::Request, context) || is_stopping {
                        return Poll::Ready(Err(Unknown::Gone));
                    }
                    return Poll::Pending;
                }
                Poll::Pending if timer.wait(Wait::Introduction, context) => {
                    return Poll::Ready(Err(Unknown::Late));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}
