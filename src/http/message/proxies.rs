//! Trusted proxies: whose word about a client is believed, and what it says.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// The networks of the proxies that may name a client.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
}

impl TrustedProxies {
    /// Those of these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks }
    }

    /// Whether whoever has this address is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Who asks, where `peer` is at the other end of the connection, and these are the lines of `X-Forwarded-For`.
    ///
    /// The last address that is not a trusted proxy's is the client: everything to its left was written by whoever that
    /// is.
    pub fn client<'r>(
        &self,
        peer: Option<IpAddr>,
        forwarded_for: impl DoubleEndedIterator<Item = &'r str>,
    ) -> Option<IpAddr> {
        let mut client = peer?.to_canonical();
        if !self.trusts(client) {
            return Some(client);
        }
        for element in forwarded_for.rev().flat_map(|line| line.rsplit(',')) {
            let Some(address) = address(element) else { break };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        Some(client)
    }
}

/// The address in an element of `X-Forwarded-For`. Some load balancers add the port, and an address of IPv6 then stands in
/// brackets.
fn address(element: &str) -> Option<IpAddr> {
    let text = element.trim().trim_matches('"');
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let bare = text.strip_prefix('[')?.strip_suffix(']')?;
    bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded_for: &[&str], client: &str) {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let found = proxies.client(Some(peer.parse().unwrap()), forwarded_for.iter().copied());
        assert_eq!(found, Some(client.parse().unwrap()), "{peer} {forwarded_for:?}");
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
        check("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1");
        check("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("fd00::1", &["2001:db8::7"], "2001:db8::7");
    }

    #[test]
    fn an_address_may_have_its_port() {
        check("10.0.0.1", &["203.0.113.7:51234"], "203.0.113.7");
        check(
            "10.0.0.1",
            &["6.6.6.6:1, 203.0.113.7:51234, 10.0.0.2:80"],
            "203.0.113.7",
        );
        check("10.0.0.1", &["[2001:db8::7]:443"], "2001:db8::7");
        check("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7");
        check("10.0.0.1", &["\"[2001:db8::7]:443\""], "2001:db8::7");
        check("10.0.0.1", &["[::ffff:203.0.113.7]:1"], "203.0.113.7");
        for other in [
            "203.0.113.7:",
            "203.0.113.7:x",
            "203.0.113.7:70000",
            "[203.0.113.7]",
            "[2001:db8::7",
            "a:80",
            "",
        ] {
            check("10.0.0.1", &[other], "10.0.0.1");
        }
    }
}
