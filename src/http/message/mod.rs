//! The message: what was asked, and where it ends. Pure: nothing here does input or output, or knows what is served.

pub mod accept_encoding;
pub mod framing;
pub mod host;
pub mod proxies;
pub mod proxy_header;
pub mod range;
pub mod request;
