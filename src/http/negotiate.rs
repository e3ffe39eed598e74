//! Content negotiation and preconditions; pure functions of header field lines.

use super::request::FieldLines;
use crate::snapshot::{Coding, Representation, Resource};

/// Chooses a representation by `Accept-Encoding` (RFC 9110, section 12.5.3), or `None` if none is acceptable.
///
/// The highest q-value wins, the smaller body among equals. Identity is the last resort where it is not named. Without
/// the field the answer is identity: whoever does not ask for a coding may not understand one.
///
/// `identity;q=0` and `*;q=0` rule identity out, but only for who takes none of the codings that Janus speaks: whether a
/// body is worth a coding depends on its length, which a client cannot know, so that who takes `gzip, identity;q=0` is
/// answered for each item as for the collection (section 12.1 leaves it to the server).
pub fn choose<'a>(accept_encoding: &AcceptEncoding, resource: &'a Resource) -> Option<&'a Representation> {
    if !accept_encoding.is_there {
        return Some(resource.identity());
    }
    let mut best = None;
    let mut best_weight = 0;
    for representation in resource.representations() {
        let weight = accept_encoding.of(representation.coding());
        if weight > best_weight {
            best = Some(representation);
            best_weight = weight;
        }
    }
    best.or_else(|| accepts_identity(accept_encoding).then(|| resource.identity()))
}

/// Whether identity is acceptable, for a target that has nothing else.
pub fn accepts_identity(accept_encoding: &AcceptEncoding) -> bool {
    !accept_encoding.is_there || Coding::ALL.iter().any(|&coding| accept_encoding.of(coding) > 0)
}

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

    fn of(self, coding: Coding) -> u16 {
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

/// Whether `If-Match` lets the request pass (RFC 9110, section 13.1.1: strong comparison).
pub fn if_match_passes(lines: &FieldLines<'_>, etag: &[u8]) -> bool {
    lines.is_none() || lines.iter().any(|line| lists(line, etag, Comparison::Strong))
}

/// Whether `If-Range` lets a range be answered (section 13.1.5: a strong tag that is the same; there are no dates to
/// compare with).
pub fn if_range_passes(if_range: Option<&[u8]>, etag: &[u8]) -> bool {
    if_range.is_none_or(|value| value == etag)
}

/// Whether `If-None-Match` says that the client has this representation (section 13.1.2: weak comparison).
pub fn if_none_match_hits(lines: &FieldLines<'_>, etag: &[u8]) -> bool {
    lines
        .iter()
        .any(|line| line == etag || lists(line, etag, Comparison::Weak))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags, or `*`, names `etag`. Reading ends at the first thing that is not an entity tag.
fn lists(line: &[u8], etag: &[u8], comparison: Comparison) -> bool {
    if line.trim_ascii() == b"*" {
        return true;
    }
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if let Some(tail) = rest.strip_prefix(b",") {
            rest = tail;
            continue;
        }
        let (weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        // A tag may hold commas, so its end is the next quote, not the next comma.
        let Some(length) = quoted
            .strip_prefix(b"\"")
            .and_then(|tail| tail.iter().position(|&byte| byte == b'"'))
        else {
            return false;
        };
        let (tag, tail) = quoted.split_at(length + 2);
        if tag == etag && !(weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines<'a>(values: &[&'a str]) -> FieldLines<'a> {
        values.iter().map(|value| value.as_bytes()).collect()
    }

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
            accepts_identity(&weights)
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
    fn only_the_same_strong_tag_lets_a_range_be_answered() {
        assert!(if_range_passes(None, b"\"a\""));
        assert!(if_range_passes(Some(b"\"a\""), b"\"a\""));
        for other in [
            "\"b\"",
            "W/\"a\"",
            "a",
            "",
            "*",
            "\"a\", \"b\"",
            "Wed, 25 Nov 2026 12:00:00 GMT",
        ] {
            assert!(!if_range_passes(Some(other.as_bytes()), b"\"a\""), "{other}");
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

    #[track_caller]
    fn check_tags(line: &str, weak: bool, strong: bool) {
        let etag = b"\"a,b\"";
        assert_eq!(if_none_match_hits(&lines(&[line]), etag), weak, "If-None-Match: {line}");
        assert_eq!(if_match_passes(&lines(&[line]), etag), strong, "If-Match: {line}");
    }

    #[test]
    fn lists_of_entity_tags_are_compared() {
        check_tags("\"a,b\"", true, true);
        check_tags("W/\"a,b\"", true, false);
        check_tags("*", true, true);
        check_tags(" * ", true, true);
        check_tags("\"x\", \"a,b\"", true, true);
        check_tags("\"x\",W/\"y\" ,,\"a,b\"", true, true);
        check_tags("W/\"a,b\", \"a,b\"", true, true);
        check_tags("\"a\"", false, false);
        check_tags("a,b", false, false);
        check_tags("\"a,b", false, false);
        check_tags("w/\"a,b\"", false, false);
        check_tags("", false, false);
        check_tags("garbage, \"a,b\"", false, false);
    }

    #[test]
    fn absent_preconditions_pass() {
        assert!(if_match_passes(&FieldLines::none(), b"\"a\""));
        assert!(!if_none_match_hits(&FieldLines::none(), b"\"a\""));
    }
}
