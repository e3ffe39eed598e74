//! One HTTP/2 connection: reads, has answered, sends; until it is closed.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::{Builder, Connection as Protocol, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request};
use tokio::io::ReadBuf;

use super::deferred::{Deferred, Outcome};
use super::exchange::{Ending, Exchange, Progress, Source, Unread};
use super::frames::{GOAWAY_PROTOCOL_ERROR, PREFACE, Screen};
use super::request::{check, request_head};
use super::response::Heads;
use super::stream::{Handle, Io};
use super::{HEADER_LIST_LENGTH_DECODED_MAX, STREAMS_MAX};
use crate::http::access_log::{AccessLog, Record};
use crate::http::answer::Answer;
use crate::http::closing::Closing;
use crate::http::record::{Answered, Cut};
use crate::http::reply::Reply;
use crate::http::request::Method;
use crate::http::slice::Slice;
use crate::http::timer::{Timer, Wait};
use crate::http::transport::Transport;
use crate::http::worker::{Worker, give_way};
use crate::lifecycle::Phase;

/// Streams that a client resets before they are answered, in one turn. Their number over time is the screen's to bound.
const UNANSWERED_RESETS_MAX: usize = STREAMS_MAX as usize;

/// Serves a connection of which `input` has been read and nothing answered, until it is closed. `peer` is asked for the
/// access log only.
pub async fn serve<S: Transport + 'static>(
    mut stream: S,
    mut input: Vec<u8>,
    timer: Timer,
    peer: Option<SocketAddr>,
    worker: Rc<Worker>,
) {
    if !poll_fn(|context| poll_preface(&mut stream, &mut input, &timer, &worker, context)).await {
        return;
    }
    let io = Rc::new(RefCell::new(Io::new(stream, input, Screen::new(timer.now_seconds()))));
    match begin(&io) {
        Some(protocol) => {
            let mut connection = Connection::new(protocol, Rc::clone(&io), peer, timer, &worker);
            if poll_fn(|context| connection.poll(context)).await == Ended::Gone {
                return;
            }
        }
        None => io.borrow_mut().push(&GOAWAY_PROTOCOL_ERROR),
    }
    close(&io, &worker).await;
}

/// Sends what is left, and closes.
async fn close<S: Transport>(io: &Rc<RefCell<Io<S>>>, worker: &Rc<Worker>) {
    let timer = worker.timers.timer();
    let is_sent = poll_fn(|context| {
        let sent = io.borrow_mut().poll_send(context);
        match sent {
            Poll::Pending if timer.wait(Wait::Close, context) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
            Poll::Ready(sent) => Poll::Ready(sent.is_ok()),
        }
    });
    if is_sent.await {
        timer.stop();
        let mut closing = Closing::default();
        poll_fn(|context| closing.poll(io.borrow_mut().stream(), &timer, worker, context)).await;
    }
}

/// Reads until there is a whole preface, or what cannot become one. False if it does not come.
fn poll_preface<S: Transport>(
    stream: &mut S,
    input: &mut Vec<u8>,
    timer: &Timer,
    worker: &Worker,
    context: &mut Context<'_>,
) -> Poll<bool> {
    while input.len() < PREFACE.len() && PREFACE.starts_with(input) {
        let scratch = &mut *worker.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch.input);
        match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => input.extend_from_slice(buffer.filled()),
            Poll::Ready(_) => return Poll::Ready(false),
            Poll::Pending if timer.wait(Wait::Head, context) => return Poll::Ready(false),
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(true)
}

/// Has the `h2` crate write its SETTINGS and take the preface, which it never waits for.
fn begin<S: Transport>(io: &Rc<RefCell<Io<S>>>) -> Option<Protocol<Handle<S>, Bytes>> {
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

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// What is left is to be sent, and the stream to be closed.
    Closed,
    /// The client is gone, or takes nothing any more.
    Gone,
}

/// A connection whose preface has been read.
struct Connection<S> {
    protocol: Protocol<Handle<S>, Bytes>,
    io: Rc<RefCell<Io<S>>>,
    worker: Rc<Worker>,
    peer: Option<SocketAddr>,
    heads: Heads,
    /// Answers under way.
    exchanges: Vec<Exchange>,
    /// Answers that are being made.
    deferred: Vec<Deferred>,
    /// What is to be recorded at the end of a round.
    answered: Vec<Answered>,
    has_answered: bool,
    /// Whether the client has been told that the connection is going to end.
    is_ending: bool,
    /// How long a head, or the preface, takes.
    head_timer: Timer,
    /// Everything else that is waited for.
    timer: Timer,
}

impl<S: Transport> Connection<S> {
    fn new(
        protocol: Protocol<Handle<S>, Bytes>,
        io: Rc<RefCell<Io<S>>>,
        peer: Option<SocketAddr>,
        head_timer: Timer,
        worker: &Rc<Worker>,
    ) -> Self {
        Self {
            protocol,
            io,
            peer,
            heads: Heads::default(),
            exchanges: Vec::new(),
            deferred: Vec::new(),
            answered: Vec::new(),
            has_answered: false,
            is_ending: false,
            head_timer,
            timer: worker.timers.timer(),
            worker: Rc::clone(worker),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        self.io.borrow_mut().begin(context);
        let mut slice = Slice::default();
        let mut is_first = true;
        loop {
            let goes_on = match self.round(&mut slice, is_first, context) {
                Ok(goes_on) => goes_on,
                Err(ended) => return Poll::Ready(ended),
            };
            if !goes_on {
                break;
            }
            is_first = false;
            if slice.requests() == 0 {
                give_way(context);
                break;
            }
        }
        self.io.borrow_mut().compact();
        if let Some(log) = &self.worker.shared.access_log {
            log.flush();
        }
        self.wait(context)
    }

    /// Reads once, answers what that brought, and sends. Whether there is anything more to be done.
    fn round(&mut self, slice: &mut Slice, is_first: bool, context: &mut Context<'_>) -> Result<bool, Ended> {
        let now_seconds = self.timer.now_seconds();
        let (has_read, has_come) = self.read(now_seconds, context)?;
        if !is_first && !has_come && self.exchanges.is_empty() && self.deferred.is_empty() {
            return Ok(false);
        }
        let is_open = self.answer(slice, now_seconds);
        self.begin_to_end();
        self.go_on(slice, now_seconds, context);
        let is_open = is_open && self.protocol.poll_closed(&mut nobody()).is_pending();
        let io = &mut *self.io.borrow_mut();
        for _ in 0..std::mem::take(&mut io.resets) {
            if io.screen.reset(now_seconds).is_err() {
                self.protocol.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
        }
        if let Poll::Ready(Err(_)) = io.poll_send(context) {
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
    fn read(&mut self, now_seconds: u32, context: &mut Context<'_>) -> Result<(bool, bool), Ended> {
        let io = &mut *self.io.borrow_mut();
        let scratch = &mut *self.worker.scratch.borrow_mut();
        let has_read = match io.poll_fill(&mut scratch.input, context) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => return Err(Ended::Gone),
            Poll::Pending => false,
        };
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
    fn answer(&mut self, slice: &mut Slice, now_seconds: u32) -> bool {
        let mut started = None;
        let is_open = loop {
            if slice.requests() == 0 {
                break true;
            }
            match self.protocol.poll_accept(&mut nobody()) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    slice.answered(1);
                    self.has_answered = true;
                    // A connection that has asked is idle from then on.
                    self.timer.stop();
                    let started = *started.get_or_insert_with(Instant::now);
                    self.respond(request, respond, now_seconds, started);
                }
                Poll::Ready(Some(Err(_)) | None) => break false,
                Poll::Pending => break true,
            }
        };
        if let Some(started) = started {
            self.io.borrow_mut().screen.answered(self.answered.len() as u32);
            let took = started.elapsed();
            for answered in self.answered.drain(..) {
                self.worker.shared.metrics.record(&Answered { took, ..answered });
            }
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
            Answer::Scrape | Answer::Admin(_) => {
                self.deferred
                    .push(Deferred::new(&request, self.peer, &worker, respond, unread));
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
        self.answered.push(answered);
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
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        let now_seconds = self.timer.now_seconds();
        let (is_blocked, is_in_head) = {
            let io = self.io.borrow();
            (io.is_blocked(), io.screen.is_in_head(io.has_rest()))
        };
        if is_blocked {
            // What the client does not take is what is waited for, and nothing is read meanwhile.
            self.head_timer.stop();
            return self.wait_for_socket(now_seconds, context);
        }
        self.timer.all_sent();
        if !is_in_head {
            self.head_timer.stop();
        } else if self.head_timer.wait(Wait::Head, context) {
            return self.end(Reason::ENHANCE_YOUR_CALM);
        }
        if self.exchanges.is_empty() && self.deferred.is_empty() {
            self.wait_for_request(context)
        } else {
            self.wait_for_streams(now_seconds, context)
        }
    }

    fn wait_for_request(&mut self, context: &Context<'_>) -> Poll<Ended> {
        // One that has been told so has only to say that it has heard.
        let is_stopping = self.worker.shared.lifecycle.phase() == Phase::Stopping;
        let wait = if is_stopping { Wait::Close } else { Wait::Request };
        if self.timer.wait(wait, context) {
            self.end(Reason::NO_ERROR)
        } else {
            Poll::Pending
        }
    }

    /// The client does not take what is sent. Broken off is all of it: what has been handed over cannot be taken back.
    fn wait_for_socket(&mut self, now_seconds: u32, context: &mut Context<'_>) -> Poll<Ended> {
        let io = &mut *self.io.borrow_mut();
        let mut cut = self
            .timer
            .wait_to_send(|| io.stream().untaken_length(), || None, context);
        for exchange in &mut self.exchanges {
            if let Some(Ending::Cut(why)) = exchange.wait(true, &self.worker, now_seconds, context) {
                cut = Some(why);
            }
        }
        let Some(cut) = cut else { return Poll::Pending };
        self.worker.shared.metrics.cut(cut);
        io.stream().reset();
        Poll::Ready(Ended::Gone)
    }

    /// Ends the exchanges that are not waited for any longer; if no other goes on, the connection.
    fn wait_for_streams(&mut self, now_seconds: u32, context: &mut Context<'_>) -> Poll<Ended> {
        self.timer.stop();
        let worker = &self.worker;
        let mut cut = None;
        let ended = self.exchanges.extract_if(.., |exchange| {
            match exchange.wait(false, worker, now_seconds, context) {
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
            return Poll::Pending;
        }
        if cut == Some(Cut::Slow) && self.exchanges.is_empty() && self.deferred.is_empty() {
            return self.end(Reason::ENHANCE_YOUR_CALM);
        }
        // What that brings about has to be sent.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Says why the connection ends, as far as that can be said at once.
    fn end(&mut self, reason: Reason) -> Poll<Ended> {
        self.protocol.abrupt_shutdown(reason);
        let _ = self.protocol.poll_closed(&mut nobody());
        Poll::Ready(Ended::Closed)
    }

    /// Goes on with the answers that are under way.
    fn go_on(&mut self, slice: &mut Slice, now_seconds: u32, context: &mut Context<'_>) {
        for deferred in std::mem::take(&mut self.deferred) {
            match deferred.poll(&mut self.heads, &self.worker, now_seconds, context) {
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
            .retain_mut(|exchange| exchange.poll(&mut room, now_seconds, context) == Progress::Waits);
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

fn log_access(log: &AccessLog, peer: Option<SocketAddr>, fields: &HeaderMap, answered: &Answered, took: Duration) {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let forwarded_for: Vec<String> = fields.get_all("x-forwarded-for").iter().filter_map(text).collect();
    log.write(&Record {
        method: answered.method.label(),
        route: answered.route,
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
