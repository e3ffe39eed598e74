//! The builder beside a model: ids of all kinds, in items and apart from them.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::items::scan::scan;
use crate::items::{DataError, Format};

/// Items are on lines of their own, three apart.
struct Lines;

impl Places for Lines {
    fn line(&mut self, place: u64) -> u64 {
        3 * place + 1
    }

    fn error(&self, place: u64, fault: Fault) -> DataError {
        DataError::new(fault, 3 * place + 1, 1, b"", b"")
    }
}

/// Where ids are put, and what they look like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    None,
    Within,
    Apart,
}

/// An item's text, whose id begins `before` bytes into it at least.
fn item(id: Option<&str>, before: usize) -> String {
    let filler = "x".repeat(before);
    match id {
        // As it is written, or with an escape.
        Some(id) => format!("{{\"a\":\"{filler}\",\"id\":\"{}\"}}", id.replace('e', "\\u0065")),
        None => format!("{{\"a\":\"{filler}\"}}"),
    }
}

/// Builds a collection of items with these ids, indexed every `step` items.
fn build(kind: Kind, ids: &[(String, usize)], step: usize, ledger: &Ledger) -> Result<Collection, DataError> {
    let options = ParseOptions {
        ledger: ledger.clone(),
        size_hint: Some(1000),
        ..ParseOptions::default()
    };
    let mut builder = Builder::new(&options);
    for (number, (id, before)) in ids.iter().enumerate() {
        let within = matches!(kind, Kind::Within).then_some(&id[..]);
        let text = item(within, *before);
        let start = builder.next().len();
        let scanned = scan(text.as_bytes(), 0, true, Some("id"), builder.next()).expect("it is valid");
        let place = number as u64;
        match kind {
            Kind::Apart => builder.push_with_key(start, id, place),
            _ => builder.push(start, scanned.id, place),
        }
        .map_err(|fault| Lines.error(place, fault))?;
        if number % step == step - 1 {
            builder.index(&mut Lines)?;
        }
    }
    builder.index(&mut Lines)?;
    Ok(builder.finish())
}

/// Ids, some of which are long or far into their items.
fn ids() -> impl Strategy<Value = Vec<(String, usize)>> {
    let id = prop_oneof![
        8 => "[a-f]{1,3}",
        1 => "[a-f]{250,260}",
        1 => "[a-f]{300,400}",
    ];
    let before = prop_oneof![
        12 => 0..40_usize,
        1 => 65_500..65_600_usize,
    ];
    prop::collection::vec((id, before), 0..60)
}

fn check(kind: Kind, ids: &[(String, usize)], step: usize) {
    let ledger = Ledger::default();
    let mut model = HashMap::new();
    let duplicate = ids
        .iter()
        .enumerate()
        .find_map(|(number, (id, _))| match model.insert(id, number) {
            Some(first) if !matches!(kind, Kind::None) => Some((first, number, id)),
            _ => None,
        });
    let built = build(kind, ids, step, &ledger);
    if let Some((first, second, id)) = duplicate {
        let error = built.expect_err("an id stands twice");
        let fault = Fault::DuplicateId {
            id: id.clone(),
            first_item: first as u64 + 1,
            first_line: 3 * first as u64 + 1,
            is_key: matches!(kind, Kind::Apart),
        };
        assert_eq!((error.line(), error.fault()), (3 * second as u64 + 1, &fault));
        assert_eq!(ledger.total(), 0, "what was refused is not held");
        return;
    }
    let collection = built.expect("the ids are different");
    let held = ledger.total();
    assert!(held >= collection.arena().len() as u64 + 16 * ids.len() as u64);
    assert_eq!(collection.len(), ids.len());
    for (position, (id, before)) in ids.iter().enumerate() {
        let (within, found) = match kind {
            Kind::None => (None, None),
            Kind::Within => (Some(&id[..]), Some(position)),
            Kind::Apart => (None, Some(position)),
        };
        let text = item(within, *before);
        assert_eq!(collection.item(position), text.as_bytes());
        assert_eq!(collection.item_hash(position), xxh3_64(text.as_bytes()));
        assert_eq!(collection.find(id), found);
        assert_eq!(collection.id(position).as_deref(), found.map(|_| &id[..]));
    }
    for absent in ["", "g", "aaaa", "\u{e9}"] {
        assert_eq!(collection.find(absent), None);
    }
    drop(collection);
    assert_eq!(ledger.total(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_collection_is_what_a_map_would_be(
        kind in prop_oneof![Just(Kind::None), Just(Kind::Within), Just(Kind::Apart)],
        ids in ids(),
        is_distinct in any::<bool>(),
        step in 1..20_usize,
    ) {
        let mut ids = ids;
        if is_distinct {
            for (number, (id, _)) in ids.iter_mut().enumerate() {
                id.push_str(&format!("-{number}"));
            }
        }
        check(kind, &ids, step);
    }
}

#[test]
fn ids_at_the_edges_of_a_record_are_found() {
    // `{"a":"` and `","id":` stand around the filler: the ids begin at 65,534 to 65,537, and are 253 to 256 bytes with
    // their quotes.
    let ids: Vec<(String, usize)> = (65_521..65_525)
        .flat_map(|before| (251..255).map(move |length| (before, length)))
        .map(|(before, length)| (format!("{before}{}", "x".repeat(length - 5)), before))
        .collect();
    for kind in [Kind::Within, Kind::Apart] {
        check(kind, &ids, 7);
    }
}

#[test]
fn an_id_with_escapes_is_found_by_its_text_alone() {
    let source: &[u8] = br#"[{"id":"\u0061"},{"id":"b\\"},{"id":"c\"d"}]"#;
    let collection = crate::items::parse(Format::Json, source, &ParseOptions::default()).unwrap();
    for (position, (id, written)) in [("a", r"\u0061"), (r"b\", r"b\\"), ("c\"d", r#"c\"d"#)]
        .into_iter()
        .enumerate()
    {
        assert_eq!(collection.find(id), Some(position));
        assert_eq!(collection.find(written), None);
        assert_eq!(collection.find(&format!("\"{written}\"")), None);
    }
}

#[test]
fn keys_and_tokens_are_not_mixed_and_empty_keys_refused() {
    let mut builder = Builder::new(&ParseOptions::default());
    builder.next().extend_from_slice(b"1");
    let bad = builder.push_with_key(1, "", 0);
    assert!(
        matches!(
            bad,
            Err(Fault::BadId {
                found: "an empty string",
                ..
            })
        ),
        "{bad:?}"
    );
    builder.push_with_key(1, "a", 0).unwrap();
    builder.next().extend_from_slice(b"2");
    let mixed = builder.push(3, None, 1);
    assert!(matches!(mixed, Err(Fault::MixedIds { has: false, .. })), "{mixed:?}");
}

#[test]
fn many_small_items_take_24_bytes_each_over_the_data() {
    let count = 200_000;
    let ledger = Ledger::default();
    let ids: Vec<(String, usize)> = (0..count).map(|number| (number.to_string(), 0)).collect();
    let collection = build(Kind::Within, &ids, 4096, &ledger).expect("the ids are different");
    let over = ledger.total() - collection.arena().len() as u64;
    assert!(
        over <= 24 * count,
        "{over} bytes are {} an item",
        over as f64 / count as f64
    );
}
