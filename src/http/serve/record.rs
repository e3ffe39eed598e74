//! What is recorded of requests: the handles, registered once, and the guards of what goes on.
//!
//! Labels are a closed set: method, route template, status, coding; never text that a client sent. A series is
//! registered when it first counts, so that a scrape shows what happened and not all that could.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::http::answer::reply::Reply;
use crate::http::answer::route::{Name, ROUTES};
use crate::http::message::request::Method;
use crate::metrics::{Counter, Gauge, Histogram, Registry, TraceContext};
use crate::snapshot::Coding;
use crate::status::{STATUSES, place_of};

/// The HTTP series of one registry.
#[derive(Debug)]
pub struct HttpMetrics {
    registry: Arc<Registry>,
    series: Arc<Series>,
    /// From the start, so that the first one is an increase.
    cuts: [Counter; Cut::ALL.len()],
    levels: Arc<Mutex<Vec<Arc<Levels>>>>,
}

/// How many tallies a worker may have.
const TALLIES: usize = Method::ALL.len() * ROUTES.len();

/// The series of what has been answered: each is registered when it first counts.
#[derive(Debug, Default)]
struct Series {
    requests: [[[OnceLock<Counter>; STATUSES.len()]; ROUTES.len()]; Method::ALL.len()],
    sizes: [[OnceLock<Counter>; Coding::ALL.len()]; ROUTES.len()],
}

/// How many connections and requests one worker has, and what it has answered. Only that worker writes them, so each change is a load and a
/// store; a scrape sums them over the workers.
#[derive(Debug)]
struct Levels {
    connections: AtomicI64,
    requests: AtomicI64,
    /// By method, and then by route.
    tallies: [OnceLock<Box<Tally>>; TALLIES],
}

/// Why a connection is reset in the middle of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The client takes it too slowly.
    Slow,
    /// Memory is short, and the answer holds data that is not current any more.
    Memory,
}

impl Cut {
    /// Every reason, each at its place.
    pub const ALL: [Self; 2] = [Self::Slow, Self::Memory];

    /// The kind of the error that sending fails with.
    pub fn error_kind(self) -> std::io::ErrorKind {
        match self {
            Self::Slow => std::io::ErrorKind::TimedOut,
            Self::Memory => std::io::ErrorKind::OutOfMemory,
        }
    }

    /// Its name as a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Memory => "memory",
        }
    }
}

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The method.
    pub method: Method,
    /// The route.
    pub route: Name,
    /// The status code.
    pub status: u16,
    /// The body's coding.
    pub coding: Coding,
    /// The body's length in bytes.
    pub length: usize,
}

/// What has been answered and counted, and is to be timed once it is sent.
#[derive(Debug, Default)]
pub struct Due {
    /// Answers of one method and route that follow each other, and how many they are.
    runs: Vec<(u16, u32)>,
    count: usize,
    /// The last one that belongs to a trace, and its `Traceparent`: one of a batch is enough.
    traced: Option<(u16, [u8; TRACEPARENT_LENGTH])>,
}

/// The length of a `Traceparent` of version 00, in bytes (W3C Trace Context, section 3.2).
const TRACEPARENT_LENGTH: usize = 55;

impl Due {
    /// Adds an answer.
    #[inline]
    pub fn push(&mut self, answered: &Answered) {
        let kind = answered.tally();
        self.count += 1;
        match self.runs.last_mut() {
            Some((last, count)) if *last == kind => *count += 1,
            _ => self.runs.push((kind, 1)),
        }
    }

    /// Takes note of the trace that an answer belongs to.
    pub fn trace(&mut self, answered: &Answered, traceparent: &[u8]) {
        if let Some(&traceparent) = traceparent.first_chunk() {
            self.traced = Some((answered.tally(), traceparent));
        }
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Answered {
    /// The place of its method and route among the tallies.
    #[inline]
    fn tally(&self) -> u16 {
        self.method as u16 * ROUTES.len() as u16 + self.route as u16
    }

    /// What the application answers to a request with this method for this route; what that is is not known
    /// yet.
    pub fn called(method: Method, route: Name) -> Self {
        Self {
            method,
            route,
            status: 200,
            coding: Coding::Identity,
            length: 0,
        }
    }

    /// A reply to a request with this method.
    pub fn of(method: Method, reply: &Reply<'_>) -> Self {
        Self {
            method,
            route: reply.route(),
            status: reply.status(),
            coding: reply.coding(),
            length: reply.body().len(),
        }
    }
}

impl HttpMetrics {
    /// Describes the series, and has a scrape sum what the workers have counted.
    pub fn new(registry: Arc<Registry>) -> Self {
        registry.describe("http_requests_total", "Requests answered.", None);
        registry.describe(
            "http_request_duration_seconds",
            "From when a request was read to the end of its answer's last write.",
            Some("seconds"),
        );
        registry.describe(
            "http_response_size_bytes_total",
            "Bytes of response bodies, by content coding.",
            Some("bytes"),
        );
        registry.describe("http_connections", "Open connections.", None);
        registry.describe(
            "http_requests_in_flight",
            "Requests whose answer has not been written yet.",
            None,
        );
        registry.describe(
            "janus_proxy_headers_refused_total",
            "Connections of trusted proxies that were closed because they did not begin with the PROXY protocol.",
            None,
        );
        registry.describe(
            "http_connections_cut_total",
            "Connections reset in the middle of an answer, by why.",
            None,
        );
        let cuts = Cut::ALL.map(|reason| {
            registry
                .counter("http_connections_cut_total", &[("reason", reason.label())])
                .expect("the set of labels is closed")
        });
        let gauge = |name| {
            registry
                .gauge(name, &[])
                .expect("the name is valid and no other kind has it")
        };
        let (connections, requests) = (gauge("http_connections"), gauge("http_requests_in_flight"));
        let levels: Arc<Mutex<Vec<Arc<Levels>>>> = Arc::default();
        let series: Arc<Series> = Arc::default();
        let (summed, into) = (Arc::clone(&levels), Arc::clone(&series));
        registry.on_scrape(move || {
            let levels = summed.lock();
            collect(&into, &levels);
            set_sum(&connections, levels.iter().map(|levels| &levels.connections));
            set_sum(&requests, levels.iter().map(|levels| &levels.requests));
        });
        Self {
            registry,
            series,
            cuts,
            levels,
        }
    }

    /// The registry, to be scraped.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The levels of one worker.
    pub fn worker(self: &Arc<Self>) -> WorkerLevels {
        let levels = Arc::new(Levels {
            connections: AtomicI64::new(0),
            requests: AtomicI64::new(0),
            tallies: [const { OnceLock::new() }; TALLIES],
        });
        self.levels.lock().push(Arc::clone(&levels));
        WorkerLevels {
            metrics: Arc::clone(self),
            levels,
        }
    }

    /// Counts a connection of a trusted proxy that did not begin as it should.
    pub fn introduction_refused(&self, reason: &'static str) {
        let refused = self
            .registry
            .counter("janus_proxy_headers_refused_total", &[("reason", reason)]);
        refused.expect("the set of labels is closed").increment(1);
    }

    /// Counts a connection that is reset in the middle of an answer.
    pub fn cut(&self, reason: Cut) {
        self.cuts[reason as usize].increment(1);
    }

    /// Registers the series of a kind of answer.
    fn counters(&self, method: Method, route: Name, status: u16, coding: Coding) -> [Counter; 2] {
        let status = status.to_string();
        let requests = [
            ("method", method.label()),
            ("route", route.template()),
            ("status", &status),
        ];
        let sizes = [("route", route.template()), ("encoding", coding.token())];
        let counter = |name, labels: &[(&str, &str)]| {
            let counter = self.registry.counter(name, labels);
            counter.expect("the set of labels is closed")
        };
        [
            counter("http_requests_total", &requests),
            counter("http_response_size_bytes_total", &sizes),
        ]
    }

    fn duration(&self, method: Method, route: Name) -> Histogram {
        let labels = [("method", method.label()), ("route", route.template())];
        let duration = self.registry.histogram("http_request_duration_seconds", &labels);
        duration.expect("the set of labels is closed")
    }
}

/// Answers of one method and route, by one worker.
#[derive(Debug)]
struct Tally {
    duration: Histogram,
    kinds: [[Kind; Coding::ALL.len()]; STATUSES.len()],
}

/// Answers of one kind. As with levels only one worker writes.
#[derive(Debug, Default)]
struct Kind {
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// Adds to what only this thread writes, and returns what it was. Relaxed, and no read-modify-write: nothing else is published
/// by it.
#[inline]
fn add(cell: &AtomicU64, by: u64) -> u64 {
    let before = cell.load(Ordering::Relaxed);
    cell.store(before + by, Ordering::Relaxed);
    before
}

/// Sums what the workers have answered into the series of it.
fn collect(series: &Series, workers: &[Arc<Levels>]) {
    let mut sizes = [[0; Coding::ALL.len()]; ROUTES.len()];
    for method in Method::ALL {
        for route in ROUTES.map(|row| row.name) {
            let tallies = workers
                .iter()
                .filter_map(|worker| worker.tallies[method as usize * ROUTES.len() + route as usize].get());
            let tallies: Vec<&Tally> = tallies.map(|tally| &**tally).collect();
            if tallies.is_empty() {
                continue;
            }
            for (status, requests) in series.requests[method as usize][route as usize].iter().enumerate() {
                let Some(requests) = requests.get() else { continue };
                let mut sum = 0;
                for kinds in tallies.iter().map(|tally| &tally.kinds[status]) {
                    for (kind, size) in kinds.iter().zip(&mut sizes[route as usize]) {
                        sum += kind.requests.load(Ordering::Relaxed);
                        *size += kind.bytes.load(Ordering::Relaxed);
                    }
                }
                requests.absolute(sum);
            }
        }
    }
    for (sizes, series) in sizes.iter().zip(&series.sizes) {
        for (size, series) in sizes.iter().zip(series) {
            if let Some(series) = series.get() {
                series.absolute(*size);
            }
        }
    }
}

fn set_sum<'a>(gauge: &Gauge, levels: impl Iterator<Item = &'a AtomicI64>) {
    // Relaxed: a level may be seen a moment late; each is right by itself.
    gauge.set(levels.map(|level| level.load(Ordering::Relaxed)).sum::<i64>() as f64);
}

/// One worker's levels and counts. It must stay in that worker's thread, and so must its guards.
#[derive(Clone, Debug)]
pub struct WorkerLevels {
    metrics: Arc<HttpMetrics>,
    levels: Arc<Levels>,
}

impl WorkerLevels {
    /// Counts a connection until the guard is dropped.
    pub fn connection(&self) -> LevelGuard {
        LevelGuard::enter(&self.levels, |levels| &levels.connections)
    }

    /// Counts an answer, by two cells of its kind: before it is sent, so that who has it finds it counted.
    #[inline]
    pub fn count(&self, answered: &Answered) {
        let kind = &self.tally(answered).kinds[place_of(answered.status)][answered.coding.index()];
        if add(&kind.requests, 1) == 0 {
            self.begin(answered);
        }
        add(&kind.bytes, answered.length as u64);
    }

    /// Records how long answers have taken, and forgets them.
    #[inline]
    pub fn took(&self, due: &mut Due, took: Duration) {
        let ns = took.as_nanos() as u64;
        for (tally, count) in due.runs.drain(..) {
            self.duration(tally).record_ns_many(ns, u64::from(count));
        }
        due.count = 0;
        if let Some((tally, traceparent)) = due.traced.take() {
            let duration = self.duration(tally);
            duration.offer_exemplar(ns, || TraceContext::parse(&traceparent));
        }
    }

    /// The durations of a tally that is there, since what is timed has been counted.
    #[inline]
    fn duration(&self, tally: u16) -> &Histogram {
        let tally = self.levels.tallies[usize::from(tally)].get();
        &tally.expect("it has been counted").duration
    }

    #[inline]
    fn tally(&self, answered: &Answered) -> &Tally {
        self.levels.tallies[usize::from(answered.tally())].get_or_init(|| {
            Box::new(Tally {
                duration: self.metrics.duration(answered.method, answered.route),
                kinds: Default::default(),
            })
        })
    }

    /// Has the series of a kind shown that has come for the first time.
    #[cold]
    fn begin(&self, answered: &Answered) {
        let Answered {
            method,
            route,
            status,
            coding,
            ..
        } = *answered;
        let [requests, sizes] = self.metrics.counters(method, route, status, coding);
        let series = &self.metrics.series;
        series.requests[method as usize][route as usize][place_of(status)].get_or_init(|| requests);
        series.sizes[route as usize][coding.index()].get_or_init(|| sizes);
    }

    /// Counts a request until the guard is dropped.
    pub fn request(&self) -> LevelGuard {
        LevelGuard::enter(&self.levels, |levels| &levels.requests)
    }
}

/// Something that goes on.
#[derive(Debug)]
pub struct LevelGuard {
    levels: Arc<Levels>,
    level: fn(&Levels) -> &AtomicI64,
}

impl LevelGuard {
    fn enter(levels: &Arc<Levels>, level: fn(&Levels) -> &AtomicI64) -> Self {
        let guard = Self {
            levels: Arc::clone(levels),
            level,
        };
        guard.add(1);
        guard
    }

    fn add(&self, by: i64) {
        let level = (self.level)(&self.levels);
        // Relaxed, and no read-modify-write: this thread is the only one that writes.
        level.store(level.load(Ordering::Relaxed) + by, Ordering::Relaxed);
    }
}

impl Drop for LevelGuard {
    fn drop(&mut self) {
        self.add(-1);
    }
}
