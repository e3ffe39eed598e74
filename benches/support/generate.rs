//! A seeded generator of items of about 120 bytes, the same on every machine.

use std::io::Write;

const WORDS: [&str; 12] = [
    "amber", "basalt", "cedar", "dune", "ember", "fjord", "granite", "harbour", "inlet", "juniper", "Åland", "lagoon",
];

/// Gives numbers below the bound that it is asked for.
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |bound| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    }
}

/// Writes `count` items, one a line, with ids from 0.
pub(crate) fn ndjson(seed: u64, count: usize) -> Vec<u8> {
    let mut next = numbers(seed);
    let mut text = Vec::with_capacity(count * 124);
    for id in 0..count {
        let word = |number: u64| WORDS[number as usize];
        let (first, second, tag) = (word(next(12)), word(next(12)), word(next(12)));
        let (price, stock, active) = (next(100_000), next(1_000), next(2) == 1);
        writeln!(
            text,
            "{{\"id\":{id},\"name\":\"{first} {second} {id}\",\"price\":{}.{:02},\"stock\":{stock},\"active\":{active},\
             \"tags\":[\"{tag}\",\"{first}\"],\"note\":null}}",
            price / 100,
            price % 100,
        )
        .expect("writing to memory does not fail");
    }
    text
}

/// Writes the same kind of items as rows, with ids from 0; a part of the fields is quoted.
#[allow(dead_code, reason = "not every bench reads CSV")]
pub(crate) fn csv(seed: u64, count: usize) -> Vec<u8> {
    let mut next = numbers(seed);
    let mut text = b"id,name,price,stock,active,tag,note\n".to_vec();
    for id in 0..count {
        let word = |number: u64| WORDS[number as usize];
        let (first, second, tag) = (word(next(12)), word(next(12)), word(next(12)));
        let (price, stock, active) = (next(100_000), next(1_000), next(2) == 1);
        let (price, cents) = (price / 100, price % 100);
        match id % 8 {
            0 => writeln!(
                text,
                "{id},\"{first}, \"\"{second}\"\"\",{price}.{cents:02},{stock},{active},{tag},"
            ),
            1 => writeln!(
                text,
                "{id},\"{first}, {second}\",{price}.{cents:02},{stock},{active},{tag},"
            ),
            _ => writeln!(
                text,
                "{id},{first} {second} {id},{price}.{cents:02},{stock},{active},{tag},"
            ),
        }
        .expect("writing to memory does not fail");
    }
    text
}

/// Writes an array of `count` items of about 1,000 bytes with objects within each other, as files about countries have them:
/// without white space, or with a line and an indentation for each value.
#[allow(dead_code, reason = "not every bench reads such items")]
pub(crate) fn countries(seed: u64, count: usize, is_pretty: bool) -> Vec<u8> {
    let mut next = numbers(seed);
    let mut text = b"[".to_vec();
    for id in 0..count {
        let word = |number: u64| WORDS[number as usize];
        let mut item = Pretty::new(&mut text, is_pretty);
        item.open("", b'{');
        item.value("id", &format!("\"C{id:04}\""));
        item.open("name", b'{');
        let name = format!("{} {}", word(next(12)), word(next(12)));
        item.value("common", &format!("\"{name}\""));
        item.value("official", &format!("\"Republic of {name}\""));
        item.close(b'}');
        item.value("independent", if next(2) == 1 { "true" } else { "false" });
        item.open("currencies", b'{');
        item.open("CUR", b'{');
        item.value("name", &format!("\"{} dollar\"", word(next(12))));
        item.value("symbol", "\"$\"");
        item.close(b'}');
        item.close(b'}');
        item.open("latlng", b'[');
        item.value("", &format!("{}.{}", next(90), next(100)));
        item.value("", &format!("-{}.{}", next(180), next(100)));
        item.close(b']');
        item.open("translations", b'{');
        for language in 0..12 {
            item.open(&format!("l{language:02}"), b'{');
            item.value(
                "official",
                &format!("\"Republik {} {}\"", word(next(12)), word(next(12))),
            );
            item.value("common", &format!("\"{}\"", word(next(12))));
            item.close(b'}');
        }
        item.close(b'}');
        item.open("borders", b'[');
        for _ in 0..next(6) {
            item.value("", &format!("\"C{:03}\"", next(250)));
        }
        item.close(b']');
        item.value("area", &next(10_000_000).to_string());
        item.close(b'}');
    }
    text.push(b']');
    text
}

/// Writes JSON value by value.
struct Pretty<'a> {
    text: &'a mut Vec<u8>,
    depth: usize,
    is_pretty: bool,
}

impl<'a> Pretty<'a> {
    fn new(text: &'a mut Vec<u8>, is_pretty: bool) -> Self {
        Self {
            text,
            depth: 1,
            is_pretty,
        }
    }

    fn line(&mut self) {
        if self.is_pretty {
            self.text.push(b'\n');
            self.text.resize(self.text.len() + 4 * self.depth, b' ');
        }
    }

    fn value(&mut self, name: &str, value: &str) {
        if !matches!(self.text.last(), Some(b'[' | b'{')) {
            self.text.push(b',');
        }
        self.line();
        if !name.is_empty() {
            let colon = if self.is_pretty { ": " } else { ":" };
            self.text.extend_from_slice(format!("\"{name}\"{colon}").as_bytes());
        }
        self.text.extend_from_slice(value.as_bytes());
    }

    fn open(&mut self, name: &str, bracket: u8) {
        self.value(name, std::str::from_utf8(&[bracket]).expect("brackets are text"));
        self.depth += 1;
    }

    fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        if !matches!(self.text.last(), Some(b'[' | b'{')) {
            self.line();
        }
        self.text.push(bracket);
    }
}
