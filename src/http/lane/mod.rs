//! The lane: answers requests of HTTP/1 with wire bytes straight from the snapshot.
//!
//! [`answer_all`] is its core, from bytes to bytes, and names neither socket nor framework; [`Lane`] carries the bytes
//! between it and a stream. What cannot be answered from what is there, metrics and admin endpoints, it leaves, with every
//! byte that was read, to the application.

mod batch;
mod memo;
mod output;
mod stream;

pub use batch::{Answers, Next, answer_all, refuse};
pub use output::{BODY_SHARED_MIN, Output};
pub use stream::{Ended, Lane};
