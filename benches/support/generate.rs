//! A seeded generator of items of about 120 bytes, the same on every machine.

use std::io::Write;

/// Writes `count` items, one a line, with ids from 0.
pub(crate) fn ndjson(seed: u64, count: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "amber", "basalt", "cedar", "dune", "ember", "fjord", "granite", "harbour", "inlet", "juniper", "Åland",
        "lagoon",
    ];
    let mut state = seed;
    let mut next = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
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
