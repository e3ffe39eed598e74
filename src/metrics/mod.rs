//! The recorder: numbers that the program counts, and their exposition for Prometheus.
//!
//! A program makes one [`Registry`], registers handles in it and records with them; each recording thread writes
//! cells of its own, so to record waits for nobody. A scrape sums the cells and renders them in a [`Format`].
//! Libraries that use the `metrics` facade land in the same registry through [`Recorder`].
//!
//! The way of a number: a handle ([`Counter`], [`Histogram`]) finds the thread's `shard` and adds to a `cell` of it;
//! `registry` sums the shards and `exposition` writes them down. `catalogue`, `series` and `table` are the way of a
//! name. [`collected`] is what nobody records: it is read when a scrape comes. `process` reads so what the kernel knows of the
//! process.
//!
//! It imports nothing else of Janus, and never blocks, allocates or does input or output where something is recorded.
//! The exception is a thread's first record into a chunk of cells, which allocates the chunk; therefore a global
//! allocator must not record.

mod catalogue;
mod cell;
pub mod collected;
mod error;
mod exemplar;
mod exposition;
mod format;
mod handle;
mod histogram;
#[cfg(all(test, loom))]
mod models;
pub mod process;
mod recorder;
mod registry;
mod series;
mod shard;
mod sync;
mod table;
#[cfg(all(test, not(loom)))]
mod tests;

pub use catalogue::MAX_SERIES;
pub use error::RegisterError;
pub use exemplar::TraceContext;
pub use format::Format;
pub use handle::{Counter, Gauge, Histogram};
pub use histogram::Buckets;
pub use recorder::Recorder;
pub use registry::Registry;
