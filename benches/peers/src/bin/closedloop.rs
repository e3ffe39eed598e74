//! A closed-loop generator for what wrk cannot do cheaply: a few requests a connection, and fields that change with each
//! request. It compares the status and every byte of each body.
//!
//! Use: `closedloop ADDRESS SECONDS CONNECTIONS PER_CONNECTION FILE BODY`. FILE holds a request's head. PER_CONNECTION
//! is 0 for connections that are kept; else the last request of each says `Connection: close`, and the next connection
//! is opened when the server has closed that one. Each `@@@@@@@@@@@@@@@@` in the head is a number in hexadecimal that
//! changes with each request. Prints one line of JSON. Exit code 1: an answer was another one, or a connection broke.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use memchr::memmem::{self, Finder};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use rustix::time::Timespec;

/// What stands for a number that changes.
const NUMBER: &[u8] = b"@@@@@@@@@@@@@@@@";
const KEPT: &str = "Connection: keep-alive\r\n";
const CLOSE: &str = "Connection: close\r\n";

/// How long a server may take for any one answer.
const PATIENCE: Duration = Duration::from_secs(10);

struct Head {
    bytes: Vec<u8>,
    numbers: Vec<usize>,
}

impl Head {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes().to_vec();
        let numbers = memmem::find_iter(&bytes, NUMBER).collect();
        Self { bytes, numbers }
    }

    /// Writes the number where it belongs.
    fn count(&mut self, number: u64) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for &at in &self.numbers {
            for (place, digit) in self.bytes[at..at + NUMBER.len()].iter_mut().rev().enumerate() {
                *digit = DIGITS[(number >> (4 * place) & 15) as usize];
            }
        }
    }
}

struct Connection {
    socket: OwnedFd,
    /// Requests that have been sent on it.
    sent: usize,
    received: Vec<u8>,
    /// The last answer has come: the server closes.
    is_over: bool,
}

struct Generator {
    address: SocketAddr,
    per_connection: usize,
    kept: Head,
    last: Head,
    body: Vec<u8>,
    head_end: Finder<'static>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    number: u64,
    answered: u64,
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn open(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::empty(), None)?;
    connect(&socket, &address)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

impl Generator {
    fn watch(&self, socket: &OwnedFd, index: usize) -> Result<(), Errno> {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, socket, EventData::new_u64(index as u64), flags)
    }

    fn connect(&self, index: usize) -> Result<Connection, Errno> {
        let socket = open(self.address)?;
        self.watch(&socket, index)?;
        Ok(Connection {
            socket,
            sent: 0,
            received: Vec::new(),
            is_over: false,
        })
    }

    fn send(&mut self, index: usize) -> Outcome {
        let connection = &mut self.connections[index];
        connection.sent += 1;
        self.number += 1;
        let head = if connection.sent == self.per_connection {
            &mut self.last
        } else {
            &mut self.kept
        };
        // Numbers that follow one another are spread, as ids are.
        head.count(self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let written = write(&connection.socket, &head.bytes)?;
        if written == head.bytes.len() {
            Ok(())
        } else {
            Err("a request was not taken whole".into())
        }
    }

    fn receive(&mut self, index: usize) -> Outcome {
        loop {
            let connection = &mut self.connections[index];
            let length = match read(&connection.socket, &mut self.buffer[..]) {
                Err(Errno::AGAIN) => return Ok(()),
                Ok(length) => length,
                Err(error) => return Err(format!("a connection broke: {error}").into()),
            };
            if length == 0 {
                if !connection.is_over {
                    return Err("the server closed a connection before its last answer".into());
                }
                self.connections[index] = self.connect(index)?;
                return self.send(index);
            }
            if connection.is_over {
                return Err("bytes came behind the last answer".into());
            }
            // Nearly always one read is one answer: then nothing is copied.
            let answer = if connection.received.is_empty() {
                &self.buffer[..length]
            } else {
                connection.received.extend_from_slice(&self.buffer[..length]);
                &connection.received
            };
            let end = self.head_end.find(answer).map(|at| at + b"\r\n\r\n".len());
            let Some(end) = end.filter(|end| answer.len() >= end + self.body.len()) else {
                if connection.received.is_empty() {
                    connection.received.extend_from_slice(&self.buffer[..length]);
                }
                continue;
            };
            if !answer.starts_with(b"HTTP/1.1 200 ") || answer[end..] != self.body[..] {
                return Err(format!("a wrong answer: {}", String::from_utf8_lossy(answer)).into());
            }
            connection.received.clear();
            self.answered += 1;
            if connection.sent == self.per_connection {
                connection.is_over = true;
                continue;
            }
            return self.send(index);
        }
    }

    fn run(&mut self, connections: usize, seconds: f64) -> Result<f64, Box<dyn std::error::Error>> {
        for index in 0..connections {
            let connection = self.connect(index)?;
            self.connections.push(connection);
        }
        let start = Instant::now();
        for index in 0..connections {
            self.send(index)?;
        }
        let mut events: Vec<Event> = Vec::with_capacity(256);
        while start.elapsed().as_secs_f64() < seconds {
            events.clear();
            let patience = Timespec {
                tv_sec: PATIENCE.as_secs() as i64,
                tv_nsec: 0,
            };
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&patience),
            )?;
            if events.is_empty() {
                return Err("no answer came".into());
            }
            for event in &events {
                self.receive(event.data.u64() as usize)?;
            }
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, seconds, connections, per_connection, file, body] = &arguments[..] else {
        return Err("closedloop ADDRESS SECONDS CONNECTIONS PER_CONNECTION FILE BODY".into());
    };
    let head = std::fs::read_to_string(file)?;
    let without = head.replace(KEPT, "");
    let last = without.replacen("\r\n", &format!("\r\n{CLOSE}"), 1);
    let mut generator = Generator {
        address: address.parse()?,
        per_connection: per_connection.parse()?,
        kept: Head::new(&head),
        last: Head::new(&last),
        body: std::fs::read(body)?,
        head_end: Finder::new(b"\r\n\r\n"),
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        connections: Vec::new(),
        buffer: vec![0; 256 * 1024],
        number: 0,
        answered: 0,
    };
    let elapsed = generator.run(connections.parse()?, seconds.parse()?)?;
    println!("{{\"requests\": {}, \"seconds\": {elapsed:.6}}}", generator.answered);
    Ok(())
}
