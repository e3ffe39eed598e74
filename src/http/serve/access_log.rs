//! The access log: one event a request, off by default.
//!
//! What a client says of itself (`X-Forwarded-For`, `X-Request-Id`) is believed only from trusted proxies.

use std::collections::hash_map::RandomState;
use std::fmt::{self, Write as _};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::http::message::proxies::TrustedProxies;

/// Writes the access log.
pub struct AccessLog {
    proxies: TrustedProxies,
    /// Templates of the routes whose requests are passed over.
    excluded: Vec<&'static str>,
    /// Random, so that the ids of two processes do not meet.
    id_prefix: u32,
    id_next: AtomicU64,
    /// Has the lines written that this thread has logged.
    flush: fn(),
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("excluded", &self.excluded)
            .finish_non_exhaustive()
    }
}

/// Who asked, and as what the request is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Caller<'r> {
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The request's id.
    pub request_id: RequestId<'r>,
}

/// A request's id: a trusted proxy's, or one made here.
#[derive(Debug, PartialEq, Eq)]
pub enum RequestId<'r> {
    /// As the proxy wrote it: up to 128 visible ASCII characters.
    Given(&'r str),
    /// Made here.
    Made(u32, u64),
}

impl RequestId<'_> {
    /// Calls `with` with the id as text.
    fn with_text<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Given(id) => with(id),
            Self::Made(prefix, number) => {
                let mut text = Text::default();
                write!(text, "{prefix:08x}-{number:x}").expect("there is room for it");
                with(text.as_str())
            }
        }
    }
}

/// Short text that is not allocated: an id that is made here.
#[derive(Default)]
struct Text {
    bytes: [u8; 32],
    length: usize,
}

impl Text {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("text was written")
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// One answered request.
#[derive(Debug)]
pub struct Record<'r> {
    /// The method's label.
    pub method: &'static str,
    /// The route's template.
    pub route: &'static str,
    /// The status code.
    pub status: u16,
    /// The body's length.
    pub bytes: usize,
    /// From the end of the request's head to the answer.
    pub took: Duration,
    /// Who asked.
    pub caller: Caller<'r>,
}

impl AccessLog {
    /// `proxies` may name the client. `flush` has the lines written that the thread has logged which calls it.
    pub fn new(proxies: TrustedProxies, flush: fn()) -> Self {
        // The standard library's hasher keys are its one source of random bits.
        Self {
            proxies,
            excluded: Vec::new(),
            id_prefix: RandomState::new().hash_one(0) as u32,
            id_next: AtomicU64::new(0),
            flush,
        }
    }

    /// Passes over requests for routes of these templates, as long as they are answered as they should be.
    pub fn excluding(self, excluded: Vec<&'static str>) -> Self {
        Self { excluded, ..self }
    }

    /// Tells who asked, from the peer's address and what it says.
    pub fn caller<'r>(
        &self,
        peer: Option<IpAddr>,
        forwarded_for: impl DoubleEndedIterator<Item = &'r str>,
        request_id: Option<&'r str>,
    ) -> Caller<'r> {
        let is_usable = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        let is_believed = peer.is_some_and(|peer| self.proxies.trusts(peer));
        let given = request_id.filter(|id| is_believed && is_usable(id));
        Caller {
            client: self.proxies.client(peer, forwarded_for),
            request_id: given.map_or_else(|| self.make_id(), RequestId::Given),
        }
    }

    /// Logs a request. Its line is written when this thread [flushes](AccessLog::flush), or has logged many.
    pub fn write(&self, record: &Record<'_>) {
        if record.status < 400 && self.excluded.contains(&record.route) {
            return;
        }
        record.caller.request_id.with_text(|request_id| {
            tracing::info!(
                target: "janus::access",
                method = record.method,
                route = record.route,
                status = record.status,
                bytes = record.bytes,
                microseconds = record.took.as_micros() as u64,
                client = record.caller.client.map(tracing::field::display),
                request_id,
            );
        });
    }

    /// Has what this thread has logged written. To be called when the answers have been sent: it may cost a system call.
    pub fn flush(&self) {
        (self.flush)();
    }

    fn make_id(&self) -> RequestId<'static> {
        // Relaxed: only that no number comes twice matters.
        RequestId::Made(self.id_prefix, self.id_next.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_believed_from_trusted_proxies_only() {
        let proxies = TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let log = AccessLog::new(proxies, || ());
        let id = |peer: &str, id| {
            let caller = log.caller(Some(peer.parse().unwrap()), [].into_iter(), id);
            caller.request_id.with_text(str::to_owned)
        };
        assert_eq!(id("127.0.0.1", Some("abc-1")), "abc-1");
        assert_eq!(id("::ffff:127.0.0.1", Some("abc-1")), "abc-1");
        assert_ne!(id("192.0.2.1", Some("abc-1")), "abc-1");
        let long = "a".repeat(129);
        for bad in ["", "a b", "a\nb", &long] {
            assert_ne!(id("127.0.0.1", Some(bad)), bad);
        }
        assert_ne!(id("127.0.0.1", None), id("127.0.0.1", None));
    }

    #[test]
    fn the_longest_id_that_is_made_has_room() {
        let longest = RequestId::Made(u32::MAX, u64::MAX).with_text(str::to_owned);
        assert_eq!(longest, "ffffffff-ffffffffffffffff");
    }
}
