//! A connection, from accept to close, and what it is about at present.
//!
//! It has a turn when something has come, when the client takes more, when a wait is over, or when it has given way. What it
//! does not finish in one turn it goes on with in its next.

use std::net::SocketAddr;
use std::rc::Rc;

use super::closing::Closing;
use super::h2;
use super::http1::Http1;
use super::introduction::Introduction;
use super::record::LevelGuard;
use super::socket::Socket;
use super::timer::Timer;
use super::worker::Worker;

/// A socket, what is waited for there, and who is at its other end.
#[derive(Debug)]
pub(super) struct Line<S> {
    pub(super) socket: S,
    pub(super) timer: Timer,
    /// The client, if it is another than the socket's peer.
    pub(super) client: Option<SocketAddr>,
    /// By which the loop knows the connection.
    pub(super) key: usize,
}

impl<S: Socket> Line<S> {
    /// Who is said to be at the other end. It may cost a system call.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.client.or_else(|| self.socket.peer())
    }
}

/// How a step has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is nothing to be done before something happens.
    Waits,
    /// There is more to be done, once the others have had their turn.
    GivesWay,
    /// What comes next is another state's.
    Goes(Whither),
}

/// What comes after a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whither {
    /// HTTP/1, behind an introduction.
    Http1,
    /// HTTP/2, whose preface has begun.
    Http2,
    /// The connection is closed, and the client is given a little time to do the same.
    Close,
    /// There is nothing to be done but to let it go.
    Over,
}

/// How a turn has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is nothing to be done before something happens.
    Waits,
    /// There is more to be done, once the others have had their turn.
    GivesWay,
    /// The connection is to be let go.
    Over,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection<S> {
    state: State<S>,
    _open: LevelGuard,
}

#[derive(Debug)]
enum State<S> {
    /// A load balancer is to say who is there.
    Introduction(Box<Introduction<S>>),
    /// It speaks HTTP/1, or has not said anything yet.
    Http1(Http1<S>),
    /// It speaks HTTP/2.
    Http2(Box<h2::Http2<S>>),
    /// Everything is sent.
    Closing(Closing<S>),
    /// There is nothing left of it.
    Over,
}

impl<S: Socket> Connection<S> {
    /// Takes a new one, which is known by `key`.
    pub(super) fn new(socket: S, key: usize, worker: &Worker) -> Self {
        let line = Line {
            socket,
            timer: worker.timers.timer(key),
            client: None,
            key,
        };
        let state = match &worker.shared.site.introduced_by {
            Some(proxies) => match Introduction::of(line, proxies) {
                Ok(introduction) => State::Introduction(Box::new(introduction)),
                Err(line) => State::Http1(Http1::new(line, Vec::new(), worker)),
            },
            None => State::Http1(Http1::new(line, Vec::new(), worker)),
        };
        Self {
            state,
            _open: worker.levels.connection(),
        }
    }

    /// Something may have come, the end perhaps.
    pub(super) fn readable(&mut self, has_ended: bool) {
        if let State::Http1(http1) = &mut self.state {
            http1.readable(has_ended);
        }
    }

    /// Goes on with what there is to do.
    pub(super) fn turn(&mut self, worker: &Rc<Worker>) -> Turn {
        loop {
            let step = match &mut self.state {
                State::Introduction(introduction) => introduction.step(worker),
                State::Http1(http1) => http1.step(worker),
                State::Http2(http2) => http2.step(worker),
                State::Closing(closing) => closing.step(worker),
                State::Over => return Turn::Over,
            };
            match step {
                Step::Waits => return Turn::Waits,
                Step::GivesWay => return Turn::GivesWay,
                Step::Goes(whither) => {
                    let state = std::mem::replace(&mut self.state, State::Over);
                    self.state = state.goes(whither, worker);
                }
            }
        }
    }

    /// It is let go: what it has not finished is recorded as far as it came.
    pub(super) fn leave(&mut self, worker: &Worker) {
        if let State::Http1(http1) = &mut self.state {
            http1.leave(worker);
        }
    }
}

impl<S: Socket> State<S> {
    fn goes(self, whither: Whither, worker: &Rc<Worker>) -> Self {
        match (whither, self) {
            (Whither::Over, Self::Http1(mut http1)) => {
                http1.leave(worker);
                Self::Over
            }
            (Whither::Http1, Self::Introduction(introduction)) => {
                let Introduction { line, input, .. } = *introduction;
                Self::Http1(Http1::new(line, input, worker))
            }
            (Whither::Http2, Self::Http1(http1)) => {
                let (line, input) = http1.into_parts();
                Self::Http2(Box::new(h2::Http2::new(line, input)))
            }
            (Whither::Close, Self::Introduction(introduction)) => Self::Closing(Closing::new(introduction.line)),
            (Whither::Close, Self::Http1(http1)) => Self::Closing(Closing::new(http1.into_parts().0)),
            _ => Self::Over,
        }
    }
}
