//! The stream under the application: replays what was read before, and lets through what the application is to see.
//!
//! actix-http reads heads by limits of its own, wider than Janus's, and answers what it refuses without a word. So every
//! head of a connection passes here first, for as long as the connection lives: it is read by the same [`framing`] as
//! the lane's, and written anew: with the path and the query that an answer depends on, and without the fields that frame a
//! body or ask something of the connection. What is
//! refused is replaced by a request of the guard's own, in its place among the others, which the application answers
//! with the problem ([`Connection::take_refusal`]). After a request that ends the connection nothing is let through.
//!
//! [`framing`]: super::framing

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::closing::Closing;
use super::framing::{Head, Reading, read, storage};
use super::problem::Problem;
use super::slice::Slice;
use super::timer::{Timer, Wait};
use super::transport::Transport;
use super::worker::{Worker, give_way};
use crate::ledger::Entry;
use crate::lifecycle::Phase;

/// What the guard and the application tell each other about one connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// Requests that were let through.
    passed_count: Cell<u64>,
    /// Requests that the application was asked.
    asked_count: Cell<u64>,
    /// The request that stands for one that was refused, by its number, and why.
    refused: Cell<Option<(u64, Problem)>>,
    /// Whether the request that was let through last is the last one.
    closes: Cell<bool>,
    /// The memory that the present answer's body is a part of.
    held: RefCell<Option<Entry>>,
    /// Requests whose answer has not been taken yet.
    in_flight_count: Cell<u32>,
    /// The connection's task, where it waits for an answer to be taken.
    waits: RefCell<Option<Waker>>,
}

impl Connection {
    /// To be called once for each request: why it is refused, if it is.
    pub fn take_refusal(&self) -> Option<Problem> {
        self.asked_count.set(self.asked_count.get() + 1);
        let (number, problem) = self.refused.get()?;
        (number == self.asked_count.get()).then_some(problem)
    }

    /// Whether the connection is to be closed after the answer to the request that was let through last.
    pub fn closes(&self) -> bool {
        self.closes.get()
    }

    /// Whether every request that was let through has been answered, and its answer taken.
    fn is_answered(&self) -> bool {
        self.asked_count.get() == self.passed_count.get() && self.in_flight_count.get() == 0
    }

    /// Takes note of the memory that the present answer's body is a part of.
    pub fn hold(&self, memory: Option<Entry>) {
        *self.held.borrow_mut() = memory;
    }

    /// Counts a request as in flight until the guard is dropped.
    pub fn request(self: &Rc<Self>) -> InFlight {
        self.in_flight_count.set(self.in_flight_count.get() + 1);
        InFlight(Rc::clone(self))
    }
}

/// A request that goes on.
#[derive(Debug)]
pub struct InFlight(Rc<Connection>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight_count.set(self.0.in_flight_count.get() - 1);
        self.0.hold(None);
        if let Some(waker) = self.0.waits.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// A stream whose requests are read before the application reads them.
#[derive(Debug)]
pub struct Guard<S> {
    stream: S,
    worker: Rc<Worker>,
    timer: Timer,
    connection: Rc<Connection>,
    state: State,
    /// What was read and is not let through yet.
    input: Vec<u8>,
    /// What the application may read.
    passed: Vec<u8>,
    /// Whether the client does not take what is sent.
    is_blocked: bool,
    /// What is left of the connection's turn.
    slice: Slice,
    /// Where the turn is over: until the others have had theirs.
    pause: Option<Arc<Pause>>,
    closing: Closing,
}

/// The others' turn: what it ends by is told from whatever else wakes the task.
#[derive(Debug)]
struct Pause {
    /// Relaxed throughout: one thread writes and reads it.
    is_over: AtomicBool,
    waker: Waker,
}

impl Wake for Pause {
    fn wake(self: Arc<Self>) {
        self.is_over.store(true, Ordering::Relaxed);
        self.waker.wake_by_ref();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A head comes next.
    Head,
    /// Nothing comes any more.
    Ended,
}

impl<S> Guard<S> {
    /// Goes on with a connection of which `input` has been read.
    pub fn new(stream: S, input: Vec<u8>, timer: Timer, worker: Rc<Worker>) -> Self {
        Self {
            stream,
            worker,
            timer,
            connection: Rc::default(),
            state: State::Head,
            input,
            passed: Vec::new(),
            is_blocked: false,
            slice: Slice::default(),
            pause: None,
            closing: Closing::default(),
        }
    }

    /// What the application is told of the connection.
    pub fn connection(&self) -> Rc<Connection> {
        Rc::clone(&self.connection)
    }

    /// Lets through what may be let through of what was read. False if more must be read.
    fn pass(&mut self) -> bool {
        match self.state {
            State::Head => self.pass_head(),
            State::Ended => true,
        }
    }

    fn pass_head(&mut self) -> bool {
        let mut fields = storage();
        let (length, state) = match read(&self.input, &mut fields) {
            Reading::Partial => return false,
            Reading::Refused(problem) => {
                self.refuse(problem);
                return true;
            }
            Reading::Whole(head) => {
                let state = self.after(&head);
                write_head(&head, &mut self.passed);
                (head.length, state)
            }
        };
        self.input.drain(..length);
        self.timer.stop();
        self.slice.answered(1);
        self.state = state;
        self.connection.closes.set(state == State::Ended);
        self.connection.passed_count.set(self.connection.passed_count.get() + 1);
        true
    }

    /// What comes after a request. While the server drains every answer ends its connection.
    fn after(&self, head: &Head<'_, '_>) -> State {
        if head.is_last() || self.worker.shared.lifecycle.is_draining() {
            State::Ended
        } else {
            State::Head
        }
    }

    /// Has the application answer with a problem, and ends.
    fn refuse(&mut self, problem: Problem) {
        let number = self.connection.passed_count.get() + 1;
        self.connection.refused.set(Some((number, problem)));
        let line: &[u8] = if self.input.starts_with(b"HEAD ") {
            b"HEAD"
        } else {
            b"GET"
        };
        self.passed.extend_from_slice(line);
        self.passed.extend_from_slice(b" / HTTP/1.1\r\nhost: janus\r\n\r\n");
        self.connection.closes.set(true);
        self.input.clear();
        self.state = State::Ended;
    }

    /// Whether it is the others' turn, since `rest` of this one is nothing. The task is woken when it is this one's again, with
    /// a whole slice; actix-http may poll it before.
    fn gives_way(&mut self, rest: fn(&Slice) -> usize, context: &Context<'_>) -> bool {
        match &self.pause {
            Some(pause) if !pause.is_over.load(Ordering::Relaxed) => return true,
            Some(_) => {
                self.pause = None;
                self.slice = Slice::default();
            }
            None if rest(&self.slice) == 0 => {
                let pause = Arc::new(Pause {
                    is_over: AtomicBool::new(false),
                    waker: context.waker().clone(),
                });
                give_way(&mut Context::from_waker(&Arc::clone(&pause).into()));
                self.pause = Some(pause);
                return true;
            }
            None => {}
        }
        false
    }

    /// Whether a piece of a head has come.
    fn is_in_head(&self) -> bool {
        self.state == State::Head && !self.input.is_empty()
    }

    fn waits_for(&self) -> Wait {
        if self.is_in_head() { Wait::Head } else { Wait::Request }
    }

    /// Nothing has come: ready if it has been waited for long enough, or need not be waited for.
    fn wait(&mut self, context: &Context<'_>) -> Poll<()> {
        // As long as the client does not take what is sent, that is what is waited for.
        let is_over = !self.is_blocked && {
            self.timer.all_sent();
            self.timer.wait(self.waits_for(), context)
        };
        if self.is_in_head() {
            if is_over {
                self.refuse(Problem::RequestTimeout);
                return Poll::Ready(());
            }
            return Poll::Pending;
        }
        let is_stopping = self.worker.shared.lifecycle.phase() == Phase::Stopping;
        if is_over || is_stopping && self.connection.in_flight_count.get() == 0 {
            self.state = State::Ended;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// Writes a head anew, for a parser that is to see a request and nothing about its connection. It has no more fields than
/// before: actix-http takes as many as Janus does, and not one more.
fn write_head(head: &Head<'_, '_>, out: &mut Vec<u8>) {
    const LEFT_OUT: [&str; 5] = ["connection", "content-length", "expect", "transfer-encoding", "upgrade"];
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    let request = &head.request;
    match request.path {
        // CONNECT names no path.
        b"" => out.extend_from_slice(head.target.as_bytes()),
        path => out.extend_from_slice(path),
    }
    if let Some(query) = request.query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(if head.is_http_11 {
        b" HTTP/1.1\r\n"
    } else {
        b" HTTP/1.0\r\n"
    });
    for field in head.fields {
        if LEFT_OUT.iter().any(|name| field.name.eq_ignore_ascii_case(name)) {
            continue;
        }
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    if !head.is_http_11 && head.method == "POST" {
        // In the place of the client's, without which actix-http refuses it.
        out.extend_from_slice(b"content-length: 0\r\n");
    }
    if !head.is_http_11 && !head.closes {
        // In the place of the client's, without which it would be closed.
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

impl<S: Transport> Guard<S> {
    /// Reads more, the end of the stream too.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let scratch = &mut *self.worker.scratch.borrow_mut();
        let mut read = ReadBuf::new(&mut scratch.input);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
        self.input.extend_from_slice(read.filled());
        if read.filled().is_empty() {
            self.state = State::Ended;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes note of how sending goes. Fails if the connection is to be cut.
    fn sent(&mut self, sent: Poll<io::Result<usize>>, context: &Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = sent {
            self.slice.sent(length);
        }
        self.is_blocked = sent.is_pending();
        if self.is_blocked {
            let held = || self.connection.held.borrow().clone();
            if let Some(cut) = self.timer.wait_to_send(|| self.stream.untaken_length(), held, context) {
                self.worker.shared.metrics.cut(cut);
                self.stream.reset();
                return Poll::Ready(Err(cut.error_kind().into()));
            }
            return sent;
        }
        if self.timer.is_sending() {
            // More of the answer may wait, so its time goes on.
            if let Poll::Ready(Ok(length)) = sent {
                self.timer.sent(length);
            }
            return sent;
        }
        // The application may not read again before something comes, so what is waited for now is written down here.
        if !self.is_in_head() {
            self.timer.stop();
        }
        self.timer.wait(self.waits_for(), context);
        sent
    }

    /// All that there was has been sent; more is to come only where a request is still in flight.
    fn flushed(&mut self, context: &Context<'_>) {
        self.is_blocked = false;
        if self.timer.is_sending() && self.connection.in_flight_count.get() == 0 {
            self.timer.all_sent();
            self.timer.wait(self.waits_for(), context);
        }
    }
}

impl<S: Transport> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // One at a time: actix-http writes each answer in the version and for the method of the head it read last.
        if this.state == State::Head && this.passed.is_empty() && !this.connection.is_answered() {
            *this.connection.waits.borrow_mut() = Some(context.waker().clone());
            return Poll::Pending;
        }
        if this.state == State::Head && this.passed.is_empty() && this.gives_way(Slice::requests, context) {
            return Poll::Pending;
        }
        while this.passed.is_empty() && !this.pass() {
            if this.poll_fill(context)?.is_pending() {
                this.slice = Slice::default();
                ready!(this.wait(context));
            }
        }
        let length = this.passed.len().min(buffer.remaining());
        buffer.put_slice(&this.passed[..length]);
        this.passed.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.gives_way(Slice::length, context) {
            return Poll::Pending;
        }
        let sent = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.sent(sent, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.gives_way(Slice::length, context) {
            return Poll::Pending;
        }
        let sent = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.sent(sent, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.flushed(context);
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.closing
            .poll(&mut this.stream, &this.timer, &this.worker, context)
            .map(Ok)
    }
}
