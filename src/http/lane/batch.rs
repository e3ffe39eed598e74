//! From a connection's bytes to its answers: every whole head that was read, in one go.

use std::net::IpAddr;
use std::time::Instant;

use super::memo::{Asked, Memo};
use super::output::{Output, Persistence};
use crate::http::access_log::{AccessLog, Record};
use crate::http::answer::Answer;
use crate::http::framing::{Field, Reading, read, storage};
use crate::http::problem::Problem;
use crate::http::record::{Answered, HandOver};
use crate::http::request::Method;
use crate::http::slice::Slice;
use crate::http::worker::{DateLine, Worker};

/// Answers are gathered up to this length, in bytes, before they are sent: a pipeline must not make memory of requests.
const GATHERED_LENGTH_MAX: usize = 64 << 10;

/// What is to be done with the connection once the answers have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on with what is left of the input: the output was full, or the turn is over.
    GoOn,
    /// Read more.
    Read,
    /// Close: whatever else was read is not answered.
    Close,
    /// Leave it to the application, with what is left of the input.
    HandOver,
}

/// What a worker answers by, from one batch to the next.
#[derive(Debug, Default)]
pub struct Answers {
    /// What is to be sent.
    pub output: Output,
    /// What is to be recorded; empty between two batches.
    answered: Vec<Answered>,
    memo: Memo,
}

impl Answers {
    /// Forgets everything: what a batch left that did not end belongs to nobody, and is not the next connection's.
    pub fn abandon(&mut self) {
        *self = Self::default();
    }
}

/// Answers the requests that `input` begins with, as many as `slice` has room for, and returns how much of the input they
/// are.
///
/// They are recorded as one batch, between two readings of the clock: each waited until all were answered. `peer` is
/// asked for the access log only.
pub fn answer_all(
    worker: &Worker,
    input: &[u8],
    peer: Option<IpAddr>,
    slice: &mut Slice,
    scratch: &mut Answers,
) -> (usize, Next) {
    let Answers { output, answered, memo } = scratch;
    let shared = &worker.shared;
    let started = Instant::now();
    let date = worker.date.get();
    let draining = shared.lifecycle.is_draining();
    let mut reader = worker.reader.borrow_mut();
    let snapshot = reader.read();
    let requests_max = slice.requests();
    let mut consumed = 0;
    let next = loop {
        if consumed == input.len() {
            break Next::Read;
        }
        if output.gathered_length() >= GATHERED_LENGTH_MAX || answered.len() >= requests_max {
            break Next::GoOn;
        }
        let rest = &input[consumed..];
        let mut storage = storage();
        let mut fields: &[Field<'_>] = &[];
        // The access log is told fields that are not remembered.
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
                        request: head.request,
                    }
                }
                Reading::Refused(problem) => {
                    let refused = refusal(problem, rest, &date, output);
                    answered.push(refused);
                    if let Some(log) = &shared.access_log {
                        log_access(log, fields, peer, &refused, started);
                    }
                    break Next::Close;
                }
            },
        };
        let reply = match shared.site.respond(&asked.request, snapshot, draining) {
            Answer::Reply(reply) => reply,
            Answer::Scrape => {
                shared.metrics.handed_over(HandOver::Metrics);
                break Next::HandOver;
            }
            Answer::Admin(_) => {
                shared.metrics.handed_over(HandOver::Admin);
                break Next::HandOver;
            }
        };
        let closes = asked.closes || draining;
        let persistence = Persistence {
            is_http_11: asked.is_http_11,
            closes,
        };
        output.push(&reply, &date, persistence);
        consumed += asked.length;
        answered.push(Answered::of(asked.request.method, &reply));
        if let Some(log) = &shared.access_log {
            log_access(log, fields, peer, &answered[answered.len() - 1], started);
        }
        if closes {
            break Next::Close;
        }
    };
    if !answered.is_empty() {
        slice.answered(answered.len());
        let took = started.elapsed();
        for answered in answered.drain(..) {
            shared.metrics.record(&Answered { took, ..answered });
        }
    }
    (consumed, next)
}

/// Answers what has come of a head with a problem, after which the connection is to be closed.
pub fn refuse(worker: &Worker, problem: Problem, input: &[u8], peer: Option<IpAddr>, scratch: &mut Answers) {
    let started = Instant::now();
    let refused = refusal(problem, input, &worker.date.get(), &mut scratch.output);
    worker.shared.metrics.record(&refused);
    if let Some(log) = &worker.shared.access_log {
        log_access(log, &[], peer, &refused, started);
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

fn log_access(log: &AccessLog, fields: &[Field<'_>], peer: Option<IpAddr>, answered: &Answered, started: Instant) {
    let lines = |name: &'static str| {
        let values = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        values.filter_map(|field| std::str::from_utf8(field.value).ok())
    };
    log.write(&Record {
        method: answered.method.label(),
        route: answered.route,
        status: answered.status,
        bytes: answered.length,
        took: started.elapsed(),
        caller: log.caller(peer, lines("x-forwarded-for"), lines("x-request-id").next()),
    });
}
