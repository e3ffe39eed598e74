//! A call of the application: a request that is answered on another thread, and the way its answer comes back.
//!
//! The loop hands over what it has read and framed of a request, never a socket. The answer comes in parts, no more of them at
//! once than two: who sends one that the client does not take waits. Where the loop has no more interest, because
//! the client is gone, sending fails.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::snapshot::Head;

/// Calls that wait for the application at the most; the next ones are refused.
pub const CALLS_MAX: usize = 1024;

/// The longest piece of a body, in bytes.
pub const PIECE_LENGTH_MAX: usize = 64 << 10;

/// Parts of an answer that are on their way at once.
const PARTS_MAX: usize = 2;

/// A request.
#[derive(Debug)]
pub struct Call {
    /// The method's token.
    pub method: Box<str>,
    /// The path, and the query if there is one.
    pub target: Box<str>,
    /// The fields that say something about the request, and nothing about its connection or its body.
    pub fields: Vec<(Box<str>, Box<[u8]>)>,
    /// Who asks, as far as that is known.
    pub peer: Option<SocketAddr>,
    /// Where the answer goes.
    pub answer: Sender<Part>,
}

/// A part of an answer, in the order in which they come.
#[derive(Debug)]
pub enum Part {
    /// The header block, of a body of this length in bytes.
    Head(Head, u64),
    /// Some of the body.
    Piece(Bytes),
    /// All of it has come.
    End,
}

/// An answer as it comes back: nothing at all means that there is nobody who answers.
pub type Parts = Receiver<Part>;

/// Where calls are put.
#[derive(Clone, Debug)]
pub struct Calls(Sender<Call>);

impl Calls {
    /// A queue, and its end.
    pub fn queue() -> (Self, Receiver<Call>) {
        let (sender, receiver) = channel(CALLS_MAX);
        (Self(sender), receiver)
    }

    /// Puts a call behind the others. `None` if there are too many of them already.
    pub fn call(
        &self,
        method: &str,
        target: &str,
        fields: Vec<(Box<str>, Box<[u8]>)>,
        peer: Option<SocketAddr>,
    ) -> Option<Parts> {
        let (answer, parts) = channel(PARTS_MAX);
        let call = Call {
            method: method.into(),
            target: target.into(),
            fields,
            peer,
            answer,
        };
        self.0.try_send(call).is_ok().then_some(parts)
    }
}
