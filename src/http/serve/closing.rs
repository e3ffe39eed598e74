//! How the server closes: it says so, and waits a little for the client to do the same (RFC 9112, section 9.6).
//!
//! A socket that is closed while bytes of the client are unread resets the connection, and a client that is still sending
//! may lose the answer to that.

use std::io;

use super::connection::{Line, Step, Whither};
use super::socket::Socket;
use super::timer::{Timer, Wait};
use super::worker::Worker;

/// Bytes that are read and thrown away at the most.
const DISCARDED_LENGTH_MAX: usize = 1 << 20;

/// A connection that is being closed.
#[derive(Debug)]
pub(super) struct Closing<S> {
    pub(super) line: Line<S>,
    discarded: Discarded,
}

impl<S: Socket> Closing<S> {
    //= rfc9112#section-9.6
    //# A server that sends a "close" connection option MUST initiate closure of the connection (see below) after it sends the response containing the
    /// Says that nothing more is sent.
    pub(super) fn new(mut line: Line<S>) -> Self {
        line.socket.shut();
        Self {
            line,
            discarded: Discarded::default(),
        }
    }

    /// Over when the client has closed too, or has been waited for long enough.
    pub(super) fn step(&mut self, worker: &Worker) -> Step {
        if self
            .discarded
            .is_enough(&mut self.line.socket, &self.line.timer, worker)
        {
            Step::Goes(Whither::Over)
        } else {
            Step::Waits
        }
    }
}

/// What a client still sends once nothing more is sent to it.
#[derive(Debug, Default)]
pub(super) struct Discarded {
    length: usize,
}

impl Discarded {
    /// Reads what has come, and throws it away. Whether that was all, or is enough.
    pub(super) fn is_enough<S: Socket>(&mut self, socket: &mut S, timer: &Timer, worker: &Worker) -> bool {
        let scratch = &mut *worker.scratch.borrow_mut();
        while self.length <= DISCARDED_LENGTH_MAX {
            match socket.read(&mut scratch.input) {
                Ok(length @ 1..) => self.length += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return timer.wait(Wait::Close),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return true,
            }
        }
        true
    }
}
