//! A request of HTTP/1 that the application answers, from its head to the end of its answer.

use std::net::IpAddr;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::batch::{Next, log_access};
use super::connection::Line;
use super::output::{Output, Persistence};
use super::record::{Answered, Due, LevelGuard};
use super::socket::Socket;
use super::worker::Worker;
use crate::http::answer::problem::Problem;
use crate::http::answer::reply::Reply;
use crate::http::answer::route::Name;
use crate::http::call::{Part, Parts};
use crate::http::message::framing::{Field, Head, Reading, read, storage};
use crate::http::message::request::Method;

/// Fields that say something about the connection, or about a body that nobody reads.
const LEFT_OUT: [&str; 5] = ["connection", "content-length", "expect", "transfer-encoding", "upgrade"];

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Called {
    parts: Parts,
    waker: Waker,
    persistence: Persistence,
    answered: Answered,
    started: Instant,
    has_head: bool,
    /// What comes after the answer.
    next: Next,
    /// The request's head, and who asks, for the access log.
    logged: Option<(Box<[u8]>, Option<IpAddr>)>,
    _in_flight: LevelGuard,
}

/// What has come of an answer.
#[derive(Debug)]
pub(super) enum Heard {
    /// Nothing yet.
    Nothing,
    /// This is to be sent, and more will come.
    Some(Output),
    /// It has come whole, and is sent.
    All(Next),
    /// There is nobody who answers, and nothing has been sent: this is to be, and the connection closed.
    Failed(Output),
    /// It has ended before its end.
    Broken,
}

impl Called {
    /// Has the application answer the request that `input` begins with, whose head is whole and which asks for this route;
    /// returns how long its head is, and what comes after the answer. Where it cannot be asked, the answer to that is in
    /// `refused`.
    pub(super) fn begin<S: Socket>(
        input: &[u8],
        route: Name,
        line: &Line<S>,
        peer: Option<IpAddr>,
        worker: &Worker,
        refused: &mut Output,
    ) -> (usize, Next, Result<Self, Answered>) {
        let mut fields = storage();
        let Reading::Whole(head) = read(input, &mut fields) else {
            unreachable!("it has been read before");
        };
        let closes = head.is_last() || worker.shared.lifecycle.is_draining();
        let next = match closes {
            true => Next::Close,
            false if head.length == input.len() => Next::Read,
            false => Next::GoOn,
        };
        let persistence = Persistence {
            is_http_11: head.is_http_11,
            closes,
        };
        let started = worker.clock.get();
        let method = head.request.method;
        // Counted before it is called, since a scrape tells of itself.
        let in_flight = worker.levels.request();
        let Some(parts) = call(&head, line, worker) else {
            let reply = Problem::Busy.reply().of_route(route);
            let reply = reply.head_only(method == Method::Head);
            refused.push(&reply, &worker.date.get(), persistence);
            let answered = Answered::of(method, &reply);
            worker.levels.count(&answered);
            if let Some(log) = &worker.shared.access_log {
                log_access(log, head.fields, peer, &answered, started);
            }
            return (head.length, next, Err(answered));
        };
        let called = Self {
            parts,
            waker: worker.waker(line.key),
            persistence,
            answered: Answered::called(method, route),
            started,
            has_head: false,
            next,
            logged: worker
                .shared
                .access_log
                .as_ref()
                .map(|_| (input[..head.length].into(), peer)),
            _in_flight: in_flight,
        };
        (head.length, next, Ok(called))
    }

    /// Takes what has come. The connection is looked at again once there is more.
    pub(super) fn hear(&mut self, worker: &Worker) -> Heard {
        let Poll::Ready(part) = self.parts.poll_recv(&mut Context::from_waker(&self.waker)) else {
            return Heard::Nothing;
        };
        let is_head_only = self.answered.method == Method::Head;
        let mut output = Output::default();
        match part {
            Some(Part::Head(head, length)) => {
                self.has_head = true;
                self.answered.status = head.status();
                if !is_head_only {
                    self.answered.length = length as usize;
                }
                worker.levels.count(&self.answered);
                output.push(&Reply::of_head(&head), &worker.date.get(), self.persistence);
                Heard::Some(output)
            }
            Some(Part::Piece(piece)) => {
                if !is_head_only {
                    output.push_piece(piece);
                }
                Heard::Some(output)
            }
            Some(Part::End) => {
                self.end(worker);
                Heard::All(self.next)
            }
            None if self.has_head => Heard::Broken,
            None => {
                let reply = Problem::Failed.reply().head_only(is_head_only);
                let persistence = Persistence {
                    closes: true,
                    ..self.persistence
                };
                output.push(&reply, &worker.date.get(), persistence);
                self.answered = Answered {
                    route: self.answered.route,
                    ..Answered::of(self.answered.method, &reply)
                };
                worker.levels.count(&self.answered);
                self.end(worker);
                Heard::Failed(output)
            }
        }
    }

    fn end(&self, worker: &Worker) {
        let mut due = Due::default();
        due.push(&self.answered);
        worker.record(&mut due, self.started);
        if let (Some(log), Some((head, peer))) = (&worker.shared.access_log, &self.logged) {
            let mut fields = storage();
            let fields: &[Field<'_>] = match read(head, &mut fields) {
                Reading::Whole(head) => head.fields,
                _ => &[],
            };
            log_access(log, fields, *peer, &self.answered, self.started);
        }
    }
}

/// Puts the call. `None` if there are too many already.
fn call<S: Socket>(head: &Head<'_, '_>, line: &Line<S>, worker: &Worker) -> Option<Parts> {
    let request = &head.request;
    let text = |bytes| std::str::from_utf8(bytes).expect("a target is ASCII");
    let path = text(request.path);
    let target = match request.query {
        Some(query) => format!("{path}?{}", text(query)),
        None => path.to_owned(),
    };
    let fields = head.fields.iter();
    let fields = fields.filter(|field| !LEFT_OUT.iter().any(|name| field.name.eq_ignore_ascii_case(name)));
    let fields = fields.map(|field| (field.name.into(), field.value.into())).collect();
    worker.shared.calls.call(head.method, &target, fields, line.peer())
}
