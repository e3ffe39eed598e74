//! The floor: the least that HTTP over the kernel's TCP costs. One thread on epoll counts the ends of request heads and
//! answers each with the same bytes, whatever was asked; only the date is written anew, once a second.
//!
//! It is the best that can be done, so that a ratio to it means something: sockets are registered once, by edge; connections
//! stand in a slab; no wait has a timeout, since a timeout arms a timer for each wait that blocks; connections are accepted
//! where they are served. A read that does not fill the buffer has emptied the socket, so it is not read again.
//!
//! Use: `floor ADDRESS FILE [LAST]`. FILE holds a whole answer, head and body. With LAST, a head that says
//! `Connection: close` is answered with that one, and the connection is closed behind it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memmem::{self, Finder};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with, sockopt};

/// Below this length answers are laid out one after the other beforehand, so that many leave in one write.
const SMALL: usize = 16 * 1024;
const BATCH: usize = 64;

/// `Thu, 01 Jan 1970 00:00:00 GMT`
const DATE_LENGTH: usize = 29;

/// What ends a request's head.
const HEAD_END: &[u8] = b"\r\n\r\n";
const CLOSE: &[u8] = b"\r\nConnection: close\r\n";

/// The event of the listening socket; those of connections are their places in the slab.
const LISTENER: u64 = u64::MAX;

struct Connection {
    socket: OwnedFd,
    /// The last bytes read: an end of a head may be split over two reads.
    tail: [u8; HEAD_END.len() - 1],
    tail_length: u8,
    is_readable: bool,
    /// The last answer is under way.
    is_last: bool,
    /// Bytes that are still to be sent.
    owed: usize,
}

/// An answer, several times in a row, and where its date stands.
struct Answers {
    bytes: Vec<u8>,
    /// The length of one.
    length: usize,
    date_at: Option<usize>,
}

impl Answers {
    fn read(path: &str, times: usize) -> std::io::Result<Self> {
        let answer = std::fs::read(path)?;
        let length = answer.len();
        Ok(Self {
            // A date of another length is not one, and stays.
            date_at: memmem::find(&answer, b"\r\ndate: ")
                .map(|at| at + b"\r\ndate: ".len())
                .filter(|at| {
                    answer
                        .get(at + DATE_LENGTH..)
                        .is_some_and(|rest| rest.starts_with(b"\r\n"))
                }),
            bytes: answer.repeat(if length < SMALL { times } else { 1 }),
            length,
        })
    }

    fn write_date(&mut self, date: &[u8]) {
        let Some(at) = self.date_at else { return };
        for answer in self.bytes.chunks_exact_mut(self.length) {
            if let Some(place) = answer.get_mut(at..at + date.len()) {
                place.copy_from_slice(date);
            }
        }
    }
}

struct Floor {
    epoll: OwnedFd,
    answers: Answers,
    /// What is said before a connection is closed, if connections are.
    last: Option<Answers>,
    second: i64,
    head_end: Finder<'static>,
    close: Finder<'static>,
    buffer: Vec<u8>,
    connections: Vec<Option<Connection>>,
    /// Places of the slab that nobody has.
    free: Vec<usize>,
}

impl Floor {
    fn accept(&mut self, listener: &OwnedFd) -> Result<(), Errno> {
        loop {
            let socket = match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED) => continue,
                accepted => accepted?,
            };
            let place = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.connections[place] = Some(Connection {
                socket,
                tail: [0; 3],
                tail_length: 0,
                is_readable: true,
                is_last: false,
                owed: 0,
            });
            // Nearly always the request has come too. A connection of one request is never registered.
            self.serve(place, EventFlags::empty());
            if let Some(connection) = &self.connections[place] {
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                epoll::add(&self.epoll, &connection.socket, EventData::new_u64(place as u64), flags)?;
            }
        }
    }

    /// Serves one event of a connection, and drops the connection at its end.
    fn serve(&mut self, place: usize, flags: EventFlags) {
        let Some(connection) = &mut self.connections[place] else {
            return;
        };
        connection.is_readable |=
            flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let may_hang_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let mut is_open = true;
        // A client that does not read its answers is not read from either.
        while is_open {
            if connection.owed > 0 {
                let answers = if connection.is_last { &self.last } else { &None };
                is_open = connection.send(answers.as_ref().unwrap_or(&self.answers));
                if connection.owed > 0 {
                    break;
                }
            }
            if !is_open || !connection.is_readable {
                break;
            }
            is_open = connection.receive(
                &mut self.buffer,
                &self.head_end,
                &self.close,
                self.answers.length,
                self.last.as_ref().map(|last| last.length),
                may_hang_up,
            );
        }
        if !is_open {
            self.connections[place] = None;
            self.free.push(place);
        }
    }

    /// Writes the date into the answers if another second has begun. By the standard library, which valgrind can follow: rustix
    /// looks for the clock in a page that is not there under it.
    fn tick(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let second = now.expect("it is after 1970").as_secs() as i64;
        if second != self.second {
            self.second = second;
            let date = httpdate(second);
            self.answers.write_date(date.as_bytes());
            if let Some(last) = &mut self.last {
                last.write_date(date.as_bytes());
            }
        }
    }
}

impl Connection {
    /// Reads once and owes an answer for each head that ended. False at the end of the connection.
    fn receive(
        &mut self,
        buffer: &mut [u8],
        head_end: &Finder<'_>,
        close: &Finder<'_>,
        length: usize,
        last_length: Option<usize>,
        may_hang_up: bool,
    ) -> bool {
        let carried = usize::from(self.tail_length);
        buffer[..carried].copy_from_slice(&self.tail[..carried]);
        let size = buffer.len() - carried;
        let received = match read(&self.socket, &mut buffer[carried..]) {
            Err(Errno::AGAIN) => {
                self.is_readable = false;
                return true;
            }
            Ok(0) | Err(_) => return false,
            Ok(received) => received,
        };
        // Another edge comes with the next bytes; the end of the stream has no edge of its own if it came with these.
        self.is_readable = received == size || may_hang_up;
        let bytes = &buffer[..carried + received];
        let mut rest = 0;
        for start in head_end.find_iter(bytes) {
            self.owed += length;
            rest = start + HEAD_END.len();
        }
        if let Some(last_length) = last_length
            && rest > 0
            && close.find(&bytes[..rest]).is_some()
        {
            // Where this is asked, requests come one by one.
            self.is_last = true;
            self.owed = last_length;
        }
        let tail = &bytes[rest.max(bytes.len().saturating_sub(3))..];
        self.tail[..tail.len()].copy_from_slice(tail);
        self.tail_length = tail.len() as u8;
        true
    }

    /// Writes what is owed, as far as the socket takes it. False at the end of the connection.
    fn send(&mut self, answers: &Answers) -> bool {
        while self.owed > 0 {
            // `owed` counts back from the end of an answer.
            let sent = (answers.length - self.owed % answers.length) % answers.length;
            let end = answers.bytes.len().min(sent + self.owed);
            match write(&self.socket, &answers.bytes[sent..end]) {
                Ok(written) => self.owed -= written,
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        // All that came has been read, so the kernel sends the answer and then the end; a close with unread bytes would be a
        // reset, which may overtake the answer. So no byte is lost, without a wait for the client.
        !self.is_last
    }
}

/// `Thu, 01 Jan 1970 00:00:00 GMT`, by the civil calendar.
fn httpdate(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[month as usize],
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const USE: &str = "floor ADDRESS FILE [LAST]";
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().ok_or(USE)?.parse()?;
    let answers = Answers::read(&arguments.next().ok_or(USE)?, BATCH)?;
    let last = arguments.next().map(|path| Answers::read(&path, 1)).transpose()?;
    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    // Those that are accepted inherit it.
    sockopt::set_tcp_nodelay(&listener, true)?;
    bind(&listener, &address)?;
    listen(&listener, 4096)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), flags)?;
    let mut floor = Floor {
        epoll,
        answers,
        last,
        second: 0,
        head_end: Finder::new(HEAD_END),
        close: Finder::new(CLOSE),
        buffer: vec![0; 64 * 1024],
        connections: Vec::new(),
        free: Vec::new(),
    };
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    loop {
        events.clear();
        epoll::wait(&floor.epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        floor.tick();
        for event in &events {
            match event.data.u64() {
                LISTENER => floor.accept(&listener)?,
                place => floor.serve(place as usize, event.flags),
            }
        }
    }
}
