//! Bytes to items: what is valid, and one contiguous arena of item text.
//!
//! Input is a reader, which is read in chunks, so that source and arena are never both whole in memory; a single item
//! larger than a chunk is held twice while it is read. Output is a [`Collection`]. Nothing here opens a file.
//!
//! - An item's text is the source's without insignificant white space: the spelling of numbers, the order and repetition
//!   of members, and escapes survive.
//! - What is valid is RFC 8259, decided by one scanner for all formats. Refused, with line and column: what is not JSON,
//!   what is not UTF-8, lone surrogates in escapes, nesting over [`DEPTH_MAX`] within an item, nothing at all. A byte
//!   order mark at the start is passed over.
//! - An id is a number, known by its spelling, or a string, known by its decoded value; so 1 and "1" are one id. Of a
//!   member that stands twice the last counts. Either every item has an id or none; no two have the same.

mod charset;
mod collection;
mod csv;
mod error;
mod faults;
mod format;
mod grown;
mod id;
mod index;
mod json;
mod ndjson;
mod note;
mod parts;
mod pieces;
mod pointer;
mod record;
mod scan;
mod short;
mod structure;
mod tags;
mod text;
mod tokens;
mod walk;

use std::io::{self, Read};

pub use charset::{Charset, UnknownCharset};
pub use collection::Collection;
pub use csv::{BadDelimiter, Delimiter};
pub use error::{DataError, Fault, Found, ParseError};
pub use faults::Collector;
pub use format::{Format, Told, UnknownFormat};
pub use note::Note;
pub use pointer::{Pointer, PointerError};
pub use scan::DEPTH_MAX;
pub use structure::Way;

use self::grown::{Ends, WholeRecords};
use crate::ledger::Ledger;

/// How items are read.
#[derive(Clone, Debug)]
pub struct ParseOptions {
    /// The member that is an item's id, by its name, or by a JSON pointer if it stands further down; empty for none.
    pub id_field: String,
    /// Whether a header row of CSV has to name that member.
    pub is_id_required: bool,
    /// Leads to the array within a JSON document.
    pub pointer: Option<Pointer>,
    /// Whether the items are the members of a JSON object, and their names the ids.
    pub ids_from_keys: bool,
    /// What the text is encoded in, if not in UTF-8.
    pub charset: Option<Charset>,
    /// What separates the fields of CSV, where that is not to be told by the data.
    pub delimiter: Option<Delimiter>,
    /// The name of a column of CSV that has none.
    pub unnamed_column: Option<String>,
    /// Whether quotes in CSV are text like any other.
    pub csv_no_quotes: bool,
    /// Whether columns of CSV that hold numbers or booleans become those, and empty fields null.
    pub csv_types: bool,
    /// Whether the source goes on growing: then what follows its last line end is left out, if its records end with lines.
    pub is_growing: bool,
    /// The most that items may be made, in bytes of their text. What is read is the reader's to bound: of a few bytes of CSV
    /// with a long header row a lot is made.
    pub bytes_made_max: u64,
    /// A guess of the source's length in bytes, to reserve memory by; a wrong one costs time only.
    pub size_hint: Option<u64>,
    /// Where memory for the items is taken note of.
    pub ledger: Ledger,
    /// How JSON text is read.
    pub way: Way,
    /// Where faults are collected, if what is at fault is to be passed over.
    pub collector: Option<Collector>,
    /// How many threads take in lines, or items of an array, at the same time. What comes of it is the same.
    pub threads: usize,
    /// The length of the parts that threads take in, in bytes. Who reads less than a few of them uses one thread.
    pub part_length: usize,
    /// Called in every thread that is started for this.
    pub each_thread: fn(),
}

/// The length of the parts that threads take in, in bytes.
const PART_LENGTH: usize = 256 << 10;

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            id_field: "id".to_owned(),
            is_id_required: false,
            pointer: None,
            ids_from_keys: false,
            charset: None,
            delimiter: None,
            unnamed_column: None,
            csv_no_quotes: false,
            csv_types: false,
            is_growing: false,
            bytes_made_max: u64::MAX,
            size_hint: None,
            ledger: Ledger::default(),
            way: Way::default(),
            collector: None,
            threads: 1,
            part_length: PART_LENGTH,
            each_thread: || {},
        }
    }
}

/// What was read.
#[derive(Debug)]
pub struct Parsed {
    /// The items.
    pub items: Collection,
    /// The format they were in.
    pub format: Format,
    /// What is to be told of the data all the same.
    pub notes: Vec<Note>,
    /// Whether something was left out, of a source that goes on growing.
    pub is_cut: bool,
}

/// Reads a collection whose format is given.
///
/// # Errors
///
/// If the input cannot be read, or is not a collection: see the module's documentation.
///
/// ```
/// use janus::items::{Format, ParseOptions, parse};
///
/// let source = b"{\"id\": \"a\", \"n\": 1.10}\n{\"id\": \"b\"}\n";
/// let items = parse(Format::Ndjson, &source[..], &ParseOptions::default())?;
/// assert_eq!(&items.arena()[..], br#"[{"id":"a","n":1.10},{"id":"b"}]"#);
/// assert_eq!(items.find("b"), Some(1));
/// # Ok::<(), janus::items::ParseError>(())
/// ```
pub fn parse(format: Format, input: impl Read, options: &ParseOptions) -> Result<Collection, ParseError> {
    read(Told::Given(format), input, options).map(|parsed| parsed.items)
}

/// All that is wrong with the data, at most `errors_max` of it. What is at fault is passed over where that is possible: a line
/// of NDJSON, a row of CSV, an item whose id is at fault. A document of JSON that is none ends with its first fault.
///
/// # Errors
///
/// If the input cannot be read.
pub fn faults(told: Told, input: impl Read, options: &ParseOptions, errors_max: usize) -> io::Result<Vec<DataError>> {
    let collector = Collector::new(errors_max);
    let options = ParseOptions {
        collector: Some(collector.clone()),
        // Piece by piece, so that one can be passed over.
        way: Way::Scanner,
        // What a column holds is not at fault.
        csv_types: false,
        ..options.clone()
    };
    match read(told, input, &options) {
        Ok(_) => Ok(collector.faults()),
        Err(ParseError::Data(last)) => {
            // The last one that there is room for is the end of it.
            let _ = collector.collect(last);
            Ok(collector.faults())
        }
        Err(ParseError::Io(error)) => Err(error),
    }
}

/// How many bytes are looked at to tell a format.
const SNIFF_LENGTH: usize = 1024;

/// Reads a collection, whose format is known as `told` says.
///
/// # Errors
///
/// As of [`parse`]; and if the data is of another format than its name promises, or could be of several.
pub fn read(told: Told, input: impl Read, options: &ParseOptions) -> Result<Parsed, ParseError> {
    let mut input = charset::decoded(input, options.charset)?;
    // A pipe may give them one by one.
    let mut start = Vec::new();
    match input.by_ref().take(SNIFF_LENGTH as u64).read_to_end(&mut start) {
        Err(error) if charset::Malformed::of(&error).is_none() => return Err(error.into()),
        _ => {}
    }
    let for_document = [
        ("pointer", options.pointer.is_some()),
        ("ids-from-keys", options.ids_from_keys),
    ];
    let format = match told {
        Told::Given(format) | Told::ByName(format) => format,
        Told::ByData => Format::sniff(&start, for_document.iter().any(|(_, is_set)| *is_set)),
    };
    if let (true, Some((setting, _))) = (format != Format::Json, for_document.iter().find(|(_, is_set)| *is_set)) {
        let line = start
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .next()
            .unwrap_or_default();
        return Err(DataError::new(Fault::NotADocument { setting, format }, 1, 1, b"", line).into());
    }
    let ends = match format {
        _ if !options.is_growing => Ends::Anywhere,
        Format::Json | Format::Concatenated => Ends::Anywhere,
        Format::Csv | Format::Tsv if options.csv_no_quotes => Ends::Line,
        Format::Ndjson => Ends::Line,
        Format::Csv => Ends::Row(options.delimiter, csv::Usual::csv(false).delimiter),
        Format::Tsv => Ends::Row(options.delimiter, csv::Usual::tsv(false).delimiter),
    };
    let mut notes = Vec::new();
    let for_csv = [
        ("delimiter", options.delimiter.is_some()),
        ("unnamed-column", options.unnamed_column.is_some()),
        ("csv-types", options.csv_types),
        ("csv-no-quotes", options.csv_no_quotes),
    ];
    if !matches!(format, Format::Csv | Format::Tsv) {
        let of_no_use = for_csv.into_iter().filter(|(_, is_set)| *is_set);
        notes.extend(of_no_use.map(|(setting, _)| Note::NotCsv { setting, format }));
    }
    let mut input = WholeRecords::new(io::Cursor::new(start).chain(input), ends);
    let is_given = told == Told::Given(format);
    let items = match format {
        Format::Json => json::parse(&mut input, options),
        Format::Ndjson => ndjson::parse(&mut input, told, options),
        Format::Concatenated => json::parse_concatenated(&mut input, options),
        Format::Csv => csv::parse(&mut input, csv::Usual::csv(is_given), options, &mut notes).map_err(short::named),
        Format::Tsv => csv::parse(&mut input, csv::Usual::tsv(is_given), options, &mut notes).map_err(short::named),
    }?;
    let is_cut = input.is_cut();
    Ok(Parsed {
        items,
        format,
        notes,
        is_cut,
    })
}
