//! A request's way: from the bytes of a head to the bytes of an answer.
//!
//! [`request`], [`route`], [`negotiate`], [`answer`], [`reply`] and [`problem`] are pure: they name no framework and do
//! no input or output.

pub mod access_log;
pub mod admin;
pub mod answer;
pub mod app;
pub mod cors;
pub mod negotiate;
pub mod problem;
pub mod record;
pub mod reply;
pub mod request;
pub mod route;
pub mod server;
pub mod token;
