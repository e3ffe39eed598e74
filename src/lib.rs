//! Janus publishes a read-mostly JSON collection as an HTTP API.
//!
//! Everything that a request needs is computed when the data changes. The modules stand in the order of the way of
//! data: bytes come from [`source`], become [`items`], are compiled to one immutable [`snapshot`], and are served by
//! [`http`]. Numbers go their own way: [`hardware`] and every other event record into [`metrics`].

pub mod hardware;
pub mod http;
pub mod items;
pub mod lifecycle;
pub mod metrics;
pub mod snapshot;
pub mod source;
