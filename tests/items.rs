//! Bytes to items: what is accepted, what is refused and where, and that nothing gets lost.

use std::io::{self, Read};

use janus::items::{Collection, DataError, Format, ParseError, ParseOptions, Way, parse};
use proptest::prelude::*;
use serde_json::value::RawValue;

fn options() -> ParseOptions {
    ParseOptions::default()
}

fn with_pointer(pointer: &str) -> ParseOptions {
    ParseOptions {
        pointer: Some(pointer.parse().unwrap()),
        ..options()
    }
}

#[track_caller]
fn read(format: Format, source: impl AsRef<[u8]>, options: &ParseOptions) -> Collection {
    let source = source.as_ref();
    parse(format, source, options).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(source)))
}

#[track_caller]
fn check(format: Format, source: &str, options: &ParseOptions, arena: &str) {
    let items = read(format, source, options);
    assert_eq!(std::str::from_utf8(items.arena()).unwrap(), arena, "{source:?}");
    let joined: Vec<&str> = (0..items.len())
        .map(|position| std::str::from_utf8(items.item(position)).unwrap())
        .collect();
    assert_eq!(
        format!("[{}]", joined.join(",")),
        arena,
        "items are slices of the arena"
    );
}

fn refuse(format: Format, source: impl AsRef<[u8]>, options: &ParseOptions) -> DataError {
    match parse(format, source.as_ref(), options) {
        Err(ParseError::Data(error)) => error,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(source.as_ref())),
    }
}

#[track_caller]
fn check_refused(format: Format, source: impl AsRef<[u8]>, options: &ParseOptions, code: &str, line: u64, column: u64) {
    let error = refuse(format, source.as_ref(), options);
    let place = (error.fault().code(), error.line(), error.column());
    assert_eq!(
        place,
        (code, line, column),
        "{error}: {:?}",
        String::from_utf8_lossy(source.as_ref())
    );
}

#[test]
fn a_document_is_an_array_of_items() {
    let plain = options();
    check(Format::Json, "[]", &plain, "[]");
    check(Format::Json, " [ ]\n", &plain, "[]");
    check(
        Format::Json,
        "[1, \"two\", null, [3], {}]",
        &plain,
        r#"[1,"two",null,[3],{}]"#,
    );
    check(Format::Json, "\u{feff}[1]", &plain, "[1]");
    check(
        Format::Json,
        r#"[ { "a" : 1.10 , "a" : 1e400 , "b" : "\u00e9 " } ]"#,
        &plain,
        r#"[{"a":1.10,"a":1e400,"b":"\u00e9 "}]"#,
    );
}

#[test]
fn a_pointer_leads_to_the_array() {
    let document = r#"{"meta":{"n":[0]},"data":{"items":[{"id":1}, {"id":2}],"a/b":[3]},"list":[[4],[5]]}"#;
    check(
        Format::Json,
        document,
        &with_pointer("/data/items"),
        r#"[{"id":1},{"id":2}]"#,
    );
    check(Format::Json, document, &with_pointer("/data/a~1b"), "[3]");
    check(Format::Json, document, &with_pointer("/meta/n"), "[0]");
    check(Format::Json, document, &with_pointer("/list/1"), "[5]");
    check(Format::Json, document, &with_pointer("/list"), "[[4],[5]]");
    check(Format::Json, "[1]", &with_pointer(""), "[1]");
    for pointer in [
        "/nowhere",
        "/data",
        "/data/items/0/id",
        "/list/01",
        "/list/2",
        "/list/x",
    ] {
        assert_eq!(
            refuse(Format::Json, document, &with_pointer(pointer)).fault().code(),
            "pointer",
            "{pointer}"
        );
    }
    check_refused(
        Format::Json,
        r#"{"a":[1],"a":[2]}"#,
        &with_pointer("/a"),
        "ambiguous_pointer",
        1,
        14,
    );
    check_refused(
        Format::Json,
        r#"{"a":[1],"b":tru}"#,
        &with_pointer("/a"),
        "syntax",
        1,
        14,
    );
    check_refused(Format::Json, r#"{"a":[1]} x"#, &with_pointer("/a"), "syntax", 1, 11);
}

#[test]
fn a_document_that_is_no_array_says_how_to_name_one() {
    let error = refuse(Format::Json, r#"{"total":2,"data":[1],"a/b":[2]}"#, &options()).to_string();
    assert!(error.contains("--pointer /data or --pointer /a~1b"), "{error}");
    assert_eq!(refuse(Format::Json, "42", &options()).fault().code(), "not_an_array");
    assert_eq!(refuse(Format::Json, "{\"a\":", &options()).fault().code(), "syntax");
}

#[test]
fn a_line_is_an_item() {
    let plain = options();
    check(
        Format::Ndjson,
        "{\"id\": 1}\n{\"id\": 2}\n",
        &plain,
        r#"[{"id":1},{"id":2}]"#,
    );
    check(Format::Ndjson, "1\r\n\r\n \t\n2", &plain, "[1,2]");
    check(Format::Ndjson, "\u{feff}1\n", &plain, "[1]");
    check_refused(Format::Ndjson, "1\n2 3\n", &plain, "several_on_a_line", 2, 3);
    check_refused(Format::Ndjson, "{\"a\":\n1}\n", &plain, "across_lines", 1, 6);
    check_refused(Format::Ndjson, "1\n{\"a\":1", &plain, "across_lines", 2, 7);
}

#[test]
fn nothing_at_all_is_refused() {
    for source in ["", " ", "\n\n \t\r\n", "\u{feff}", "\u{feff}\n"] {
        for format in [
            Format::Json,
            Format::Ndjson,
            Format::Concatenated,
            Format::Csv,
            Format::Tsv,
        ] {
            assert_eq!(
                refuse(format, source, &options()).fault().code(),
                "empty",
                "{format} {source:?}"
            );
        }
    }
}

#[test]
fn a_fault_is_named_by_line_column_and_line() {
    let plain = options();
    check_refused(
        Format::Json,
        "[\n  {\"id\": 1},\n  {\"id\": oops}\n]",
        &plain,
        "syntax",
        3,
        10,
    );
    check_refused(Format::Json, "[1,2", &plain, "syntax", 1, 5);
    check_refused(Format::Json, "[1,]", &plain, "syntax", 1, 4);
    check_refused(Format::Json, "[1]]", &plain, "syntax", 1, 4);
    check_refused(Format::Json, "[\"Åland\", x]", &plain, "syntax", 1, 11);
    check_refused(Format::Json, b"[\"\xff\"]", &plain, "utf8", 1, 3);
    check_refused(Format::Json, r#"["\ud800"]"#, &plain, "lone_surrogate", 1, 3);
    check_refused(
        Format::Ndjson,
        format!("1\n{}", "[".repeat(129)),
        &plain,
        "depth",
        2,
        129,
    );
    let error = refuse(Format::Json, "[\n  {\"id\": oops}\n]", &plain);
    assert_eq!(error.excerpt(), "  |   {\"id\": oops}\n  |          ^");
    assert_eq!(error.to_string(), "line 2, column 10: expected a value, found `o`");
    // The place is right far beyond the first chunk, too.
    let lines: String = (0..100_000).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    check_refused(Format::Ndjson, format!("{lines}nonsense"), &plain, "syntax", 100_001, 1);
    let array = format!(
        "[{}{{}} nonsense]",
        lines.replace('\n', ",\n").replace("\"id\"", "\"no\"")
    );
    check_refused(Format::Json, array, &plain, "syntax", 100_001, 4);
}

#[test]
fn ids_are_found_by_their_key_text() {
    let items = read(
        Format::Ndjson,
        "{\"id\":1}\n{\"id\":\"a\\u0062\"}\n{\"id\":1.0}\n{\"id\":\"Åland\"}\n{\"id\":7,\"id\":8}",
        &options(),
    );
    for (id, position) in [
        ("1", Some(0)),
        ("ab", Some(1)),
        ("1.0", Some(2)),
        ("Åland", Some(3)),
        ("8", Some(4)),
        ("7", None),
        ("", None),
    ] {
        assert_eq!(items.find(id), position, "{id}");
    }
    assert_eq!(items.id(1).as_deref(), Some("ab"));
    let named = ParseOptions {
        id_field: "cca3".to_owned(),
        ..options()
    };
    assert_eq!(
        read(Format::Json, r#"[{"id":1,"cca3":"ABW"}]"#, &named).find("ABW"),
        Some(0)
    );
}

#[test]
fn ids_may_be_keys_or_further_down() {
    let keyed = ParseOptions {
        ids_from_keys: true,
        ..options()
    };
    let items = read(
        Format::Json,
        "{\"b\": {\"n\": 1}, \"\\u00e9/\": [2], \"1\": null}",
        &keyed,
    );
    assert_eq!(&items.arena()[..], br#"[{"n":1},[2],null]"#);
    for (position, id) in ["b", "\u{e9}/", "1"].into_iter().enumerate() {
        assert_eq!(
            (items.find(id), items.id(position).as_deref()),
            (Some(position), Some(id))
        );
    }
    assert_eq!(items.find("n"), None);
    // Other keys are other data, though the items are the same.
    let hash = |source: &str| read(Format::Json, source, &keyed).content_hash();
    assert_eq!(hash("{\"a\":1,\"b\":2}"), hash("{ \"a\": 1, \"b\": 2 }"));
    assert_ne!(hash("{\"a\":1,\"b\":2}"), hash("{\"b\":1,\"a\":2}"));
    assert_ne!(hash("{\"ab\":1,\"c\":2}"), hash("{\"a\":1,\"bc\":2}"));
    let by_pointer = ParseOptions {
        id_field: "/properties/ids/1".to_owned(),
        ..options()
    };
    let source =
        "{\"properties\":{\"ids\": [0, \"a\\u0062\"]}}\n{\"properties\":{},\"x\":1,\"properties\":{\"ids\":[1,2]}}\n";
    let items = read(Format::Ndjson, source, &by_pointer);
    assert_eq!((items.find("ab"), items.find("2")), (Some(0), Some(1)));
    check_refused(
        Format::Ndjson,
        format!("{source}{{}}\n"),
        &by_pointer,
        "mixed_ids",
        3,
        1,
    );
    let none = ParseOptions {
        id_field: String::new(),
        ..options()
    };
    let items = read(Format::Json, "[{\"id\":1},{\"id\":1},{}]", &none);
    assert!(
        !items.has_ids()
            && items
                .no_ids_reason()
                .is_some_and(|reason| reason.contains("--id-field"))
    );
}

#[test]
fn ids_are_there_for_all_or_for_none() {
    let plain = options();
    for source in ["[1,2]", "[{\"a\":1},{}]", "[[],\"a\"]", "[]"] {
        let items = read(Format::Json, source, &plain);
        assert!(
            !items.has_ids() && items.no_ids_reason().is_some() && items.find("1").is_none(),
            "{source}"
        );
    }
    check_refused(Format::Json, "[{\"id\":1},\n{\"a\":1}]", &plain, "mixed_ids", 2, 1);
    check_refused(Format::Json, "[{\"a\":1}, {\"id\":1}]", &plain, "mixed_ids", 1, 11);
    check_refused(Format::Json, "[{\"id\":1}, 2]", &plain, "mixed_ids", 1, 12);
    for bad in ["null", "true", "[1]", "{}", "\"\""] {
        check_refused(Format::Ndjson, format!("{{\"id\":{bad}}}"), &plain, "bad_id", 1, 1);
    }
}

#[test]
fn an_id_stands_once() {
    let plain = options();
    check_refused(
        Format::Ndjson,
        "{\"id\":1}\n\n{\"id\":\"1\"}",
        &plain,
        "duplicate_id",
        3,
        1,
    );
    check_refused(
        Format::Json,
        "[{\"id\":\"a\"},\n {\"id\":2},\n  {\"id\":\"\\u0061\"}]",
        &plain,
        "duplicate_id",
        3,
        3,
    );
    check_refused(Format::Csv, "id,n\n1,a\n2,b\n1,c\n", &plain, "duplicate_id", 4, 1);
    // The first is named even when it is long out of sight.
    let lines: String = (0..100_000).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    let error = refuse(Format::Ndjson, format!("{lines}{{\"id\":4}}\n"), &plain).to_string();
    assert_eq!(
        error,
        "line 100001, column 1: duplicate id \"4\": item 5 (line 5) has it too"
    );
}

#[test]
fn a_row_is_an_object() {
    let typed = ParseOptions {
        csv_types: true,
        ..options()
    };
    let source = "id,name,n\r\n1,\"a \"\"b\"\", c\",\r\n007,true,1.10\r\n";
    check(
        Format::Csv,
        source,
        &options(),
        r#"[{"id":"1","name":"a \"b\", c","n":""},{"id":"007","name":"true","n":"1.10"}]"#,
    );
    check(
        Format::Csv,
        source,
        &typed,
        r#"[{"id":"1","name":"a \"b\", c","n":null},{"id":"007","name":"true","n":1.10}]"#,
    );
    check(
        Format::Tsv,
        "id\tn\n1\t a,b\n",
        &options(),
        r#"[{"id":"1","n":" a,b"}]"#,
    );
    check(Format::Csv, "\u{feff}id\nÅ\n", &options(), r#"[{"id":"Å"}]"#);
    check(Format::Csv, "id\n", &options(), "[]");
    check_refused(Format::Csv, "id,n\n1,2\n3\n", &options(), "csv", 3, 1);
    assert_eq!(
        refuse(Format::Csv, "id,n\n1,2\n3\n", &options()).excerpt(),
        "  | 3\n  | ^"
    );
    check_refused(Format::Csv, "id,id\n1,2\n", &options(), "csv", 1, 4);
    check_refused(Format::Csv, "id,\n1,2\n", &options(), "csv", 1, 4);
    check_refused(Format::Csv, b"id,n\n1,\xff\n", &options(), "utf8", 2, 3);
    check_refused(Format::Csv, "id,n\n,2\n", &options(), "bad_id", 2, 1);
}

#[test]
fn formats_are_told_by_name_and_by_first_bytes() {
    for (name, format) in [
        ("json", Format::Json),
        ("ndjson", Format::Ndjson),
        ("jsonl", Format::Ndjson),
        ("csv", Format::Csv),
        ("tsv", Format::Tsv),
    ] {
        assert_eq!(Format::from_extension(name), Some(format));
    }
    assert_eq!(Format::from_extension("xml"), None);
    for (start, has_pointer, format) in [
        ("[1]", false, Format::Json),
        (" \n[", false, Format::Json),
        ("\u{feff}[", false, Format::Json),
        ("{\"a\":1}", false, Format::Ndjson),
        ("{\"a\":1}", true, Format::Json),
        ("id,n\n", false, Format::Csv),
        ("id\tn\n", false, Format::Tsv),
        ("", false, Format::Json),
    ] {
        assert_eq!(Format::sniff(start.as_bytes(), has_pointer), format, "{start:?}");
    }
}

/// A reader that gives a few bytes at a time, and is interrupted now and then.
struct Trickle<'a> {
    rest: &'a [u8],
    length: usize,
    interrupts: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupts = !self.interrupts;
        if self.interrupts {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = self.length.min(self.rest.len()).min(buffer.len());
        buffer[..length].copy_from_slice(&self.rest[..length]);
        self.rest = &self.rest[length..];
        Ok(length)
    }
}

#[test]
fn how_the_bytes_come_changes_nothing() {
    // Items larger than a chunk, and many chunks.
    let large = format!("{{\"id\":0,\"text\":\"{}\"}}", "Åland \\n ".repeat(80_000));
    let lines: String = (1..20_000)
        .map(|id| format!("\n{{\"id\": {id}, \"text\": \"Åland {id}\"}}"))
        .collect();
    let ndjson = format!("{large}{lines}");
    let json = format!("[{}]", ndjson.replace('\n', ",\n"));
    for (format, source) in [(Format::Ndjson, &ndjson), (Format::Json, &json)] {
        let whole = read(format, source, &options());
        assert_eq!((whole.len(), whole.find("19999")), (20_000, Some(19_999)));
        for length in [997, 65_536] {
            let trickle = Trickle {
                rest: source.as_bytes(),
                length,
                interrupts: false,
            };
            assert_eq!(parse(format, trickle, &options()).unwrap().arena(), whole.arena());
        }
    }
}

#[test]
fn a_reader_that_fails_is_no_fault_of_the_data() {
    let failing = b"[1,"[..].chain(Failing);
    assert!(
        matches!(parse(Format::Json, failing, &options()), Err(ParseError::Io(error)) if error.to_string() == "broken")
    );
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken"))
    }
}

/// JSON text as a person or a program may spell it.
fn json_text() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no such number", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        "-?(0|[1-9][0-9]{0,35})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?",
    ];
    let string = prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"([a-z \u{e9}\u{1f600}]|\\\\(u00[0-9a-fA-F]{2}|[\"\\\\/bfnrt])|\\\\ud83d\\\\ude0[0-9a-f]){0,12}\"",
    ];
    let name = string.clone();
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number,
        string
    ];
    let space = || "[ \t\r\n]{0,2}";
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let element =
            (space(), inner.clone(), space()).prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        let member = (space(), name.clone(), space(), element.clone())
            .prop_map(|(before, name, after, value)| format!("{before}{name}{after}:{value}"));
        prop_oneof![
            (prop::collection::vec(element, 0..6), space()).prop_map(|(all, space)| if all.is_empty() {
                format!("[{space}]")
            } else {
                format!("[{}]", all.join(","))
            }),
            (prop::collection::vec(member, 0..6), space()).prop_map(|(all, space)| if all.is_empty() {
                format!("{{{space}}}")
            } else {
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}

/// The tokens of a JSON text that is known to be valid: strings and what stands between them, without white space.
fn tokens(text: &str) -> String {
    let mut tokens = String::new();
    let mut in_string = false;
    let mut is_escaped = false;
    for c in text.chars() {
        if in_string || !c.is_ascii_whitespace() {
            tokens.push(c);
        }
        match (in_string, is_escaped, c) {
            (true, true, _) => is_escaped = false,
            (true, false, '\\') => is_escaped = true,
            (_, _, '"') => in_string = !in_string,
            _ => {}
        }
    }
    tokens
}

fn is_lone_surrogate(error: &ParseError) -> bool {
    matches!(error, ParseError::Data(error) if error.fault().code() == "lone_surrogate")
}

/// What comes of a source: all that can be asked for, or the error.
type Outcome = Result<(Vec<u8>, Vec<(Option<String>, u64)>, u64), DataError>;

fn outcome(format: Format, source: impl Read, id_field: &str, way: Way) -> Outcome {
    outcome_of(
        format,
        source,
        &ParseOptions {
            id_field: id_field.to_owned(),
            way,
            ..options()
        },
    )
}

fn outcome_of(format: Format, source: impl Read, options: &ParseOptions) -> Outcome {
    match parse(format, source, options) {
        Ok(items) => {
            let of_item = |position: usize| {
                let id = items.id(position).map(|id| id.into_owned());
                if let Some(id) = &id {
                    assert_eq!(items.find(id), Some(position), "{id}");
                }
                (id, items.item_hash(position))
            };
            let all = (0..items.len()).map(of_item).collect();
            Ok((items.arena().to_vec(), all, items.content_hash()))
        }
        Err(ParseError::Data(error)) => Err(error),
        Err(ParseError::Io(error)) => panic!("{error}"),
    }
}

fn ways() -> impl Iterator<Item = Way> {
    Way::ALL
        .into_iter()
        .filter(|way| *way != Way::Scanner && way.is_there())
}

/// Every way of reading has the scanner's outcome, however the bytes come.
#[track_caller]
fn check_ways(format: Format, source: &[u8], id_field: &str) {
    let expected = outcome(format, source, id_field, Way::Scanner);
    for way in ways() {
        let actual = outcome(format, source, id_field, way);
        let start = String::from_utf8_lossy(&source[..source.len().min(2_000)]);
        assert_eq!(actual, expected, "{way:?}: {start}");
    }
}

/// Values, good and bad, in which something stands that is rare.
const VALUES: &[&str] = &[
    r#"{"id":"a\\u0062","n":-0.0e-0,"":[],"x":{}}"#,
    r#"{"id":"a\u0062","n":-0.0e-0,"":[],"x":{}}"#,
    r#"{"\\u0069d":7,"id2":8}"#,
    r#"{"\u0069d":7,"id2":8}"#,
    r#"{"id":1,"a\\":"\\\\","b":"\\\"","c":"\\\\\\\""}"#,
    r#"{"a":{"id":2},"id" : [ 1 , 2 ] }"#,
    r#"{"id":"\\ud83d\\ude00"}"#,
    r#"{"id":"\ud83d\ude00"}"#,
    r#"{"id":"\\ud83d\\ud83d"}"#,
    r#"{"id":"\ud83d\ud83d"}"#,
    r#"{"id":"\\ud83d"}"#,
    r#"{"id":"\ud83d"}"#,
    r#"{"id":"\\ude00"}"#,
    r#"{"id":"\ude00"}"#,
    r#"{"id":"\\u12"}"#,
    r#"{"id":"\u12"}"#,
    r#"{"id":"\\u12g4"}"#,
    r#"{"id":"\u12g4"}"#,
    r#"{"id":"\\x"}"#,
    r#"{"id":"\x"}"#,
    "{\"id\":\"a\tb\"}",
    "{\"id\":\"a\u{0}b\"}",
    "{\"id\":\u{0}}",
    "{\"id\":1\u{0}}",
    "{\"id\":1\u{c},\"b\":\u{1a}2}",
    r#"{"id":"Å😀"}"#,
    r#"{"id":Å}"#,
    r#"{"id":01}"#,
    r#"{"id":1.}"#,
    r#"{"id":.1}"#,
    r#"{"id":1e}"#,
    r#"{"id":1e+}"#,
    r#"{"id":-}"#,
    r#"{"id":+1}"#,
    r#"{"id":1 2}"#,
    r#"{"id":1"a"}"#,
    r#"{"id":"a"1}"#,
    r#"{"id":"a""b"}"#,
    r#"{"id":truE}"#,
    r#"{"id":"t","x":true1,"y":1}"#,
    r#"{"id":"t","x":nul}"#,
    r#"{"id":"t","x":false"}"#,
    r#"{"id":"t",}"#,
    r#"{"id":"t" "x":1}"#,
    r#"{"id":"t","x"}"#,
    r#"{"id":"t","x":}"#,
    r#"{"id":"t",1:2}"#,
    r#"{"id":"t","x":[1,]}"#,
    r#"{"id":"t","x":[,1]}"#,
    r#"{"id":"t","x":[1}}"#,
    r#"{"id":"t","x":{"y":1]}"#,
    r#"{"id":"t"]"#,
    r#"{"id":"t"}}"#,
    r#"{"id":"t"#,
    r#"{"id":"t\\"#,
    r#"{"id":"t\"#,
    r#"{"id":"t\\""#,
    r#"{"id":"t\""#,
    r#"{:1}"#,
    r#"{"id":{"a":[{},[],"]",{"b":"}"}]}}"#,
    r#"{"id":null}"#,
    "\"a\\\\b\"",
    "\"  \"",
    "-12.5E+3",
    "null",
    "tru",
    "]",
    ",",
    ":",
    "",
];

/// Source text in which `value` is one of several items.
fn around(value: &str, blank: &str) -> [(Format, Vec<u8>); 4] {
    let first = "{\"id\":100}";
    [
        (Format::Json, format!("{blank}[{first},{value}]").into_bytes()),
        (
            Format::Json,
            format!("[{blank}{first} ,\n {value} , {{\"id\":101}}]").into_bytes(),
        ),
        (
            Format::Ndjson,
            format!("{first}{blank}\n{value}\n{{\"id\":101}}\n").into_bytes(),
        ),
        (Format::Ndjson, format!("{blank}{first}\n{value}").into_bytes()),
    ]
}

#[test]
fn every_way_of_reading_judges_as_the_scanner_does_wherever_a_value_stands() {
    for value in VALUES {
        for offset in (0..70).step_by(5) {
            for (format, source) in around(value, &" ".repeat(offset)) {
                check_ways(format, &source, "id");
            }
        }
        for offset in [127, 128] {
            for (format, source) in around(value, &" ".repeat(offset)) {
                check_ways(format, &source, "a");
            }
        }
        let deep = format!("{}{value}{}", "[".repeat(127), "]".repeat(127));
        for (format, source) in around(&deep, "") {
            check_ways(format, &source, "id");
        }
    }
    for depth in [127, 128, 129, 300] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"id\":", "}]")] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for (format, source) in around(&deep, "") {
                check_ways(format, &source, "id");
            }
        }
    }
    for (text, id_field) in [
        (r#"[{"a\"b":1}]"#, "a\"b"),
        (r#"[{"a\\b":1}]"#, "a\\b"),
        (r#"[{"a\nb":1}]"#, "a\\nb"),
        (r#"[{"a\nb":1}]"#, "a\nb"),
        (r#"[{"a":"b","c":1}]"#, "a\":\"b"),
        (r#"[{"a longer name than eight":1}]"#, "a longer name than eight"),
        (r#"[{"a longer name":1}]"#, "a longer name than eight"),
        (r#"[{"a":1,"":2}]"#, "/"),
        (r#"[{"a":{"b":3}},{"a":{"b":4}}]"#, "/a/b"),
    ] {
        check_ways(Format::Json, text.as_bytes(), id_field);
    }
}

#[test]
fn every_way_of_reading_judges_as_the_scanner_does_where_pieces_end() {
    // Pieces are of 32 KiB, windows of 256 KiB.
    for (number, value) in VALUES.iter().enumerate() {
        for before in [0, 1, 7, 20, 40] {
            let lengths = [32 << 10, 256 << 10];
            // The window's end with a few only: there is much before it.
            for length in &lengths[..if before == number % 50 { 2 } else { 1 }] {
                let item = |id: usize| format!("{{\"id\": {id:07}.5, \"text\": \"\\n{}\"}}", "å".repeat(1_000));
                let count = (length - before) / (item(0).len() + 1);
                let mut lines: String = (0..count).map(|id| item(id) + "\n").collect();
                let fill = length - before - lines.len();
                lines.push_str(&" ".repeat(fill));
                let array = lines.replace('\n', ",");
                check_ways(Format::Ndjson, format!("{lines}{value}\n{{\"id\":1}}").as_bytes(), "id");
                check_ways(Format::Json, format!("[{array}{value},{{\"id\":1}}]").as_bytes(), "id");
            }
        }
    }
}

#[test]
fn every_way_of_reading_takes_in_items_of_any_length() {
    for lengths in [
        &[10, 33_000, 10, 140_000, 10, 300_000, 10][..],
        &[600_000, 10],
        &[10, 600_000],
    ] {
        let items: Vec<String> = lengths
            .iter()
            .enumerate()
            .map(|(id, length)| format!("{{\"id\" : {id}, \"text\":[\"{}\" ]}}", "å,\\\" ".repeat(length / 6)))
            .collect();
        for blank in ["", " ", "\n\n"] {
            let between = format!(",{blank}");
            let source = format!("[{blank}{}{blank}]", items.join(&between));
            check_ways(Format::Json, source.as_bytes(), "id");
            let source = items.join("\n") + blank;
            check_ways(Format::Ndjson, source.as_bytes(), "id");
        }
    }
}

/// However many threads there are, the outcome is that of the scanner on one.
#[track_caller]
fn check_threads(format: Format, source: &[u8], threads: impl IntoIterator<Item = usize>) {
    let expected = outcome(format, source, "id", Way::Scanner);
    for threads in threads {
        for (part_length, length) in [(4 << 10, usize::MAX), (20 << 10, 10_007)] {
            let options = ParseOptions {
                threads,
                part_length,
                ..options()
            };
            let trickle = Trickle {
                rest: source,
                length,
                interrupts: false,
            };
            let actual = outcome_of(format, trickle, &options);
            let end = String::from_utf8_lossy(&source[source.len().saturating_sub(200)..]);
            assert!(
                actual == expected,
                "{threads} threads: {:?} beside {:?}: {end}",
                actual.err(),
                expected.as_ref().err()
            );
        }
    }
}

/// Items one a line, more than a window of them; of some the first member is an object that looks like an item.
fn many_lines(from: usize, to: usize) -> String {
    let item = |id: usize| match id % 7 {
        0 => format!("{{\"id\":{id},\"of\":[{{\"id\":1}},{{\"id\":2}}],\"text\":\"å,{{\\\"id\\\":\"}}\n"),
        1 => format!("{{\"id\":\"x{id}\", \"n\": [ 1.5 , null ] }}\r\n\n"),
        _ => format!("{{\"id\":{id},\"text\":\"{}\"}}\n", "Åland ".repeat(id % 11)),
    };
    (from..to).map(item).collect()
}

#[test]
fn threads_make_what_one_makes() {
    let lines = many_lines(0, 9_000);
    check_threads(Format::Ndjson, lines.as_bytes(), 2..6);
    check_threads(Format::Ndjson, lines.trim_end().as_bytes(), [3]);
    let lines = lines.replace("\r\n\n", "\n");
    for between in [",", ",\n  ", " ,\r\n"] {
        let array = format!("[\n{}\n]", lines.trim_end().replace('\n', between));
        check_threads(Format::Json, array.as_bytes(), 2..6);
    }
    // Nothing looks like the beginning of an item, or a part has no end.
    let numbers: String = (0..80_000).map(|number| format!("{number},")).collect();
    check_threads(Format::Json, format!("[{numbers}0]").as_bytes(), [2]);
    let long = format!("{{\"id\":0,\"text\":\"{}\"}}\n", "å".repeat(50_000));
    check_threads(
        Format::Ndjson,
        format!("{}{long}{}", many_lines(1, 6_000), many_lines(6_000, 9_000)).as_bytes(),
        [3],
    );
    // What is left after the first window has no end, or its first part is not good.
    for length in [1, 18_300, 30_000] {
        for end in ["", "\n", "nonsense", "\nnonsense", "{\"id\":3}", "\n{\"id\":3}\n"] {
            let lines = many_lines(0, 4_500);
            let last = format!("{{\"id\":\"last\",\"text\":\"{}\"}}", "x".repeat(length));
            check_threads(Format::Ndjson, format!("{lines}{last}{end}").as_bytes(), [2]);
        }
    }
    let all_ids = ParseOptions {
        threads: 3,
        part_length: 4 << 10,
        id_field: String::new(),
        ..options()
    };
    let items = read(Format::Ndjson, many_lines(0, 9_000), &all_ids);
    assert!(items.len() == 9_000 && !items.has_ids());
}

#[test]
fn threads_tell_the_first_fault_as_one_does() {
    let before = many_lines(0, 6_500);
    let after = many_lines(6_500, 7_500);
    // A few of them: what is wrong with the others is seen by the same code.
    let values = VALUES.iter().copied().step_by(5).chain([
        // Ids that stand twice, near and far, and items without one.
        "{\"id\":3}",
        "{\"id\":6499}",
        "{\"id\":6601}",
        "{\"no\":1}",
        "{\"id\":70000}\n{\"id\":70000}",
        "{\"id\":70000}\nnonsense\n{\"id\":70000}",
    ]);
    for (number, value) in values.enumerate() {
        let threads = 2 + number % 4;
        let source = format!("{before}{value}\n{after}");
        check_threads(Format::Ndjson, source.as_bytes(), [threads]);
        let array = format!("[{}]", source.replace("\r\n\n", "\n").trim_end().replace('\n', ",\n"));
        check_threads(Format::Json, array.as_bytes(), [threads]);
        if number % 4 == 0 {
            check_threads(Format::Json, array.replace('\n', "").as_bytes(), [threads]);
        }
    }
}

#[test]
fn what_threads_make_is_bounded_as_what_one_makes() {
    let source = many_lines(0, 9_000);
    let of = |threads| ParseOptions {
        threads,
        part_length: 4 << 10,
        bytes_made_max: 400_000,
        ..options()
    };
    let expected = refuse(Format::Ndjson, &source, &of(1));
    assert_eq!(expected.fault().code(), "too_much_made");
    assert_eq!(refuse(Format::Ndjson, &source, &of(3)), expected);
}

#[test]
fn an_id_that_stands_twice_is_told_wherever_a_window_ends() {
    // Where the first of a batch is the second of its id.
    let text = "x".repeat(1_000);
    let item = |id: usize| format!("{{\"id\":\"{id:04}\",\"text\":\"{text}\"}}\n");
    for second in 250..270 {
        let source: String = (0..second).chain([7]).chain(second..600).map(item).collect();
        check_refused(
            Format::Ndjson,
            &source,
            &options(),
            "duplicate_id",
            second as u64 + 1,
            1,
        );
        let array = format!("[{}]", source.trim_end().replace('\n', ",\n"));
        check_refused(Format::Json, &array, &options(), "duplicate_id", second as u64 + 1, 1);
    }
}

#[test]
fn the_first_fault_in_a_source_is_told() {
    for way in Way::ALL {
        let options = ParseOptions { way, ..options() };
        for between in [1, 10_000] {
            let lines: String = (2..between).map(|id| format!("{{\"id\":{id}}}\n")).collect();
            let source = format!("{{\"id\":1}}\n{{\"id\":1}}\n{lines}nonsense\n");
            check_refused(Format::Ndjson, &source, &options, "duplicate_id", 2, 1);
            let array = format!("[{}]", source.trim_end().replace('\n', ",\n"));
            check_refused(Format::Json, &array, &options, "duplicate_id", 2, 1);
        }
    }
}

/// Text with one thing that is wrong, perhaps.
fn mutated(text: String, how: u8, at: prop::sample::Index, byte: u8) -> Vec<u8> {
    let mut source = text.into_bytes();
    let at = at.index(source.len().max(1));
    match how {
        _ if source.is_empty() => {}
        0 => source[at] = byte,
        1 => source.insert(at, byte),
        2 => drop(source.remove(at)),
        3 => source.truncate(at),
        4 => source[at] ^= 1 << (byte % 8),
        _ => {}
    }
    source
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_way_of_reading_has_the_scanners_outcome(
        texts in prop::collection::vec(json_text(), 1..5),
        offset in 0..130_usize,
        how in 0..6_u8,
        at: prop::sample::Index,
        byte in prop::sample::select(b"{}[],:\"\\ \n\r\t0-.eEtuifn\x00\x01\x80\xc3\xff".to_vec()),
        id_field in prop::sample::select(vec!["id", "", "a", "\u{e9}"]),
        length in 1_usize..64,
    ) {
        let blank = " ".repeat(offset);
        let array = mutated(format!("{blank}[{}]", texts.join(" , ")), how, at, byte);
        let lines = mutated(blank + &texts.iter().map(|text| tokens(text)).collect::<Vec<_>>().join("\n"), how, at, byte);
        for (format, source) in [(Format::Json, array), (Format::Ndjson, lines)] {
            check_ways(format, &source, id_field);
            let trickle = Trickle { rest: &source, length, interrupts: false };
            prop_assert_eq!(
                outcome(format, trickle, id_field, Way::default()),
                outcome(format, &source[..], id_field, Way::Scanner)
            );
        }
    }
}

proptest! {
    #[test]
    fn any_json_comes_back_token_for_token(texts in prop::collection::vec(json_text(), 0..4), length in 1_usize..64) {
        // serde_json is asked whether it is JSON at all; raw values keep it from judging numbers by their size.
        let source = format!("[{}]", texts.join(" , "));
        prop_assert!(serde_json::from_str::<Vec<Box<RawValue>>>(&source).is_ok(), "{}", source);
        let options = ParseOptions { id_field: "no such member".to_owned(), ..options() };
        let items = parse(Format::Json, source.as_bytes(), &options).unwrap();
        prop_assert_eq!(std::str::from_utf8(items.arena()).unwrap(), tokens(&source));
        prop_assert_eq!(items.len(), texts.len());
        let trickle = Trickle { rest: source.as_bytes(), length, interrupts: false };
        let trickled = parse(Format::Json, trickle, &options).unwrap();
        prop_assert_eq!(trickled.arena(), items.arena());
        if !texts.is_empty() {
            let lines: String = texts.iter().map(|text| format!("{}\n", tokens(text))).collect();
            let same = parse(Format::Ndjson, lines.as_bytes(), &options).unwrap();
            prop_assert_eq!(same.arena(), items.arena());
            prop_assert_eq!(same.content_hash(), items.content_hash());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), csv_types: bool) {
        for format in [Format::Json, Format::Ndjson, Format::Csv, Format::Tsv] {
            let options = ParseOptions { csv_types, ..options() };
            if let Ok(items) = parse(format, &bytes[..], &options) {
                prop_assert!(serde_json::from_slice::<Vec<Box<RawValue>>>(items.arena()).is_ok());
            }
        }
    }

    #[test]
    fn nearly_json_is_judged_as_serde_json_judges_it(text in json_text(), at: prop::sample::Index, byte in prop::sample::select(b"{}[],:\"\\ \n0-.eEtu\x01\x80".to_vec())) {
        let mut source = format!("[{text}]").into_bytes();
        let at = at.index(source.len());
        source[at] = byte;
        let expected = serde_json::from_slice::<Vec<Box<RawValue>>>(&source);
        let actual = parse(Format::Json, &source[..], &ParseOptions { id_field: "no such member".to_owned(), ..options() });
        match (&expected, &actual) {
            // A raw value is not decoded, so serde_json lets it pass.
            (Ok(_), Err(error)) if is_lone_surrogate(error) => {}
            _ => prop_assert_eq!(expected.is_ok(), actual.is_ok(), "{} {:?}", String::from_utf8_lossy(&source), actual.err()),
        }
    }

    #[test]
    fn every_id_is_found_and_no_other(ids in prop::collection::hash_set("[a-zé\"\\\\ ]{1,6}", 1..200), other in "[A-Z]{1,4}") {
        let ids: Vec<String> = ids.into_iter().collect();
        let lines: String = ids.iter().map(|id| format!("{{\"id\":{}}}\n", serde_json::to_string(id).unwrap())).collect();
        let items = parse(Format::Ndjson, lines.as_bytes(), &options()).unwrap();
        for (position, id) in ids.iter().enumerate() {
            prop_assert_eq!(items.find(id), Some(position));
        }
        prop_assert_eq!(items.find(&other), None);
    }
}
