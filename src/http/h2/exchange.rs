//! One stream's answer, from its head to the last byte that the client takes.
//!
//! A body stays where it is. The `h2` crate is given of it what the client's windows have room for, a piece at a time, so
//! that what it holds is on its way to the socket and nothing else.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BoxBody, MessageBody};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};

use crate::http::record::LevelGuard;

/// Bytes of a body that are handed over at once.
const PIECE_LENGTH_MAX: usize = 64 << 10;

/// Bytes of a request's body that are read and thrown away before the client is told to stop.
const DISCARDED_LENGTH_MAX: usize = 64 << 10;

/// How long the rest of a request's body is waited for when its answer has been sent, in seconds.
const DISCARDING_SECONDS_MAX: u32 = 2;

/// How long a client may take nothing of an answer, in seconds.
const STALLED_SECONDS_MAX: u32 = 30;

/// A body that is being sent.
pub(super) enum Source {
    /// What is left of bytes that are there.
    Shared(Bytes),
    /// A body that is made as it is sent, and what is left of its last piece.
    Made(Pin<Box<BoxBody>>, Bytes),
}

/// An answer whose head has been sent.
pub(super) struct Exchange {
    stream: SendStream<Bytes>,
    /// Nothing if all of it has been handed over.
    source: Option<Source>,
    unread: Option<Unread>,
    /// Whether the stream is ended by a frame of its own.
    ends_apart: bool,
    /// From which second on the client has taken nothing.
    since_seconds: u32,
    _in_flight: LevelGuard,
}

/// A request's body, which nobody reads.
pub(super) struct Unread {
    body: RecvStream,
    length: usize,
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
        let context = &mut Context::from_waker(std::task::Waker::noop());
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
        now_seconds: u32,
        in_flight: LevelGuard,
    ) -> Self {
        Self {
            stream,
            source,
            ends_apart: unread.is_some(),
            unread,
            since_seconds: now_seconds,
            _in_flight: in_flight,
        }
    }

    /// Throws away what has come of the request, and hands over what there is room for of the answer; `room` is what is left
    /// of the connection's turn, in bytes.
    pub(super) fn poll(&mut self, room: &mut usize, now_seconds: u32, context: &mut Context<'_>) -> Progress {
        if self.unread.as_mut().is_some_and(Unread::discard) {
            self.unread = None;
        }
        if self.is_reset() {
            return Progress::Over;
        }
        let room_before = *room;
        let sent = self.send(room, context);
        if *room < room_before {
            self.since_seconds = now_seconds;
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
        let context = &mut Context::from_waker(std::task::Waker::noop());
        self.stream.poll_reset(context).is_ready()
    }

    fn send(&mut self, room: &mut usize, context: &mut Context<'_>) -> Result<Progress, h2::Error> {
        let Some(source) = &mut self.source else {
            return Ok(Progress::Over);
        };
        loop {
            let (piece, is_last) = match source {
                Source::Shared(rest) => (rest, true),
                Source::Made(body, piece) => {
                    if piece.is_empty() {
                        match body.as_mut().poll_next(context) {
                            Poll::Ready(Some(Ok(next))) => *piece = next,
                            Poll::Ready(Some(Err(_))) => {
                                self.stream.send_reset(Reason::INTERNAL_ERROR);
                                return Ok(Progress::Over);
                            }
                            Poll::Ready(None) => {
                                self.ends_apart = true;
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

    /// From which second on it has waited for too long.
    pub(super) fn due_seconds(&self) -> u32 {
        let limit = if self.source.is_some() {
            STALLED_SECONDS_MAX
        } else {
            DISCARDING_SECONDS_MAX
        };
        // A second more: the present one has already begun.
        self.since_seconds + limit + 1
    }

    /// Whether it is the answer that waits, and not the rest of a request.
    pub(super) fn is_sending(&self) -> bool {
        self.source.is_some()
    }

    /// Ends an exchange that has waited for too long. One whose answer has been sent is ended by dropping it: the client is
    /// told that nothing is wrong, and to stop (RFC 9113, section 8.1).
    pub(super) fn reset(mut self) {
        if self.is_sending() {
            self.stream.send_reset(Reason::CANCEL);
        } else {
            self.end();
        }
    }
}
