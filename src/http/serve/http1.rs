//! HTTP/1 on a connection: reads, has answered, sends.
//!
//! A connection owns no memory while it waits for a request. It reads into its loop's scratch, and only what is left there when
//! the turn ends is moved to memory of its own: a piece of a head, or answers that the client does not take.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use super::batch::{Answers, Next, answer_all, refuse};
use super::called::{Called, Heard};
use super::connection::{Line, Step, Whither};
use super::h2::is_preface;
use super::output::Output;
use super::record::{Cut, Due, LevelGuard};
use super::slice::Slice;
use super::socket::Socket;
use super::timer::Wait;
use super::worker::Worker;
use crate::http::answer::problem::Problem;
use crate::ledger::{Account, Credit};
use crate::lifecycle::Phase;

/// A connection that speaks HTTP/1.
#[derive(Debug)]
pub(super) struct Http1<S> {
    pub(super) line: Line<S>,
    /// Who asks, for the access log only.
    peer: Option<IpAddr>,
    /// Whether it is not known yet which HTTP it speaks. The preface of HTTP/2 is one at the beginning only.
    is_new: bool,
    /// Whether something may have come that has not been read.
    is_readable: bool,
    /// Whether the client has said that it sends no more: behind what has come is the end, which is not told of again.
    has_ended: bool,
    next: Next,
    /// What was read and not answered.
    input: Vec<u8>,
    /// What the client has not taken yet.
    unsent: Option<Box<Unsent>>,
    /// What the application has been asked.
    called: Option<Box<Called>>,
}

/// Answers on their way; their requests are in flight.
#[derive(Debug)]
struct Unsent {
    output: Output,
    /// What is to be recorded when they are sent, and since when that takes.
    due: Due,
    started: Instant,
    /// Of the answers' own memory; that of bodies is counted where it is.
    _credit: Credit,
    _in_flight: Option<LevelGuard>,
}

/// How far something has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Done,
    Stopped(Step),
}

impl<S: Socket> Http1<S> {
    /// Of a new connection, of which `input` has been read already: no more than one read takes.
    pub(super) fn new(line: Line<S>, input: Vec<u8>, worker: &Worker) -> Self {
        // Asked only where it matters.
        let logged = worker.shared.access_log.as_ref().and_then(|_| line.peer());
        Self {
            line,
            peer: logged.map(|address| address.ip()),
            is_new: true,
            is_readable: true,
            has_ended: false,
            next: if input.is_empty() { Next::Read } else { Next::GoOn },
            input,
            unsent: None,
            called: None,
        }
    }

    /// Takes it apart, with what was read and not answered.
    pub(super) fn into_parts(self) -> (Line<S>, Vec<u8>) {
        (self.line, self.input)
    }

    /// Something may have come, the end perhaps.
    pub(super) fn readable(&mut self, has_ended: bool) {
        self.is_readable = true;
        self.has_ended |= has_ended;
    }

    /// Goes on with what there is to do.
    pub(super) fn step(&mut self, worker: &Worker) -> Step {
        match self.go_on(worker) {
            Ok(step) => step,
            Err(error) => {
                // A connection that fails has nobody left to be told, but for one that is cut.
                if let Some(cut) = Cut::ALL.into_iter().find(|cut| cut.error_kind() == error.kind()) {
                    worker.shared.metrics.cut(cut);
                    self.line.socket.reset();
                }
                Step::Goes(Whither::Over)
            }
        }
    }

    /// Records what has not been sent to its end, since it never will be.
    pub(super) fn leave(&mut self, worker: &Worker) {
        if let Some(unsent) = &mut self.unsent {
            worker.record(&mut unsent.due, unsent.started);
        }
    }

    fn go_on(&mut self, worker: &Worker) -> io::Result<Step> {
        let mut slice = Slice::default();
        loop {
            if let Some(unsent) = &mut self.unsent {
                if let Progress::Stopped(step) = send(&mut self.line, &mut unsent.output, &mut slice)? {
                    return Ok(step);
                }
                worker.record(&mut unsent.due, unsent.started);
                self.unsent = None;
            }
            if self.called.is_some() {
                match self.hear(worker)? {
                    Progress::Done => continue,
                    Progress::Stopped(step) => return Ok(step),
                }
            }
            match self.next {
                Next::Read | Next::GoOn if slice.requests() == 0 => return Ok(Step::GivesWay),
                Next::Read | Next::GoOn => {
                    if let Progress::Stopped(step) = self.read_and_answer(&mut slice, worker)? {
                        return Ok(step);
                    }
                }
                Next::Call(_) => unreachable!("a call is begun where it is found"),
                // What has been read since shows that the client does go on.
                Next::End if self.is_readable => self.next = Next::Close,
                Next::End => return Ok(Step::Goes(Whither::Over)),
                Next::Close => {
                    self.line.timer.stop();
                    return Ok(Step::Goes(Whither::Close));
                }
                Next::Http2 => return Ok(Step::Goes(Whither::Http2)),
            }
        }
    }

    /// Reads, unless enough has been read; answers; begins to send.
    fn read_and_answer(&mut self, slice: &mut Slice, worker: &Worker) -> io::Result<Progress> {
        let scratch = &mut *worker.scratch.borrow_mut();
        let answers = Unfinished(&mut scratch.answers);
        if self.next == Next::GoOn {
            let mut input = std::mem::take(&mut self.input);
            let consumed = self.answer(&input, slice, answers.0, worker);
            if self.next == Next::GoOn {
                input.drain(..consumed);
                self.input = input;
            } else {
                // In memory no larger than it needs.
                self.input = input[consumed..].to_vec();
            }
        } else {
            let held = self.input.len();
            match self.read(&mut scratch.input[held..])? {
                None => match self.wait(worker) {
                    Progress::Stopped(step) => return Ok(Progress::Stopped(step)),
                    Progress::Done => {
                        let input = std::mem::take(&mut self.input);
                        refuse(worker, Problem::RequestTimeout, &input, self.peer, answers.0);
                        self.next = Next::Close;
                    }
                },
                Some(0) => {
                    self.next = Next::Close;
                    return Ok(Progress::Done);
                }
                Some(length) => {
                    scratch.input[..held].copy_from_slice(&self.input);
                    let input = &scratch.input[..held + length];
                    let consumed = self.answer(input, slice, answers.0, worker);
                    if held > 0 || consumed < input.len() {
                        self.input = input[consumed..].to_vec();
                    }
                }
            }
        }
        self.send(slice, answers.0, worker)
    }

    /// Sends what has been answered, and keeps what cannot be sent now.
    fn send(&mut self, slice: &mut Slice, answers: &mut Answers, worker: &Worker) -> io::Result<Progress> {
        let Answers { output, due, .. } = answers;
        let started = worker.clock.get();
        let sent = send(&mut self.line, output, slice);
        if output.is_empty() {
            worker.record(due, started);
        } else {
            // What was not sent is this connection's, also where it cannot be sent any more: the scratch is the next one's.
            let output = std::mem::take(output);
            let ledger = worker.shared.publisher.ledger();
            self.unsent = Some(Box::new(Unsent {
                _credit: ledger.credit(Account::HalfSent, output.memory()),
                output,
                due: std::mem::take(due),
                started,
                _in_flight: Some(worker.levels.request()),
            }));
        }
        sent
    }

    /// Reads what has come, if anything has: 0 bytes at the end.
    fn read(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.is_readable {
            return Ok(None);
        }
        loop {
            match self.line.socket.read(room) {
                // This was all that had come, unless it was followed by the end: what comes next is told of anew.
                Ok(length) if (1..room.len()).contains(&length) => {
                    self.is_readable = self.has_ended;
                    return Ok(Some(length));
                }
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_readable = false;
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers what can be answered of `input`, says what comes next, and returns how much of the input is done with.
    fn answer(&mut self, input: &[u8], slice: &mut Slice, answers: &mut Answers, worker: &Worker) -> usize {
        if self.is_new {
            match is_preface(input) {
                None => {
                    self.next = Next::Read;
                    return 0;
                }
                Some(true) => {
                    self.next = Next::Http2;
                    return 0;
                }
                Some(false) => self.is_new = false,
            }
        }
        let (mut consumed, mut next) = answer_all(worker, input, self.peer, slice, answers);
        if let Next::Call(route) = next {
            let asked = &input[consumed..];
            let (length, after, called) =
                Called::begin(asked, route, &self.line, self.peer, worker, &mut answers.output);
            consumed += length;
            next = after;
            match called {
                Ok(called) => self.called = Some(Box::new(called)),
                Err(refused) => answers.due.push(&refused),
            }
            slice.answered(1);
        }
        if consumed > 0 {
            self.line.timer.stop();
        }
        self.next = next;
        consumed
    }

    /// Takes what has come of the application's answer.
    fn hear(&mut self, worker: &Worker) -> io::Result<Progress> {
        let Some(called) = &mut self.called else {
            return Ok(Progress::Done);
        };
        match called.hear(worker) {
            Heard::Nothing => return Ok(Progress::Stopped(Step::Waits)),
            Heard::Some(output) => self.keep(output, worker),
            Heard::All(next) => {
                self.called = None;
                self.next = next;
            }
            Heard::Failed(output) => {
                self.keep(output, worker);
                self.called = None;
                self.next = Next::Close;
            }
            Heard::Broken => {
                self.line.socket.reset();
                return Ok(Progress::Stopped(Step::Goes(Whither::Over)));
            }
        }
        Ok(Progress::Done)
    }

    /// Keeps what is to be sent next.
    fn keep(&mut self, output: Output, worker: &Worker) {
        let ledger = worker.shared.publisher.ledger();
        self.unsent = Some(Box::new(Unsent {
            _credit: ledger.credit(Account::HalfSent, output.memory()),
            output,
            due: Due::default(),
            started: worker.clock.get(),
            _in_flight: None,
        }));
    }

    /// Nothing has come: done if it has been waited for long enough, or need not be waited for.
    fn wait(&mut self, worker: &Worker) -> Progress {
        if !self.input.is_empty() {
            if self.line.timer.wait(Wait::Head) {
                return Progress::Done;
            }
        } else if self.line.timer.wait(Wait::Request) || worker.shared.lifecycle.phase() == Phase::Stopping {
            return Progress::Stopped(Step::Goes(Whither::Over));
        }
        Progress::Stopped(Step::Waits)
    }
}

/// A loop's scratch in use. If that ends by a panic, nothing of it is left to whoever uses it next.
struct Unfinished<'a>(&'a mut Answers);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}

/// Sends all of it, in several turns if it is much. Fails if the connection is to be cut.
fn send<S: Socket>(line: &mut Line<S>, output: &mut Output, slice: &mut Slice) -> io::Result<Progress> {
    let Line { socket, timer, .. } = line;
    while !output.is_empty() {
        let room = slice.length();
        if room == 0 {
            return Ok(Progress::Stopped(Step::GivesWay));
        }
        let sent = match output.next_body() {
            None => socket.write(output.rest()),
            Some((before, body)) => match socket.send_sealed(before, body, room) {
                Some(sent) => sent,
                None => socket.write_vectored(output.slices(room).as_ref()),
            },
        };
        match sent {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => {
                output.advance(length);
                slice.sent(length);
                timer.sent(length);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let held = || output.next_body()?.1.entry().cloned();
                return match timer.wait_to_send(|| socket.untaken_length(), held) {
                    Some(cut) => Err(cut.error_kind().into()),
                    None => Ok(Progress::Stopped(Step::Waits)),
                };
            }
            Err(error) => return Err(error),
        }
    }
    timer.all_sent();
    Ok(Progress::Done)
}
