//! The loops: each owns its connections from accept to close, and answers what they ask.
//!
//! [`slice`](mod@slice), [`send_rate`], [`pressure`] and what [`h2`] tells by frames are pure.

pub mod access_log;
mod batch;
mod called;
mod closing;
mod connection;
mod event_loop;
pub mod h2;
mod http1;
mod introduction;
pub mod listen;
pub mod mailbox;
mod memo;
mod output;
pub mod pressure;
pub mod record;
mod repeats;
pub mod send_rate;
pub mod slice;
pub mod socket;
mod timer;
pub mod usual;
pub mod worker;

pub use event_loop::{EventLoop, Ready};
