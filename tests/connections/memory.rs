//! A server in memory: the real loop and application, on pipes and a clock of their own.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use janus::http::answer::Site;
use janus::http::app::Application;
use janus::http::call::{Call, Calls};
use janus::http::serve::access_log::AccessLog;
use janus::http::serve::mailbox::{Mail, Mailbox};
use janus::http::serve::record::HttpMetrics;
use janus::http::serve::socket::Socket;
use janus::http::serve::worker::{Shared, date_line};
use janus::http::serve::{EventLoop, Ready};
use janus::items::{Format, ParseOptions, parse};
use janus::ledger::Ledger;
use janus::lifecycle::Lifecycle;
use janus::metrics::Registry;
use janus::snapshot::{Coding, Publisher, Settings, Snapshot, compile};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;

pub(crate) static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| snapshot("x", Ledger::default()));

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

/// A loop in memory, driven by the runtime of the test: what a socket is ready for is told by its waker, as the kernel would
/// tell it, and the clock is the runtime's.
pub(crate) struct Server {
    driver: Rc<Driver>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) metrics: Arc<HttpMetrics>,
}

struct Driver {
    event_loop: RefCell<EventLoop<Polled>>,
    mailbox: Arc<Mailbox>,
    /// The sockets that have been told of.
    told: Arc<Mutex<Vec<usize>>>,
    /// Woken whenever there may be something to do.
    woken: Arc<Notify>,
}

impl Driver {
    /// Goes through a round whenever there is anything to do.
    async fn run(self: Rc<Self>) {
        loop {
            {
                let mut event_loop = self.event_loop.borrow_mut();
                event_loop.wakes();
                event_loop.reads_mail();
                for key in std::mem::take(&mut *self.told.lock().expect("nobody panics with it")) {
                    event_loop.is_told(key, Ready::Read);
                }
                event_loop.round();
                if event_loop.has_work() {
                    self.woken.notify_one();
                }
            }
            // What others have to do is done in between, as the kernel is asked between two rounds.
            tokio::task::yield_now().await;
            self.woken.notified().await;
        }
    }

    /// Tells the time.
    async fn tick(self: Rc<Self>) {
        for now_seconds in 1.. {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let date = date_line(SystemTime::now());
            self.mailbox.push(Mail::Tick { now_seconds, date });
        }
    }
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
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Which serves this.
    pub(crate) fn of_site(site: Site) -> Self {
        Self::with(|shared| shared.site = Arc::new(site))
    }

    /// Which logs its requests.
    pub(crate) fn with_log(log: AccessLog) -> Self {
        Self::with(|shared| shared.access_log = Some(Arc::new(log)))
    }

    /// One whose clients must take so many bytes a second.
    pub(crate) fn asking(min_send_rate: u32) -> Self {
        Self::with(|shared| shared.min_send_rate = min_send_rate)
    }

    /// One of these data.
    pub(crate) fn of(min_send_rate: u32, publisher: Publisher) -> Self {
        Self::with(|shared| {
            shared.min_send_rate = min_send_rate;
            shared.publisher = publisher;
        })
    }

    /// One whose application has a thread of its own, as in a server.
    pub(crate) fn with_application_apart() -> Self {
        Self::start(
            |_| {},
            |application, calls| application.start("test", calls).expect("a thread"),
        )
    }

    /// One that is set up otherwise.
    pub(crate) fn with(change: impl FnOnce(&mut Shared)) -> Self {
        // In the test's own thread: the clock passes while other threads work.
        Self::start(change, |application, calls| {
            tokio::task::spawn_local(application.answer_calls(calls));
        })
    }

    fn start(change: impl FnOnce(&mut Shared), start: impl FnOnce(Application, Receiver<Call>)) -> Self {
        let lifecycle = Arc::new(Lifecycle::default());
        let registry = Arc::new(Registry::new());
        let metrics = Arc::new(HttpMetrics::new(Arc::clone(&registry)));
        let (calls, called) = Calls::queue();
        let mut shared = Shared {
            site: Arc::new(Site::default()),
            publisher: Publisher::new(SNAPSHOT.clone()),
            lifecycle: Arc::clone(&lifecycle),
            metrics,
            access_log: None,
            calls,
            min_send_rate: 1024,
        };
        change(&mut shared);
        let metrics = Arc::clone(&shared.metrics);
        let application = Application {
            site: Arc::clone(&shared.site),
            publisher: shared.publisher.clone(),
            lifecycle: Arc::clone(&lifecycle),
            registry,
            admin: None,
        };
        start(application, called);
        let woken = Arc::new(Notify::new());
        let wake = Arc::clone(&woken);
        let mailbox = Mailbox::new(move || wake.notify_one());
        let told = Arc::clone(&mailbox);
        lifecycle.on_advance(move || told.push(Mail::Phase));
        let driver = Rc::new(Driver {
            event_loop: RefCell::new(EventLoop::new(shared, Arc::clone(&mailbox))),
            mailbox,
            told: Arc::default(),
            woken,
        });
        tokio::task::spawn_local(Rc::clone(&driver).run());
        tokio::task::spawn_local(Rc::clone(&driver).tick());
        Self {
            driver,
            lifecycle,
            metrics,
        }
    }

    /// Whether nothing is left to be done before the server ends.
    pub(crate) fn is_over(&self) -> bool {
        self.driver.event_loop.borrow().is_over()
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
        let told = Arc::new(Told {
            key: std::sync::OnceLock::new(),
            woken: Arc::clone(&self.driver.woken),
            told: Arc::clone(&self.driver.told),
        });
        let socket = Polled {
            stream: Box::new(stream),
            waker: Arc::clone(&told).into(),
        };
        let key = self.driver.event_loop.borrow_mut().open(socket);
        told.key.set(key).expect("it is told once");
        self.driver.woken.notify_one();
    }
}

/// A stream of bytes both ways, as tokio has them.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}

/// A stream as the loop has it: what would have to wait says so, and its waker tells the loop once it need not.
struct Polled {
    stream: Box<dyn Transport>,
    waker: Waker,
}

/// Tells the loop of one socket. It may be told of more than there is, as by the kernel.
struct Told {
    key: std::sync::OnceLock<usize>,
    woken: Arc<Notify>,
    told: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        if let Some(&key) = self.key.get() {
            self.told.lock().expect("nobody panics with it").push(key);
        }
        self.woken.notify_one();
    }
}

fn at_once<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Socket for Polled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        let context = &mut Context::from_waker(&self.waker);
        // All that has come, as the kernel has it: what comes later, the end too, is told of.
        loop {
            let length = buffer.filled().len();
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer)? {
                Poll::Ready(()) if buffer.filled().len() == length => {
                    if length > 0 {
                        self.waker.wake_by_ref();
                    }
                    return Ok(length);
                }
                Poll::Ready(()) if buffer.remaining() == 0 => return Ok(buffer.filled().len()),
                Poll::Ready(()) => {}
                Poll::Pending if length == 0 => return Err(io::ErrorKind::WouldBlock.into()),
                Poll::Pending => return Ok(length),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let context = &mut Context::from_waker(&self.waker);
        at_once(Pin::new(&mut self.stream).poll_write(context, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let context = &mut Context::from_waker(&self.waker);
        at_once(Pin::new(&mut self.stream).poll_write_vectored(context, slices))
    }

    fn shut(&mut self) {
        // In memory it is shut at once.
        let _ = Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(&self.waker));
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
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
