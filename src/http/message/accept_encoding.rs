//! `Accept-Encoding`: which codings a client takes, and how gladly (RFC 9110, section 12.5.3). Pure.

use crate::coding::Coding;

/// `Accept-Encoding`, read: a weight a coding, in units of 1/2000, of which an odd one below every q-value is left for
/// identity as a last resort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptEncoding {
    /// Whether there is such a field at all.
    is_there: bool,
    named: [Option<u16>; Coding::ALL.len()],
    /// That of `*`.
    others: Option<u16>,
}

/// Of identity where the field does not name it: below the smallest q-value, 0.001.
const LAST_RESORT: u16 = 1;

impl AcceptEncoding {
    /// Whether there is such a field at all.
    pub fn is_there(self) -> bool {
        self.is_there
    }

    /// Whether identity is acceptable, for a target that has nothing else.
    pub fn accepts_identity(self) -> bool {
        !self.is_there || Coding::ALL.iter().any(|&coding| self.of(coding) > 0)
    }

    /// Takes in one line of the field.
    pub fn push(&mut self, line: &[u8]) {
        self.is_there = true;
        for element in line.split(|&byte| byte == b',') {
            self.take_in(element.trim_ascii());
        }
    }

    /// Takes in one element; one that is malformed names nothing.
    fn take_in(&mut self, element: &[u8]) {
        let (token, parameter) = match element.iter().position(|&byte| byte == b';') {
            Some(semicolon) => (
                element[..semicolon].trim_ascii_end(),
                Some(element[semicolon + 1..].trim_ascii()),
            ),
            None => (element, None),
        };
        let Some(weight) = parameter.map_or(Some(2000), quality) else {
            return;
        };
        let coding = match token {
            b"gzip" => Coding::Gzip,
            b"br" => Coding::Br,
            b"zstd" => Coding::Zstd,
            b"identity" => Coding::Identity,
            b"*" => {
                self.others = Some(weight);
                return;
            }
            // Codings are case-insensitive; `x-gzip` is to be taken as gzip (section 8.4.1.3).
            other => match Coding::ALL
                .iter()
                .find(|coding| other.eq_ignore_ascii_case(coding.token().as_bytes()))
            {
                Some(&coding) => coding,
                None if other.eq_ignore_ascii_case(b"x-gzip") => Coding::Gzip,
                None => return,
            },
        };
        self.named[coding.index()] = Some(weight);
    }

    /// The weight of a coding.
    pub fn of(self, coding: Coding) -> u16 {
        match (self.named[coding.index()], coding) {
            (Some(weight), _) => weight,
            (None, Coding::Identity) => self.others.map_or(LAST_RESORT, |weight| weight.min(LAST_RESORT)),
            (None, _) => self.others.unwrap_or(0),
        }
    }
}

/// Reads `q=0.5` as 1000 (RFC 9110, section 12.4.2: up to three decimals).
fn quality(parameter: &[u8]) -> Option<u16> {
    let value = parameter
        .strip_prefix(b"q=")
        .or_else(|| parameter.strip_prefix(b"Q="))?;
    let (&whole, rest) = value.split_first()?;
    let decimals = match rest.split_first() {
        None => rest,
        Some((b'.', decimals)) if decimals.len() <= 3 && decimals.iter().all(u8::is_ascii_digit) => decimals,
        Some(_) => return None,
    };
    let thousandths = (0..3).fold(0, |sum, place| {
        sum * 10 + decimals.get(place).map_or(0, |digit| u16::from(digit - b'0'))
    });
    match (whole, thousandths) {
        (b'0', _) => Some(thousandths * 2),
        (b'1', 0) => Some(2000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_order(accept_encoding: &[&str], expected: &[Coding]) {
        let mut weights = AcceptEncoding::default();
        accept_encoding.iter().for_each(|line| weights.push(line.as_bytes()));
        let mut order: Vec<_> = Coding::ALL
            .into_iter()
            .filter(|&coding| weights.of(coding) > 0)
            .collect();
        order.sort_by_key(|&coding| std::cmp::Reverse(weights.of(coding)));
        assert_eq!(order, expected, "{accept_encoding:?}");
    }

    #[test]
    fn weights_order_the_codings() {
        use Coding::{Br, Gzip, Identity, Zstd};
        check_order(&["gzip"], &[Gzip, Identity]);
        check_order(&["gzip, deflate, br, zstd"], &[Br, Zstd, Gzip, Identity]);
        check_order(&["gzip;q=1.0, br;q=0.5"], &[Gzip, Br, Identity]);
        check_order(&["gzip", "br;q=0.5"], &[Gzip, Br, Identity]);
        check_order(&["br;q=0.001"], &[Br, Identity]);
        check_order(&["identity;q=0"], &[]);
        check_order(&["identity;q=0, gzip"], &[Gzip]);
        check_order(&["*"], &[Br, Zstd, Gzip, Identity]);
        check_order(&["*;q=0"], &[]);
        check_order(&["*;q=0, gzip"], &[Gzip]);
        check_order(&["*;q=0, identity"], &[Identity]);
        check_order(&["identity, br;q=0.5"], &[Identity, Br]);
        check_order(&["br;q=0"], &[Identity]);
        check_order(&[""], &[Identity]);
        check_order(&["GZIP"], &[Gzip, Identity]);
        check_order(&["x-gzip"], &[Gzip, Identity]);
        check_order(&["gzip ; q=0.2"], &[Gzip, Identity]);
        check_order(&["deflate"], &[Identity]);
    }

    #[test]
    fn identity_is_ruled_out_for_who_takes_no_coding_at_all() {
        let accepts = |line: &str| {
            let mut weights = AcceptEncoding::default();
            weights.push(line.as_bytes());
            weights.accepts_identity()
        };
        for line in [
            "",
            "gzip",
            "deflate",
            "gzip, identity;q=0",
            "*;q=0, br",
            "*, identity;q=0",
        ] {
            assert!(accepts(line), "{line}");
        }
        for line in [
            "identity;q=0",
            "*;q=0",
            "deflate, identity;q=0",
            "gzip;q=0, identity;q=0",
            "*;q=0, gzip;q=0",
        ] {
            assert!(!accepts(line), "{line}");
        }
    }

    #[test]
    fn a_malformed_weight_names_nothing() {
        use Coding::Identity;
        for element in [
            "gzip;q=2",
            "gzip;q=",
            "gzip;q=0.1234",
            "gzip;q=1.1",
            "gzip;q=-1",
            "gzip;x=1",
            "gzip;q=0,5",
        ] {
            check_order(&[element], &[Identity]);
        }
    }
}
