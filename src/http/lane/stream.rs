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

use super::{Answers, Next, Output, answer_all, refuse};
use crate::http::closing::Closing;
use crate::http::h2::is_preface;
use crate::http::problem::Problem;
use crate::http::record::{Cut, HandOver, LevelGuard};
use crate::http::slice::Slice;
use crate::http::timer::{Timer, Wait};
use crate::http::transport::Transport;
use crate::http::worker::{Worker, give_way};
use crate::ledger::{Account, Credit};
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
        /// Whether it speaks HTTP/2.
        is_http_2: bool,
    },
}

/// A connection in the lane.
#[derive(Debug)]
pub struct Lane<S> {
    stream: S,
    worker: Rc<Worker>,
    peer: Option<IpAddr>,
    timer: Timer,
    /// Whether it is not known yet which HTTP it speaks. The preface of HTTP/2 is one at the beginning only.
    is_new: bool,
    next: Next,
    /// What was read and not answered.
    input: Vec<u8>,
    /// What the client has not taken yet.
    unsent: Option<Box<Unsent>>,
}

/// Answers on their way; their requests are in flight.
#[derive(Debug)]
struct Unsent {
    output: Output,
    /// Of the answers' own memory; that of bodies is counted where it is.
    _credit: Credit,
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
            is_new: true,
            next: Next::Read,
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
        let next = match poll_fn(|context| self.poll(context)).await {
            Ok(next) => next,
            Err(error) => {
                // A connection that fails has nobody left to be told, but for one that is cut.
                let cuts = Cut::ALL.into_iter();
                for cut in cuts.filter(|cut| cut.error_kind() == error.kind()) {
                    self.worker.shared.metrics.cut(cut);
                    self.stream.reset();
                }
                Next::Read
            }
        };
        match next {
            Next::HandOver => Ended::HandedOver {
                stream: self.stream,
                input: self.input,
                timer: self.timer,
                is_http_2: self.is_new,
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
        let mut slice = Slice::default();
        loop {
            if let Some(unsent) = &mut self.unsent {
                ready!(poll_send(
                    &mut self.stream,
                    &self.timer,
                    &mut unsent.output,
                    &mut slice,
                    context
                ))?;
                self.unsent = None;
            }
            match self.next {
                Next::Read | Next::GoOn if slice.requests() == 0 => {
                    give_way(context);
                    return Poll::Pending;
                }
                Next::Read | Next::GoOn => match ready!(self.poll_turn(context, &mut slice))? {
                    Turn::Done => {}
                    Turn::Over => return Poll::Ready(Ok(Next::Read)),
                },
                next @ (Next::Close | Next::HandOver) => return Poll::Ready(Ok(next)),
            }
        }
    }

    /// Reads, unless enough has been read; answers; begins to send.
    fn poll_turn(&mut self, context: &mut Context<'_>, slice: &mut Slice) -> Poll<io::Result<Turn>> {
        let worker = Rc::clone(&self.worker);
        let scratch = &mut *worker.scratch.borrow_mut();
        let answers = Unfinished(&mut scratch.answers);
        if self.next == Next::GoOn {
            let mut input = std::mem::take(&mut self.input);
            let consumed = self.answer(&input, slice, answers.0);
            if self.next == Next::GoOn {
                input.drain(..consumed);
                self.input = input;
            } else {
                // In memory no larger than it needs.
                self.input = input[consumed..].to_vec();
            }
        } else {
            let held = self.input.len();
            scratch.input[..held].copy_from_slice(&self.input);
            let mut buffer = ReadBuf::new(&mut scratch.input[held..]);
            if Pin::new(&mut self.stream).poll_read(context, &mut buffer)?.is_pending() {
                if ready!(self.wait(context)) == Turn::Over {
                    return Poll::Ready(Ok(Turn::Over));
                }
                let input = std::mem::take(&mut self.input);
                refuse(&worker, Problem::RequestTimeout, &input, self.peer, answers.0);
                self.next = Next::Close;
            } else if buffer.filled().is_empty() {
                self.next = Next::Close;
                return Poll::Ready(Ok(Turn::Done));
            } else {
                let length = held + buffer.filled().len();
                let input = &scratch.input[..length];
                let consumed = self.answer(input, slice, answers.0);
                if held > 0 || consumed < length {
                    self.input = input[consumed..].to_vec();
                }
            }
        }
        let output = &mut answers.0.output;
        let sent = poll_send(&mut self.stream, &self.timer, output, slice, context);
        if let Some(log) = &worker.shared.access_log {
            log.flush();
        }
        if !output.is_empty() {
            // What was not sent is this connection's, also where it cannot be sent any more: the scratch is the next one's.
            let output = std::mem::take(output);
            let ledger = worker.shared.publisher.ledger();
            self.unsent = Some(Box::new(Unsent {
                _credit: ledger.credit(Account::HalfSent, output.memory()),
                output,
                _in_flight: worker.levels.request(),
            }));
        }
        sent.map_ok(|()| Turn::Done)
    }

    /// Answers what can be answered of `input`, says what comes next, and returns how much of the input is done with.
    fn answer(&mut self, input: &[u8], slice: &mut Slice, answers: &mut Answers) -> usize {
        if self.is_new {
            match is_preface(input) {
                None => {
                    self.next = Next::Read;
                    return 0;
                }
                Some(true) => {
                    self.next = Next::HandOver;
                    return 0;
                }
                Some(false) => self.is_new = false,
            }
        }
        let worker = &self.worker;
        let (consumed, next) = if worker.shared.has_lane {
            answer_all(worker, input, self.peer, slice, answers)
        } else {
            worker.shared.metrics.handed_over(HandOver::NoLane);
            (0, Next::HandOver)
        };
        if consumed > 0 {
            self.timer.stop();
        }
        self.next = next;
        consumed
    }

    /// Nothing has come: ready if it has been waited for long enough, or need not be waited for.
    fn wait(&mut self, context: &Context<'_>) -> Poll<Turn> {
        if !self.input.is_empty() {
            if self.timer.wait(Wait::Head, context) {
                return Poll::Ready(Turn::Done);
            }
        } else if self.timer.wait(Wait::Request, context) || self.worker.shared.lifecycle.phase() == Phase::Stopping {
            return Poll::Ready(Turn::Over);
        }
        Poll::Pending
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Done,
    /// The connection has been idle for too long, or the server stops.
    Over,
}

/// A worker's scratch in use. If that ends by a panic, nothing of it is left to whoever uses it next.
struct Unfinished<'a>(&'a mut Answers);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}

/// Sends all of it, in several turns if it is much. Fails if the connection is to be cut.
fn poll_send<S: Transport>(
    stream: &mut S,
    timer: &Timer,
    output: &mut Output,
    slice: &mut Slice,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !output.is_empty() {
        let room = slice.length();
        if room == 0 {
            give_way(context);
            return Poll::Pending;
        }
        let sent = match output.next_body() {
            None => Pin::new(&mut *stream).poll_write(context, output.rest()),
            Some((before, body)) => stream
                .poll_send_sealed(before, body, room, context)
                .unwrap_or_else(|| Pin::new(&mut *stream).poll_write_vectored(context, output.slices(room).as_ref())),
        };
        match sent? {
            Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(length) => {
                output.advance(length);
                slice.sent(length);
                timer.sent(length);
            }
            Poll::Pending => {
                let held = || output.next_body()?.1.entry().cloned();
                return match timer.wait_to_send(|| stream.untaken_length(), held, context) {
                    Some(cut) => Poll::Ready(Err(cut.error_kind().into())),
                    None => Poll::Pending,
                };
            }
        }
    }
    timer.all_sent();
    Poll::Ready(Ok(()))
}
