//! The access log: one event a request, off by default.
//!
//! What a client says of itself (`X-Forwarded-For`, `X-Request-Id`) is believed only from trusted proxies.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipnet::IpNet;

/// Writes the access log.
#[derive(Debug)]
pub struct AccessLog {
    trusted: Vec<IpNet>,
    /// Random, so that the ids of two processes do not meet.
    id_prefix: u32,
    id_next: AtomicU64,
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

impl fmt::Display for RequestId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(id) => f.write_str(id),
            Self::Made(prefix, number) => write!(f, "{prefix:08x}-{number:x}"),
        }
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
    /// `trusted` are the networks of the proxies that may name the client.
    pub fn new(trusted: Vec<IpNet>) -> Self {
        // The standard library's hasher keys are its one source of random bits.
        Self {
            trusted,
            id_prefix: RandomState::new().hash_one(0) as u32,
            id_next: AtomicU64::new(0),
        }
    }

    /// Tells who asked, from the peer's address and what it says.
    ///
    /// Of `X-Forwarded-For` the last address that is not a trusted proxy's is the client: everything to its left was
    /// written by whoever that is.
    pub fn caller<'r>(
        &self,
        peer: Option<IpAddr>,
        forwarded_for: impl DoubleEndedIterator<Item = &'r str>,
        request_id: Option<&'r str>,
    ) -> Caller<'r> {
        let peer = peer.map(|address| address.to_canonical());
        if !peer.is_some_and(|address| self.trusts(address)) {
            return Caller {
                client: peer,
                request_id: self.make_id(),
            };
        }
        let mut client = peer;
        for address in forwarded_for.rev().flat_map(|line| line.rsplit(',')) {
            let Ok(address) = address.trim().parse::<IpAddr>() else {
                break;
            };
            client = Some(address.to_canonical());
            if !self.trusts(address.to_canonical()) {
                break;
            }
        }
        let given =
            request_id.filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()));
        Caller {
            client,
            request_id: given.map_or_else(|| self.make_id(), RequestId::Given),
        }
    }

    /// Writes one line.
    pub fn write(&self, record: &Record<'_>) {
        tracing::info!(
            target: "janus::access",
            method = record.method,
            route = record.route,
            status = record.status,
            bytes = record.bytes,
            microseconds = record.took.as_micros() as u64,
            client = record.caller.client.map(tracing::field::display),
            request_id = %record.caller.request_id,
        );
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    fn make_id(&self) -> RequestId<'static> {
        // Relaxed: only that no number comes twice matters.
        RequestId::Made(self.id_prefix, self.id_next.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded_for: &[&str], client: &str) {
        let log = AccessLog::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let caller = log.caller(Some(peer.parse().unwrap()), forwarded_for.iter().copied(), None);
        assert_eq!(caller.client, Some(client.parse().unwrap()), "{peer} {forwarded_for:?}");
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_wrote_for_itself() {
        check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["6.6.6.6, 198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["6.6.6.6, 198.51.100.7, 10.0.0.2"], "198.51.100.7");
        check("10.0.0.1", &["6.6.6.6", "198.51.100.7, 10.0.0.2"], "198.51.100.7");
        check("10.0.0.1", &["garbage, 10.0.0.3"], "10.0.0.3");
        check("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("fd00::1", &["2001:db8::7"], "2001:db8::7");
    }

    #[test]
    fn ids_are_believed_from_trusted_proxies_only() {
        let log = AccessLog::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let id = |peer: &str, id| {
            log.caller(Some(peer.parse().unwrap()), [].into_iter(), id)
                .request_id
                .to_string()
        };
        assert_eq!(id("127.0.0.1", Some("abc-1")), "abc-1");
        assert_ne!(id("192.0.2.1", Some("abc-1")), "abc-1");
        let long = "a".repeat(129);
        for bad in ["", "a b", "a\nb", &long] {
            assert_ne!(id("127.0.0.1", Some(bad)), bad);
        }
        assert_ne!(id("127.0.0.1", None), id("127.0.0.1", None));
    }
}
