//! What may stand in `Host`: `uri-host [":" port]` (RFC 9110, section 7.2; RFC 3986, sections 3.2.2 and 3.2.3). Pure.

use core::net::Ipv6Addr;

/// Whether a field value names a host. An empty one names none: Janus has no URI without an
/// authority, and takes it for its probes only ([`RequestHead::has_empty_host`](super::request::RequestHead::has_empty_host)).
pub fn is_host(value: &[u8]) -> bool {
    let (name_is_valid, rest) = match value.strip_prefix(b"[") {
        Some(literal) => {
            let Some(end) = literal.iter().position(|&byte| byte == b']') else {
                return false;
            };
            (is_ip_literal(&literal[..end]), &literal[end + 1..])
        }
        None => {
            let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
            (is_registered_name(&value[..end]), &value[end..])
        }
    };
    name_is_valid
        && match rest.split_first() {
            None => true,
            Some((b':', port)) => port.iter().all(u8::is_ascii_digit),
            Some(_) => false,
        }
}

/// `reg-name`, of which an IPv4 address is one, with at least one character.
fn is_registered_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
            _ if IN_NAME[byte as usize] => tail,
            _ => return false,
        };
    }
    !name.is_empty()
}

fn is_ip_literal(literal: &[u8]) -> bool {
    match literal.split_first() {
        Some((b'v' | b'V', future)) => {
            let Some(dot) = future.iter().position(|&byte| byte == b'.') else {
                return false;
            };
            let (version, address) = (&future[..dot], &future[dot + 1..]);
            let is_version = !version.is_empty() && version.iter().all(u8::is_ascii_hexdigit);
            let is_address = !address.is_empty() && address.iter().all(|&b| b == b':' || IN_NAME[b as usize]);
            is_version && is_address
        }
        _ => std::str::from_utf8(literal).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()),
    }
}

/// `unreserved` and `sub-delims`.
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=";
    let mut place = 0;
    while place < others.len() {
        table[others[place] as usize] = true;
        place += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn hosts_are_told_from_what_is_none() {
        for host in [
            "localhost",
            "a.example:8080",
            "192.0.2.1",
            "192.0.2.1:80",
            "a:",
            "[::1]",
            "[2001:db8::7]:443",
            "[v1.a:b]",
            "xn--land-poa.example",
            "%C3%85land",
            "a_b",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for other in [
            "",
            ":80",
            "a b",
            "a/b",
            "user@a",
            "a:80:80",
            "a:http",
            "[::1",
            "[::1]x",
            "[]",
            "[fe80::1%25eth0]",
            "[v.a]",
            "%zz",
            "%4",
            "Åland",
            "a,b/c",
            "a\"",
        ] {
            assert!(!is_host(other.as_bytes()), "{other}");
        }
    }
}
