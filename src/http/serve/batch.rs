//! From a connection's bytes to its answers: every whole head that was read, in one go.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::memo::{Asked, Memo};
use super::output::{Output, Persistence};
use super::record::{Answered, Due};
use super::repeats::Repeats;
use crate::http::answer::Answer;
use crate::http::answer::problem::Problem;
use crate::http::answer::route::Name;
use crate::http::message::framing::{Body, Field, Reading, read, storage};
use crate::http::message::request::Method;
use crate::http::serve::access_log::{AccessLog, Record};
use crate::http::serve::slice::Slice;
use crate::http::serve::worker::{DateLine, Worker};
use crate::snapshot::Snapshot;

/// Answers are gathered up to this length, in bytes, before they are sent: a pipeline must not make memory of requests.
const GATHERED_LENGTH_MAX: usize = 64 << 10;

/// What is to be done with the connection once the answers have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on with what is left of the input: the output was full, or the turn is over.
    GoOn,
    /// Read more.
    Read,
    /// Have the application answer the request that what is left of the input begins with, for this route.
    Call(Name),
    /// Close, though the client may be sending: whatever else was read is not answered.
    Close,
    /// Close, as the client has asked for after its last request: it has no more to say.
    End,
    /// Speak HTTP/2 with it.
    Http2,
}

/// What a loop answers by, from one batch to the next.
#[derive(Debug, Default)]
pub struct Answers {
    /// What is to be sent.
    pub output: Output,
    /// What has been counted, and is to be recorded once it is sent; empty between two connections' turns.
    pub(super) due: Due,
    memo: Memo,
    repeats: Repeats,
}

impl Answers {
    /// Lets go of what is not of this snapshot.
    pub(super) fn follow(&mut self, snapshot: &Arc<Snapshot>) {
        self.repeats.follow(snapshot);
    }

    /// Forgets everything: what a batch left that did not end belongs to nobody, and is not the next connection's.
    pub fn abandon(&mut self) {
        *self = Self::default();
    }
}

//= rfc9112#section-9.3.2
//# of pipelined requests in parallel if they all have safe methods, but it MUST send the corresponding responses in the same order that the requests
//= rfc9112#section-9.6
//# The server MUST NOT process any further requests received on that connection.
/// Answers the requests that `input` begins with, as many as `slice` has room for, and returns how much of the input they
/// are.
///
/// They are to be recorded as one batch, when all of it is sent: each waits until all are answered. `peer` is asked for the
/// access log only.
pub(super) fn answer_all(
    worker: &Worker,
    input: &[u8],
    peer: Option<IpAddr>,
    slice: &mut Slice,
    scratch: &mut Answers,
) -> (usize, Next) {
    let Answers {
        output,
        due,
        memo,
        repeats,
    } = scratch;
    let shared = &worker.shared;
    let started = worker.clock.get();
    let date = worker.date.get();
    let draining = shared.lifecycle.is_draining();
    let mut reader = worker.reader.borrow_mut();
    let snapshot = reader.read();
    let requests_max = slice.requests();
    // The access log is told fields that are not remembered, and while the server drains every answer closes.
    let is_ordinary = shared.access_log.is_none() && !draining;
    repeats.follow(snapshot);
    let mut consumed = 0;
    let next = loop {
        if consumed == input.len() {
            break Next::Read;
        }
        if output.gathered_length() >= GATHERED_LENGTH_MAX || due.len() >= requests_max {
            break Next::GoOn;
        }
        let rest = &input[consumed..];
        if is_ordinary && let Some(known) = repeats.find(rest) {
            output.push_wire(&known.wire, known.date_at, &date);
            consumed += known.length();
            worker.levels.count(&known.answered);
            due.push(&known.answered);
            continue;
        }
        let mut storage = storage();
        let mut fields: &[Field<'_>] = &[];
        let known = if shared.access_log.is_none() {
            memo.recall(rest)
        } else {
            None
        };
        let asked = match known {
            Some(asked) => asked,
            None => match read(rest, &mut storage) {
                Reading::Partial => break Next::Read,
                Reading::Whole(head) => {
                    if head.is_plain {
                        memo.learn(&head, rest);
                    }
                    fields = head.fields;
                    Asked {
                        length: head.length,
                        is_http_11: head.is_http_11,
                        closes: head.is_last(),
                        is_plain: head.is_plain,
                        ends: head.closes && head.body == Body::None && head.method != "CONNECT",
                        request: head.request,
                    }
                }
                Reading::Refused(refused) => {
                    let refused = refusal(refused.into(), rest, &date, output);
                    worker.levels.count(&refused);
                    due.push(&refused);
                    if let Some(log) = &shared.access_log {
                        log_access(log, fields, peer, &refused, started);
                    }
                    break Next::Close;
                }
            },
        };
        let reply = match shared.site.respond(&asked.request, snapshot, draining) {
            Answer::Reply(reply) => reply,
            Answer::Scrape => break Next::Call(Name::Metrics),
            Answer::Admin(endpoint) => break Next::Call(endpoint.route()),
        };
        let closes = asked.closes || draining;
        let persistence = Persistence {
            is_http_11: asked.is_http_11,
            closes,
        };
        output.push(&reply, &date, persistence);
        consumed += asked.length;
        let of_this = Answered::of(asked.request.method, &reply);
        worker.levels.count(&of_this);
        due.push(&of_this);
        if let Some(traceparent) = asked.request.traceparent {
            due.trace(&of_this, traceparent);
        }
        let is_repeatable = is_ordinary && asked.is_plain && persistence == Persistence::ORDINARY;
        // The next one of a trace is of another.
        let is_repeatable = is_repeatable && asked.request.traceparent.is_none();
        if is_repeatable
            && let Some(whole) = reply.whole()
            && repeats.has_come(&rest[..asked.length])
        {
            let date_at = whole.block().len();
            repeats.learn(&rest[..asked.length], reply.sent_of(whole), date_at, of_this);
        }
        if let Some(log) = &shared.access_log {
            log_access(log, fields, peer, &of_this, started);
        }
        if closes {
            let is_all = asked.ends && consumed == input.len();
            break if is_all { Next::End } else { Next::Close };
        }
    };
    slice.answered(due.len());
    (consumed, next)
}

/// Answers what has come of a head with a problem, after which the connection is to be closed.
pub(super) fn refuse(worker: &Worker, problem: Problem, input: &[u8], peer: Option<IpAddr>, scratch: &mut Answers) {
    let refused = refusal(problem, input, &worker.date.get(), &mut scratch.output);
    worker.levels.count(&refused);
    scratch.due.push(&refused);
    if let Some(log) = &worker.shared.access_log {
        log_access(log, &[], peer, &refused, worker.clock.get());
    }
}

/// Adds the answer to a head that is refused. What was asked may not be known, so no method is recorded.
fn refusal(problem: Problem, input: &[u8], date: &DateLine, output: &mut Output) -> Answered {
    let reply = problem.reply().head_only(input.starts_with(b"HEAD "));
    let persistence = Persistence {
        is_http_11: true,
        closes: true,
    };
    output.push(&reply, date, persistence);
    Answered::of(Method::Other, &reply)
}

pub(super) fn log_access(
    log: &AccessLog,
    fields: &[Field<'_>],
    peer: Option<IpAddr>,
    answered: &Answered,
    started: Instant,
) {
    let lines = |name: &'static str| {
        let values = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        values.filter_map(|field| std::str::from_utf8(field.value).ok())
    };
    log.write(&Record {
        method: answered.method.label(),
        route: answered.route.template(),
        status: answered.status,
        bytes: answered.length,
        took: started.elapsed(),
        caller: log.caller(peer, lines("x-forwarded-for"), lines("x-request-id").next()),
    });
}
