//! Data as users have it, given to `janus check`: what is read and as what, what is refused, and the way out that is named.

mod support;

use std::io::Write;
use std::process::{Output, Stdio};

use support::janus;

/// A file's content, and how it is named.
struct Case<'a> {
    name: &'a str,
    content: &'a [u8],
}

fn run(Case { name, content }: Case<'_>, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let mut command = janus();
    command
        .args(["check", "--encodings", "none"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if name == "-" {
        let mut child = command.arg("-").args(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // Who is refused early need not have read it all.
        let _ = child.stdin.take().unwrap().write_all(content);
        return child.wait_with_output().unwrap();
    }
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    command
        .arg(&path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn check_read(name: &str, content: impl AsRef<[u8]>, arguments: &[&str], format: &str, items: usize) -> String {
    let content = content.as_ref();
    let output = run(Case { name, content }, arguments);
    let report = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let content = String::from_utf8_lossy(content);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{name} {content:?} {arguments:?}: {error}"
    );
    for row in [format!("format      {format}\n"), format!("items       {items}\n")] {
        assert!(
            report.contains(&row),
            "{name} {content:?} {arguments:?}: no {row:?} in {report}"
        );
    }
    report
}

#[track_caller]
fn check_refused(name: &str, content: impl AsRef<[u8]>, arguments: &[&str], place: (u64, u64), says: &[&str]) {
    let content = content.as_ref();
    let output = run(Case { name, content }, arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    let content = String::from_utf8_lossy(content);
    assert_eq!(
        output.status.code(),
        Some(65),
        "{name} {content:?} {arguments:?}: {error}"
    );
    let place = format!("line {}, column {}:", place.0, place.1);
    for part in says.iter().copied().chain([place.as_str(), "\n  | ", "^\n"]) {
        assert!(
            error.contains(part),
            "{name} {content:?} {arguments:?}: no {part:?} in {error}"
        );
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str, has_mark: bool, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mark = has_mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(to_bytes).collect()
}

#[test]
fn csv_is_read_whole_or_refused_with_its_place() {
    check_refused("a.csv", "id,n\n1,\"a\n2,b\n3,c", &[], (2, 3), &["never closed"]);
    check_refused("a.csv", "id,\"n\n1,a\n2,b\n", &[], (1, 4), &["never closed"]);
    check_refused(
        "a.csv",
        "id,name\n1,\"17\" monitor\"\n",
        &[],
        (2, 7),
        &["closing quote"],
    );
    check_refused("a.csv", "id,name,b\n1,\"x\" ,\n", &[], (2, 6), &["closing quote"]);
    check_refused(
        "a.csv",
        "id,name\n1,\"say \\\"hi\\\" now\"\n",
        &[],
        (2, 10),
        &["\"\", not \\\""],
    );
    check_refused("a.csv", vec![0; 4096], &[], (1, 1), &["control character"]);
    check_refused("a.csv.gz", gzip(b"id,n\n1,\"a\n"), &[], (2, 3), &["never closed"]);
    check_refused("-", "id,n\n1,\"a\n", &[], (2, 3), &["never closed"]);
    check_refused("a.tsv", "id\tt\n1\t\"Heart\n2\tx\n", &[], (2, 3), &["never closed"]);
    check_read("a.tsv", "id\tt\n1\t\"Heart\n2\tx\n", &["--csv-no-quotes"], "tsv", 2);
    check_read("a.csv", "id,n\n1,7\" x 10\"\n", &[], "csv", 1);
    check_read("a.CSV", "id,n\r\n1,a\r\n", &[], "csv", 1);
    check_read("-", "id,n\n1,a\n", &[], "csv", 1);
    check_read("-", "id\tn\n1\ta\n", &[], "tsv", 1);
    check_read("a.txt", "\n\nid\tn\n1\ta\n", &[], "tsv", 1);
    check_read("a.csv", "id\n", &[], "csv", 0);
    check_refused("a.csv", "id,na", &[], (1, 6), &["cut off"]);
    check_refused(
        "a.csv",
        "<html><body>502 Bad Gateway</body></html>",
        &[],
        (1, 1),
        &["HTML"],
    );
    check_refused("a.csv", " \n \n", &[], (3, 1), &["no data"]);
}

#[test]
fn the_delimiter_is_told_or_asked_for() {
    let commas = "name\nDoe, J\nRoe\n";
    check_refused("a.csv", commas, &[], (2, 1), &["2 fields", "--delimiter tab"]);
    check_read("a.csv", commas, &["--delimiter", "tab"], "csv", 2);
    check_read("a.csv", "name\n\"Doe, J\"\n\"Roe; M\"\n", &[], "csv", 2);
    check_read("a.csv", "id;name\n1;Anna\n2;Bert\n", &[], "csv", 2);
    check_read("a.csv", "sep=;\r\nid;name\r\n1;Anna\r\n", &[], "csv", 1);
    check_read("a.tsv", "id;name\n1;Anna\n", &[], "tsv", 1);
    check_read("a.csv.gz", gzip(b"\xef\xbb\xbfid|name\n1|Anna\n"), &[], "csv", 1);
    check_read(
        "a.csv",
        "id^name\n1^Anna\n",
        &["--delimiter", "^", "--id-field", "id"],
        "csv",
        1,
    );
    check_refused("a.csv", "name\nAnna;1\nBert;2\n", &[], (2, 1), &["--delimiter ';'"]);
    check_read("a.csv", "name\nAnna;1\nBert;2\n", &["--delimiter", ","], "csv", 2);
    check_refused(
        "a.csv",
        "name, id\na,1\n",
        &[],
        (1, 6),
        &["\" id\"", "--id-field ' id'"],
    );
    let report = check_read("a.csv", "name, id\na,1\n", &["--id-field", " id"], "csv", 1);
    assert!(report.contains("white space"), "{report}");
    let report = check_read("a.csv", "id,name\n1,a\n,\n,\n", &[], "csv", 1);
    assert!(report.contains("2 rows hold nothing"), "{report}");
    check_refused("a.csv", ",name\n0,a\n", &[], (1, 1), &["--unnamed-column NAME"]);
    check_read("a.csv", ",name\n0,a\n", &["--unnamed-column", "id"], "csv", 1);
    check_refused("a.csv", "id,n,n\n1,a,b\n", &[], (1, 6), &["twice"]);
    check_refused(
        "a.csv",
        "id,n\n1,a\n",
        &["--id-field", "code"],
        (1, 1),
        &["\"code\"", "\"id\", \"n\""],
    );
    let output = run(
        Case {
            name: "a.csv",
            content: b"id\n1\n",
        },
        &["--delimiter", "ab"],
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn another_format_than_the_name_says_is_named() {
    let lines = "{\"id\":1}\n{\"id\":2}\n";
    check_refused("a.json", lines, &[], (2, 1), &["NDJSON", "--format ndjson"]);
    check_read("a.json", lines, &["--format", "ndjson"], "ndjson", 2);
    for concatenated in [
        "{\"id\":1}{\"id\":2}",
        "{\n\"id\":1\n}\n{\n\"id\":2\n}",
        "{\"id\":1} {\"id\":2}\n",
    ] {
        check_read("a.json", concatenated, &["--format", "concatenated"], "concatenated", 2);
        for name in ["a.json", "a.ndjson"] {
            let output = run(
                Case {
                    name,
                    content: concatenated.as_bytes(),
                },
                &[],
            );
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(
                error.contains("--format concatenated"),
                "{concatenated:?} as {name}: {error}"
            );
            assert_eq!(output.status.code(), Some(65));
        }
    }
    check_refused(
        "a.ndjson",
        "[{\"id\":1},{\"id\":2}]\n",
        &[],
        (1, 1),
        &["JSON array", "--format json"],
    );
    check_read(
        "a.ndjson",
        "[{\"id\":1},{\"id\":2}]\n",
        &["--format", "json"],
        "json",
        2,
    );
    check_read(
        "a.ndjson",
        "[{\"id\":1},{\"id\":2}]\n",
        &["--format", "ndjson"],
        "ndjson",
        1,
    );
    check_read("a.ndjson", "[1,2]\n[3,4]\n", &[], "ndjson", 2);
    check_read("a.ndjson", "{\"id\":1}\n", &[], "ndjson", 1);
    let features = "{\"type\":\"FeatureCollection\",\"features\":[{\"id\":\"a\",\"properties\":{\"id\":7}}]}";
    for name in ["a.geojson", "a.json", "-", "data"] {
        check_refused(name, features, &[], (1, 1), &["--pointer /features"]);
        check_read(name, features, &["--pointer", "/features"], "json", 1);
    }
    let pretty = features.replace(',', ",\n");
    check_refused("-", &pretty, &[], (1, 1), &["--pointer /features"]);
    check_refused(
        "a.json",
        "{\"payments\":{\"n\":1,\"items\":[{\"id\":1}]}}",
        &[],
        (1, 1),
        &["--pointer /payments/items"],
    );
    check_refused("a.json", "{\"a\":{\"b c\":[{}]}}", &[], (1, 1), &["--pointer '/a/b c'"]);
    check_refused("a.json", "id,n\n1,a\n", &[], (1, 1), &["--format"]);
    check_refused("a.csv", "[{\"id\":1}]\n", &[], (1, 1), &["JSON", "--format json"]);
    // Without a name the data tells: leading blank lines do not.
    check_read("-", "\n\n\n\n{\"id\":1}\n{\"id\":2}\n", &[], "ndjson", 2);
    check_read("-", "{\"id\":1}\n", &[], "ndjson", 1);
    check_read("-", "\n [1,2]", &[], "json", 2);
    check_refused("-", "{\"error\":\"upstream\"}", &[], (1, 1), &["--format ndjson"]);
    check_refused(
        "a.ndjson",
        "{\"id\":1}\n{\"id\":2,\"na",
        &[],
        (2, 12),
        &["does not end here"],
    );
}

#[test]
fn ids_are_found_further_down_or_left_alone() {
    let oid = "{\"_id\":{\"$oid\":\"60f6\"},\"name\":\"Admin\"}\n";
    let report = check_read("a.ndjson", oid, &["--id-field", "/_id/$oid"], "ndjson", 1);
    assert!(report.contains("id field    /_id/$oid"), "{report}");
    check_refused(
        "a.ndjson",
        oid,
        &["--id-field", "_id"],
        (1, 1),
        &["an object", "--id-field '/_id/$oid'"],
    );
    let map = "{\"AND\":{\"name\":\"Andorra\"},\"CHE\":{\"name\":\"Switzerland\",\"of\":[1]}}";
    check_refused("a.json", map, &[], (1, 1), &["with --ids-from-keys\n"]);
    check_read("a.json", map, &["--ids-from-keys"], "json", 2);
    check_read("-", map, &["--ids-from-keys"], "json", 2);
    let within = format!("{{\"n\":2,\"data\":{map}}}");
    check_refused("a.json", &within, &[], (1, 1), &["--pointer /data --ids-from-keys"]);
    check_read("a.json", &within, &["--pointer", "/data", "--ids-from-keys"], "json", 2);
    check_refused(
        "a.json",
        &within,
        &["--pointer", "/data"],
        (1, 15),
        &["--ids-from-keys"],
    );
    for map in [
        "{\"AND\":{\"name\":\"Andorra\"}}",
        "{\"AND\":\"Andorra\",\"CHE\":\"Switzerland\"}",
    ] {
        check_refused("a.json", map, &[], (1, 1), &["--ids-from-keys"]);
    }
    check_read("a.json", "{}", &["--ids-from-keys"], "json", 0);
    check_refused(
        "a.json",
        "[1]",
        &["--ids-from-keys"],
        (1, 1),
        &["an array", "--ids-from-keys"],
    );
    check_refused(
        "a.json",
        "{\"a\":1,\n \"\\u0061\":2}",
        &["--ids-from-keys"],
        (2, 11),
        &["duplicate id \"a\""],
    );
    check_refused("a.json", "{\"\":1}", &["--ids-from-keys"], (1, 5), &["an empty string"]);
    check_refused(
        "a.ndjson",
        "{\"a\":1}\n",
        &["--ids-from-keys"],
        (1, 1),
        &["--format json"],
    );
    check_refused(
        "a.csv",
        "id\n1\n",
        &["--pointer", "/a"],
        (1, 1),
        &["--pointer", "csv", "--format json"],
    );
    let twice = "[{\"id\":1,\"year\":1999},{\"id\":1,\"year\":2000}]";
    check_refused("a.json", twice, &[], (1, 23), &["duplicate id", "--id-field"]);
    check_read("a.json", twice, &["--id-field", ""], "json", 2);
    let output = run(
        Case {
            name: "a.json",
            content: b"[]",
        },
        &["--id-field", "/a~"],
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_charset_is_named_and_never_guessed() {
    let text = "[{\"id\":\"Z\u{fc}rich\"}]";
    for (content, charset, says) in [
        (utf16(text, true, u16::to_le_bytes), "utf-16", "UTF-16, little endian"),
        (utf16(text, true, u16::to_be_bytes), "utf-16", "UTF-16, big endian"),
        (
            utf16(text, false, u16::to_le_bytes),
            "utf-16le",
            "UTF-16, little endian, without",
        ),
        (
            utf16(text, false, u16::to_be_bytes),
            "utf-16be",
            "UTF-16, big endian, without",
        ),
    ] {
        for name in ["a.json", "-"] {
            check_refused(name, &content, &[], (1, 1), &[says, &format!("--charset {charset}")]);
            check_read(name, &content, &["--charset", charset], "json", 1);
        }
    }
    let rows = utf16("id;n\r\n1;\u{fc}\r\n", true, u16::to_le_bytes);
    check_refused("a.csv", &rows, &[], (1, 1), &["UTF-16", "--charset utf-16"]);
    check_read("a.csv", &rows, &["--charset", "utf-16"], "csv", 1);
    check_read("-", gzip(&rows), &["--charset", "UTF-16LE"], "csv", 1);
    let latin = b"id,n\n1,\xfc\n2,\x80\n";
    check_refused("a.csv", latin, &[], (2, 3), &["not UTF-8", "--charset"]);
    for charset in ["windows-1252", "latin1", "latin-1", "iso-8859-1"] {
        check_read("a.csv", latin, &["--charset", charset], "csv", 2);
    }
    // What the charset does not have is refused, not replaced.
    let lone = [&utf16("[\"a\",\"", true, u16::to_le_bytes)[..], b"\x00\xd8x\0"].concat();
    check_refused("a.json", &lone, &["--charset", "utf-16"], (1, 7), &["not UTF-16"]);
    let odd = [&utf16("[1]", true, u16::to_le_bytes)[..], b"\n"].concat();
    check_refused("a.json", &odd, &["--charset", "utf-16"], (1, 4), &["not UTF-16"]);
    check_refused(
        "a.csv",
        b"\xef\xbb\xbfid\n1\n",
        &["--charset", "latin1"],
        (1, 1),
        &["byte order mark", "UTF-8"],
    );
    check_refused("a.json", b"\xff\xfe\0\0[\0\0\0", &[], (1, 1), &["UTF-32"]);
    let output = run(
        Case {
            name: "a.json",
            content: b"[]",
        },
        &["--charset", "klingon"],
    );
    assert_eq!(output.status.code(), Some(2));
}
