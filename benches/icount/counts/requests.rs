//! Requests in a loop: from bytes read to bytes written and numbers recorded, without the kernel's part.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;

use gungraun::prelude::*;
use janus::http::answer::Site;
use janus::http::call::Calls;
use janus::http::serve::mailbox::Mailbox;
use janus::http::serve::record::HttpMetrics;
use janus::http::serve::socket::Socket;
use janus::http::serve::worker::Shared;
use janus::http::serve::{EventLoop, Ready};
use janus::lifecycle::Lifecycle;
use janus::metrics::Registry;
use janus::snapshot::{Publisher, Snapshot};

use crate::data;

/// So many that the beginning and the end of the connection are not seen in the figure.
const REQUESTS: usize = 1_024;

const PLAIN: &str = "host: localhost\r\n";

const BROWSER: &str = "\
host: localhost:8080\r\n\
user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
accept: application/json,text/plain,*/*\r\n\
accept-language: en-GB,en;q=0.5\r\n\
accept-encoding: gzip, deflate, br, zstd\r\n\
referer: http://localhost:3000/\r\n\
connection: keep-alive\r\n\
sec-fetch-dest: empty\r\n\
sec-fetch-mode: cors\r\n\
sec-fetch-site: same-origin\r\n";

/// Fields that cannot be recalled: each block of them comes once.
fn unseen() -> String {
    format!("{BROWSER}x-request-id: NUMBER\r\n")
}

/// A client that waits for each answer before it sends more, takes whatever it is sent, and leaves at the end.
struct Client {
    reads: std::slice::Iter<'static, Vec<u8>>,
    taken: Rc<Taken>,
}

/// What a client has taken.
#[derive(Default)]
struct Taken {
    length: Cell<usize>,
    /// The bytes, where somebody looks at them; else they are passed over as the kernel's work would be.
    bytes: Option<RefCell<Vec<u8>>>,
}

impl Taken {
    fn take(&self, bytes: &[u8]) {
        self.length.set(self.length.get() + bytes.len());
        if let Some(taken) = &self.bytes {
            taken.borrow_mut().extend_from_slice(bytes);
        }
    }
}

impl Socket for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(bytes) = self.reads.next() else { return Ok(0) };
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.taken.take(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        slices.iter().for_each(|slice| self.taken.take(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn shut(&mut self) {}
}

/// A loop and what a client is to send it.
pub struct Connection {
    event_loop: RefCell<EventLoop<Client>>,
    reads: &'static [Vec<u8>],
}

impl Connection {
    /// Serves a client to its end. What it sends next is told of when it has been answered, as the kernel does.
    fn serve(&self, taken: Rc<Taken>) {
        self.serve_reads(self.reads, taken);
    }

    fn serve_reads(&self, reads: &'static [Vec<u8>], taken: Rc<Taken>) {
        let event_loop = &mut *self.event_loop.borrow_mut();
        let client = Client {
            reads: reads.iter(),
            taken,
        };
        let key = event_loop.open(client);
        while event_loop.has(key) {
            event_loop.wakes();
            event_loop.is_told(key, Ready::Read);
            event_loop.round();
        }
    }
}

fn event_loop(snapshot: Snapshot) -> RefCell<EventLoop<Client>> {
    let shared = Shared {
        site: Arc::new(Site::default()),
        publisher: Publisher::new(snapshot),
        lifecycle: Arc::new(Lifecycle::default()),
        metrics: Arc::new(HttpMetrics::new(Arc::new(Registry::new()))),
        access_log: None,
        // Nobody answers there: the loop knows all of these.
        calls: Calls::queue().0,
        min_send_rate: 1024,
    };
    RefCell::new(EventLoop::new(shared, Mailbox::new(|| ())))
}

/// What is sent on each connection: all of it, or a request.
fn reads_of_connections(connection: &Connection, closes: bool) -> std::slice::Chunks<'static, Vec<u8>> {
    connection.reads.chunks(if closes { 1 } else { connection.reads.len() })
}

/// Requests for `path`, in which `ID` stands for one of the ids after the other, with `fields`, in which `NUMBER` stands
/// for a number that does not come again and `ETAG` for the collection's; `per_read` of them in each read.
fn requests(items: usize, path: &str, fields: &str, per_read: usize, status: u16) -> &'static Connection {
    let snapshot = data::snapshot(items);
    let etag = snapshot.collection().expect("there is data").identity().etag();
    let fields = fields.replace("ETAG", etag);
    let heads: Vec<String> = (0..REQUESTS)
        .map(|number| {
            // The factor is prime, so that neighbours are far apart.
            let path = path.replace("ID", &(number * 7_919 % items).to_string());
            let fields = fields.replace("NUMBER", &format!("{number:04}"));
            format!("GET {path} HTTP/1.1\r\n{fields}\r\n")
        })
        .collect();
    let reads: Vec<Vec<u8>> = heads
        .chunks(per_read)
        .map(|heads| heads.concat().into_bytes())
        .collect();
    let connection = Connection {
        reads: Box::leak(reads.into()),
        event_loop: event_loop(snapshot),
    };
    let taken = Rc::new(Taken {
        bytes: Some(RefCell::default()),
        ..Taken::default()
    });
    for reads in reads_of_connections(&connection, fields.contains("connection: close")) {
        connection.serve_reads(reads, Rc::clone(&taken));
    }
    let answers = taken.bytes.as_ref().expect("it was given").take();
    let line = format!("HTTP/1.1 {status} ");
    let answered = answers.windows(line.len()).filter(|bytes| *bytes == line.as_bytes());
    assert_eq!(answered.count(), REQUESTS);
    Box::leak(Box::new(connection))
}

// Ten items are one write, 1,000 are more than is copied; of up to 4,096 each has a header block of its own.
#[library_benchmark]
#[bench::hit_x1024(requests(10, "/items", PLAIN, 1, 200))]
#[bench::hit_of_a_browser_compressed_x1024(requests(10, "/items", BROWSER, 1, 200))]
#[bench::hit_with_fields_not_seen_before_x1024(requests(10, "/items", &unseen(), 1, 200))]
#[bench::not_modified_x1024(requests(10, "/items", "host: localhost\r\nif-none-match: ETAG\r\n", 1, 304))]
#[bench::by_id_of_1000_x1024(requests(1_000, "/items/ID", PLAIN, 1, 200))]
#[bench::by_id_of_10000_x1024(requests(10_000, "/items/ID", PLAIN, 1, 200))]
#[bench::large_body_x1024(requests(1_000, "/items", PLAIN, 1, 200))]
#[bench::pipelined_by_16_x1024(requests(10, "/items", PLAIN, 16, 200))]
fn lane(connection: &'static Connection) -> usize {
    let taken = Rc::new(Taken::default());
    connection.serve(Rc::clone(&taken));
    taken.length.get()
}

const CLOSING: &str = "host: localhost\r\nconnection: close\r\n";

#[library_benchmark]
#[bench::a_request_x1024(requests(10, "/items", CLOSING, 1, 200))]
fn connection(connection: &'static Connection) -> usize {
    let taken = Rc::new(Taken::default());
    for read in connection.reads {
        connection.serve_reads(std::slice::from_ref(read), Rc::clone(&taken));
    }
    taken.length.get()
}

library_benchmark_group!(name = answering, benchmarks = [lane, connection]);
