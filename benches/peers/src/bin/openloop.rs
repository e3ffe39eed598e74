//! An open-loop generator: sends requests at fixed times, whatever the answers do, and measures each from the time it
//! was due, so that a server that stalls is charged for all that should have been sent meanwhile.
//!
//! Use: `openloop ADDRESS RATE SECONDS CONNECTIONS FILE`. The file holds whole request heads, one after the other, sent
//! in turn. Prints one line of JSON; latencies in microseconds. It never sleeps: give it a core of its own.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Instant;

use memchr::memmem;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use rustix::time::Timespec;

/// How long answers may be late after the last request was due, in nanoseconds.
const PATIENCE: u64 = 5_000_000_000;

struct Connection {
    socket: OwnedFd,
    /// When the request that is under way was due, in nanoseconds since the start.
    due: u64,
    received: Vec<u8>,
    /// The whole length of the answer, once its head is there.
    expected: Option<usize>,
    /// Bytes of it so far.
    length: usize,
}

#[derive(Default)]
struct Outcome {
    /// From due to answered, in nanoseconds.
    latencies: Vec<u64>,
    failed: usize,
    /// How late requests were sent at worst, in nanoseconds.
    late_max: u64,
    /// Requests that found all connections busy.
    waited: usize,
}

struct Generator {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    buffer: Vec<u8>,
    outcome: Outcome,
}

fn open(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::empty(), None)?;
    connect(&socket, &address)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

impl Generator {
    fn new(address: SocketAddr, connections: usize, requests: Vec<Vec<u8>>) -> Result<Self, Errno> {
        let mut generator = Self {
            address,
            requests,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            idle: (0..connections).rev().collect(),
            buffer: vec![0; 256 * 1024],
            outcome: Outcome::default(),
        };
        for index in 0..connections {
            let socket = open(address)?;
            generator.watch(&socket, index)?;
            generator.connections.push(Connection {
                socket,
                due: 0,
                received: Vec::new(),
                expected: None,
                length: 0,
            });
        }
        Ok(generator)
    }

    fn watch(&self, socket: &OwnedFd, index: usize) -> Result<(), Errno> {
        epoll::add(&self.epoll, socket, EventData::new_u64(index as u64), EventFlags::IN)
    }

    fn run(&mut self, rate: f64, seconds: f64) -> Result<f64, Errno> {
        let total = (rate * seconds) as usize;
        let due = |number: usize| (number as f64 * 1e9 / rate) as u64;
        let start = Instant::now();
        let now = || start.elapsed().as_nanos() as u64;
        let mut events: Vec<Event> = Vec::with_capacity(256);
        let (mut sent, end) = (0, due(total));
        while self.outcome.latencies.len() + self.outcome.failed < total && now() < end + PATIENCE {
            while sent < total && due(sent) <= now() {
                let Some(index) = self.idle.pop() else { break };
                self.outcome.late_max = self.outcome.late_max.max(now() - due(sent));
                self.send(index, sent, due(sent))?;
                sent += 1;
                if self.idle.is_empty() && sent < total && due(sent) <= now() {
                    self.outcome.waited += 1;
                }
            }
            events.clear();
            let no_wait = Timespec { tv_sec: 0, tv_nsec: 0 };
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&no_wait))?;
            for event in &events {
                self.receive(event.data.u64() as usize, &now)?;
            }
        }
        // What has not been answered by now never will be.
        self.outcome.failed += total - self.outcome.latencies.len() - self.outcome.failed;
        Ok(now() as f64 / 1e9)
    }

    fn send(&mut self, index: usize, number: usize, due: u64) -> Result<(), Errno> {
        let request = &self.requests[number % self.requests.len()];
        self.connections[index].due = due;
        match write(&self.connections[index].socket, request) {
            Ok(written) if written == request.len() => Ok(()),
            _ => self.fail(index),
        }
    }

    fn receive(&mut self, index: usize, now: impl Fn() -> u64) -> Result<(), Errno> {
        let connection = &mut self.connections[index];
        match read(&connection.socket, &mut self.buffer[..]) {
            Err(Errno::AGAIN) => return Ok(()),
            Ok(0) | Err(_) => return self.fail(index),
            Ok(length) => {
                connection.length += length;
                if connection.expected.is_none() {
                    connection.received.extend_from_slice(&self.buffer[..length]);
                    connection.expected = answer_length(&connection.received);
                }
            }
        }
        match connection.expected {
            Some(expected) if connection.length > expected => self.fail(index),
            Some(expected) if connection.length == expected => {
                if is_success(&connection.received) {
                    self.outcome.latencies.push(now() - connection.due);
                } else {
                    self.outcome.failed += 1;
                }
                connection.received.clear();
                connection.expected = None;
                connection.length = 0;
                self.idle.push(index);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Counts a failure and connects anew.
    fn fail(&mut self, index: usize) -> Result<(), Errno> {
        let was_idle = self.idle.contains(&index);
        let socket = open(self.address)?;
        self.watch(&socket, index)?;
        let connection = &mut self.connections[index];
        connection.socket = socket;
        connection.received.clear();
        connection.expected = None;
        connection.length = 0;
        if !was_idle {
            self.outcome.failed += 1;
            self.idle.push(index);
        }
        Ok(())
    }
}

fn is_success(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 200") || answer.starts_with(b"HTTP/1.1 304")
}

/// The length of head and body, once the head has ended.
fn answer_length(received: &[u8]) -> Option<usize> {
    let head = memmem::find(received, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let body = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    Some(head + body)
}

fn print(outcome: &mut Outcome, elapsed: f64) {
    outcome.latencies.sort_unstable();
    let count = outcome.latencies.len();
    let at = |share: f64| {
        let place = ((count as f64 * share).ceil() as usize).clamp(1, count.max(1)) - 1;
        outcome
            .latencies
            .get(place)
            .map_or(-1.0, |&latency| latency as f64 / 1e3)
    };
    println!(
        "{{\"answered\": {count}, \"failed\": {}, \"waited\": {}, \"seconds\": {elapsed:.3}, \"rate\": {:.0}, \
         \"late_us_max\": {:.1}, \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"p999_us\": {:.1}, \"max_us\": {:.1}}}",
        outcome.failed,
        outcome.waited,
        count as f64 / elapsed,
        outcome.late_max as f64 / 1e3,
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
    );
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, rate, seconds, connections, file] = &arguments[..] else {
        return Err("openloop ADDRESS RATE SECONDS CONNECTIONS FILE".into());
    };
    let text = std::fs::read(file)?;
    let mut requests = Vec::new();
    let mut start = 0;
    for end in memmem::find_iter(&text, b"\r\n\r\n") {
        requests.push(text[start..end + 4].to_vec());
        start = end + 4;
    }
    if requests.is_empty() || start != text.len() {
        return Err("the file must hold whole request heads".into());
    }
    let mut generator = Generator::new(address.parse()?, connections.parse()?, requests)?;
    let elapsed = generator.run(rate.parse()?, seconds.parse()?)?;
    print(&mut generator.outcome, elapsed);
    Ok(())
}
