//! What the program holds and records with: [`Counter`], [`Gauge`], [`Histogram`].
//!
//! A handle is two references; to clone it is cheap, to record with it never allocates once the thread has a shard.

use std::fmt;
use std::sync::Arc;

use super::cell::{BLOCK, CellRef};
use super::exemplar::TraceContext;
use super::histogram;
use super::series::{ABSENT, Series, Value};
use super::shard::Cells;
use super::sync::{AtomicU64, Ordering};

/// A count that only grows.
///
/// Its series is there, at 0, from the registration on.
#[derive(Clone)]
pub struct Counter {
    cells: Arc<Cells>,
    at: CellRef<1>,
    series: Arc<Series>,
}

impl Counter {
    pub(super) fn new(cells: &Arc<Cells>, series: &Arc<Series>) -> Option<Self> {
        let Value::Counter { at, .. } = series.value else {
            return None;
        };
        Some(Self {
            cells: Arc::clone(cells),
            at,
            series: Arc::clone(series),
        })
    }

    /// Adds `n`.
    #[inline]
    pub fn increment(&self, n: u64) {
        self.cells.write(self.at, |row| {
            row.add(0, n, Ordering::Relaxed);
        });
    }

    /// Raises the count to `total` if it is less, for a count that is kept elsewhere and read from time to time.
    ///
    /// Meant for one writer: it adds up the shards, and an `increment` that runs at the same moment may be counted
    /// on top of `total`. The count never falls.
    pub fn absolute(&self, total: u64) {
        let Value::Counter { base, .. } = &self.series.value else {
            return;
        };
        base.fetch_max(total.saturating_sub(self.cells.sum_one(self.at)), Ordering::Relaxed);
    }
}

/// A value that goes up and down.
///
/// It is one atomic word, not sharded: the last `set` of any thread is what counts. Its series is there from the
/// first value on; a gauge that was only registered has none.
#[derive(Clone)]
pub struct Gauge {
    series: Arc<Series>,
}

impl Gauge {
    pub(super) fn new(series: &Arc<Series>) -> Option<Self> {
        matches!(series.value, Value::Gauge(_)).then(|| Self {
            series: Arc::clone(series),
        })
    }

    #[inline]
    fn bits(&self) -> &AtomicU64 {
        match &self.series.value {
            Value::Gauge(bits) => bits,
            _ => unreachable!("a gauge is made of a gauge's series"),
        }
    }

    /// Sets the value.
    #[inline]
    pub fn set(&self, value: f64) {
        self.bits().store(stored(value), Ordering::Relaxed);
    }

    /// Adds to the value; from nothing it starts at 0.
    #[inline]
    pub fn increment(&self, by: f64) {
        let add = |bits| {
            let old = if bits == ABSENT { 0.0 } else { f64::from_bits(bits) };
            Some(stored(old + by))
        };
        // Relaxed: the word stands for itself. The closure always has a result, so this cannot fail.
        let _ = self.bits().fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Subtracts from the value; from nothing it starts at 0.
    #[inline]
    pub fn decrement(&self, by: f64) {
        self.increment(-by);
    }
}

/// The bits to keep for `value`: all NaNs become one, which is not the one that means "nothing".
#[inline]
fn stored(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        value.to_bits()
    }
}

/// A distribution of durations.
///
/// Its series are there, all 0, from the registration on.
#[derive(Clone)]
pub struct Histogram {
    cells: Arc<Cells>,
    at: CellRef<BLOCK>,
    series: Arc<Series>,
}

impl Histogram {
    pub(super) fn new(cells: &Arc<Cells>, series: &Arc<Series>) -> Option<Self> {
        let Value::Histogram { at, .. } = series.value else {
            return None;
        };
        Some(Self {
            cells: Arc::clone(cells),
            at,
            series: Arc::clone(series),
        })
    }

    /// Records a duration in nanoseconds. The sum takes 2^63 ns (292 years) of it at most.
    #[inline]
    pub fn record_ns(&self, ns: u64) {
        self.record_ns_many(ns, 1);
    }

    /// Records the same duration in nanoseconds `count` times.
    #[inline]
    pub fn record_ns_many(&self, ns: u64, count: u64) {
        self.cells.write(self.at, |row| histogram::record_ns(&row, ns, count));
    }

    /// Offers the trace that a duration of `ns` nanoseconds, which has been recorded, is of, as the exemplar of its bucket.
    /// The first one between two scrapes is taken; the trace is asked for only then.
    #[inline]
    pub fn offer_exemplar(&self, ns: u64, trace: impl FnOnce() -> Option<TraceContext>) {
        if let (Value::Histogram { buckets, .. }, Some(slots)) = (&self.series.value, self.series.value.exemplars()) {
            slots[buckets.place(ns)].offer(ns, trace);
        }
    }

    /// Records a duration in seconds: the bucket by its exact value, the sum to the nearest nanosecond. What is
    /// negative counts as 0, and a NaN is not recorded.
    #[inline]
    pub fn record(&self, seconds: f64) {
        self.record_many(seconds, 1);
    }

    /// Records the same duration `count` times.
    #[inline]
    pub fn record_many(&self, seconds: f64, count: u64) {
        if !seconds.is_nan() {
            self.cells
                .write(self.at, |row| histogram::record_seconds(&row, seconds, count));
        }
    }
}

macro_rules! debug_by_name {
    ($($handle:ident),*) => {$(
        impl fmt::Debug for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($handle)).finish_non_exhaustive()
            }
        }
    )*};
}
debug_by_name!(Counter, Gauge, Histogram);
