//! The stream under the `h2` crate: screens what the client sends, and gathers what is sent to it.
//!
//! The `h2` crate reads and writes memory here and never waits for a socket. Its driver has the socket read before, and
//! written after, so that one read brings many requests and one write takes many answers.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::HEADER_LIST_LENGTH_MAX;
use super::frames::{Excess, PREFACE, Round, Screen, Sent, set_header_list_length};
use crate::http::serve::connection::Line;
use crate::http::serve::socket::Socket;

/// Bytes that are gathered before they are sent.
const GATHERED_LENGTH_MAX: usize = 32 << 10;

/// From this length on, in bytes, a piece is sent from where it is; below it is copied behind what is gathered.
const DIRECT_LENGTH_MIN: usize = 8 << 10;

/// Slices of one write: what is gathered, a frame's header and its payload, and none that is not expected.
const SLICES_MAX: usize = 8;

/// A connection's bytes in both directions.
#[derive(Debug)]
pub(in crate::http::serve) struct Io<S> {
    line: Line<S>,
    /// What was read: first what may pass, then what may not yet.
    input: Vec<u8>,
    /// How much of `input` has been taken.
    taken: usize,
    /// How much of `input` may pass.
    passed: usize,
    is_ended: bool,
    pub(super) screen: Screen,
    gathered: Vec<u8>,
    gathered_sent: usize,
    sent: Sent,
    has_sent: bool,
    /// Streams that the server has reset, and that have not been counted yet.
    pub(super) resets: u32,
    /// Whether the client takes no more for now.
    is_blocked: bool,
    /// Bytes that were passed on or gathered since this was asked last.
    moved_length: usize,
    /// Bytes that the client has taken since this was asked last.
    sent_length: usize,
}

impl<S: Socket> Io<S> {
    /// Goes on after the preface, with what came behind it.
    pub(super) fn new(line: Line<S>, input: Vec<u8>, screen: Screen) -> Self {
        Self {
            line,
            input,
            taken: 0,
            passed: 0,
            is_ended: false,
            screen,
            gathered: Vec::new(),
            gathered_sent: 0,
            sent: Sent::default(),
            has_sent: false,
            resets: 0,
            is_blocked: false,
            moved_length: 0,
            sent_length: 0,
        }
    }

    /// Lets the preface pass.
    pub(super) fn pass_preface(&mut self) {
        self.passed = self.input.len().min(PREFACE.len());
    }

    /// Begins a turn of the connection: what was blocked may not be so any more.
    pub(super) fn begin(&mut self) {
        self.is_blocked = false;
    }

    /// Whether the client takes no more for now.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Whether anything was passed on or gathered since this was asked last.
    pub(super) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved_length) > 0
    }

    /// How many bytes the client has taken since this was asked last.
    pub(super) fn take_sent(&mut self) -> usize {
        std::mem::take(&mut self.sent_length)
    }

    /// Reads what has come, once, if there is room for it and the client takes what it is sent. Whether it brought anything,
    /// the end included.
    ///
    /// # Errors
    ///
    /// What the system says of the socket.
    pub(super) fn fill(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        if self.is_ended || self.is_blocked {
            return Ok(false);
        }
        // What is whole passes; of a frame there is a header at the most that has to wait for its rest, or for its turn.
        let room = scratch.len().saturating_sub(self.input.len());
        if room == 0 {
            return Ok(false);
        }
        let Some(length) = unless_blocked(self.line.socket.read(&mut scratch[..room]))? else {
            return Ok(false);
        };
        self.is_ended = length == 0;
        self.input.extend_from_slice(&scratch[..length]);
        Ok(true)
    }

    /// Lets pass what may, in one round.
    ///
    /// # Errors
    ///
    /// If the client sends too much of something.
    pub(super) fn screen(&mut self, now_seconds: u32) -> Result<(), Excess> {
        let round = &mut Round::default();
        self.passed += self.screen.pass(&self.input[self.passed..], round, now_seconds)?;
        Ok(())
    }

    /// Forgets what has been taken.
    pub(super) fn compact(&mut self) {
        if self.taken == self.input.len() {
            // A connection that waits owns no buffer.
            self.input = Vec::new();
        } else {
            self.input.drain(..self.taken);
        }
        self.passed -= self.taken;
        self.taken = 0;
    }

    /// Whether something may pass that has not been taken yet.
    pub(super) fn has_passed(&self) -> bool {
        self.taken < self.passed
    }

    /// Whether something has come that may not pass yet.
    pub(super) fn has_rest(&self) -> bool {
        self.passed < self.input.len()
    }

    /// Sends what is gathered. Pending if the client does not take all of it now.
    ///
    /// # Errors
    ///
    /// What the system says of the socket.
    pub(super) fn send(&mut self) -> Poll<io::Result<()>> {
        while self.gathered_sent < self.gathered.len() {
            let rest = &self.gathered[self.gathered_sent..];
            let sent = unless_blocked(self.line.socket.write(rest))?;
            let length = ready!(self.note(sent))?;
            self.gathered_sent += length;
        }
        self.gathered = Vec::new();
        self.gathered_sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Sends some of what is gathered and of `slices` behind it. Ready with the number of bytes of `slices`.
    fn send_with(&mut self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let gathered = &self.gathered[self.gathered_sent..];
        let gathered_length = gathered.len();
        let mut all = [IoSlice::new(b""); SLICES_MAX];
        all[0] = IoSlice::new(gathered);
        let mut count = 1;
        for slice in slices.iter().filter(|slice| !slice.is_empty()).take(SLICES_MAX - 1) {
            all[count] = IoSlice::new(slice);
            count += 1;
        }
        let first = usize::from(gathered_length == 0);
        let sent = unless_blocked(self.line.socket.write_vectored(&all[first..count]))?;
        let length = ready!(self.note(sent))?;
        if length < gathered_length {
            self.gathered_sent += length;
            return Poll::Ready(Ok(0));
        }
        self.gathered.clear();
        self.gathered_sent = 0;
        Poll::Ready(Ok(length - gathered_length))
    }

    /// Takes note of how a write went.
    fn note(&mut self, sent: Option<usize>) -> Poll<io::Result<usize>> {
        self.is_blocked = sent.is_none();
        match sent {
            Some(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Some(length) => {
                self.sent_length += length;
                Poll::Ready(Ok(length))
            }
            None => Poll::Pending,
        }
    }

    /// Takes a frame's bytes, or what there is room for.
    fn take(&mut self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        loop {
            let room = GATHERED_LENGTH_MAX.saturating_sub(self.gathered.len());
            if length < DIRECT_LENGTH_MIN && length <= room {
                break;
            }
            if self.is_blocked {
                return Poll::Pending;
            }
            match ready!(self.send_with(slices))? {
                0 => {}
                length => return Poll::Ready(Ok(length)),
            }
        }
        let start = self.gathered.len();
        for slice in slices {
            self.gathered.extend_from_slice(slice);
        }
        if !std::mem::replace(&mut self.has_sent, true) {
            set_header_list_length(&mut self.gathered[start..], HEADER_LIST_LENGTH_MAX as u32);
        }
        Poll::Ready(Ok(length))
    }

    /// Adds bytes that are no frame of the `h2` crate's.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
    }

    /// The line alone.
    pub(super) fn line(&mut self) -> &mut Line<S> {
        &mut self.line
    }
}

/// What a call has done; nothing if it would have to wait.
fn unless_blocked(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the `h2` crate has of a connection.
#[derive(Debug)]
pub(super) struct Handle<S>(pub(super) Rc<RefCell<Io<S>>>);

impl<S: Socket> AsyncRead for Handle<S> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let io = &mut *self.0.borrow_mut();
        let rest = &io.input[io.taken..io.passed];
        if rest.is_empty() {
            // A frame that was begun and is not whole is a fault of the client's, which the `h2` crate tells it.
            return if io.is_ended {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        io.taken += length;
        io.moved_length += length;
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncWrite for Handle<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let io = &mut *self.0.borrow_mut();
        let taken = ready!(io.take(slices))?;
        io.moved_length += taken;
        let mut rest = taken;
        for slice in slices {
            let piece = &slice[..slice.len().min(rest)];
            rest -= piece.len();
            io.resets += io.sent.pass(piece);
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        // A payload is passed on from where it is.
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The driver closes the stream, when all that is gathered has been sent.
        Poll::Ready(Ok(()))
    }
}
