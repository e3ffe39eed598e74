//! Connections in memory, in a time that passes only when nothing else is left to do.

mod fairness;
#[path = "../support/frames.rs"]
mod frames;
mod http1;
mod http2;
mod introductions;
mod limits;
mod memory;
mod model;
