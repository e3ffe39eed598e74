//! Content negotiation and preconditions; pure functions of header field lines.

use crate::http::message::accept_encoding::AcceptEncoding;
use crate::http::message::request::FieldLines;
use crate::snapshot::{Representation, Resource};

/// Chooses a representation by `Accept-Encoding` (RFC 9110, section 12.5.3), or `None` if none is acceptable.
///
/// The highest q-value wins, the smaller body among equals. Identity is the last resort where it is not named. Without
/// the field the answer is identity: whoever does not ask for a coding may not understand one.
///
/// `identity;q=0` and `*;q=0` rule identity out, but only for who takes none of the codings that Janus speaks: whether a
/// body is worth a coding depends on its length, which a client cannot know, so that who takes `gzip, identity;q=0` is
/// answered for each item as for the collection (section 12.1 leaves it to the server).
pub fn choose<'a>(accept_encoding: &AcceptEncoding, resource: &'a Resource) -> Option<&'a Representation> {
    if !accept_encoding.is_there() {
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
    best.or_else(|| accept_encoding.accepts_identity().then(|| resource.identity()))
}

//= rfc9110#section-13.1.1
//# An origin server MUST use the strong comparison function when comparing entity tags for If-Match, since the client intends this precondition to
/// Whether `If-Match` lets the request pass (RFC 9110, section 13.1.1: strong comparison).
pub fn if_match_passes(lines: &FieldLines<'_>, etag: &[u8]) -> bool {
    lines.is_none() || lines.iter().any(|line| lists(line, etag, Comparison::Strong))
}

//= rfc9110#section-13.1.5
//# A recipient of an If-Range header field MUST ignore the Range header field if the If-Range condition evaluates to false.
/// Whether `If-Range` lets a range be answered (section 13.1.5: a strong tag that is the same; there are no dates to
/// compare with).
pub fn if_range_passes(if_range: Option<&[u8]>, etag: &[u8]) -> bool {
    if_range.is_none_or(|value| value == etag)
}

//= rfc9110#section-13.1.2
//# A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match, since weak entity tags can be used for cache
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
