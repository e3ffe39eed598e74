//! The floor: what the kernel's TCP costs. One thread on epoll counts the ends of request heads and answers each with
//! the same bytes, whatever was asked. Use: `floor ADDRESS FILE`, the file being a whole answer, head and body.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use memchr::memmem::Finder;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with, sockopt};

/// Below this length answers are laid out one after the other beforehand, so that many leave in one write.
const SMALL: usize = 16 * 1024;
const BATCH: usize = 64;

/// What ends a request's head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The event of the listening socket; those of connections are their descriptors.
const LISTENER: u64 = u64::MAX;

struct Connection {
    socket: OwnedFd,
    /// The last bytes read: an end of a head may be split over two reads.
    tail: [u8; HEAD_END.len() - 1],
    tail_length: usize,
    /// Bytes that are still to be sent.
    owed: usize,
    awaits_writable: bool,
}

struct Floor {
    epoll: OwnedFd,
    /// One answer, or several in a row.
    answers: Vec<u8>,
    /// The length of one.
    length: usize,
    head_end: Finder<'static>,
    buffer: Vec<u8>,
    connections: HashMap<u64, Connection>,
}

impl Floor {
    fn accept(&mut self, listener: &OwnedFd) -> Result<(), Errno> {
        loop {
            let socket = match accept_with(listener, SocketFlags::NONBLOCK) {
                Err(Errno::AGAIN) => return Ok(()),
                accepted => accepted?,
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let key = socket.as_raw_fd() as u64;
            epoll::add(&self.epoll, &socket, EventData::new_u64(key), EventFlags::IN)?;
            let connection = Connection {
                socket,
                tail: [0; 3],
                tail_length: 0,
                owed: 0,
                awaits_writable: false,
            };
            self.connections.insert(key, connection);
        }
    }

    /// Serves one event of a connection, and drops the connection at its end.
    fn serve(&mut self, key: u64, flags: EventFlags) {
        let is_open = (!flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) || self.receive(key))
            && self.send(key);
        if !is_open {
            self.connections.remove(&key);
        }
    }

    /// Reads once and owes an answer for each head that ended. False at the end of the connection.
    fn receive(&mut self, key: u64) -> bool {
        let connection = self.connections.get_mut(&key).expect("an event is of a connection");
        let carried = connection.tail_length;
        self.buffer[..carried].copy_from_slice(&connection.tail[..carried]);
        let length = match read(&connection.socket, &mut self.buffer[carried..]) {
            Ok(0) | Err(_) => return false,
            Ok(length) => carried + length,
        };
        let bytes = &self.buffer[..length];
        let mut rest = 0;
        for start in self.head_end.find_iter(bytes) {
            connection.owed += self.length;
            rest = start + HEAD_END.len();
        }
        let tail = &bytes[rest.max(length.saturating_sub(3))..];
        connection.tail[..tail.len()].copy_from_slice(tail);
        connection.tail_length = tail.len();
        true
    }

    /// Writes what is owed, as far as the socket takes it. False at the end of the connection.
    fn send(&mut self, key: u64) -> bool {
        let connection = self.connections.get_mut(&key).expect("an event is of a connection");
        while connection.owed > 0 {
            // `owed` counts back from the end of an answer.
            let sent = (self.length - connection.owed % self.length) % self.length;
            let end = self.answers.len().min(sent + connection.owed);
            match write(&connection.socket, &self.answers[sent..end]) {
                Ok(written) => connection.owed -= written,
                Err(Errno::AGAIN) => break,
                Err(_) => return false,
            }
        }
        if connection.awaits_writable != (connection.owed > 0) {
            connection.awaits_writable = !connection.awaits_writable;
            // A client that does not read its answers is not read from either.
            let flags = if connection.awaits_writable {
                EventFlags::OUT
            } else {
                EventFlags::IN
            };
            return epoll::modify(&self.epoll, &connection.socket, EventData::new_u64(key), flags).is_ok();
        }
        true
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().ok_or("floor ADDRESS FILE")?.parse()?;
    let answer = std::fs::read(arguments.next().ok_or("floor ADDRESS FILE")?)?;
    let length = answer.len();
    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    bind(&listener, &address)?;
    listen(&listener, 4096)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut floor = Floor {
        epoll,
        answers: answer.repeat(if length < SMALL { BATCH } else { 1 }),
        length,
        head_end: Finder::new(HEAD_END),
        buffer: vec![0; 64 * 1024],
        connections: HashMap::new(),
    };
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    loop {
        events.clear();
        epoll::wait(&floor.epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            match event.data.u64() {
                LISTENER => floor.accept(&listener)?,
                key => floor.serve(key, event.flags),
            }
        }
    }
}
