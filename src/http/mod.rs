//! A request's way: from the bytes of a head to the bytes of an answer.
//!
//! - [`message`] is what was asked, and where it ends;
//! - [`answer`] is what is answered to that, from a snapshot: both are pure;
//! - [`serve`] owns connections, and answers them by the two;
//! - [`app`] is the application, for what takes time: it is called by [`call`], and sees no connection.

pub mod answer;
pub mod app;
pub mod call;
pub mod message;
pub mod serve;
