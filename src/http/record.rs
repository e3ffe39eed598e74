//! What is recorded of requests: the handles, registered once, and the guards of what goes on.
//!
//! Labels are a closed set: method, route template, status, coding; never text that a client sent. A series is
//! registered when it first counts, so that a scrape shows what happened and not all that could.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::reply::Reply;
use super::request::Method;
use super::route::Route;
use super::scrape::Scrapes;
use crate::metrics::{Counter, Format, Gauge, Histogram, Registry};
use crate::snapshot::{Coding, STATUSES};

/// The HTTP series of one registry.
#[derive(Debug)]
pub struct HttpMetrics {
    registry: Arc<Registry>,
    scrapes: Scrapes,
    requests: [[[OnceLock<Counter>; STATUSES.len()]; Route::TEMPLATES.len()]; Method::ALL.len()],
    durations: [[OnceLock<Histogram>; Route::TEMPLATES.len()]; Method::ALL.len()],
    sizes: [[OnceLock<Counter>; Coding::ALL.len()]; Route::TEMPLATES.len()],
    handovers: [OnceLock<Counter>; HandOver::ALL.len()],
    /// From the start, so that the first one is an increase.
    cuts: [Counter; Cut::ALL.len()],
    levels: Arc<Mutex<Vec<Arc<Levels>>>>,
}

/// How many connections and requests one worker has. Only that worker writes them, so each change is a load and a
/// store; a scrape sums them over the workers.
#[derive(Debug, Default)]
struct Levels {
    connections: AtomicI64,
    requests: AtomicI64,
}

/// Why a connection is left to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// It asks for the metrics.
    Metrics,
    /// It asks for an admin endpoint.
    Admin,
    /// There is no lane.
    NoLane,
}

impl HandOver {
    /// Every reason, each at its place.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Admin, Self::NoLane];

    /// Its name as a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Admin => "admin",
            Self::NoLane => "no_lane",
        }
    }
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
    /// The route's template: one of [`Route::TEMPLATES`].
    pub route: &'static str,
    /// The status code.
    pub status: u16,
    /// The body's coding.
    pub coding: Coding,
    /// The body's length in bytes.
    pub length: usize,
    /// From the end of the head to the answer.
    pub took: Duration,
}

impl Answered {
    /// A reply to a request with this method; how long it took is not known yet.
    pub fn of(method: Method, reply: &Reply<'_>) -> Self {
        Self {
            method,
            route: reply.route(),
            status: reply.status(),
            coding: reply.coding(),
            length: reply.body().len(),
            took: Duration::ZERO,
        }
    }
}

impl HttpMetrics {
    /// Describes the series, and has a scrape sum the levels.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self::with(Scrapes::new(Arc::clone(&registry)), registry)
    }

    /// As `new`, with scrapes that are made by who asks: for a clock that passes while another thread works.
    pub fn scraped_in_place(registry: Arc<Registry>) -> Self {
        Self::with(Scrapes::in_place(Arc::clone(&registry)), registry)
    }

    fn with(scrapes: Scrapes, registry: Arc<Registry>) -> Self {
        registry.describe("http_requests_total", "Requests answered.", None);
        registry.describe(
            "http_request_duration_seconds",
            "From the end of a request's head to its answer, before it is written to the socket.",
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
            "http_handovers_total",
            "Connections left to the application, by what it was for.",
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
        let summed = Arc::clone(&levels);
        registry.on_scrape(move || {
            let levels = summed.lock();
            set_sum(&connections, levels.iter().map(|levels| &levels.connections));
            set_sum(&requests, levels.iter().map(|levels| &levels.requests));
        });
        Self {
            scrapes,
            registry,
            requests: Default::default(),
            durations: Default::default(),
            sizes: Default::default(),
            handovers: Default::default(),
            cuts,
            levels,
        }
    }

    /// The registry, to be scraped.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The exposition as it is now. The calling thread does not make it.
    pub async fn scrape(&self, format: Format) -> Bytes {
        self.scrapes.exposition(format).await
    }

    /// The levels of one worker.
    pub fn worker(self: &Arc<Self>) -> WorkerLevels {
        let levels = Arc::new(Levels::default());
        self.levels.lock().push(Arc::clone(&levels));
        WorkerLevels(levels)
    }

    /// Counts a connection of a trusted proxy that did not begin as it should.
    pub fn introduction_refused(&self, reason: &'static str) {
        let refused = self
            .registry
            .counter("janus_proxy_headers_refused_total", &[("reason", reason)]);
        refused.expect("the set of labels is closed").increment(1);
    }

    /// Counts a connection that is left to the application.
    pub fn handed_over(&self, reason: HandOver) {
        let handovers = self.handovers[reason as usize].get_or_init(|| {
            self.registry
                .counter("http_handovers_total", &[("reason", reason.label())])
                .expect("the set of labels is closed")
        });
        handovers.increment(1);
    }

    /// Counts a connection that is reset in the middle of an answer.
    pub fn cut(&self, reason: Cut) {
        self.cuts[reason as usize].increment(1);
    }

    /// Records an answer.
    pub fn record(&self, answered: &Answered) {
        let Answered {
            method,
            route,
            status,
            coding,
            length,
            took,
        } = *answered;
        let method_at = method as usize;
        let route_at = place(&Route::TEMPLATES, &route);
        let requests = &self.requests[method_at][route_at][place(&STATUSES, &status)];
        let requests = requests.get_or_init(|| {
            let status = status.to_string();
            let labels = [("method", method.label()), ("route", route), ("status", &status)];
            self.registry
                .counter("http_requests_total", &labels)
                .expect("the set of labels is closed")
        });
        requests.increment(1);
        let duration = self.durations[method_at][route_at].get_or_init(|| {
            let labels = [("method", method.label()), ("route", route)];
            self.registry
                .histogram("http_request_duration_seconds", &labels)
                .expect("the set of labels is closed")
        });
        duration.record_ns(took.as_nanos() as u64);
        let size = self.sizes[route_at][coding.index()].get_or_init(|| {
            let labels = [("route", route), ("encoding", coding.token())];
            self.registry
                .counter("http_response_size_bytes_total", &labels)
                .expect("the set of labels is closed")
        });
        size.increment(length as u64);
    }
}

fn place<T: PartialEq + std::fmt::Debug>(all: &[T], one: &T) -> usize {
    all.iter()
        .position(|other| other == one)
        .unwrap_or_else(|| unreachable!("{one:?} is one of {all:?}"))
}

fn set_sum<'a>(gauge: &Gauge, levels: impl Iterator<Item = &'a AtomicI64>) {
    // Relaxed: a level may be seen a moment late; each is right by itself.
    gauge.set(levels.map(|level| level.load(Ordering::Relaxed)).sum::<i64>() as f64);
}

/// One worker's levels. All its guards must stay in that worker's thread.
#[derive(Clone, Debug)]
pub struct WorkerLevels(Arc<Levels>);

impl WorkerLevels {
    /// Counts a connection until the guard is dropped.
    pub fn connection(&self) -> LevelGuard {
        LevelGuard::enter(&self.0, |levels| &levels.connections)
    }

    /// Counts a request until the guard is dropped.
    pub fn request(&self) -> LevelGuard {
        LevelGuard::enter(&self.0, |levels| &levels.requests)
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
