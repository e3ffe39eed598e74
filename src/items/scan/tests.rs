//! The scanner by example: what survives, what goes, what is refused and where.

use super::*;

fn whole(text: &[u8]) -> Result<(String, Option<String>), ScanError> {
    let mut out = b"[".to_vec();
    let scanned = scan(text, 0, true, Some("id"), &mut out)?;
    assert_eq!(scanned.end, text.len());
    let copied = out.split_off(1);
    let id = scanned
        .id
        .map(|token| String::from_utf8(copied[token.start..token.end].to_vec()).unwrap());
    Ok((String::from_utf8(copied).unwrap(), id))
}

#[track_caller]
fn check(text: &str, minified: &str, id: Option<&str>) {
    assert_eq!(
        whole(text.as_bytes()),
        Ok((minified.to_owned(), id.map(str::to_owned))),
        "{text}"
    );
}

#[test]
fn what_is_significant_survives() {
    for text in [
        "0",
        "-0",
        "1.10",
        "1e400",
        "1E+5",
        "-0.0e-0",
        "123456789012345678901234567890",
        "true",
        "false",
        "null",
        r#""""#,
        r#""\u00e9\n\"\\\/""#,
        r#""\ud83d\ude00""#,
        r#""Åland 😀""#,
        "[]",
        "{}",
        "[[],{}]",
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{"":0}"#,
    ] {
        check(text, text, None);
    }
}

#[test]
fn white_space_goes() {
    check(" [ 1 , 2\t,\r\n{ } ]".trim_start(), "[1,2,{}]", None);
    check(r#"{ "a b" : " c " , "d":[ ] }"#, r#"{"a b":" c ","d":[]}"#, None);
}

#[test]
fn the_id_is_noted() {
    check(r#"{"id":1}"#, r#"{"id":1}"#, Some("1"));
    check(
        r#"{ "a" : 1, "id" : "x y" , "b": [ ] }"#,
        r#"{"a":1,"id":"x y","b":[]}"#,
        Some(r#""x y""#),
    );
    check(r#"{"id":1,"id":2}"#, r#"{"id":1,"id":2}"#, Some("2"));
    check(r#"{"\u0069d":7}"#, r#"{"\u0069d":7}"#, Some("7"));
    check(r#"{"a":{"id":1}}"#, r#"{"a":{"id":1}}"#, None);
    check(r#"[{"id":1}]"#, r#"[{"id":1}]"#, None);
    check(r#"{"id":null}"#, r#"{"id":null}"#, Some("n"));
    check(r#"{"id":{"a":1}}"#, r#"{"id":{"a":1}}"#, Some("{"));
}

#[track_caller]
fn check_refused(text: &[u8], at: usize, code: &str) {
    match whole(text) {
        Err(ScanError::At(place, fault)) => {
            assert_eq!((place, fault.code()), (at, code), "{}", String::from_utf8_lossy(text));
        }
        other => panic!("{}: {other:?}", String::from_utf8_lossy(text)),
    }
}

#[test]
fn what_is_not_json_is_refused_at_its_place() {
    for (text, at) in [
        ("01", 2),
        ("1.", 2),
        (".5", 0),
        ("+1", 0),
        ("-", 1),
        ("1e", 2),
        ("1e+", 3),
        ("-a", 1),
        ("nul", 0),
        ("True", 0),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("[", 1),
        ("{\"a\"}", 4),
        ("{\"a\":}", 5),
        ("{a:1}", 1),
        ("{\"a\":1,}", 7),
        ("\"abc", 4),
        ("{\"a\":1]", 6),
        ("[1}", 2),
        ("'a'", 0),
        ("{,}", 1),
        ("NaN", 0),
    ] {
        if text == "01" {
            // A value ends after the zero; what follows is its caller's.
            assert_eq!(scan(b"01", 0, true, None, &mut Vec::new()).unwrap().end, 1);
            continue;
        }
        check_refused(text.as_bytes(), at, "syntax");
    }
    check_refused(b"\"a\x01b\"", 2, "control_character");
    check_refused(b"\"0123456789\n\"", 11, "control_character");
    check_refused(br#""a\x""#, 2, "escape");
    check_refused(br#""\u12g4""#, 1, "escape");
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        r#""\ud800\ud800""#,
        r#""\ud800x""#,
    ] {
        check_refused(text.as_bytes(), 1, "lone_surrogate");
    }
    check_refused(b"\"ab\xff\"", 3, "utf8");
    check_refused(b"\"abcdefgh\xc3\"", 9, "utf8");
    check_refused(b"\"\xed\xa0\x80\"", 1, "utf8");
}

#[test]
fn nesting_ends_at_the_bound() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(&nested(DEPTH_MAX as usize), &nested(DEPTH_MAX as usize), None);
    check_refused(nested(DEPTH_MAX as usize + 1).as_bytes(), DEPTH_MAX as usize, "depth");
}

#[test]
fn a_part_is_incomplete_at_every_place() {
    let text = r#"{"id":-1.5e+3,"a":[true,false,null,"\ud83d\ude00 Åland \n"],"b":{}}"#.as_bytes();
    for length in 1..text.len() {
        let part = scan(&text[..length], 0, false, Some("id"), &mut Vec::new());
        assert_eq!(
            part,
            Err(ScanError::Incomplete),
            "{}",
            String::from_utf8_lossy(&text[..length])
        );
    }
    assert_eq!(scan(b"12", 0, false, None, &mut Vec::new()), Err(ScanError::Incomplete));
}
