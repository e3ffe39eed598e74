//! From a connection's bytes to its answers: every whole head that was read, in one go.

use std::net::IpAddr;
use std::time::Instant;

use super::Output;
use super::memo::{Memo, Plain};
use crate::http::access_log::{AccessLog, Record};
use crate::http::answer::Answer;
use crate::http::framing::{Field, Reading, read, storage};
use crate::http::record::Answered;
use crate::http::worker::Worker;

/// Answers are gathered up to this length, in bytes, before they are sent: a pipeline must not make memory of requests.
const GATHERED_LENGTH_MAX: usize = 64 << 10;

/// What is to be done with the connection once the answers have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on with what is left of the input: the output was full.
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

/// Answers the plain requests that `input` begins with, and returns how much of it they are.
///
/// They are recorded as one batch, between two readings of the clock: each waited until all were answered. `peer` is
/// asked for the access log only.
pub fn answer_all(worker: &Worker, input: &[u8], peer: Option<IpAddr>, scratch: &mut Answers) -> (usize, Next) {
    let Answers { output, answered, memo } = scratch;
    let shared = &worker.shared;
    let started = Instant::now();
    let date = worker.date.get();
    let draining = shared.lifecycle.is_draining();
    let mut reader = worker.reader.borrow_mut();
    let snapshot = reader.read();
    let mut consumed = 0;
    let next = loop {
        if consumed == input.len() {
            break Next::Read;
        }
        if output.gathered_length() >= GATHERED_LENGTH_MAX {
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
        let plain = match known {
            Some(plain) => plain,
            None => match read(rest, &mut storage) {
                Reading::Partial => break Next::Read,
                Reading::Whole(head) if head.is_plain => {
                    memo.learn(&head, rest);
                    fields = head.fields;
                    Plain {
                        request: head.request,
                        length: head.length,
                        closes: head.closes,
                    }
                }
                Reading::Whole(_) | Reading::Refused(_) => break Next::HandOver,
            },
        };
        let Answer::Reply(reply) = shared.site.respond(&plain.request, snapshot, draining) else {
            break Next::HandOver;
        };
        let closes = plain.closes || draining;
        output.push(&reply, &date, closes);
        consumed += plain.length;
        answered.push(Answered::of(plain.request.method, &reply));
        if let Some(log) = &shared.access_log {
            log_access(log, fields, peer, &answered[answered.len() - 1], started);
        }
        if closes {
            break Next::Close;
        }
    };
    if !answered.is_empty() {
        let took = started.elapsed();
        for answered in answered.drain(..) {
            shared.metrics.record(&Answered { took, ..answered });
        }
    }
    (consumed, next)
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
