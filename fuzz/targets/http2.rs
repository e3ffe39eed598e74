//! Any bytes after a preface of HTTP/2, in any pieces: the connection ends, and what it was sent are whole frames.

#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use janus::http::answer::Site;
use janus::http::call::Calls;
use janus::http::serve::{EventLoop, Ready};
use janus::http::serve::h2::frames::PREFACE;
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

/// Takes the server's frames apart.
fn check(mut bytes: &[u8]) {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    const END_STREAM: u8 = 1;
    // Whether a stream that has been answered has ended.
    let mut streams = BTreeMap::new();
    let mut is_first = true;
    while let Some((header, rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let (kind, flags) = (header[3], header[4]);
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        assert!(length <= 16 << 10 && rest.len() >= length, "a whole frame");
        assert_eq!(is_first, kind == SETTINGS && flags == 0, "SETTINGS come first, and once");
        is_first = false;
        match kind {
            HEADERS => {
                assert!(stream % 2 == 1);
                assert!(streams.insert(stream, flags & END_STREAM != 0).is_none(), "one head a stream");
            }
            DATA => {
                let has_ended = streams.get_mut(&stream).expect("a head comes before its body");
                assert!(!std::mem::replace(has_ended, flags & END_STREAM != 0), "nothing comes after the end");
            }
            RST_STREAM | GOAWAY | SETTINGS | 6 | 8 => {}
            other => panic!("a frame of kind {other}"),
        }
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "a whole frame at the end");
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece_length, bytes)) = bytes.split_first() else { return };
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let all = [PREFACE.as_slice(), &settings, bytes].concat();
    check(&serve(all, usize::from(piece_length) + 1));
});
