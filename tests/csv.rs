//! CSV: compared with a strict reference of RFC 4180, on whole files and on damaged ones, and where chunks meet.

use std::io::{self, Read};

use janus::items::{Collection, DataError, Format, Note, ParseError, ParseOptions, Told, parse, read};
use proptest::prelude::*;

/// As long as what is read at a time: the reader's window ends there.
const CHUNK: usize = 256 << 10;

fn options() -> ParseOptions {
    ParseOptions {
        id_field: String::new(),
        ..ParseOptions::default()
    }
}

fn delimited_by(delimiter: &str) -> ParseOptions {
    ParseOptions {
        delimiter: Some(delimiter.parse().unwrap()),
        ..options()
    }
}

#[track_caller]
fn check(source: &str, options: &ParseOptions, arena: &str) {
    let items = parse(Format::Csv, source.as_bytes(), options).unwrap_or_else(|error| panic!("{error}: {source:?}"));
    assert_eq!(std::str::from_utf8(items.arena()).unwrap(), arena, "{source:?}");
}

#[track_caller]
fn refused(source: impl AsRef<[u8]>, options: &ParseOptions) -> DataError {
    let source = source.as_ref();
    match parse(Format::Csv, source, options) {
        Err(ParseError::Data(error)) => error,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(source)),
    }
}

#[track_caller]
fn check_refused(source: impl AsRef<[u8]>, options: &ParseOptions, line: u64, column: u64, says: &str) {
    let error = refused(source.as_ref(), options);
    let source = String::from_utf8_lossy(source.as_ref());
    assert_eq!((error.line(), error.column()), (line, column), "{error}: {source:?}");
    assert!(error.to_string().contains(says), "{error}: {source:?}");
}

#[test]
fn a_quote_that_is_not_closed_is_told_where_it_opens() {
    let plain = options();
    for (source, line, column) in [
        ("id,n\n1,\"a\n2,b\n3,c", 2, 3),
        ("id,n\n1,\"a\n2,b\n3,c\n", 2, 3),
        ("id,\"n\n1,a\n", 1, 4),
        ("\"id,n\n1,a\n", 1, 1),
        ("id,n\nÅ,é,\"\n", 2, 5),
        ("id,n\n1,\"", 2, 3),
        ("id,n\n1,\"\"\"", 2, 3),
    ] {
        check_refused(source, &plain, line, column, "never closed");
    }
    // Far behind, too.
    let rows: String = (0..100_000).map(|id| format!("{id},x\n")).collect();
    check_refused(format!("id,n\n{rows}7,\"x\n{rows}"), &plain, 100_002, 3, "never closed");
}

#[test]
fn text_after_a_closing_quote_is_refused() {
    let plain = options();
    check_refused(
        "id,n\n1,\"17\" monitor\"\n",
        &plain,
        2,
        7,
        "text after the closing quote",
    );
    check_refused("id,n,m\n1,\"x\" ,\n", &plain, 2, 6, "text after the closing quote");
    check_refused("id,n\n1,\"say \\\"hi\\\"\"\n", &plain, 2, 10, "not \\\"");
    check_refused("id,n\n1,\"a\nb\"c\n", &plain, 3, 3, "opens in line 2, column 3");
    check_refused("id\n\"a\"\"b\"c\n", &plain, 2, 7, "text after the closing quote");
    check_refused("id\n\"1\";\"Anna\"\n", &plain, 2, 4, "--delimiter ';'");
}

#[test]
fn quotes_elsewhere_are_text() {
    let plain = options();
    check(
        "id,n\n1,7\" x 10\"\n2, \"a\"\n3,a\"\"b\n4,\\\n",
        &plain,
        r#"[{"id":"1","n":"7\" x 10\""},{"id":"2","n":" \"a\""},{"id":"3","n":"a\"\"b"},{"id":"4","n":"\\"}]"#,
    );
    check(
        "id,n\n1,\"a \"\"b\"\"\r\nc\td\\\"\n2,\"\"\n3,\"\"\"\"\n",
        &plain,
        r#"[{"id":"1","n":"a \"b\"\r\nc\td\\"},{"id":"2","n":""},{"id":"3","n":"\""}]"#,
    );
    let no_quotes = ParseOptions {
        csv_no_quotes: true,
        ..options()
    };
    check(
        "id\tt\n1\t\"Heart\n2\t\"a\"\n",
        &no_quotes,
        r#"[{"id":"1","t":"\"Heart"},{"id":"2","t":"\"a\""}]"#,
    );
}

#[test]
fn control_characters_are_refused() {
    for control in (0..0x20_u8).filter(|byte| !b"\t\r\n".contains(byte)).chain([0x7f]) {
        let source = [&b"id,n\n1,a"[..], &[control], b"b\n"].concat();
        check_refused(&source, &options(), 2, 4, "control character");
        let source = [&b"id,n\n1,\"a"[..], &[control], b"b\"\n"].concat();
        check_refused(&source, &options(), 2, 5, "control character");
    }
    check_refused(vec![0; 4096], &options(), 1, 1, "control character U+0000");
    check_refused("id,n\r1,a\r", &options(), 1, 5, "carriage return");
    check_refused("id,n\n1,a\rb\n", &options(), 2, 4, "carriage return");
    check_refused("id,n\n1,a\r", &options(), 2, 4, "carriage return");
    check_refused("id,n\n1,\"a\"\rb\n", &options(), 2, 6, "carriage return");
    check("id,n\n1,a\tb\n", &options(), r#"[{"id":"1","n":"a\tb"}]"#);
    // One that is named as the delimiter is one.
    check(
        "id\u{1f}n\n1\u{1f}a\n2\u{1f}\"b\u{1f}\"\n",
        &delimited_by("\u{1f}"),
        r#"[{"id":"1","n":"a"},{"id":"2","n":"b\u001f"}]"#,
    );
}

#[test]
fn the_header_row_tells_the_delimiter() {
    let plain = options();
    let items = r#"[{"id":"1","n":"a"},{"id":"2","n":"b"}]"#;
    for delimiter in [",", ";", "\t", "|"] {
        let source = "id,n\n1,a\n2,b\n".replace(',', delimiter);
        check(&source, &plain, items);
        check(&source.replace('\n', "\r\n"), &plain, items);
        check(&format!("\u{feff}{source}"), &plain, items);
        check(
            &source
                .replace("id", "\"id\"")
                .replace('n', "\"n\"")
                .replace("\"\"", "\""),
            &plain,
            items,
        );
    }
    for (source, items) in [
        (
            "id;price\n1;1,50\n2;2,00\n",
            r#"[{"id":"1","price":"1,50"},{"id":"2","price":"2,00"}]"#,
        ),
        ("id;\"price, EUR\"\n1;\"1,50\"\n", r#"[{"id":"1","price, EUR":"1,50"}]"#),
        (
            "id,\"a;b\"\n1,x;y\n2,z\n",
            r#"[{"id":"1","a;b":"x;y"},{"id":"2","a;b":"z"}]"#,
        ),
        ("id,n,a|b\n1,x,2|3\n", r#"[{"id":"1","n":"x","a|b":"2|3"}]"#),
        ("id,n;m\n1,x\n2,y\n", r#"[{"id":"1","n;m":"x"},{"id":"2","n;m":"y"}]"#),
        // One column is one column.
        (
            "name\n\"Doe, J\"\n\"Roe; M\"\n",
            r#"[{"name":"Doe, J"},{"name":"Roe; M"}]"#,
        ),
        (
            "text\nfirst; second\nthird\n",
            r#"[{"text":"first; second"},{"text":"third"}]"#,
        ),
        ("a; b\nfirst\nsecond\n", r#"[{"a; b":"first"},{"a; b":"second"}]"#),
        ("id\n1\n", r#"[{"id":"1"}]"#),
        ("id\n", "[]"),
    ] {
        check(source, &plain, items);
    }
    check("id,n\n1,a\n2,b\n", &delimited_by(","), items);
    check("id;n\n1;a\n", &delimited_by(","), r#"[{"id;n":"1;a"}]"#);
    check("id-n\n1-a\n", &delimited_by("-"), r#"[{"id":"1","n":"a"}]"#);
    check_refused(
        "id;a,b;c\n1;2,3;4\n",
        &plain,
        1,
        1,
        "--delimiter ',' or --delimiter ';'",
    );
    check_refused("name\nx;1\ny;2\n", &plain, 2, 1, "--delimiter ';'");
    check_refused("name\nx;\"1;2\"\ny;2\n", &plain, 2, 1, "--delimiter ';'");
    check_refused("id;n\n1;\"a;b\"x\n2;b\n", &plain, 2, 8, "closing quote");
    check_refused("name\nx\t1\ny\t2\n", &plain, 2, 1, "--delimiter tab");
    check(
        "name\nx;1\ny;2\n",
        &delimited_by("comma"),
        r#"[{"name":"x;1"},{"name":"y;2"}]"#,
    );
    for bad in ["", ",,", "a", "\"", "\n", "€", "dot"] {
        assert!(bad.parse::<janus::items::Delimiter>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_sep_line_names_the_delimiter() {
    let items = r#"[{"id":"1","n":"a"}]"#;
    for source in [
        "sep=;\nid;n\n1;a\n",
        "sep=;\r\nid;n\r\n1;a\r\n",
        "\u{feff}sep=;\nid;n\n1;a\n",
        "\"sep=;\"\nid;n\n1;a\n",
        "SEP=|\nid|n\n1|a\n",
        "sep=\t\nid\tn\n1\ta\n",
        "sep=,\nid,n\n1,a\n",
        "sep=^\nid^n\n1^a\n",
    ] {
        check(source, &options(), items);
    }
    check("sep=;\nid;n\n1;a\n", &delimited_by(";"), items);
    check_refused("sep=;\nid;n\n1;a\n", &delimited_by(","), 1, 1, "sep=");
    check_refused("sep=\nid;n\n1;a\n", &options(), 1, 1, "sep=");
    check_refused("sep=;\nid;n\n1;a;b\n", &options(), 3, 1, "3 fields");
    // Without a line of its own it is a name.
    check("sep=,n\n1,a\n", &options(), r#"[{"sep=":"1","n":"a"}]"#);
}

fn notes(source: &str, options: &ParseOptions) -> (Collection, Vec<Note>) {
    let parsed = read(Told::ByName(Format::Csv), source.as_bytes(), options).unwrap();
    (parsed.items, parsed.notes)
}

#[test]
fn what_is_odd_is_accepted_and_told_or_refused_with_the_way_out() {
    let (items, told) = notes("id,n\n1,a\n,\n\n2,b\n,\n", &options());
    assert_eq!((items.len(), told), (2, vec![Note::BlankRows(2)]));
    let (items, told) = notes("id,n\n1,a\n\n2,b\n\n", &options());
    assert_eq!((items.len(), told), (2, vec![]));
    let (items, told) = notes("n\na\n\n\"\"\nb\n", &options());
    assert_eq!(
        (items.len(), told),
        (3, vec![Note::BlankRows(1)]),
        "an empty field that is written is one"
    );
    check("id,n\n\"\",\"\"\n", &options(), r#"[{"id":"","n":""}]"#);

    let (items, told) = notes("id,n,\n1,a,\n2,b,\n", &options());
    assert_eq!(&items.arena()[..], br#"[{"id":"1","n":"a"},{"id":"2","n":"b"}]"#);
    assert_eq!(told, [Note::TrailingDelimiter]);
    check_refused("id,n,\n1,a,\n2,b,c\n", &options(), 1, 6, "line 3");
    check_refused("id,n\n1,a,\n", &options(), 2, 1, "ends with a delimiter");

    let unnamed = ParseOptions {
        unnamed_column: Some("row".to_owned()),
        ..options()
    };
    for source in [",n\n0,a\n", "\"\",n\n0,a\n", " ,n\n0,a\n"] {
        check_refused(source, &options(), 1, 1, "--unnamed-column NAME");
        check(source, &unnamed, r#"[{"row":"0","n":"a"}]"#);
    }
    check("id,n,\n1,a,b\n", &unnamed, r#"[{"id":"1","n":"a","row":"b"}]"#);
    check(",n,\n0,a,\n", &unnamed, r#"[{"row":"0","n":"a"}]"#);
    check_refused(",,n\n0,a,b\n", &unnamed, 1, 2, "column 2 has no name");
    check_refused("row,,n\n0,a,b\n", &unnamed, 1, 5, "stands twice");
    check_refused("id,bias,bias\n1,a,b\n", &options(), 1, 9, "\"bias\" stands twice");

    let by_id = ParseOptions::default();
    check_refused("name, id\na,1\n", &by_id, 1, 6, "--id-field ' id'");
    let (items, told) = notes("id,\" n\"\n1,a\n", &by_id);
    assert_eq!(
        (items.find("1"), told),
        (Some(0), vec![Note::SpacedName(" n".to_owned())])
    );
    let required = ParseOptions {
        id_field: "code".to_owned(),
        is_id_required: true,
        ..options()
    };
    check_refused("id,n\n1,a\n", &required, 1, 1, "no column \"code\"");
    check_refused("upstream connect error\n", &required, 1, 1, "no column \"code\"");

    for source in ["", " ", " \n\t\r\n", "\n\n\n", "\u{feff}", "\u{feff} \n"] {
        assert_eq!(refused(source, &options()).fault().code(), "empty", "{source:?}");
    }
    assert_eq!(refused(" \n".repeat(CHUNK), &options()).fault().code(), "empty");
    check(
        &format!("{}id\n1\n", " \n".repeat(CHUNK)),
        &options(),
        r#"[{"id":"1"}]"#,
    );
    check_refused("id,na", &options(), 1, 6, "cut off");
    check_refused("id", &options(), 1, 3, "cut off");
    for page in [
        "<html><body>502</body></html>",
        "<!DOCTYPE html>\n<p>",
        "\n <?xml version=\"1.0\"?>\n",
    ] {
        assert!(
            refused(page, &options()).to_string().contains("HTML or XML"),
            "{page:?}"
        );
    }
    for page in ["{\"error\":\"x\"}\n", "[{\"id\":1}]\n", "{ \"a\": 1,\n"] {
        let error = read(Told::ByName(Format::Csv), page.as_bytes(), &options()).unwrap_err();
        assert!(error.to_string().contains("--format json"), "{page:?}: {error}");
    }
}

#[test]
fn types_are_those_of_columns() {
    let typed = ParseOptions {
        csv_types: true,
        ..options()
    };
    check(
        "zip,n,b,e,m\n02134,1,TRUE,,1\n90210,-1.5e3,false,,x\n,,,,\n12345,,True,,\n",
        &typed,
        "[{\"zip\":\"02134\",\"n\":1,\"b\":true,\"e\":null,\"m\":\"1\"},\
         {\"zip\":\"90210\",\"n\":-1.5e3,\"b\":false,\"e\":null,\"m\":\"x\"},\
         {\"zip\":\"12345\",\"n\":null,\"b\":true,\"e\":null,\"m\":null}]",
    );
    for (cell, spelled) in [
        ("1", "1"),
        ("-0", "-0"),
        ("1.10", "1.10"),
        ("1E400", "1E400"),
        ("1e+5", "1e+5"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("+1", "\"+1\""),
        (".5", "\".5\""),
        ("1.", "\"1.\""),
        ("1e", "\"1e\""),
        ("1e+", "\"1e+\""),
        ("-", "\"-\""),
        ("00", "\"00\""),
        ("-01", "\"-01\""),
        ("0x1", "\"0x1\""),
        (" 1", "\" 1\""),
        ("NaN", "\"NaN\""),
        ("TRUE", "true"),
        ("False", "false"),
        ("tRUE", "\"tRUE\""),
        ("null", "\"null\""),
    ] {
        check(
            &format!("a,b\n{cell},x\n"),
            &typed,
            &format!("[{{\"a\":{spelled},\"b\":\"x\"}}]"),
        );
    }
    // What decides may come last, and far behind; ids and faults are those of the whole.
    let rows: String = (0..60_000).map(|id| format!("{id},{}\n", id % 10)).collect();
    let by_id = ParseOptions {
        csv_types: true,
        ..ParseOptions::default()
    };
    let items = parse(Format::Csv, format!("id,n\n{rows}").as_bytes(), &by_id).unwrap();
    assert_eq!(items.item(items.find("59999").unwrap()), br#"{"id":59999,"n":9}"#);
    let items = parse(Format::Csv, format!("id,n\n{rows}x,\n").as_bytes(), &by_id).unwrap();
    assert_eq!(items.item(items.find("59999").unwrap()), br#"{"id":"59999","n":9}"#);
    check_refused(format!("id,n\n{rows}7,1\n"), &by_id, 60_002, 1, "item 8 (line 9)");
    check_refused(format!("id,n\n{rows},1\n"), &by_id, 60_002, 1, "null");
    check_refused(format!("id,n\n{rows}70000,\"1\n"), &by_id, 60_002, 7, "never closed");
}

/// A reader that gives a few bytes at a time.
struct Pieces<'a> {
    rest: &'a [u8],
    length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.length.min(self.rest.len()).min(buffer.len());
        buffer[..length].copy_from_slice(&self.rest[..length]);
        self.rest = &self.rest[length..];
        Ok(length)
    }
}

/// Fields, each with whether it is quoted.
type Row = Vec<(Vec<u8>, bool)>;

/// RFC 4180 to the letter, with one rule more: a quote in a field that does not begin with one is text.
///
/// `None` for what is not CSV.
fn reference(text: &[u8], delimiter: u8) -> Option<Vec<Row>> {
    #[derive(PartialEq)]
    enum State {
        FieldStart,
        Plain,
        Quoted,
        QuoteInQuoted,
        Return,
    }
    let mut rows = Vec::new();
    let (mut row, mut field, mut is_quoted) = (Vec::new(), Vec::new(), false);
    let mut state = State::FieldStart;
    let mut is_row_open = false;
    for &byte in text {
        if (byte < 0x20 && !b"\t\r\n".contains(&byte)) || byte == 0x7f {
            return None;
        }
        state = match (state, byte) {
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::Quoted, byte) => {
                field.push(byte);
                State::Quoted
            }
            (State::QuoteInQuoted, b'"') => {
                field.push(b'"');
                State::Quoted
            }
            (State::FieldStart, b'"') => {
                is_quoted = true;
                State::Quoted
            }
            (State::FieldStart | State::Plain | State::QuoteInQuoted, byte) if byte == delimiter => {
                row.push((std::mem::take(&mut field), std::mem::take(&mut is_quoted)));
                State::FieldStart
            }
            (State::FieldStart | State::Plain | State::QuoteInQuoted, b'\r') => State::Return,
            (State::FieldStart | State::Plain | State::QuoteInQuoted | State::Return, b'\n') => {
                row.push((std::mem::take(&mut field), std::mem::take(&mut is_quoted)));
                rows.push(std::mem::take(&mut row));
                State::FieldStart
            }
            (State::Return | State::QuoteInQuoted, _) => return None,
            (State::FieldStart | State::Plain, byte) => {
                field.push(byte);
                State::Plain
            }
        };
        is_row_open = byte != b'\n' || state == State::Quoted;
    }
    match state {
        State::Quoted | State::Return => None,
        _ => {
            if is_row_open {
                row.push((field, is_quoted));
                rows.push(row);
            }
            Some(rows)
        }
    }
}

/// The rows as what docs/data.md makes of them: names and values; `None` for what is refused.
fn expected(text: &[u8], delimiter: u8) -> Option<Vec<Vec<(String, String)>>> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let blank = text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len();
    let start = text[..blank].rfind('\n').map_or(0, |newline| newline + 1);
    let text = &text.as_bytes()[start..];
    let string = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
    let mut rows = reference(text, delimiter)?.into_iter();
    let header = rows.next()?;
    if rows.len() == 0 && text.last() != Some(&b'\n') {
        return None;
    }
    let width = header.len();
    let mut names: Vec<String> = header.iter().map(|(name, _)| string(name)).collect();
    let is_trailing = names.len() > 1 && names.last().is_some_and(|name| name.trim().is_empty());
    if is_trailing {
        names.pop();
    }
    let is_unique = |name: &String| names.iter().filter(|other| *other == name).count() == 1;
    if !names.iter().all(|name| !name.trim().is_empty() && is_unique(name)) {
        return None;
    }
    let mut items = Vec::new();
    for row in rows {
        if row.iter().all(|(field, is_quoted)| field.is_empty() && !is_quoted) {
            continue;
        }
        let (last, _) = row.last()?;
        if row.len() != width || (is_trailing && !last.is_empty()) {
            return None;
        }
        let values = row.iter().map(|(field, _)| string(field));
        items.push(names.iter().cloned().zip(values).collect());
    }
    Some(items)
}

fn items(collection: &Collection) -> Vec<Vec<(String, String)>> {
    let all: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(collection.arena()).unwrap();
    let pairs = |item: serde_json::Map<String, serde_json::Value>| {
        item.into_iter()
            .map(|(name, value)| (name, value.as_str().expect("a string").to_owned()))
            .collect()
    };
    all.into_iter().map(pairs).collect()
}

const DELIMITERS: [&str; 4] = [",", ";", "\t", "|"];

/// A file as programs write them, and its delimiter.
fn file() -> impl Strategy<Value = (Vec<u8>, &'static str)> {
    let field = prop_oneof![
        4 => "[a-z0-9 .é]{0,12}",
        1 => "[a-z][a-z\" \\\\]{0,6}",
        2 => "(\"\"|[a-z,;|\t\r\n\\\\ é€]){0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    let width = 1..5_usize;
    (
        width,
        prop::sample::select(&DELIMITERS[..]),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_flat_map(move |(width, delimiter, has_returns, is_ended, has_mark)| {
            let row = prop::collection::vec(field.clone(), width);
            prop::collection::vec(row, 1..8).prop_map(move |rows| {
                let header: Vec<String> = (0..width).map(|number| format!("c{number}")).collect();
                let end = if has_returns { "\r\n" } else { "\n" };
                let rows: Vec<String> = std::iter::once(header)
                    .chain(rows)
                    .map(|row| row.join(delimiter))
                    .collect();
                let text = rows.join(end);
                let mark = if has_mark { "\u{feff}" } else { "" };
                let text = format!("{mark}{text}{}", if is_ended { end } else { "" });
                (text.into_bytes(), delimiter)
            })
        })
}

/// What is done to a file.
#[derive(Clone, Debug)]
enum Damage {
    Insert(u8),
    Replace(u8),
    Remove,
    Cut,
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, Damage)> {
    let byte = || prop::sample::select(b"\"\"\"\",;|\t\r\n\\ a\0\x7f\x80\xc3".to_vec());
    let damage = prop_oneof![
        4 => byte().prop_map(Damage::Insert),
        4 => byte().prop_map(Damage::Replace),
        3 => Just(Damage::Remove),
        1 => Just(Damage::Cut),
    ];
    (any::<prop::sample::Index>(), damage)
}

fn damaged(mut text: Vec<u8>, damages: &[(prop::sample::Index, Damage)]) -> Vec<u8> {
    for (at, damage) in damages {
        if text.is_empty() {
            break;
        }
        let at = at.index(text.len());
        match damage {
            Damage::Insert(byte) => text.insert(at, *byte),
            Damage::Replace(byte) => text[at] = *byte,
            Damage::Remove => drop(text.remove(at)),
            Damage::Cut => text.truncate(at),
        }
    }
    text
}

/// Reads a text in pieces, and compares.
#[track_caller]
fn compare(text: &[u8], delimiter: &str, length: usize) {
    let actual = parse(Format::Csv, Pieces { rest: text, length }, &delimited_by(delimiter));
    let expected = expected(text, delimiter.as_bytes()[0]);
    let shown = String::from_utf8_lossy(text);
    match (expected, actual) {
        (Some(expected), Ok(actual)) => assert_eq!(items(&actual), expected, "{shown:?}"),
        (None, Err(ParseError::Data(error))) => {
            let lines = shown.matches('\n').count() as u64 + 1;
            let longest = shown
                .split('\n')
                .map(|line| line.chars().count())
                .max()
                .unwrap_or_default() as u64;
            assert!((1..=lines).contains(&error.line()), "{error}: {shown:?}");
            assert!((1..=longest + 1).contains(&error.column()), "{error}: {shown:?}");
        }
        (expected, actual) => panic!("{shown:?} by {delimiter:?}: expected {expected:?}, not {actual:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_written_is_read_byte_for_byte((text, delimiter) in file(), length in 1_usize..9) {
        compare(&text, delimiter, length);
    }

    #[test]
    fn what_is_damaged_is_read_as_the_reference_reads_it(
        (text, delimiter) in file(),
        damages in prop::collection::vec(damage(), 1..4),
        length in 1_usize..9,
    ) {
        compare(&damaged(text, &damages), delimiter, length);
    }
}

#[test]
fn where_chunks_meet_nothing_changes() {
    let rows = "\"a \"\"b\"\", c\r\n\",é€\r\n7\" x,\"\"\r\n,\\\r\n\"\"\"\",\"x\"\r\n";
    // The window's end falls on each byte of the rows.
    for before in 0..=rows.len() {
        let header = "c0,c1\r\n";
        let padding = CHUNK - header.len() - before - ",\r\n".len();
        let text = format!("{header}{},\r\n{rows}", "x".repeat(padding));
        compare(text.as_bytes(), ",", CHUNK);
        let cut = text.trim_end_matches("\"\r\n");
        compare(cut.as_bytes(), ",", CHUNK);
    }
}
