//! Ways through a value that the scanner has passed: it is valid, and without white space between its tokens.

use std::ops::Range;

use super::pointer::{encode, quoted};
use super::scan::decode;

/// Where the value that begins at `start` ends.
fn value_end(text: &[u8], start: usize) -> usize {
    let mut depth = 0_u32;
    let mut at = start;
    loop {
        match text.get(at) {
            Some(b'"') => at = string_end(text, at),
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') => {
                depth -= 1;
                at += 1;
            }
            None => return at,
            Some(_) => {
                let rest = &text[at..];
                let is_end =
                    |byte: &u8| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']') || (depth == 0 && *byte == b',');
                at += rest.iter().position(is_end).unwrap_or(rest.len());
            }
        }
        if depth == 0 {
            return at;
        }
    }
}

/// Where the string that begins at `start` ends, with its quotes.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(length) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        at += length;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The members of the object that begins at `start`: each name's token, and where its value stands.
fn members(text: &[u8], start: usize) -> impl Iterator<Item = (&[u8], Range<usize>)> {
    let mut at = start + 1;
    std::iter::from_fn(move || {
        if text.get(at) != Some(&b'"') {
            return None;
        }
        let name_end = string_end(text, at);
        let name = &text[at..name_end];
        let value = name_end + 1..value_end(text, name_end + 1);
        // Past the comma, or the brace.
        at = value.end + 1;
        Some((name, value))
    })
}

/// The elements of the array that begins at `start`.
fn elements(text: &[u8], start: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = start + 1;
    std::iter::from_fn(move || {
        if matches!(text.get(at.wrapping_sub(1)), Some(b']') | None) || text.get(at) == Some(&b']') {
            return None;
        }
        let value = at..value_end(text, at);
        at = value.end + 1;
        Some(value)
    })
}

/// Where the value stands that the names and indexes lead to (RFC 6901); of members of one name the last counts.
pub(super) fn find(text: &[u8], tokens: &[String]) -> Option<Range<usize>> {
    let mut value = 0..text.len();
    for token in tokens {
        value = match text[value.start] {
            b'{' => {
                let is_it = |name: &[u8]| match memchr::memchr(b'\\', name) {
                    None => name[1..name.len() - 1] == *token.as_bytes(),
                    Some(_) => decode(name) == *token,
                };
                members(text, value.start).filter(|(name, _)| is_it(name)).last()?.1
            }
            b'[' => {
                let index = token
                    .parse::<usize>()
                    .ok()
                    .filter(|index| index.to_string() == *token)?;
                elements(text, value.start).nth(index)?
            }
            _ => return None,
        };
    }
    Some(value)
}

/// The name of the first member of an object that is a string or a number.
pub(super) fn first_scalar(text: &[u8]) -> Option<String> {
    if text.first() != Some(&b'{') {
        return None;
    }
    let is_scalar = |value: &Range<usize>| matches!(text[value.start], b'"' | b'-' | b'0'..=b'9');
    members(text, 0)
        .find(|(_, value)| is_scalar(value))
        .map(|(name, _)| decode(name))
}

/// What in an object could be a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Pointers to arrays that hold objects.
    arrays_of_objects: Vec<String>,
    /// Pointers to other arrays.
    arrays: Vec<String>,
    /// Pointers to objects whose members could be items.
    pub(super) maps: Vec<String>,
}

/// How deep is looked.
const DEPTH_MAX: usize = 4;

/// How many of a kind are listed.
const LISTED_MAX: usize = 5;

impl Survey {
    /// Looks into the value, to which `pointer` leads.
    pub(super) fn look(&mut self, text: &[u8], pointer: &str) {
        self.look_at(text, 0, pointer, 0);
    }

    fn look_at(&mut self, text: &[u8], start: usize, pointer: &str, depth: usize) {
        let list = match text[start] {
            b'[' if text.get(start + 1) == Some(&b'{') => &mut self.arrays_of_objects,
            b'[' => &mut self.arrays,
            b'{' if depth < DEPTH_MAX => {
                let mut map = Map::default();
                for (name, value) in members(text, start) {
                    map.member(&text[value.clone()]);
                    let pointer = format!("{pointer}/{}", encode(&decode(name)));
                    self.look_at(text, value.start, &pointer, depth + 1);
                }
                if !map.is_one() {
                    return;
                }
                &mut self.maps
            }
            _ => return,
        };
        if list.len() < LISTED_MAX {
            list.push(pointer.to_owned());
        }
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.arrays_of_objects.is_empty() && self.arrays.is_empty() && self.maps.is_empty()
    }

    /// The settings that read what was found, likely ones first.
    pub(super) fn ways(self) -> Vec<String> {
        let Self {
            arrays_of_objects,
            arrays,
            mut maps,
        } = self;
        let is_map = maps.first().is_some_and(String::is_empty);
        // Lists within the items of a map are not collections, nor are maps within them.
        let arrays = if is_map { Vec::new() } else { arrays };
        maps.truncate(if is_map { 1 } else { LISTED_MAX });
        let arrays = arrays_of_objects.iter().chain(&arrays).take(LISTED_MAX);
        let arrays = arrays.map(|pointer| format!("--pointer {}", quoted(pointer)));
        let maps = maps.iter().map(|pointer| match pointer.as_str() {
            "" => "--ids-from-keys".to_owned(),
            pointer => format!("--pointer {} --ids-from-keys", quoted(pointer)),
        });
        arrays.chain(maps).collect()
    }
}

/// An object that may be a map from ids to items: all of its members are objects, and there are several.
#[derive(Debug, Default)]
pub(super) struct Map {
    objects: u64,
    others: u64,
}

impl Map {
    /// Looks at the value of a member.
    pub(super) fn member(&mut self, value: &[u8]) {
        match value.first() {
            Some(b'{') => self.objects += 1,
            _ => self.others += 1,
        }
    }

    pub(super) fn has_members(&self) -> bool {
        self.objects + self.others > 0
    }

    pub(super) fn is_one(&self) -> bool {
        self.objects > 1 && self.others == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_names_and_indexes() {
        let text = br#"{"a":{"$oid":"x\\\"","n":1},"b":[[1,2],"]",{"c":3}],"a":{"m\u0041":[]},"d":-1.5e3}"#;
        for (pointer, value) in [
            (vec![], Some(&text[..])),
            (vec!["a"], Some(br#"{"m\u0041":[]}"#)),
            (vec!["a", "mA"], Some(b"[]")),
            (vec!["a", "mA", "0"], None),
            (vec!["a", "$oid"], None),
            (vec!["b", "0", "1"], Some(b"2")),
            (vec!["b", "1"], Some(br#""]""#)),
            (vec!["b", "2", "c"], Some(b"3")),
            (vec!["b", "3"], None),
            (vec!["b", "00"], None),
            (vec!["d"], Some(b"-1.5e3")),
            (vec!["d", "e"], None),
        ] {
            let tokens: Vec<String> = pointer.iter().map(|token| (*token).to_owned()).collect();
            assert_eq!(find(text, &tokens).map(|range| &text[range]), value, "{pointer:?}");
        }
        assert_eq!(find(b"[]", &["0".to_owned()]), None);
        assert_eq!(find(b"[1]", &["1".to_owned()]), None);
        assert_eq!(find(b"{}", &["a".to_owned()]), None);
    }
}
