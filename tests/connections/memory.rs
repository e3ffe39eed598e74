//! A server in memory: the real connection, worker and application, on a pipe and a clock of their own.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_service::ServiceFactory;
use janus::http::access_log::AccessLog;
use janus::http::answer::Site;
use janus::http::app::application;
use janus::http::connection::serve;
use janus::http::record::HttpMetrics;
use janus::http::transport::Transport;
use janus::http::worker::{Shared, Worker};
use janus::items::{Format, ParseOptions, parse};
use janus::ledger::Ledger;
use janus::lifecycle::Lifecycle;
use janus::metrics::Registry;
use janus::snapshot::{Coding, Publisher, Settings, Snapshot, compile};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf};

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| snapshot("x", Ledger::default()));

/// Items with a body large enough to be sent from where it is.
pub(crate) fn snapshot(mark: &str, ledger: Ledger) -> Snapshot {
    let lines: String = (0..400)
        .map(|id| {
            format!(
                "{{\"id\":{id},\"name\":\"Item number {id}\",\"text\":\"{}\"}}\n",
                mark.repeat(id)
            )
        })
        .collect();
    let options = ParseOptions {
        ledger,
        ..ParseOptions::default()
    };
    let items = parse(Format::Ndjson, lines.as_bytes(), &options).expect("good items");
    compile(
        items,
        &Settings {
            codings: vec![Coding::Br, Coding::Gzip],
            cache_control: "no-cache".to_owned(),
            version: "0",
            ..Settings::default()
        },
    )
}

/// Which way requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Lane,
    Application,
}

pub(crate) const FACES: [Face; 2] = [Face::Lane, Face::Application];

/// A worker of one face.
pub(crate) struct Server {
    worker: Rc<Worker>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) metrics: Arc<HttpMetrics>,
}

/// Runs `test` in a time of its own.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

impl Server {
    pub(crate) fn new(face: Face) -> Self {
        Self::with(face, |_| {})
    }

    /// Which serves this.
    pub(crate) fn of_site(face: Face, site: Site) -> Self {
        Self::with(face, |shared| shared.site = Arc::new(site))
    }

    /// Which logs its requests.
    pub(crate) fn with_log(face: Face, log: AccessLog) -> Self {
        Self::with(face, |shared| shared.access_log = Some(Arc::new(log)))
    }

    /// One whose clients must take so many bytes a second.
    pub(crate) fn asking(face: Face, min_send_rate: u32) -> Self {
        Self::with(face, |shared| shared.min_send_rate = min_send_rate)
    }

    /// One of these data.
    pub(crate) fn of(face: Face, min_send_rate: u32, publisher: Publisher) -> Self {
        Self::with(face, |shared| {
            shared.min_send_rate = min_send_rate;
            shared.publisher = publisher;
        })
    }

    /// One that is set up otherwise.
    pub(crate) fn with(face: Face, change: impl FnOnce(&mut Shared)) -> Self {
        let lifecycle = Arc::new(Lifecycle::default());
        // The clock passes while other threads work, so none does.
        let metrics = Arc::new(HttpMetrics::scraped_in_place(Arc::new(Registry::new())));
        let mut shared = Shared {
            site: Arc::new(Site::default()),
            publisher: Publisher::new(SNAPSHOT.clone()),
            lifecycle: Arc::clone(&lifecycle),
            metrics,
            access_log: None,
            admin: None,
            has_lane: face == Face::Lane,
            min_send_rate: 1024,
        };
        change(&mut shared);
        let metrics = Arc::clone(&shared.metrics);
        let worker = Worker::start(shared);
        Self {
            worker,
            lifecycle,
            metrics,
        }
    }

    /// The value of a series, if it is there.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let text = self.scrape();
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        values.next().map(|value| value.parse().expect("a number"))
    }

    /// Opens a connection on which `capacity` bytes are on their way at the most.
    pub(crate) async fn connect(&self, capacity: usize) -> Client {
        let (reading, client) = self.connect_slow(capacity).await;
        tokio::task::spawn_local(take(reading, Rc::clone(&client.received)));
        client
    }

    /// As `connect`, from this address.
    pub(crate) async fn connect_from(&self, peer: &str, capacity: usize) -> Client {
        let peer = peer.parse().expect("an address");
        let (reading, writing) = tokio::io::split(self.open_from(Some(peer), capacity).await);
        let received = Rc::default();
        tokio::task::spawn_local(take(reading, Rc::clone(&received)));
        Client { writing, received }
    }

    /// As `connect`, for a client that reads nothing until it is told to.
    pub(crate) async fn connect_slow(&self, capacity: usize) -> (ReadHalf<DuplexStream>, Client) {
        let client = self.open_from(None, capacity).await;
        let (reading, writing) = tokio::io::split(client);
        let received = Rc::default();
        (reading, Client { writing, received })
    }

    /// As `connect`, with both directions in one.
    pub(crate) async fn open(&self, capacity: usize) -> DuplexStream {
        self.open_from(None, capacity).await
    }

    async fn open_from(&self, peer: Option<SocketAddr>, capacity: usize) -> DuplexStream {
        let (client, stream) = tokio::io::duplex(capacity);
        self.serve(Pipe {
            stream,
            peer,
            panics: false,
        })
        .await;
        client
    }

    /// What a scrape says.
    pub(crate) fn scrape(&self) -> String {
        let mut text = Vec::new();
        self.metrics.registry().render(janus::metrics::Format::Text, &mut text);
        String::from_utf8(text).expect("text")
    }

    /// As `connect`, for a connection on which the server panics when it sends.
    pub(crate) async fn connect_panicking(&self) -> Client {
        let (client, stream) = tokio::io::duplex(4096);
        self.serve(Pipe {
            stream,
            peer: None,
            panics: true,
        })
        .await;
        let (reading, writing) = tokio::io::split(client);
        let received = Rc::default();
        tokio::task::spawn_local(take(reading, Rc::clone(&received)));
        Client { writing, received }
    }

    /// Serves whatever carries a connection.
    pub(crate) async fn serve<S: Transport + 'static>(&self, stream: S) {
        let application = application(&self.worker).new_service(()).await;
        let application = Rc::new(application.unwrap_or_else(|()| unreachable!("it needs nothing")));
        tokio::task::spawn_local(serve(stream, Rc::clone(&self.worker), application));
    }
}

/// The server's end of a connection in memory.
struct Pipe {
    stream: DuplexStream,
    /// Who is said to be at the other one.
    peer: Option<SocketAddr>,
    /// Whether to write to it panics.
    panics: bool,
}

impl Transport for Pipe {
    fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!self.panics, "a panic, as the test has asked for");
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(!self.panics, "a panic, as the test has asked for");
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Takes all that is sent.
async fn take(mut reading: ReadHalf<DuplexStream>, into: Rc<RefCell<Received>>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        // A connection that is reset is at its end too.
        let length = reading.read(&mut buffer).await.unwrap_or(0);
        let mut received = into.borrow_mut();
        received.bytes.extend_from_slice(&buffer[..length]);
        if length == 0 {
            received.is_ended = true;
            return;
        }
    }
}

/// What a client has been sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_ended: bool,
}

/// The other end of a connection.
pub(crate) struct Client {
    writing: WriteHalf<DuplexStream>,
    received: Rc<RefCell<Received>>,
}

impl Client {
    /// Sends a piece, and lets the server see it before anything else is sent. A server that has closed sees nothing.
    pub(crate) async fn send(&mut self, piece: &[u8]) {
        let _ = self.writing.write_all(piece).await;
        settle().await;
    }

    /// Sends a piece and is gone, with the half that reads, before the server sees it.
    pub(crate) async fn send_and_leave(mut self, piece: &[u8], reading: ReadHalf<DuplexStream>) {
        let _ = self.writing.write_all(piece).await;
        drop((self, reading));
        settle().await;
    }

    /// Ends its side of the connection.
    pub(crate) async fn end(&mut self) {
        let _ = self.writing.shutdown().await;
        settle().await;
    }

    pub(crate) fn received(&self) -> Received {
        self.received.borrow().clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.received.borrow().bytes).into_owned()
    }
}

/// Lets every task run until none can.
pub(crate) async fn settle() {
    // The clock moves on its own only when nothing else can: then everybody waits.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Lets time pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
