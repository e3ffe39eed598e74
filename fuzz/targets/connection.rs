//! Any bytes on a connection, in any pieces: the same answers.

#![no_main]

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use janus::http::answer::Site;
use janus::http::call::Calls;
use janus::http::serve::{EventLoop, Ready};
use janus::http::serve::mailbox::{Mail, Mailbox};
use janus::http::serve::record::HttpMetrics;
use janus::http::serve::socket::Socket;
use janus::http::serve::worker::Shared;
use janus::items::{Format, ParseOptions, parse};
use janus::lifecycle::Lifecycle;
use janus::metrics::Registry;
use janus::snapshot::{Coding, Publisher, Settings, Snapshot, compile};
use libfuzzer_sys::fuzz_target;

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let lines: String =
        (0..300).map(|id| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", "x".repeat(id))).collect();
    let items = parse(Format::Ndjson, lines.as_bytes(), &ParseOptions::default()).expect("good items");
    let codings = vec![Coding::Br, Coding::Gzip];
    compile(items, &Settings { codings, cache_control: "no-cache".to_owned(), version: "0", ..Settings::default() })
});

static METRICS: LazyLock<Arc<HttpMetrics>> = LazyLock::new(|| Arc::new(HttpMetrics::new(Arc::new(Registry::new()))));

/// A client that has said all of `unread`, in pieces, and takes all that it is sent, in pieces too.
struct Memory {
    unread: Vec<u8>,
    piece_length: usize,
    written: Rc<RefCell<Vec<u8>>>,
}

impl Socket for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.piece_length.min(self.unread.len()).min(buffer.len());
        let rest = self.unread.split_off(length);
        buffer[..length].copy_from_slice(&self.unread);
        self.unread = rest;
        Ok(length)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = (self.piece_length * 7).min(bytes.len());
        self.written.borrow_mut().extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        first.map_or(Ok(0), |slice| self.write(slice))
    }

    fn shut(&mut self) {}
}

/// What is sent on a connection, until it is closed. Nobody answers for the application, which is said too.
fn serve(bytes: Vec<u8>, piece_length: usize) -> Vec<u8> {
    let shared = Shared {
        site: Arc::new(Site::default()),
        publisher: Publisher::new(SNAPSHOT.clone()),
        lifecycle: Arc::new(Lifecycle::default()),
        metrics: Arc::clone(&METRICS),
        access_log: None,
        calls: Calls::queue().0,
        min_send_rate: 1024,
    };
    let mailbox = Mailbox::new(|| ());
    let mut event_loop = EventLoop::new(shared, Arc::clone(&mailbox));
    mailbox.push(Mail::Tick { now_seconds: 1, date: *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" });
    event_loop.reads_mail();
    let written = Rc::default();
    let key = event_loop.open(Memory { unread: bytes, piece_length, written: Rc::clone(&written) });
    while event_loop.has(key) {
        event_loop.is_told(key, Ready::Read);
        event_loop.round();
    }
    written.take()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece_length, bytes)) = bytes.split_first() else { return };
    let whole = serve(bytes.to_vec(), usize::MAX / 8);
    let in_pieces = serve(bytes.to_vec(), usize::from(piece_length) + 1);
    // HTTP/2 is told from its first bytes; its frames may be cut otherwise.
    if !bytes.starts_with(b"PRI ") {
        assert_eq!(whole, in_pieces);
        assert!(whole.is_empty() || whole.starts_with(b"HTTP/1.") || whole.starts_with(&[0, 0]));
    }
});
