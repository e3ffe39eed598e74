//! What the application answers.

use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, Method as Token, Request};

use super::connection::log_access;
use super::exchange::{Exchange, Source, Unread};
use super::response::Heads;
use crate::http::answer::reply::Reply;
use crate::http::answer::route::Name;
use crate::http::call::{Part, Parts};
use crate::http::message::request::Method;
use crate::http::serve::record::{Answered, Due, LevelGuard};
use crate::http::serve::worker::Worker;

/// A request that the application has been asked.
pub(super) struct Deferred {
    parts: Parts,
    waker: Waker,
    respond: SendResponse<Bytes>,
    unread: Option<Unread>,
    answered: Answered,
    started: Instant,
    /// The request's fields, for the access log.
    logged: Option<HeaderMap>,
    in_flight: LevelGuard,
}

/// What has become of it.
pub(super) enum Outcome {
    /// The answer is being made.
    Waits(Deferred),
    /// The answer's head has been sent.
    Sending(Exchange),
    /// There is nothing more to do.
    Over,
}

/// Who asks, by which connection, and where.
pub(super) struct Asker<'a> {
    /// Who asks.
    pub(super) peer: Option<SocketAddr>,
    /// By which the loop knows the connection.
    pub(super) key: usize,
    /// By whom it is answered.
    pub(super) worker: &'a Worker,
}

impl Deferred {
    /// Asks the application for what this route names.
    ///
    /// # Errors
    ///
    /// What was to be answered, if too many requests wait already.
    pub(super) fn new(
        request: &Request<()>,
        route: Name,
        asker: &Asker<'_>,
        respond: SendResponse<Bytes>,
        unread: Option<Unread>,
    ) -> Result<Self, (SendResponse<Bytes>, Option<Unread>)> {
        let worker = asker.worker;
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let fields = request.headers().iter();
        let fields = fields.map(|(name, value)| (name.as_str().into(), value.as_bytes().into()));
        // Counted before it is called, since a scrape tells of itself.
        let in_flight = worker.levels.request();
        let calls = &worker.shared.calls;
        let Some(parts) = calls.call(request.method().as_str(), target, fields.collect(), asker.peer) else {
            return Err((respond, unread));
        };
        let method = match *request.method() {
            Token::HEAD => Method::Head,
            _ => Method::parse(request.method().as_str().as_bytes()),
        };
        Ok(Self {
            parts,
            waker: worker.waker(asker.key),
            respond,
            unread,
            answered: Answered::called(method, route),
            started: worker.clock.get(),
            logged: worker.shared.access_log.as_ref().map(|_| request.headers().clone()),
            in_flight,
        })
    }

    /// Sends the head of the answer, if it is there.
    pub(super) fn go_on(mut self, heads: &mut Heads, asker: &Asker<'_>, now_seconds: u32) -> Outcome {
        let worker = asker.worker;
        let nobody = &mut Context::from_waker(Waker::noop());
        if self.respond.poll_reset(nobody).is_ready() {
            return Outcome::Over;
        }
        let Poll::Ready(part) = self.parts.poll_recv(&mut Context::from_waker(&self.waker)) else {
            return Outcome::Waits(self);
        };
        let Some(Part::Head(head, length)) = part else {
            self.respond.send_reset(Reason::INTERNAL_ERROR);
            return Outcome::Over;
        };
        let is_head_only = self.answered.method == Method::Head;
        self.answered.status = head.status();
        if !is_head_only {
            self.answered.length = length as usize;
        }
        let response = heads.head(&Reply::of_head(&head), &worker.date.get());
        let is_whole = is_head_only || length == 0;
        worker.levels.count(&self.answered);
        let mut due = Due::default();
        due.push(&self.answered);
        worker.record(&mut due, self.started);
        if let (Some(log), Some(fields)) = (&worker.shared.access_log, &self.logged) {
            log_access(log, asker.peer, fields, &self.answered, self.started.elapsed());
        }
        let Ok(stream) = self.respond.send_response(response, is_whole && self.unread.is_none()) else {
            return Outcome::Over;
        };
        let source = (!is_whole).then(|| Source::Called(self.parts, self.waker, Bytes::new()));
        Outcome::Sending(Exchange::new(
            stream,
            source,
            self.unread,
            worker,
            now_seconds,
            self.in_flight,
        ))
    }
}
