//! A request's way: from the bytes of a head to the bytes of an answer.
//!
//! Two faces answer, and cannot disagree: both read heads by [`framing`] and answer by [`answer`]. The [`lane`] answers
//! HTTP/1 straight from a connection's bytes; the actix-web application ([`app`]), behind the [`guard`], metrics and admin
//! endpoints, and everything where there is no lane. [`connection`] leads a connection through both. HTTP/2 is read by [`h2`],
//! and answered by the same.
//!
//! [`framing`], [`host`], [`request`], [`route`], [`negotiate`], [`range`], [`proxy_header`], [`answer`], [`reply`], [`problem`],
//! [`slice`](mod@slice), [`send_rate`] and [`pressure`] are pure: they name no framework and do no input or output.

pub mod access_log;
pub mod admin;
pub mod answer;
pub mod app;
pub mod authorizer;
pub mod closing;
pub mod connection;
pub mod cors;
pub mod framing;
pub mod guard;
pub mod guesses;
pub mod h2;
pub mod host;
pub mod introduction;
pub mod lane;
pub mod negotiate;
pub mod pressure;
pub mod problem;
pub mod proxies;
pub mod proxy_header;
pub mod range;
pub mod record;
pub mod reply;
pub mod request;
pub mod route;
pub mod scrape;
pub mod send_rate;
pub mod server;
pub mod slice;
pub mod timer;
pub mod token;
pub mod transport;
pub mod worker;
