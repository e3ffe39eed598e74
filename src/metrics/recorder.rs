//! The facade: libraries that record through the `metrics` crate land in the registry.
//!
//! Janus itself holds concrete handles and does not come this way.

use std::sync::Arc;

use ::metrics::{CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};

use super::error::RegisterError;
use super::handle::{Counter, Gauge, Histogram};
use super::registry::Registry;
use super::table::Table;

/// A `metrics::Recorder` over a [`Registry`].
///
/// Names and label names have any character that the data model does not know replaced by `_`, as the facade's
/// exporters do. A series that the registry refuses is a handle that does nothing, and is counted in
/// `janus_metrics_rejected_total`. Histograms are taken to be of seconds.
///
/// ```
/// use std::sync::Arc;
/// use janus::metrics::{Recorder, Registry};
///
/// let registry = Arc::new(Registry::new());
/// let recorder = Recorder::new(Arc::clone(&registry));
/// metrics::with_local_recorder(&recorder, || metrics::counter!("requests_total").increment(1));
/// ```
pub struct Recorder {
    registry: Arc<Registry>,
    /// The handles given out, by the facade's own key and hash: its macros look one up at every call.
    counters: Table<Known<::metrics::Counter>>,
    gauges: Table<Known<::metrics::Gauge>>,
    histograms: Table<Known<::metrics::Histogram>>,
}

struct Known<H> {
    key: Key,
    handle: H,
}

impl Recorder {
    /// A recorder into `registry`; `metrics::set_global_recorder` makes it the program's.
    pub fn new(registry: Arc<Registry>) -> Self {
        let max = registry.max_series();
        Self {
            registry,
            counters: Table::new(max),
            gauges: Table::new(max),
            histograms: Table::new(max),
        }
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, help: &str) {
        let unit = unit.filter(|unit| *unit != Unit::Count).map(|unit| unit.as_str());
        self.registry.describe(&valid_name(name.as_str()), help, unit);
    }
}

/// The handle known for `key`, or the one that `register` makes. One that is refused is not kept, so that each
/// attempt is counted.
fn known<H: Clone>(
    table: &Table<Known<H>>,
    key: &Key,
    register: impl Fn(&str, &[(&str, &str)]) -> Result<H, RegisterError>,
    refused: fn() -> H,
) -> H {
    let is = |known: &Known<H>| known.key == *key;
    if let Some(known) = table.get(key.get_hash(), is) {
        return known.handle.clone();
    }
    let labels: Vec<(String, &str)> = key
        .labels()
        .map(|label| (valid_label(label.key()), label.value()))
        .collect();
    let labels: Vec<(&str, &str)> = labels.iter().map(|(label, value)| (label.as_str(), *value)).collect();
    let Ok(handle) = register(&valid_name(key.name()), &labels) else {
        return refused();
    };
    let make = || {
        Ok(Known {
            key: key.to_retained(),
            handle: handle.clone(),
        })
    };
    match table.get_or_insert(key.get_hash(), is, make) {
        Ok(known) => known.handle.clone(),
        Err(_) => handle,
    }
}

impl ::metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> ::metrics::Counter {
        let register = |name: &str, labels: &[(&str, &str)]| {
            Ok(::metrics::Counter::from_arc(Arc::new(
                self.registry.counter(name, labels)?,
            )))
        };
        known(&self.counters, key, register, ::metrics::Counter::noop)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> ::metrics::Gauge {
        let register = |name: &str, labels: &[(&str, &str)]| {
            Ok(::metrics::Gauge::from_arc(Arc::new(self.registry.gauge(name, labels)?)))
        };
        known(&self.gauges, key, register, ::metrics::Gauge::noop)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> ::metrics::Histogram {
        let register = |name: &str, labels: &[(&str, &str)]| {
            Ok(::metrics::Histogram::from_arc(Arc::new(
                self.registry.histogram(name, labels)?,
            )))
        };
        known(&self.histograms, key, register, ::metrics::Histogram::noop)
    }
}

impl CounterFn for Counter {
    fn increment(&self, value: u64) {
        Counter::increment(self, value);
    }

    fn absolute(&self, value: u64) {
        Counter::absolute(self, value);
    }
}

impl GaugeFn for Gauge {
    fn increment(&self, value: f64) {
        Gauge::increment(self, value);
    }

    fn decrement(&self, value: f64) {
        Gauge::decrement(self, value);
    }

    fn set(&self, value: f64) {
        Gauge::set(self, value);
    }
}

impl HistogramFn for Histogram {
    fn record(&self, value: f64) {
        Histogram::record(self, value);
    }

    fn record_many(&self, value: f64, count: usize) {
        Histogram::record_many(self, value, count as u64);
    }
}

fn valid_name(name: &str) -> String {
    replace_invalid(name, |character| character == ':')
}

fn valid_label(label: &str) -> String {
    replace_invalid(label, |_| false)
}

/// `text` with `_` for each character that is no ASCII letter, no digit after the first character, and not `also`.
fn replace_invalid(text: &str, also: fn(char) -> bool) -> String {
    let valid = |at: usize, c: char| c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit()) || also(c);
    text.chars()
        .enumerate()
        .map(|(at, c)| if valid(at, c) { c } else { '_' })
        .collect()
}
