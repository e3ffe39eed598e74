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
