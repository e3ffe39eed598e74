//! Janus publishes a read-mostly JSON collection as an HTTP API.
//!
//! Everything that a request needs is computed when the data changes, never when the request comes. Three ways lead
//! through the crate, and its modules stand in their order:
//!
//! - the way of data: bytes come from [`source`], become [`items`], are compiled to one immutable [`snapshot`]
//!   ([`reload`] goes that way once, and again at each change);
//! - the way of a request: [`http`] answers from the snapshot;
//! - the way of a number: [`hardware`] and every other event record into [`metrics`].
//!
//! [`app`] builds the parts from the [`config`] that [`cli`] reads, and owns their [`lifecycle`].

pub mod allocator;
pub mod app;
pub mod body;
pub mod budget;
pub mod check;
pub mod cli;
pub mod coding;
pub mod config;
pub mod descriptors;
pub mod exit;
pub mod hardware;
pub mod health;
pub mod http;
pub mod items;
pub mod ledger;
pub mod lifecycle;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod output;
pub mod progress;
pub mod reload;
pub mod snapshot;
pub mod source;
pub mod status;
