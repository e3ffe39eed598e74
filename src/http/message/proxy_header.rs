//! The PROXY protocol, versions 1 and 2: what a load balancer that passes bytes on says first of a connection (HAProxy,
//! "The PROXY protocol", doc/proxy-protocol.txt). Pure.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header, in bytes. The protocol would allow four times as much, which no load balancer sends.
pub const LENGTH_MAX: usize = 16 << 10;

/// The longest header of version 1, in bytes.
const LENGTH_MAX_V1: usize = 107;

const SIGNATURE_V1: &[u8] = b"PROXY ";

const SIGNATURE_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Of version 2, in bytes: the signature, version and command, family and transport, and the length of the rest.
const START_LENGTH: usize = 16;

/// The extension that holds a checksum of the header.
const TYPE_CRC32C: u8 = 0x03;

/// What a connection's bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A header that is not whole yet.
    Partial,
    /// A header.
    Whole(Header),
    /// No header, or none that can be believed.
    Refused(Fault),
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// In bytes.
    pub length: usize,
    /// Who is at the other end of the load balancer. `None` if that is the load balancer itself, which looks whether the
    /// server is well, or if it is not known, or not by an address.
    pub client: Option<SocketAddr>,
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Something else was sent.
    Missing,
    /// It contradicts the protocol.
    Malformed,
    /// It is longer than is read.
    TooLong,
    /// Its checksum is another.
    Checksum,
}

/// Reads the header that `bytes` begin with.
pub fn read(bytes: &[u8]) -> Reading {
    let begins_with = |signature: &[u8]| {
        let length = bytes.len().min(signature.len());
        bytes[..length] == signature[..length]
    };
    let read = if begins_with(SIGNATURE_V1) {
        read_v1(bytes)
    } else if begins_with(SIGNATURE_V2) {
        read_v2(bytes)
    } else {
        Err(Fault::Missing)
    };
    match read {
        Ok(None) => Reading::Partial,
        Ok(Some(header)) => Reading::Whole(header),
        Err(fault) => Reading::Refused(fault),
    }
}

fn read_v1(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    let window = &bytes[..bytes.len().min(LENGTH_MAX_V1)];
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~');
    let Some(end) = window.iter().position(|byte| !is_text(byte)) else {
        return if window.len() < LENGTH_MAX_V1 {
            Ok(None)
        } else {
            Err(Fault::TooLong)
        };
    };
    match &window[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if window.len() < LENGTH_MAX_V1 => return Ok(None),
        _ => return Err(Fault::Malformed),
    }
    let line = window.get(SIGNATURE_V1.len()..end).ok_or(Fault::Malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| Fault::Malformed)?;
    Ok(Some(Header {
        length: end + 2,
        client: client_of_line(line).ok_or(Fault::Malformed)?,
    }))
}

/// What stands behind `PROXY `: `TCP4 192.0.2.1 192.0.2.2 1234 80`.
fn client_of_line(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        // Whatever else it says is to be passed over.
        return Some(None);
    }
    let mut addresses = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); 2];
    for address in &mut addresses {
        let word = words.next()?;
        *address = match family {
            "TCP4" => IpAddr::V4(word.parse().ok()?),
            "TCP6" => IpAddr::V6(word.parse().ok()?),
            _ => return None,
        };
    }
    let [source, _destination] = [port(words.next()?)?, port(words.next()?)?];
    words
        .next()
        .is_none()
        .then(|| Some(SocketAddr::new(addresses[0], source)))
}

/// Decimal, without a sign or zeros before it.
fn port(word: &str) -> Option<u16> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    is_plain.then(|| word.parse().ok())?
}

fn read_v2(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    let Some(start) = bytes.first_chunk::<START_LENGTH>() else {
        return Ok(None);
    };
    let [version_and_command, family_and_transport, length @ ..] = *start.last_chunk::<4>().expect("there are sixteen");
    let length = START_LENGTH + usize::from(u16::from_be_bytes(length));
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Fault::Malformed),
    };
    if length > LENGTH_MAX {
        return Err(Fault::TooLong);
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(None);
    };
    // The load balancer itself asks: all else is to be passed over.
    if is_local {
        return Ok(Some(Header { length, client: None }));
    }
    let block = &header[START_LENGTH..];
    // Family and transport; what is not one of them is to be refused.
    let (addresses_length, client) = match family_and_transport {
        0x11 => (12, block.first_chunk().map(client_v4)),
        0x21 => (36, block.first_chunk().map(client_v6)),
        // Datagrams, whose client is not this connection's.
        0x12 => (12, None),
        0x22 => (36, None),
        0x31 | 0x32 => (216, None),
        // Not specified: how long the addresses are is not known, and neither is where the extensions begin.
        0x00..=0x02 | 0x10 | 0x20 | 0x30 => return Ok(Some(Header { length, client: None })),
        _ => return Err(Fault::Malformed),
    };
    let extensions = block.get(addresses_length..).ok_or(Fault::Malformed)?;
    check_sum(header, extensions)?;
    Ok(Some(Header { length, client }))
}

fn client_v4(addresses: &[u8; 12]) -> SocketAddr {
    let [a, b, c, d, _, _, _, _, port @ .., _, _] = *addresses;
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), u16::from_be_bytes(port))
}

fn client_v6(addresses: &[u8; 36]) -> SocketAddr {
    let source: [u8; 16] = *addresses.first_chunk().expect("there are more");
    let port = [addresses[32], addresses[33]];
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(source)), u16::from_be_bytes(port))
}

/// Holds the header against its checksum, if it has one: that is the one extension which a receiver must not pass over.
/// Extensions that are cut off end the search; nothing in them is used.
fn check_sum(header: &[u8], extensions: &[u8]) -> Result<(), Fault> {
    let mut rest = extensions;
    while let [kind, high, low, tail @ ..] = rest {
        let Some((value, after)) = tail.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))) else {
            return Ok(());
        };
        if *kind == TYPE_CRC32C {
            let expected = u32::from_be_bytes(value.try_into().map_err(|_| Fault::Malformed)?);
            let start = header.len() - tail.len();
            // It is of the header with zeros in its own place.
            let bytes = header.iter().enumerate().map(|(place, &byte)| {
                let is_own = (start..start + value.len()).contains(&place);
                if is_own { 0 } else { byte }
            });
            if crc32c(bytes) != expected {
                return Err(Fault::Checksum);
            }
        }
        rest = after;
    }
    Ok(())
}

/// CRC-32C (RFC 9260, appendix A).
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks a header that is followed by a request, and that no shorter piece of it is told anything for good.
    #[track_caller]
    fn check(header: &[u8], client: Option<&str>) {
        let client = client.map(|client| client.parse().unwrap());
        let length = header.len();
        let sent = [header, b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(read(&sent), Reading::Whole(Header { length, client }), "{header:x?}");
        for end in 0..length {
            assert_eq!(read(&sent[..end]), Reading::Partial, "{header:x?} to byte {end}");
        }
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], fault: Fault) {
        assert_eq!(
            read(bytes),
            Reading::Refused(fault),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }

    /// Version 2, with this command, family and block.
    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [&SIGNATURE_V2[..], &[command, family], &length, block].concat()
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 2, 0xc8, 0x22, 0, 80];

    #[test]
    fn version_1_names_the_client() {
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", Some("192.0.2.1:1234"));
        check(
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            Some("255.255.255.255:65535"),
        );
        check(
            b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n",
            Some("[2001:db8::7]:51234"),
        );
        check(b"PROXY UNKNOWN\r\n", None);
        check(b"PROXY UNKNOWN ffff:f...f:ffff whatever 65535 65535\r\n", None);
    }

    #[test]
    fn version_2_names_the_client() {
        check(&v2(0x21, 0x11, &V4), Some("203.0.113.7:51234"));
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        v6[32..34].copy_from_slice(&443u16.to_be_bytes());
        check(&v2(0x21, 0x21, &v6), Some("[2001:db8::7]:443"));
        // As a network load balancer adds the id of an endpoint.
        let extensions = [&V4[..], &[0xea, 0, 4, 1, b'v', b'p', b'c'], &[0x04, 0, 2, 0, 0]].concat();
        check(&v2(0x21, 0x11, &extensions), Some("203.0.113.7:51234"));
        check(
            &v2(0x21, 0x11, &[&V4[..], &[0xea, 0xff, 0xff, 1]].concat()),
            Some("203.0.113.7:51234"),
        );
    }

    #[test]
    fn version_2_need_not_name_a_client() {
        // A health check of the load balancer, whatever stands in it.
        check(&v2(0x20, 0x00, &[]), None);
        check(&v2(0x20, 0x11, &V4), None);
        check(&v2(0x20, 0xff, &[1, 2, 3]), None);
        // Not specified, datagrams, and sockets that are files.
        check(&v2(0x21, 0x00, &[]), None);
        check(&v2(0x21, 0x00, &V4), None);
        check(&v2(0x21, 0x12, &V4), None);
        check(&v2(0x21, 0x31, &[b'a'; 216]), None);
    }

    #[test]
    fn a_checksum_is_held_against_the_header() {
        assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
        let with = |sum: u32| {
            v2(
                0x21,
                0x11,
                &[&V4[..], &[0x04, 0, 1, 9, 0x03, 0, 4], &sum.to_be_bytes()].concat(),
            )
        };
        let right = crc32c(with(0).into_iter());
        check(&with(right), Some("203.0.113.7:51234"));
        check_refused(&with(right ^ 1), Fault::Checksum);
        check_refused(
            &v2(0x21, 0x11, &[&V4[..], &[0x03, 0, 2, 1, 2]].concat()),
            Fault::Malformed,
        );
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for other in [
            "GET / HTTP/1.1\r\n",
            "PROXX",
            "proxy TCP4",
            "\r\n\r\n\0\r\nQUIX",
            "\r\nG",
            "\x16\x03",
            "X",
        ] {
            check_refused(other.as_bytes(), Fault::Missing);
        }
        for malformed in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80 1\r\n",
            "PROXY TCP4  192.0.2.1 192.0.2.2 1234 80\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80 \r\n",
            "PROXY TCP4 192.0.2.01 192.0.2.2 1234 80\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01234 80\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 80\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n",
            "PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rX",
            "PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n",
            "PROXY TCP4 \u{e9}\r\n",
        ] {
            check_refused(malformed.as_bytes(), Fault::Malformed);
        }
        check_refused(
            format!("PROXY UNKNOWN {}\r\n", "x".repeat(100)).as_bytes(),
            Fault::TooLong,
        );
        for (command, family) in [
            (0x10, 0x11),
            (0x31, 0x11),
            (0x22, 0x11),
            (0x21, 0x13),
            (0x21, 0x41),
            (0x21, 0xff),
        ] {
            check_refused(&v2(command, family, &[0; 216]), Fault::Malformed);
        }
        check_refused(&v2(0x21, 0x11, &V4[..11]), Fault::Malformed);
        check_refused(&v2(0x21, 0x21, &V4), Fault::Malformed);
        let most = LENGTH_MAX - START_LENGTH;
        check(&v2(0x20, 0x00, &vec![0; most]), None);
        check_refused(&v2(0x20, 0x00, &vec![0; most + 1]), Fault::TooLong);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_told_the_same(
            start in prop_oneof![Just(&b""[..]), Just(SIGNATURE_V1), Just(&b"PROXY TCP4 1.2.3.4 "[..]), Just(&SIGNATURE_V2[..]), Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"[..])],
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [start, &rest].concat();
            let whole = read(&bytes);
            if let Reading::Whole(header) = whole {
                prop_assert!(header.length <= bytes.len().min(LENGTH_MAX));
            }
            let first = (0..=bytes.len()).map(|end| read(&bytes[..end])).find(|piece| *piece != Reading::Partial);
            // A piece may be refused for another reason than the whole, but never for none.
            match (whole, first.unwrap_or(Reading::Partial)) {
                (Reading::Refused(_), Reading::Refused(_)) => {}
                (whole, piece) => prop_assert_eq!(whole, piece),
            }
        }
    }
}
