//! Connections in memory: both faces, in a time that passes only when nothing else is left to do.

mod faces;
mod limits;
mod memory;
