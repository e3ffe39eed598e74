//! Connections in memory: both faces, in a time that passes only when nothing else is left to do.

mod faces;
mod fairness;
#[path = "../support/frames.rs"]
mod frames;
mod http2;
mod introductions;
mod limits;
mod memory;
