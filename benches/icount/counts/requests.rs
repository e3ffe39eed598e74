//! Requests down the lane: from bytes read to bytes written and numbers recorded, without the kernel's part.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use gungraun::prelude::*;
use janus::http::answer::Site;
use janus::http::lane::{Ended, Lane};
use janus::http::record::HttpMetrics;
use janus::http::transport::Transport;
use janus::http::worker::{Shared, Worker};
use janus::lifecycle::Lifecycle;
use janus::metrics::Registry;
use janus::snapshot::{Publisher, Snapshot};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::LocalSet;

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

/// Fields that the worker cannot recall: each block of them comes once.
fn unseen() -> String {
    format!("{BROWSER}x-request-id: NUMBER\r\n")
}

/// A client that waits for each answer before it sends more, takes whatever it is sent, and leaves at the end.
struct Client<'a> {
    reads: std::slice::Iter<'a, Vec<u8>>,
    has_sent: bool,
    taken_length: usize,
    /// What was taken, where somebody looks at it; else it is passed over as the kernel's work would be.
    taken: Option<Vec<u8>>,
}

impl AsyncRead for Client<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.has_sent = !self.has_sent;
        if !self.has_sent {
            return Poll::Pending;
        }
        if let Some(bytes) = self.reads.next() {
            buffer.put_slice(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.taken_length += bytes.len();
        if let Some(taken) = &mut self.taken {
            taken.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let before = self.taken_length;
        for piece in pieces {
            let _taken = self.as_mut().poll_write(context, piece)?;
        }
        Poll::Ready(Ok(self.taken_length - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for &mut Client<'_> {}

/// A worker and what a client is to send it.
pub struct Connection {
    worker: Rc<Worker>,
    reads: Vec<Vec<u8>>,
}

impl Connection {
    /// Serves it to its end.
    fn serve(&self, client: &mut Client<'_>) {
        let mut lane = pin!(Lane::new(client, None, Rc::clone(&self.worker)).serve());
        // Whatever it waits for is there at once, so nobody need be waked.
        let mut context = Context::from_waker(Waker::noop());
        let ended = loop {
            if let Poll::Ready(ended) = lane.as_mut().poll(&mut context) {
                break ended;
            }
        };
        assert!(matches!(ended, Ended::Closed), "the lane knows all of these");
    }

    fn client(&self, taken: Option<Vec<u8>>) -> Client<'_> {
        Client {
            reads: self.reads.iter(),
            has_sent: false,
            taken_length: 0,
            taken,
        }
    }
}

fn worker(snapshot: Snapshot) -> Rc<Worker> {
    // Its clock stands still: nobody runs this set, and the second that passes would be counted on some runs.
    let set = Box::leak(Box::new(LocalSet::new()));
    let _entered = set.enter();
    Worker::start(Shared {
        site: Arc::new(Site::default()),
        publisher: Publisher::new(snapshot),
        lifecycle: Arc::new(Lifecycle::default()),
        metrics: Arc::new(HttpMetrics::new(Arc::new(Registry::new()))),
        access_log: None,
        admin: None,
        has_lane: true,
        min_send_rate: 1024,
    })
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
    let connection = Connection {
        reads: heads
            .chunks(per_read)
            .map(|heads| heads.concat().into_bytes())
            .collect(),
        worker: worker(snapshot),
    };
    let mut client = connection.client(Some(Vec::new()));
    connection.serve(&mut client);
    let answers = client.taken.expect("it was given");
    let line = format!("HTTP/1.1 {status} ");
    let answered = answers.windows(line.len()).filter(|bytes| *bytes == line.as_bytes());
    assert_eq!(answered.count(), REQUESTS);
    Box::leak(Box::new(connection))
}

// Ten items are one write, 1,000 are more than the lane copies; of up to 4,096 each has a header block of its own.
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
    let mut client = connection.client(None);
    connection.serve(&mut client);
    client.taken_length
}

library_benchmark_group!(name = answering, benchmarks = [lane]);
