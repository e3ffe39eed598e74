//! A connection in the lane: reads, has answered, sends; until it is closed or handed over.
//!
//! A connection owns no memory while it waits for a request. It reads into its worker's scratch, and only what is left
//! there when the poll ends is moved to memory of its own: a piece of a head, or answers that the client does not take.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::{Next, Output, answer_all};
use crate::http::closing::Closing;
use crate::http::h2::is_preface;
use crate::http::record::LevelGuard;
use crate::http::timer::{Timer, Wait};
use crate::http::transport::Transport;
use crate::http::worker::Worker;
use crate::lifecycle::Phase;

/// How a connection's time in the lane ended.
#[derive(Debug)]
pub enum Ended<S> {
    /// It is closed.
    Closed,
    /// The application is to go on with it.
    HandedOver {
        /// Where to go on reading and writing.
        stream: S,
        /// What was read and not answered.
        input: Vec<u8>,
        /// What it waits for: the time that a head has already taken counts.
        timer: Timer,
        /// Whether nothing has been answered before.
        is_first: bool,
    },
}

/// A connection in the lane.
#[derive(Debug)]
pub struct Lane<S> {
    stream: S,
    worker: Rc<Worker>,
    peer: Option<IpAddr>,
    timer: Timer,
    next: Next,
    /// Whether nothing has been answered yet.
    is_first: bool,
    /// What was read and not answered.
    input: Vec<u8>,
    /// What the client has not taken yet.
    unsent: Option<Box<Unsent>>,
}

/// Answers on their way; their requests are in flight.
#[derive(Debug)]
struct Unsent {
    output: Output,
    _in_flight: LevelGuard,
}

impl<S: Transport> Lane<S> {
    /// Takes a new connection. `peer` is asked for the access log only.
    pub fn new(stream: S, peer: Option<IpAddr>, worker: Rc<Worker>) -> Self {
        Self {
            stream,
            peer,
            timer: worker.timers.timer(),
            worker,
            next: Next::Read,
            is_first: true,
            input: Vec::new(),
            unsent: None,
        }
    }

    /// With bytes that have been read of it already, no more than one read takes.
    pub fn with_input(self, input: Vec<u8>) -> Self {
        let next = if input.is_empty() { Next::Read } else { Next::GoOn };
        Self { next, input, ..self }
    }

    /// Serves the connection until its time here ends.
    pub async fn serve(mut self) -> Ended<S> {
        // A connection that fails has nobody left to be told.
        let next = poll_fn(|context| self.poll(context)).await.unwrap_or(Next::Read);
        match next {
            Next::HandOver => Ended::HandedOver {
                stream: self.stream,
                input: self.input,
                timer: self.timer,
                is_first: self.is_first,
            },
            Next::Close => {
                let mut closing = Closing::default();
                poll_fn(|context| closing.poll(&mut self.stream, &self.timer, &self.worker, context)).await;
                Ended::Closed
            }
            Next::GoOn | Next::Read => Ended::Closed,
        }
    }

    /// Ready with what is to become of the connection; `Read` if there is nothing to be done but to let it go.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Next>> {
        loop {
            if let Some(unsent) = &mut self.unsent {
                ready!(poll_send(&mut self.stream, &self.timer, &mut unsent.output, context))?;
                self.unsent = None;
            }
            match self.next {
                Next::Read | Next::GoOn => match ready!(self.poll_turn(context))? {
                    Turn::Done => {}
                    Turn::Over => return Poll::Ready(Ok(Next::Read)),
                },
                next @ (Next::Close | Next::HandOver) => return Poll::Ready(Ok(next)),
            }
        }
    }

    /// Reads, unless enough has been read; answers; begins to send.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        let worker = Rc::clone(&self.worker);
        let scratch = &mut *worker.scratch.borrow_mut();
        let held = self.input.len();
        scratch.input[..held].copy_from_slice(&self.input);
        let mut length = held;
        if self.next == Next::Read {
            let mut buffer = ReadBuf::new(&mut scratch.input[held..]);
            if Pin::new(&mut self.stream).poll_read(context, &mut buffer)?.is_pending() {
                return self.wait(context);
            }
            if buffer.filled().is_empty() {
                self.next = Next::Close;
                return Poll::Ready(Ok(Turn::Done));
            }
            length += buffer.filled().len();
        }
        let input = &scratch.input[..length];
        let (consumed, next) = if worker.shared.has_lane {
            answer_all(&worker, input, self.peer, &mut scratch.answers)
        } else if is_preface(input).is_none() {
            (0, Next::Read)
        } else {
            (0, Next::HandOver)
        };
        self.next = next;
        if consumed > 0 {
            self.is_first = false;
            self.timer.stop();
        }
        if held > 0 || consumed < length {
            self.input = input[consumed..].to_vec();
        }
        let sent = poll_send(&mut self.stream, &self.timer, &mut scratch.answers.output, context);
        if let Some(log) = &worker.shared.access_log {
            log.flush();
        }
        if !scratch.answers.output.is_empty() {
            // What was not sent is this connection's, also where it cannot be sent any more: the scratch is the next one's.
            self.unsent = Some(Box::new(Unsent {
                output: std::mem::take(&mut scratch.answers.output),
                _in_flight: worker.levels.request(),
            }));
        }
        sent.map_ok(|()| Turn::Done)
    }

    /// Nothing has come.
    fn wait(&mut self, context: &Context<'_>) -> Poll<io::Result<Turn>> {
        if !self.input.is_empty() {
            if self.timer.wait(Wait::Head, context) {
                // The answer to that is the application's.
                self.next = Next::HandOver;
                return Poll::Ready(Ok(Turn::Done));
            }
        } else if self.timer.wait(Wait::Request, context) || self.worker.shared.lifecycle.phase() == Phase::Stopping {
            return Poll::Ready(Ok(Turn::Over));
        }
        Poll::Pending
    }
}

enum Turn {
    Done,
    /// The connection has been idle for too long, or the server stops.
    Over,
}

/// Bytes of large bodies that a connection sends before it is the others' turn. Whoever asks for a large body at the same
/// time as many others would otherwise hold the worker for as long as the kernel takes to copy all of them.
const TURN_LENGTH_MAX: usize = 256 << 10;

/// Sends all of it, in several turns if it is much. Fails if the client has taken nothing for too long.
fn poll_send<S: Transport>(
    stream: &mut S,
    timer: &Timer,
    output: &mut Output,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut room = TURN_LENGTH_MAX;
    while !output.is_empty() {
        let sent = match output.next_body() {
            None => Pin::new(&mut *stream).poll_write(context, output.rest()),
            Some(_) if room == 0 => {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some((before, body)) => stream
                .poll_send_sealed(before, body, room, context)
                .unwrap_or_else(|| Pin::new(&mut *stream).poll_write_vectored(context, output.slices(room).as_ref())),
        };
        match sent? {
            Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(length) => {
                output.advance(length);
                room = room.saturating_sub(length);
                timer.stop();
            }
            Poll::Pending if timer.wait(Wait::Write, context) => {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(Ok(()))
}
