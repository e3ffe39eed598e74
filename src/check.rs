//! `janus check`: loads as `serve` would, reports, and serves nothing.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::app;
use crate::budget::Budget;
use crate::config::{Config, location};
use crate::items::DataError;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::reload::{LoadError, Loading, faults, load_first};
use crate::snapshot::Coding;
use crate::source::Source;

/// What to check, and how to report it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The files.
    pub files: Vec<OsString>,
    /// The most errors of each file that are told.
    pub errors_max: usize,
    /// Whether the report is JSON.
    pub is_json: bool,
}

/// What came of a check.
#[derive(Debug)]
pub struct Checked {
    /// What standard output is to say.
    pub report: String,
    /// What standard error is to say, each by itself.
    pub complaints: Vec<String>,
    /// The exit code: of the first file that is bad, or 0.
    pub exit_code: u8,
}

/// Loads each file once and describes what would be served of it, or all that is wrong with it.
pub fn check(config: &Config, wanted: &Wanted) -> Checked {
    let named = wanted.files.iter().map(|file| location(file));
    // A file that is named by the flag is in the configuration.
    let flagged = wanted.files.is_empty().then(|| config.data.clone());
    let files: Vec<File> = named
        .chain(flagged)
        .map(|data| {
            let config = Config { data, ..config.clone() };
            check_file(&app::source(&config), &app::loading(&config), wanted.errors_max)
        })
        .collect();
    let exit_code = files.iter().map(|file| file.exit_code).find(|&code| code != 0);
    let (report, complaints) = if wanted.is_json {
        let report = Report {
            ok: exit_code.is_none(),
            files: &files,
        };
        let report = simd_json::to_string(&report).expect("a report is text and numbers");
        (report + "\n", Vec::new())
    } else {
        as_text(&files, wanted.errors_max)
    };
    Checked {
        report,
        complaints,
        exit_code: exit_code.unwrap_or(0),
    }
}

/// The whole report, as JSON has it.
#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    files: &'a [File],
}

/// What there is to say of one file.
#[derive(Debug, Serialize)]
struct File {
    source: String,
    ok: bool,
    /// What would be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
    errors: Vec<Error>,
    /// Whether there may be more errors than those.
    more_errors: bool,
    #[serde(skip)]
    exit_code: u8,
}

/// What would be served.
#[derive(Debug, Serialize)]
struct Data {
    format: String,
    items: usize,
    snapshot: String,
    /// The member that is the id; `None` if items cannot be asked for.
    id_field: Option<String>,
    #[serde(skip)]
    ids: String,
    notes: Vec<String>,
    /// Each coding, and the length of the collection's body in it; `None` where it is not smaller.
    bodies: Vec<Body>,
    parse_seconds: f64,
    compile_seconds: f64,
    encode_seconds: f64,
}

/// The collection's body in one coding.
#[derive(Debug, Serialize)]
struct Body {
    encoding: &'static str,
    bytes: Option<usize>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
struct Error {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u64>,
    /// As it stands on a terminal, with an excerpt of the data.
    #[serde(skip)]
    text: String,
}

impl Error {
    fn of_data(source_name: &str, error: &DataError) -> Self {
        let whole = LoadError::Data {
            source_name: source_name.to_owned(),
            error: error.clone(),
        };
        Self {
            code: error.fault().code(),
            message: error.fault().to_string(),
            line: Some(error.line()),
            column: Some(error.column()),
            text: whole.to_string(),
        }
    }

    fn of_load(error: &LoadError) -> Self {
        Self {
            code: error.code(),
            message: error.summary(),
            line: None,
            column: None,
            text: error.to_string(),
        }
    }
}

fn check_file(source: &Source, loading: &Loading, errors_max: usize) -> File {
    let (data, errors, exit_code) = match load(source, loading) {
        Ok(data) => (Some(data), Vec::new(), 0),
        Err(error) => {
            let exit_code = error.exit_code();
            (None, all_errors(source, loading, &error, errors_max), exit_code)
        }
    };
    File {
        source: source.name(),
        ok: data.is_some(),
        data,
        more_errors: errors.len() == errors_max,
        errors,
        exit_code,
    }
}

/// The error that a load ends with, and what else is wrong: what the server would refuse only after that is mended.
fn all_errors(source: &Source, loading: &Loading, error: &LoadError, errors_max: usize) -> Vec<Error> {
    let name = source.name();
    let Some(first) = error.fault() else {
        return vec![Error::of_load(error)];
    };
    // What can be read once only has told its first error.
    let all = if source.is_spent() || error.is_for_memory() {
        Vec::new()
    } else {
        faults(source, loading, errors_max).unwrap_or_default()
    };
    let all = if all.is_empty() { vec![first.clone()] } else { all };
    all.iter().map(|error| Error::of_data(&name, error)).collect()
}

fn load(source: &Source, loading: &Loading) -> Result<Data, LoadError> {
    let progress = Progress::start(source.name());
    let budget = Budget::new(Memory::of_this_process(), loading.parse.ledger.clone());
    budget.renew();
    let loaded = load_first(source, loading, &|input| progress.follow(input))?;
    let started = Instant::now();
    let snapshot = if loaded.snapshot.is_encoded() {
        loaded.snapshot
    } else {
        loaded.snapshot.encoded(&loading.compile, || budget.room(), || {})
    };
    let encode_took = started.elapsed();
    drop(progress);

    let collection = snapshot.collection().expect("a loaded snapshot has a collection");
    let body = |coding: Coding| {
        let made = collection.representations().iter().find(|made| made.coding() == coding);
        let is_wanted = coding == Coding::Identity || loading.compile.codings.contains(&coding);
        (made.is_some() || is_wanted).then(|| Body {
            encoding: coding.token(),
            bytes: made.map(|made| made.body().len()),
        })
    };
    let (id_field, ids) = match snapshot.no_ids_reason() {
        None if loading.parse.ids_from_keys => (None, "none: ids are keys (--ids-from-keys)".to_owned()),
        None => (Some(loading.parse.id_field.clone()), loading.parse.id_field.clone()),
        Some(reason) => (None, format!("none: {reason}; /items/{{id}} is off")),
    };
    Ok(Data {
        format: loaded.format.to_string(),
        items: snapshot.items_count(),
        snapshot: snapshot.id().to_owned(),
        id_field,
        ids,
        notes: loaded.notes.iter().map(ToString::to_string).collect(),
        bodies: Coding::ALL.into_iter().filter_map(body).collect(),
        parse_seconds: loaded.parse_took.as_secs_f64(),
        compile_seconds: loaded.compile_took.as_secs_f64(),
        encode_seconds: encode_took.as_secs_f64(),
    })
}

/// What is right on standard output, file by file, and what is wrong on standard error.
fn as_text(files: &[File], errors_max: usize) -> (String, Vec<String>) {
    let (mut reports, mut complaints) = (Vec::new(), Vec::new());
    for file in files {
        reports.extend(file.data.as_ref().map(|data| describe(&file.source, data)));
        complaints.extend(file.errors.iter().map(|error| error.text.clone()));
        if file.more_errors && errors_max > 1 {
            complaints.push(format!(
                "{}: {errors_max} errors; there may be more, and --max-errors tells of them",
                file.source
            ));
        }
    }
    let bad = files.iter().filter(|file| !file.ok).count();
    if files.len() > 1 && bad > 0 {
        complaints.push(format!("{bad} of {} files are bad", files.len()));
    }
    (reports.join("\n"), complaints)
}

fn describe(source: &str, data: &Data) -> String {
    let mut report = String::new();
    let mut row = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string does not fail.
        let _ = writeln!(report, "{name:<12}{value}");
    };
    row("source", &source);
    row("format", &data.format);
    row("items", &data.items);
    row("snapshot", &data.snapshot);
    for note in &data.notes {
        row("note", note);
    }
    row("id field", &data.ids);
    let identity = data.bodies.iter().find_map(|body| body.bytes).unwrap_or_default();
    for Body { encoding, bytes } in &data.bodies {
        match bytes {
            Some(length) => {
                let percent = 100.0 * *length as f64 / identity as f64;
                row(encoding, &format_args!("{length} bytes ({percent:.1} %)"));
            }
            None => row(encoding, &"not smaller: left out"),
        }
    }
    for (name, seconds) in [
        ("parse", data.parse_seconds),
        ("compile", data.compile_seconds),
        ("encode", data.encode_seconds),
    ] {
        row(name, &Milliseconds(Duration::from_secs_f64(seconds)));
    }
    report
}

struct Milliseconds(Duration);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)
    }
}
