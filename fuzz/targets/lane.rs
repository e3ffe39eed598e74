//! Any bytes on a connection in the lane, in any pieces: the same answers, and the same left to the application.

#![no_main]

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use janus::http::answer::Site;
use janus::http::lane::{Ended, Lane};
use janus::http::record::HttpMetrics;
use janus::http::transport::Transport;
use janus::http::worker::{Shared, Worker};
use janus::items::{Format, ParseOptions, parse};
use janus::lifecycle::Lifecycle;
use janus::metrics::Registry;
use janus::snapshot::{Coding, Publisher, Settings, Snapshot, compile};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let lines: String =
        (0..300).map(|id| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", "x".repeat(id))).collect();
    let items = parse(Format::Ndjson, lines.as_bytes(), &ParseOptions::default()).expect("good items");
    let codings = vec![Coding::Br, Coding::Gzip];
    compile(items, &Settings { codings, cache_control: "no-cache".to_owned(), version: "0", ..Settings::default() })
});

static METRICS: LazyLock<Arc<HttpMetrics>> = LazyLock::new(|| Arc::new(HttpMetrics::new(Arc::new(Registry::new()))));

/// A client that has said all of `unread`, in pieces, and takes all that it is sent, in pieces too.
struct Memory<'a> {
    unread: &'a [u8],
    piece_length: usize,
    written: &'a std::cell::RefCell<Vec<u8>>,
}

impl AsyncRead for Memory<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.piece_length.min(self.unread.len()).min(buffer.remaining());
        let (piece, rest) = self.unread.split_at(length);
        buffer.put_slice(piece);
        self.unread = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let length = (self.piece_length * 7).min(bytes.len());
        self.written.borrow_mut().extend_from_slice(&bytes[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Memory<'_> {}

/// What was answered without the date, and what was left to the application.
async fn serve(worker: Rc<Worker>, bytes: &[u8], piece_length: usize) -> (Vec<u8>, Option<Vec<u8>>) {
    let written = std::cell::RefCell::default();
    let stream = Memory { unread: bytes, piece_length, written: &written };
    let left = match Lane::new(stream, None, worker).serve().await {
        Ended::Closed => None,
        Ended::HandedOver { stream, input, .. } => Some([&input, stream.unread].concat()),
    };
    (written.into_inner(), left)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece_length, bytes)) = bytes.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let worker = Worker::start(Shared {
            site: Arc::new(Site::default()),
            publisher: Publisher::new(SNAPSHOT.clone()),
            lifecycle: Arc::new(Lifecycle::default()),
            metrics: Arc::clone(&METRICS),
            access_log: None,
            admin: None,
            has_lane: true,
            min_send_rate: 1024,
        });
        // One clock for both, so that the dates are the same.
        let (whole, left) = serve(Rc::clone(&worker), bytes, usize::MAX / 8).await;
        let in_pieces = serve(worker, bytes, usize::from(piece_length) + 1).await;
        assert_eq!((&whole, &left), (&in_pieces.0, &in_pieces.1));
        assert!(whole.is_empty() || whole.starts_with(b"HTTP/1."));
        assert!(left.is_none_or(|left| bytes.ends_with(&left)));
    });
});
