//! Turns: nobody waits for more than a slice of each other connection, who comes anew neither.

use std::cell::RefCell;
use std::io::{self, IoSlice, Write};
use std::net::{TcpListener, TcpStream as Client};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::task::{Context, Poll};

use janus::http::serve::slice::{LENGTH_MAX, REQUESTS_MAX};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::memory::{Server, Transport};

/// What each connection was sent, in order: its number, the bytes, and the answers that began in them.
type Log = Rc<RefCell<Vec<(usize, usize, usize)>>>;

/// What an answer has besides the part of a large body that a slice has room for.
const GATHERED_LENGTH_MAX: usize = 80 << 10;

/// A client that has asked for all of `unread`, and takes all that it is sent as soon as it is sent.
struct Greedy {
    unread: Vec<u8>,
    number: usize,
    log: Log,
}

impl Greedy {
    fn take(&self, pieces: &[IoSlice<'_>]) -> usize {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        let heads = |piece: &[u8]| piece.windows(9).filter(|bytes| *bytes == b"HTTP/1.1 ").count();
        let heads = pieces.iter().map(|piece| heads(piece)).sum();
        self.log.borrow_mut().push((self.number, length, heads));
        length
    }
}

impl AsyncRead for Greedy {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..length]);
        self.unread.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Greedy {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.take(&[IoSlice::new(bytes)])))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.take(pieces)))
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

impl Transport for Greedy {}

/// A real socket, which the kernel has to tell of.
struct Modest {
    stream: TcpStream,
    log: Log,
}

impl AsyncRead for Modest {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Modest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.log.borrow_mut().push((0, bytes.len(), 1));
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Transport for Modest {}

#[test]
fn a_scrape_holds_up_nobody() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let server = Server::with_application_apart();
        // A scrape takes until this says so.
        let (go_on, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        server.metrics.registry().on_scrape(move || {
            // The other end is dropped to let it go on.
            let _ = gate.lock().expect("nobody panics with it").recv();
        });
        let mut scraper = server.connect(1 << 20).await;
        scraper.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut other = server.connect(1 << 20).await;
        other.send(b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        while !other.text().starts_with("HTTP/1.1 200 ") {
            tokio::task::yield_now().await;
        }
        assert!(scraper.received().bytes.is_empty(), "the scrape goes on");
        drop(go_on);
        while !scraper.text().contains("\nhttp_connections ") {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn nobody_waits_for_more_than_a_slice_of_each_other_connection() {
    const GREEDY: usize = 5;

    for (target, count) in [("/items", 200), ("/items/1", 20_000)] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let server = Server::new();
            let log = Log::default();
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let mut client = Client::connect(listener.local_addr().expect("bound")).expect("it listens");
            // It has asked before anybody is served.
            client
                .write_all(b"GET /items/2 HTTP/1.1\r\nHost: a\r\n\r\n")
                .expect("it is open");
            let (stream, _) = listener.accept().expect("a connection");
            stream.set_nonblocking(true).expect("a socket");
            for number in 1..=GREEDY {
                let unread = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
                    .repeat(count)
                    .into_bytes();
                let log = Rc::clone(&log);
                server.serve(Greedy { unread, number, log }).await;
            }
            let stream = TcpStream::from_std(stream).expect("a socket");
            let modest = Modest {
                stream,
                log: Rc::clone(&log),
            };
            server.serve(modest).await;
            // Bounded by the requests that there are.
            while !log.borrow().iter().any(|(number, ..)| *number == 0) {
                tokio::task::yield_now().await;
            }
            let log = log.borrow();
            let before = log.iter().take_while(|(number, ..)| *number != 0);
            let mut sent = [(0, 0); GREEDY + 1];
            for (number, length, answers) in before {
                sent[*number].0 += length;
                sent[*number].1 += answers;
            }
            // One slice before the kernel was asked, one after it has told.
            for (number, (length, answers)) in sent.into_iter().enumerate().skip(1) {
                let what = format!("{target}: {number} was sent {length} bytes, {answers} answers");
                assert!(length <= 2 * (LENGTH_MAX + GATHERED_LENGTH_MAX), "{what}");
                assert!(answers <= 2 * REQUESTS_MAX, "{what}");
            }
        });
    }
}
