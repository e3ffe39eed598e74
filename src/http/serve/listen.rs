//! Sockets: listeners, a loop a thread, and the clock of all loops.
//!
//! A loop waits in one place, in the kernel, for connections to accept, for its own connections and for its mailbox, and without
//! a limit of time: a limit would have the kernel arm a timer for each wait.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use mio::event::Event;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};

use super::event_loop::{EventLoop, Ready};
use super::mailbox::{Mail, Mailbox};
use super::worker::{Shared, date_line};
use crate::exit;
use crate::lifecycle::{Lifecycle, Phase};

/// Connections that the kernel holds until a loop takes them.
const BACKLOG: i32 = 4096;

/// Connections that a loop takes at once, before it looks at those that it has.
const ACCEPTED_MAX: usize = 64;

/// Events that one wait tells of at the most.
const EVENTS_MAX: usize = 1024;

const LISTENER: Token = Token(usize::MAX - 1);
const MAILBOX: Token = Token(usize::MAX - 2);

/// How long no connection is taken when the system has no room for one.
const REST: Duration = Duration::from_millis(100);

/// A bound socket and what is served on it.
#[derive(Debug)]
pub struct Listener {
    /// For logs and threads' names: `main` or `admin`.
    pub name: &'static str,
    /// The socket.
    pub socket: TcpListener,
    /// What is served.
    pub shared: Shared,
    /// How many loops serve it.
    pub loops: usize,
    /// Connections that it takes at the most; the next ones wait to be accepted.
    pub connections_max: usize,
}

/// Binds a listening socket.
///
/// # Errors
///
/// What the kernel says: mostly that the port is taken or privileged.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A server that is started again must not wait for the connections of the one before it to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // What is accepted has it from here, on Linux.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The loops of all listeners.
#[derive(Debug)]
pub struct Server {
    lifecycle: Arc<Lifecycle>,
    mailboxes: Vec<Arc<Mailbox>>,
    loops: Vec<JoinHandle<()>>,
    /// Disconnected once all loops have ended.
    ended: Receiver<()>,
    /// Dropped to end the clock.
    _clock: Sender<()>,
}

impl Server {
    /// Starts the loops of these listeners.
    ///
    /// Each listener has loops of its own, so that a main listener that has no room left, or no time, leaves probes and
    /// metrics alone.
    ///
    /// # Errors
    ///
    /// What the kernel says of a socket or a thread.
    pub fn start(listeners: Vec<Listener>, lifecycle: &Arc<Lifecycle>) -> io::Result<Self> {
        let (running, ended) = channel();
        let mut mailboxes = Vec::new();
        let mut loops = Vec::new();
        for listener in listeners {
            let team = Team::new(listener.loops);
            for number in 0..listener.loops {
                let poll = Poll::new()?;
                let waker = Arc::new(Waker::new(poll.registry(), MAILBOX)?);
                team.wakers.lock().push(Arc::clone(&waker));
                // One that cannot be woken has ended.
                let mailbox = Mailbox::new(move || drop(waker.wake()));
                let driver = Start {
                    socket: mio::net::TcpListener::from_std(listener.socket.try_clone()?),
                    poll,
                    number,
                    team: Arc::clone(&team),
                    connections_max: listener.connections_max.div_ceil(listener.loops),
                    shared: listener.shared.clone(),
                    mailbox: Arc::clone(&mailbox),
                };
                let running = running.clone();
                let run = move || {
                    driver.run();
                    drop(running);
                };
                let name = format!("janus-{}-{number}", listener.name);
                loops.push(thread::Builder::new().name(name).spawn(run)?);
                mailboxes.push(mailbox);
            }
        }
        let told = mailboxes.clone();
        lifecycle.on_advance(move || told.iter().for_each(|mailbox| mailbox.push(Mail::Phase)));
        let (clock, stopped) = channel();
        let told = mailboxes.clone();
        thread::Builder::new()
            .name("janus-clock".to_owned())
            .spawn(move || tick(&told, &stopped))?;
        Ok(Self {
            lifecycle: Arc::clone(lifecycle),
            mailboxes,
            loops,
            ended,
            _clock: clock,
        })
    }

    /// Stops: no connection is taken any more, and those that there are have so long to end.
    pub fn stop(self, timeout: Duration) {
        self.lifecycle.advance(Phase::Stopping);
        if self.ended.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
            for mailbox in &self.mailboxes {
                mailbox.push(Mail::End);
            }
        }
        for running in self.loops {
            if running.join().is_err() {
                tracing::warn!("a loop has ended by a panic");
            }
        }
    }
}

/// Tells all loops the time, once a second.
fn tick(mailboxes: &[Arc<Mailbox>], stopped: &Receiver<()>) {
    let started = Instant::now();
    for now_seconds in 1.. {
        let next = started + Duration::from_secs(u64::from(now_seconds));
        let wait = next.saturating_duration_since(Instant::now());
        if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let date = date_line(SystemTime::now());
        for mailbox in mailboxes {
            mailbox.push(Mail::Tick { now_seconds, date });
        }
    }
}

/// The loops of one listener, which share its connections out.
#[derive(Debug)]
struct Team {
    members: Vec<Member>,
    wakers: Mutex<Vec<Arc<Waker>>>,
}

#[derive(Debug, Default)]
struct Member {
    /// How many connections it has, those included that it has not taken yet.
    connections: AtomicUsize,
    /// Connections that another loop has accepted for it.
    given: Mutex<Vec<TcpStream>>,
}

impl Team {
    fn new(loops: usize) -> Arc<Self> {
        Arc::new(Self {
            members: (0..loops).map(|_| Member::default()).collect(),
            wakers: Mutex::default(),
        })
    }

    /// Who is to have a connection that `number` has accepted: who has the fewest, and `number` if it has no more.
    fn next(&self, number: usize) -> usize {
        // Relaxed: a count that is a moment old makes the loops a little less even.
        let count = |member: &Member| member.connections.load(Ordering::Relaxed);
        let own = count(&self.members[number]);
        let others = self.members.iter().map(count).enumerate();
        let (fewest, least) = others.min_by_key(|&(_, count)| count).unwrap_or((number, own));
        if least < own { fewest } else { number }
    }
}

/// What a loop's thread begins with.
struct Start {
    socket: mio::net::TcpListener,
    poll: Poll,
    number: usize,
    team: Arc<Team>,
    connections_max: usize,
    shared: Shared,
    mailbox: Arc<Mailbox>,
}

impl Start {
    fn run(self) {
        let Self {
            socket,
            poll,
            number,
            team,
            connections_max,
            shared,
            mailbox,
        } = self;
        let mut driver = Driver {
            event_loop: EventLoop::new(shared, mailbox),
            socket: Some(socket),
            poll,
            number,
            team,
            connections_max,
            is_watching: false,
            has_backlog: false,
            rests_until: None,
            new: Vec::new(),
        };
        if let Err(error) = driver.run() {
            // Nobody would answer: whoever has started this process is to start it anew.
            tracing::error!(%error, "a loop cannot go on");
            std::process::exit(i32::from(exit::SOFTWARE));
        }
    }
}

/// Drives a loop by what the kernel tells.
struct Driver {
    event_loop: EventLoop<TcpStream>,
    /// The listener, until the server stops.
    socket: Option<mio::net::TcpListener>,
    poll: Poll,
    number: usize,
    team: Arc<Team>,
    connections_max: usize,
    /// Whether the kernel tells of new connections.
    is_watching: bool,
    /// Whether there may be connections to take that the kernel does not tell of again.
    has_backlog: bool,
    /// Until when none are taken, since the system has no room for them.
    rests_until: Option<Instant>,
    /// Connections that have not had a turn, and their descriptors: many are over with it, and need not be watched.
    new: Vec<(usize, RawFd)>,
}

impl Driver {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.event_loop.is_over() || self.socket.is_some() {
            self.watch_listener()?;
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.event_loop.wakes();
            for event in &events {
                match event.token() {
                    LISTENER => self.has_backlog = true,
                    MAILBOX => {
                        self.event_loop.reads_mail();
                        self.take_given();
                    }
                    Token(key) => self.event_loop.is_told(key, ready(event)),
                }
            }
            if self.has_backlog {
                self.accept();
            }
            if self.event_loop.is_stopping() {
                self.stop_listening();
            }
            self.event_loop.round();
            self.watch_new()?;
            self.team.members[self.number].count(self.event_loop.connections_count());
        }
        Ok(())
    }

    /// How long may be waited for something to happen.
    fn timeout(&self) -> Option<Duration> {
        if self.event_loop.has_work() || self.has_backlog {
            return Some(Duration::ZERO);
        }
        let until = self.rests_until?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// Has the kernel tell of new connections as long as there is room for them.
    fn watch_listener(&mut self) -> io::Result<()> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        if self.rests_until.is_some_and(|until| until <= Instant::now()) {
            self.rests_until = None;
        }
        let has_room = self.event_loop.connections_count() < self.connections_max && self.rests_until.is_none();
        if has_room != self.is_watching {
            self.is_watching = has_room;
            if has_room {
                watch(&self.poll, socket)?;
            } else {
                self.has_backlog = false;
                unwatch(&self.poll, socket)?;
            }
        }
        Ok(())
    }

    /// Takes some of the connections that wait to be taken.
    fn accept(&mut self) {
        for _ in 0..ACCEPTED_MAX {
            let (Some(socket), true) = (&self.socket, self.event_loop.connections_count() < self.connections_max)
            else {
                break;
            };
            match socket.accept() {
                Ok((stream, _)) => self.give(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.has_backlog = false;
                    return;
                }
                // It was gone before it was taken.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted for now");
                    self.has_backlog = false;
                    self.rests_until = Some(Instant::now() + REST);
                    return;
                }
            }
        }
    }

    /// Gives a connection to the loop that has the fewest.
    fn give(&mut self, stream: TcpStream) {
        // What is accepted is as the listener is, on Linux.
        #[cfg(not(target_os = "linux"))]
        let _ = stream.set_nodelay(true);
        let next = self.team.next(self.number);
        if next == self.number {
            self.open(stream);
            return;
        }
        let member = &self.team.members[next];
        // Relaxed: see `Team::next`.
        member.connections.fetch_add(1, Ordering::Relaxed);
        member.given.lock().push(stream);
        let waker = Arc::clone(&self.team.wakers.lock()[next]);
        // One that cannot be woken has ended, and its connections with it.
        let _ = waker.wake();
    }

    fn open(&mut self, stream: TcpStream) {
        let descriptor = stream.as_raw_fd();
        let key = self.event_loop.open(stream);
        self.new.push((key, descriptor));
        self.team.members[self.number].count(self.event_loop.connections_count());
    }

    fn take_given(&mut self) {
        let given = std::mem::take(&mut *self.team.members[self.number].given.lock());
        for stream in given {
            self.open(stream);
        }
    }

    /// Has the kernel tell of the connections that have had their first turn and are still there.
    fn watch_new(&mut self) -> io::Result<()> {
        for (key, descriptor) in self.new.drain(..) {
            if self.event_loop.has(key) {
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll
                    .registry()
                    .register(&mut SourceFd(&descriptor), Token(key), interest)?;
            }
        }
        Ok(())
    }

    /// Takes who has come before the server stopped, and then nobody any more.
    fn stop_listening(&mut self) {
        if self.socket.is_none() {
            return;
        }
        self.has_backlog = true;
        while self.has_backlog && self.event_loop.connections_count() < self.connections_max {
            self.accept();
        }
        self.has_backlog = false;
        self.rests_until = None;
        self.socket = None;
        self.take_given();
    }
}

/// What an event says of a socket.
fn ready(event: &Event) -> Ready {
    if event.is_read_closed() || event.is_error() {
        Ready::ReadToEnd
    } else if event.is_readable() {
        Ready::Read
    } else {
        Ready::Write
    }
}

impl Member {
    fn count(&self, connections: usize) {
        // Relaxed: see `Team::next`.
        self.connections.store(connections, Ordering::Relaxed);
    }
}

/// Has one of the loops that wait told of a new connection, and not all of them.
#[cfg(target_os = "linux")]
fn watch(poll: &Poll, socket: &mut mio::net::TcpListener) -> io::Result<()> {
    use rustix::event::epoll::{EventData, EventFlags, add};

    let data = EventData::new_u64(LISTENER.0 as u64);
    add(poll.registry(), &*socket, data, EventFlags::IN | EventFlags::EXCLUSIVE)?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn unwatch(poll: &Poll, socket: &mut mio::net::TcpListener) -> io::Result<()> {
    rustix::event::epoll::delete(poll.registry(), &*socket)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn unwatch(poll: &Poll, socket: &mut mio::net::TcpListener) -> io::Result<()> {
    poll.registry().deregister(socket)
}

#[cfg(not(target_os = "linux"))]
fn watch(poll: &Poll, socket: &mut mio::net::TcpListener) -> io::Result<()> {
    poll.registry().register(socket, LISTENER, Interest::READABLE)
}
