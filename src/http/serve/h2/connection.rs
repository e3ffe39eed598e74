//! One HTTP/2 connection: reads, has answered, sends; until it is closed.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::{Builder, Connection as Protocol, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request};

use super::deferred::{Asker, Deferred, Outcome};
use super::exchange::{Ending, Exchange, Progress, Source, Unread};
use super::frames::{GOAWAY_PROTOCOL_ERROR, PREFACE, Screen};
use super::request::{check, request_head};
use super::response::Heads;
use super::stream::{Handle, Io};
use super::{HEADER_LIST_LENGTH_DECODED_MAX, STREAMS_MAX};
use crate::http::answer::Answer;
use crate::http::answer::problem::Problem;
use crate::http::answer::reply::Reply;
use crate::http::answer::route::Name;
use crate::http::message::request::Method;
use crate::http::serve::access_log::{AccessLog, Record};
use crate::http::serve::closing::Discarded;
use crate::http::serve::connection::{Line, Step, Whither};
use crate::http::serve::record::{Answered, Cut, Due};
use crate::http::serve::slice::Slice;
use crate::http::serve::socket::Socket;
use crate::http::serve::timer::{Timer, Wait};
use crate::http::serve::worker::Worker;
use crate::lifecycle::Phase;

/// Streams that a client resets before they are answered, in one turn. Their number over time is the screen's to bound.
const UNANSWERED_RESETS_MAX: usize = STREAMS_MAX as usize;

/// A connection that speaks HTTP/2, or has begun to.
pub(in crate::http::serve) enum Http2<S> {
    /// Of its preface something has come.
    Preface(Option<(Line<S>, Vec<u8>)>),
    /// It is open.
    Open(Box<Connection<S>>),
    /// What is left is being sent, and then it is closed.
    Closing(Shared<S>, Timer, Option<Discarded>),
}

type Shared<S> = Rc<RefCell<Io<S>>>;

impl<S> fmt::Debug for Http2<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2").finish_non_exhaustive()
    }
}

impl<S: Socket> Http2<S> {
    /// Goes on with a connection of which `input` has been read and nothing answered.
    pub(in crate::http::serve) fn new(line: Line<S>, input: Vec<u8>) -> Self {
        Self::Preface(Some((line, input)))
    }

    /// Goes on with what there is to do.
    pub(in crate::http::serve) fn step(&mut self, worker: &Rc<Worker>) -> Step {
        loop {
            let next = match self {
                Self::Preface(begun) => {
                    let Some((line, input)) = begun else {
                        return Step::Goes(Whither::Over);
                    };
                    match has_preface(line, input, worker) {
                        None => return Step::Waits,
                        Some(false) => return Step::Goes(Whither::Over),
                        Some(true) => {}
                    }
                    begun.take().map(|(line, input)| Self::open(line, input, worker))
                }
                Self::Open(connection) => match connection.turn() {
                    Step::Goes(Whither::Close) => Some(Self::close(Rc::clone(&connection.io), worker)),
                    step => return step,
                },
                Self::Closing(io, timer, discarded) => return close(io, timer, discarded, worker),
            };
            match next {
                Some(next) => *self = next,
                None => return Step::Goes(Whither::Over),
            }
        }
    }

    fn open(line: Line<S>, input: Vec<u8>, worker: &Rc<Worker>) -> Self {
        line.timer.stop();
        let screen = Screen::new(line.timer.now_seconds());
        let (key, peer) = (line.key, line.peer());
        let io = Rc::new(RefCell::new(Io::new(line, input, screen)));
        match begin(&io) {
            Some(protocol) => Self::Open(Box::new(Connection::new(protocol, Rc::clone(&io), peer, key, worker))),
            None => {
                io.borrow_mut().push(&GOAWAY_PROTOCOL_ERROR);
                Self::close(io, worker)
            }
        }
    }

    fn close(io: Shared<S>, worker: &Worker) -> Self {
        let key = io.borrow_mut().line().key;
        Self::Closing(io, worker.timers.timer(key), None)
    }
}

/// Sends what is left, and closes.
fn close<S: Socket>(io: &Shared<S>, timer: &Timer, discarded: &mut Option<Discarded>, worker: &Worker) -> Step {
    let io = &mut *io.borrow_mut();
    let discarded = match discarded {
        Some(discarded) => discarded,
        None => match io.send() {
            Poll::Pending if timer.wait(Wait::Close) => return Step::Goes(Whither::Over),
            Poll::Pending => return Step::Waits,
            Poll::Ready(Err(_)) => return Step::Goes(Whither::Over),
            Poll::Ready(Ok(())) => {
                timer.stop();
                io.line().socket.shut();
                discarded.insert(Discarded::default())
            }
        },
    };
    match discarded.is_enough(&mut io.line().socket, timer, worker) {
        true => Step::Goes(Whither::Over),
        false => Step::Waits,
    }
}

/// Reads until there is a whole preface, or what cannot become one. False if it does not come, and nothing if it is waited for.
fn has_preface<S: Socket>(line: &mut Line<S>, input: &mut Vec<u8>, worker: &Worker) -> Option<bool> {
    while input.len() < PREFACE.len() && PREFACE.starts_with(input) {
        let scratch = &mut *worker.scratch.borrow_mut();
        match line.socket.read(&mut scratch.input) {
            Ok(length @ 1..) => input.extend_from_slice(&scratch.input[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return line.timer.wait(Wait::Head).then_some(false);
            }
            Ok(0) | Err(_) => return Some(false),
        }
    }
    Some(true)
}

/// Has the `h2` crate write its SETTINGS and take the preface, which it never waits for.
fn begin<S: Socket>(io: &Shared<S>) -> Option<Protocol<Handle<S>, Bytes>> {
    io.borrow_mut().pass_preface();
    let handshake = Builder::new()
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_LENGTH_DECODED_MAX)
        .max_pending_accept_reset_streams(UNANSWERED_RESETS_MAX)
        // The screen counts resets, by time: a count for all of a connection's life would end a proxy's.
        .max_local_error_reset_streams(None)
        .max_send_buffer_size(64 << 10)
        .handshake(Handle(Rc::clone(io)));
    match pin!(handshake).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(protocol)) => Some(protocol),
        _ => None,
    }
}

/// How a turn has ended where nothing more is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// What is left is to be sent, and the socket to be closed.
    Closed,
    /// The client is gone, or takes nothing any more.
    Gone,
}

impl From<Ended> for Step {
    fn from(ended: Ended) -> Self {
        Self::Goes(match ended {
            Ended::Closed => Whither::Close,
            Ended::Gone => Whither::Over,
        })
    }
}

/// A connection whose preface has been read.
pub(in crate::http::serve) struct Connection<S> {
    protocol: Protocol<Handle<S>, Bytes>,
    io: Rc<RefCell<Io<S>>>,
    worker: Rc<Worker>,
    peer: Option<SocketAddr>,
    /// By which the loop knows it.
    key: usize,
    heads: Heads,
    /// Answers under way.
    exchanges: Vec<Exchange>,
    /// Answers that are being made.
    deferred: Vec<Deferred>,
    /// What is to be recorded at the end of a round.
    due: Due,
    has_answered: bool,
    /// Whether the client has been told that the connection is going to end.
    is_ending: bool,
    /// How long a head takes.
    head_timer: Timer,
    /// Everything else that is waited for.
    timer: Timer,
}

impl<S: Socket> Connection<S> {
    fn new(
        protocol: Protocol<Handle<S>, Bytes>,
        io: Rc<RefCell<Io<S>>>,
        peer: Option<SocketAddr>,
        key: usize,
        worker: &Rc<Worker>,
    ) -> Self {
        Self {
            protocol,
            io,
            peer,
            key,
            heads: Heads::default(),
            exchanges: Vec::new(),
            deferred: Vec::new(),
            due: Due::default(),
            has_answered: false,
            is_ending: false,
            head_timer: worker.timers.timer(key),
            timer: worker.timers.timer(key),
            worker: Rc::clone(worker),
        }
    }

    fn turn(&mut self) -> Step {
        self.io.borrow_mut().begin();
        let mut slice = Slice::default();
        let mut is_first = true;
        let gives_way = loop {
            match self.round(&mut slice, is_first) {
                Ok(true) => is_first = false,
                Ok(false) => break false,
                Err(ended) => return ended.into(),
            }
            if slice.requests() == 0 {
                break true;
            }
        };
        self.io.borrow_mut().compact();
        match self.wait() {
            Step::Waits if gives_way => Step::GivesWay,
            step => step,
        }
    }

    /// Reads once, answers what that brought, and sends. Whether there is anything more to be done.
    fn round(&mut self, slice: &mut Slice, is_first: bool) -> Result<bool, Ended> {
        let now_seconds = self.timer.now_seconds();
        let (has_read, has_come) = self.read(now_seconds)?;
        if !is_first && !has_come && self.exchanges.is_empty() && self.deferred.is_empty() {
            return Ok(false);
        }
        let started = self.worker.clock.get();
        let is_open = self.answer(slice, now_seconds, started);
        self.begin_to_end();
        self.go_on(slice, now_seconds);
        let is_open = is_open && self.protocol.poll_closed(&mut nobody()).is_pending();
        let io = &mut *self.io.borrow_mut();
        for _ in 0..std::mem::take(&mut io.resets) {
            if io.screen.reset(now_seconds).is_err() {
                self.protocol.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
        }
        let sent = io.send();
        self.worker.record(&mut self.due, started);
        if let Poll::Ready(Err(_)) = sent {
            return Err(Ended::Gone);
        }
        self.timer.sent(io.take_sent());
        if !is_open {
            return Err(Ended::Closed);
        }
        // What was read wakes nobody before it is asked for once more, also where it was a piece that cannot pass yet.
        Ok(io.take_moved() || has_read)
    }

    /// Reads what has come, and lets pass what may. Whether anything was read, and whether there is anything for the `h2`
    /// crate to read.
    fn read(&mut self, now_seconds: u32) -> Result<(bool, bool), Ended> {
        let io = &mut *self.io.borrow_mut();
        let scratch = &mut *self.worker.scratch.borrow_mut();
        let has_read = io.fill(&mut scratch.input).map_err(|_| Ended::Gone)?;
        if io.screen(now_seconds).is_err() {
            self.protocol.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            return Ok((has_read, true));
        }
        Ok((has_read, has_read || io.has_passed()))
    }

    /// Tells the client that the connection is going to end, if it is.
    ///
    /// One that has not asked yet is told so when it has: told at once, it might ask nobody.
    fn begin_to_end(&mut self) {
        let phase = self.worker.shared.lifecycle.phase();
        let ends = phase == Phase::Stopping || phase == Phase::Draining && self.has_answered;
        if ends && !self.is_ending {
            self.is_ending = true;
            self.protocol.graceful_shutdown();
        }
    }

    /// Answers the requests that have come whole. False if the connection has ended.
    fn answer(&mut self, slice: &mut Slice, now_seconds: u32, started: Instant) -> bool {
        let mut asked_count = 0;
        let is_open = loop {
            if slice.requests() == 0 {
                break true;
            }
            match self.protocol.poll_accept(&mut nobody()) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    slice.answered(1);
                    asked_count += 1;
                    self.has_answered = true;
                    // A connection that has asked is idle from then on.
                    self.timer.stop();
                    self.respond(request, respond, now_seconds, started);
                }
                Poll::Ready(Some(Err(_)) | None) => break false,
                Poll::Pending => break true,
            }
        };
        if asked_count > 0 {
            self.io.borrow_mut().screen.answered(self.due.len() as u32);
        }
        is_open
    }

    fn respond(
        &mut self,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        now_seconds: u32,
        started: Instant,
    ) {
        let worker = Rc::clone(&self.worker);
        let shared = &worker.shared;
        let (parts, body) = request.into_parts();
        let (request, unread) = (Request::from_parts(parts, ()), Unread::new(body));
        if let Err(problem) = check(&request) {
            let is_head = request.method() == http::Method::HEAD;
            // Which method it was is not recorded, as of a head that is refused over HTTP/1.
            self.send(
                &problem.reply().head_only(is_head),
                Method::Other,
                &request,
                respond,
                unread,
                now_seconds,
                started,
            );
            return;
        }
        let draining = shared.lifecycle.is_draining();
        let head = request_head(&request);
        let mut reader = worker.reader.borrow_mut();
        match shared.site.respond(&head, reader.read(), draining) {
            Answer::Reply(reply) => {
                self.send(&reply, head.method, &request, respond, unread, now_seconds, started);
            }
            Answer::Scrape => self.call(&request, Name::Metrics, respond, unread, now_seconds, started),
            Answer::Admin(endpoint) => self.call(&request, endpoint.route(), respond, unread, now_seconds, started),
        }
    }

    /// Has the application answer.
    fn call(
        &mut self,
        request: &Request<()>,
        route: Name,
        respond: SendResponse<Bytes>,
        unread: Option<Unread>,
        now_seconds: u32,
        started: Instant,
    ) {
        let worker = Rc::clone(&self.worker);
        let asker = Asker {
            peer: self.peer,
            key: self.key,
            worker: &worker,
        };
        match Deferred::new(request, route, &asker, respond, unread) {
            Ok(deferred) => self.deferred.push(deferred),
            Err((respond, unread)) => {
                let method = Method::parse(request.method().as_str().as_bytes());
                let reply = Problem::Busy.reply().of_route(route);
                let reply = reply.head_only(method == Method::Head);
                self.send(&reply, method, request, respond, unread, now_seconds, started);
            }
        }
    }

    /// Sends an answer's head, and begins with its body.
    #[expect(clippy::too_many_arguments, reason = "it is what one answer consists of")]
    fn send(
        &mut self,
        reply: &Reply<'_>,
        method: Method,
        request: &Request<()>,
        mut respond: SendResponse<Bytes>,
        unread: Option<Unread>,
        now_seconds: u32,
        started: Instant,
    ) {
        let answered = Answered::of(method, reply);
        if let Some(log) = &self.worker.shared.access_log {
            log_access(log, self.peer, request.headers(), &answered, started.elapsed());
        }
        self.worker.levels.count(&answered);
        self.due.push(&answered);
        if let Some(traceparent) = request.headers().get("traceparent") {
            self.due.trace(&answered, traceparent.as_bytes());
        }
        let head = self.heads.head(reply, &self.worker.date.get());
        let is_whole = reply.body().is_empty();
        // As long as the request goes on the stream does too.
        let ends = is_whole && unread.is_none();
        // A stream that has been reset meanwhile needs no answer.
        let Ok(stream) = respond.send_response(head, ends) else {
            return;
        };
        if ends {
            return;
        }
        let source = (!is_whole).then(|| {
            let body = reply.selected_shared();
            let memory = body.entry().cloned();
            Source::Shared(body.into_bytes(), memory)
        });
        let in_flight = self.worker.levels.request();
        let exchange = Exchange::new(stream, source, unread, &self.worker, now_seconds, in_flight);
        self.exchanges.push(exchange);
    }

    /// Looks at what is waited for, and for how long already.
    fn wait(&mut self) -> Step {
        let now_seconds = self.timer.now_seconds();
        let (is_blocked, is_in_head) = {
            let io = self.io.borrow();
            (io.is_blocked(), io.screen.is_in_head(io.has_rest()))
        };
        if is_blocked {
            // What the client does not take is what is waited for, and nothing is read meanwhile.
            self.head_timer.stop();
            return self.wait_for_socket(now_seconds);
        }
        self.timer.all_sent();
        if !is_in_head {
            self.head_timer.stop();
        } else if self.head_timer.wait(Wait::Head) {
            return self.end(Reason::ENHANCE_YOUR_CALM);
        }
        if self.exchanges.is_empty() && self.deferred.is_empty() {
            self.wait_for_request()
        } else {
            self.wait_for_streams(now_seconds)
        }
    }

    fn wait_for_request(&mut self) -> Step {
        // One that has been told so has only to say that it has heard.
        let is_stopping = self.worker.shared.lifecycle.phase() == Phase::Stopping;
        let wait = if is_stopping { Wait::Close } else { Wait::Request };
        if self.timer.wait(wait) {
            self.end(Reason::NO_ERROR)
        } else {
            Step::Waits
        }
    }

    /// The client does not take what is sent. Broken off is all of it: what has been handed over cannot be taken back.
    fn wait_for_socket(&mut self, now_seconds: u32) -> Step {
        let io = &mut *self.io.borrow_mut();
        let mut cut = self.timer.wait_to_send(|| io.line().socket.untaken_length(), || None);
        for exchange in &mut self.exchanges {
            if let Some(Ending::Cut(why)) = exchange.wait(true, self.key, &self.worker, now_seconds) {
                cut = Some(why);
            }
        }
        let Some(cut) = cut else { return Step::Waits };
        self.worker.shared.metrics.cut(cut);
        io.line().socket.reset();
        Ended::Gone.into()
    }

    /// Ends the exchanges that are not waited for any longer; if no other goes on, the connection.
    fn wait_for_streams(&mut self, now_seconds: u32) -> Step {
        self.timer.stop();
        let (worker, key) = (&self.worker, self.key);
        let mut cut = None;
        let ended = self.exchanges.extract_if(.., |exchange| {
            match exchange.wait(false, key, worker, now_seconds) {
                None => return false,
                Some(Ending::Unread) => {}
                Some(Ending::Cut(why)) => {
                    worker.shared.metrics.cut(why);
                    cut = Some(why);
                }
            }
            true
        });
        let mut any_has_ended = false;
        for exchange in ended {
            exchange.reset();
            any_has_ended = true;
        }
        if !any_has_ended {
            return Step::Waits;
        }
        if cut == Some(Cut::Slow) && self.exchanges.is_empty() && self.deferred.is_empty() {
            return self.end(Reason::ENHANCE_YOUR_CALM);
        }
        // What that brings about has to be sent.
        Step::GivesWay
    }

    /// Says why the connection ends, as far as that can be said at once.
    fn end(&mut self, reason: Reason) -> Step {
        self.protocol.abrupt_shutdown(reason);
        let _ = self.protocol.poll_closed(&mut nobody());
        Ended::Closed.into()
    }

    /// Goes on with the answers that are under way.
    fn go_on(&mut self, slice: &mut Slice, now_seconds: u32) {
        let asker = Asker {
            peer: self.peer,
            key: self.key,
            worker: &self.worker,
        };
        for deferred in std::mem::take(&mut self.deferred) {
            match deferred.go_on(&mut self.heads, &asker, now_seconds) {
                Outcome::Waits(deferred) => self.deferred.push(deferred),
                Outcome::Sending(exchange) => self.exchanges.push(exchange),
                Outcome::Over => {}
            }
        }
        if self.io.borrow().is_blocked() {
            return;
        }
        let before = slice.length();
        let mut room = before;
        self.exchanges
            .retain_mut(|exchange| exchange.go_on(&mut room, now_seconds) == Progress::Waits);
        slice.sent(before - room);
        // The next turn begins with another.
        if room == 0 && !self.exchanges.is_empty() {
            self.exchanges.rotate_left(1);
        }
        let frames = (before - room).div_ceil(16 << 10);
        self.io.borrow_mut().screen.answered(frames as u32);
    }
}

/// For the `h2` crate, which is polled whenever something has changed and need not wake anybody.
fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

pub(super) fn log_access(
    log: &AccessLog,
    peer: Option<SocketAddr>,
    fields: &HeaderMap,
    answered: &Answered,
    took: Duration,
) {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let forwarded_for: Vec<String> = fields.get_all("x-forwarded-for").iter().filter_map(text).collect();
    log.write(&Record {
        method: answered.method.label(),
        route: answered.route.template(),
        status: answered.status,
        bytes: answered.length,
        took,
        caller: log.caller(
            peer.map(|address| address.ip()),
            forwarded_for.iter().map(String::as_str),
            fields.get("x-request-id").and_then(|value| value.to_str().ok()),
        ),
    });
}
