//! One stream's answer, from its head to the last byte that the client takes.
//!
//! A body stays where it is. The `h2` crate is given of it what the client's windows have room for, a piece at a time, so
//! that what it holds is on its way to the socket and nothing else.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};

use crate::http::call::{Part, Parts};
use crate::http::serve::record::{Cut, LevelGuard};
use crate::http::serve::send_rate::{SendRate, Verdict};
use crate::http::serve::timer::{Timer, Wait};
use crate::http::serve::worker::Worker;
use crate::ledger::Entry;

/// Bytes of a body that are handed over at once.
const PIECE_LENGTH_MAX: usize = 64 << 10;

/// Bytes of a request's body that are read and thrown away before the client is told to stop.
const DISCARDED_LENGTH_MAX: usize = 64 << 10;

/// How long the rest of a request's body is waited for when its answer has been sent, in seconds.
const DISCARDING_SECONDS_MAX: u32 = 2;

/// A body that is being sent.
pub(super) enum Source {
    /// What is left of bytes that are there, and the memory that they are a part of.
    Shared(Bytes, Option<Entry>),
    /// A body that the application makes as it is sent, who is to be woken when more of it is there, and what is left of its
    /// last piece.
    Called(Parts, Waker, Bytes),
}

/// An answer whose head has been sent.
pub(super) struct Exchange {
    stream: SendStream<Bytes>,
    /// Nothing if all of it has been handed over.
    source: Option<Source>,
    unread: Option<Unread>,
    /// Whether the stream is ended by a frame of its own.
    ends_apart: bool,
    /// From which second on nothing has happened.
    since_seconds: u32,
    /// How fast the client takes the answer.
    rate: SendRate,
    /// Bytes that were handed over since the rate was asked last.
    sent_length: u64,
    /// Its own, from when it first waits: what it holds may be asked back.
    timer: Option<Timer>,
    _in_flight: LevelGuard,
}

/// A request's body, which nobody reads.
pub(super) struct Unread {
    body: RecvStream,
    length: usize,
}

/// Why an exchange is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its answer is sent, and the rest of the request has not come.
    Unread,
    /// The client takes its answer too slowly, or what that holds is asked back.
    Cut(Cut),
}

/// What is to become of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is over.
    Over,
    /// It waits: for room in the client's windows, the turn, or the rest of a request.
    Waits,
}

impl Unread {
    /// Takes a request's body, if there is one that has not come whole yet.
    pub(super) fn new(body: RecvStream) -> Option<Self> {
        if body.is_end_stream() {
            return None;
        }
        let mut unread = Self { body, length: 0 };
        (!unread.discard()).then_some(unread)
    }

    /// Throws away what has come. Whether that was all, or is enough.
    fn discard(&mut self) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(next) = self.body.poll_data(context) {
            let Some(Ok(data)) = next else { return true };
            self.length += data.len();
            // A stream that has just been reset has no window.
            let _ = self.body.flow_control().release_capacity(data.len());
            if self.length > DISCARDED_LENGTH_MAX {
                return true;
            }
        }
        false
    }
}

impl Exchange {
    /// Begins to send a body.
    pub(super) fn new(
        stream: SendStream<Bytes>,
        source: Option<Source>,
        unread: Option<Unread>,
        worker: &Worker,
        now_seconds: u32,
        in_flight: LevelGuard,
    ) -> Self {
        Self {
            stream,
            source,
            ends_apart: unread.is_some(),
            unread,
            since_seconds: now_seconds,
            rate: SendRate::new(worker.shared.min_send_rate),
            sent_length: 0,
            timer: None,
            _in_flight: in_flight,
        }
    }

    /// Throws away what has come of the request, and hands over what there is room for of the answer; `room` is what is left
    /// of the connection's turn, in bytes.
    pub(super) fn go_on(&mut self, room: &mut usize, now_seconds: u32) -> Progress {
        if self.unread.as_mut().is_some_and(Unread::discard) {
            self.unread = None;
        }
        if self.is_reset() {
            return Progress::Over;
        }
        let room_before = *room;
        let sent = self.send(room);
        if *room < room_before {
            self.since_seconds = now_seconds;
            self.sent_length += (room_before - *room) as u64;
        }
        match sent {
            Ok(Progress::Waits) => Progress::Waits,
            Ok(Progress::Over) => {
                self.source = None;
                if self.unread.is_some() {
                    return Progress::Waits;
                }
                self.end();
                Progress::Over
            }
            Err(_) => Progress::Over,
        }
    }

    /// Ends the answer, if it has not ended with its last byte. As long as the request goes on the answer does too: what a
    /// client does to a stream whose answer has ended nobody would tell it.
    fn end(&mut self) {
        if self.ends_apart {
            // A stream that has just been reset has no end.
            let _ = self.stream.send_data(Bytes::new(), true);
        }
    }

    fn is_reset(&mut self) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        self.stream.poll_reset(context).is_ready()
    }

    fn send(&mut self, room: &mut usize) -> Result<Progress, h2::Error> {
        let Some(source) = &mut self.source else {
            return Ok(Progress::Over);
        };
        loop {
            let (piece, is_last) = match source {
                Source::Shared(rest, _) => (rest, true),
                Source::Called(parts, waker, piece) => {
                    if piece.is_empty() {
                        match parts.poll_recv(&mut Context::from_waker(waker)) {
                            Poll::Ready(Some(Part::Piece(next))) => *piece = next,
                            Poll::Ready(Some(Part::End)) => {
                                self.ends_apart = true;
                                return Ok(Progress::Over);
                            }
                            Poll::Ready(None | Some(Part::Head(..))) => {
                                self.stream.send_reset(Reason::INTERNAL_ERROR);
                                self.source = None;
                                self.ends_apart = false;
                                return Ok(Progress::Over);
                            }
                            Poll::Pending => return Ok(Progress::Waits),
                        }
                        if piece.is_empty() {
                            continue;
                        }
                    }
                    (piece, false)
                }
            };
            let wanted = piece.len().min(PIECE_LENGTH_MAX);
            self.stream.reserve_capacity(wanted);
            let length = self.stream.capacity().min(wanted).min(*room);
            if length == 0 {
                return Ok(Progress::Waits);
            }
            *room -= length;
            let part = piece.split_to(length);
            let is_all = is_last && piece.is_empty();
            self.stream.send_data(part, is_all && !self.ends_apart)?;
            return Ok(if is_all { Progress::Over } else { Progress::Waits });
        }
    }

    /// Goes on waiting for the client, or begins to; returns why it is not to be waited for any longer. What a client does
    /// not take of the whole connection (`is_blocked`) is not this answer's to count. The connection is known by `key`.
    pub(super) fn wait(&mut self, is_blocked: bool, key: usize, worker: &Worker, now_seconds: u32) -> Option<Ending> {
        let memory = match &self.source {
            // A second more: the present one has already begun.
            None => {
                let due_seconds = self.since_seconds + DISCARDING_SECONDS_MAX + 1;
                let timer = self.timer.get_or_insert_with(|| worker.timers.timer(key));
                return timer.wait_until(Wait::Write, due_seconds).then_some(Ending::Unread);
            }
            Some(Source::Shared(_, memory)) => memory,
            Some(Source::Called(..)) => &None,
        };
        let timer = self.timer.get_or_insert_with(|| {
            let timer = worker.timers.timer(key);
            timer.hold(memory.clone());
            timer
        });
        if timer.is_broken_off() {
            return Some(Ending::Cut(Cut::Memory));
        }
        let taken = std::mem::take(&mut self.sent_length);
        let due_seconds = if is_blocked {
            self.rate.pause(now_seconds, taken);
            u32::MAX
        } else {
            match self.rate.wait(now_seconds, taken) {
                Verdict::Wait(due_seconds) => due_seconds,
                Verdict::TooSlow => return Some(Ending::Cut(Cut::Slow)),
            }
        };
        timer.wait_until(Wait::Write, due_seconds);
        None
    }

    /// Ends an exchange that is not waited for any longer. One whose answer has been sent is ended by dropping it: the client is
    /// told that nothing is wrong, and to stop (RFC 9113, section 8.1).
    pub(super) fn reset(mut self) {
        if self.source.is_some() {
            self.stream.send_reset(Reason::CANCEL);
        } else {
            self.end();
        }
    }
}
