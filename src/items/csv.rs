//! Comma- and tab-separated values (RFC 4180): each row becomes an object, the first row names its members.

use std::io::{self, Read};

use csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::ParseOptions;
use super::collection::{Builder, Collection, Places};
use super::error::{DataError, Fault, ParseError};
use super::scan::{Token, is_number};

/// How many rows are indexed at a time.
const BATCH: usize = 4096;

pub(super) fn parse(input: impl Read, delimiter: u8, options: &ParseOptions) -> Result<Collection, ParseError> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .from_reader(input);
    let mut record = ByteRecord::new();
    if !read(&mut reader, &mut record, delimiter)? {
        return Err(Row {
            delimiter,
            record: &record,
            line: 1,
        }
        .fail(0, Fault::Empty)
        .into());
    }
    let columns = Columns::new(&Row::of(&record, delimiter), options)?;
    let mut builder = Builder::new(options);
    let mut lines = Lines::default();
    while read(&mut reader, &mut record, delimiter)? {
        let row = Row::of(&record, delimiter);
        let out_start = builder.next().len();
        let id = columns.write(&row, builder.next())?;
        builder
            .push(out_start, id, row.line)
            .map_err(|fault| row.fail(columns.id.unwrap_or(0), fault))?;
        lines.keep(&row);
        if lines.rows.len() == BATCH {
            builder.index(&mut lines)?;
            lines.rows.clear();
        }
    }
    builder.index(&mut lines)?;
    Ok(builder.finish())
}

fn read(reader: &mut csv::Reader<impl Read>, record: &mut ByteRecord, delimiter: u8) -> Result<bool, ParseError> {
    let error = match reader.read_byte_record(record) {
        Ok(is_there) => return Ok(is_there),
        Err(error) => error,
    };
    match error.into_kind() {
        ErrorKind::Io(error) => Err(error.into()),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let message = format!("a row of length {len}, where the first row has length {expected_len}");
            Err(Row::of(record, delimiter).fail(0, Fault::Csv(message)).into())
        }
        // Those of UTF-8, seeking and serde do not come from reading bytes.
        other => Err(io::Error::other(format!("{other:?}")).into()),
    }
}

/// The first row.
struct Columns {
    /// Each member's name as JSON text, with its colon.
    names: Vec<Vec<u8>>,
    id: Option<usize>,
    has_types: bool,
}

impl Columns {
    fn new(row: &Row<'_>, options: &ParseOptions) -> Result<Self, DataError> {
        let mut names: Vec<Vec<u8>> = Vec::with_capacity(row.record.len());
        let mut id = None;
        for (place, name) in row.record.iter().enumerate() {
            if name.is_empty() {
                return Err(row.fail(place, Fault::Csv("a field without a name in the first row".to_owned())));
            }
            let mut text = Vec::new();
            row.write_string(place, &mut text)?;
            text.push(b':');
            if names.contains(&text) {
                let name = String::from_utf8_lossy(name);
                return Err(row.fail(
                    place,
                    Fault::Csv(format!("field name {name:?} stands twice in the first row")),
                ));
            }
            names.push(text);
            if name == options.id_field.as_bytes() {
                id = Some(place);
            }
        }
        Ok(Self {
            names,
            id,
            has_types: options.csv_types,
        })
    }

    /// Writes a row as an object, and says where its id stands.
    fn write(&self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<Option<Token>, DataError> {
        let start = out.len();
        let mut id = None;
        for (place, (name, value)) in self.names.iter().zip(row.record).enumerate() {
            out.push(if place == 0 { b'{' } else { b',' });
            out.extend_from_slice(name);
            let value_start = out.len() - start;
            match value {
                b"" if self.has_types => out.extend_from_slice(b"null"),
                b"true" | b"false" if self.has_types => out.extend_from_slice(value),
                number if self.has_types && is_number(number) => out.extend_from_slice(number),
                _ => row.write_string(place, out)?,
            }
            if self.id == Some(place) {
                id = Some(Token {
                    start: value_start,
                    end: out.len() - start,
                });
            }
        }
        out.push(b'}');
        Ok(id)
    }
}

/// One row, and what an error says of it.
struct Row<'a> {
    record: &'a ByteRecord,
    delimiter: u8,
    line: u64,
}

impl<'a> Row<'a> {
    fn of(record: &'a ByteRecord, delimiter: u8) -> Self {
        Self {
            record,
            delimiter,
            line: record.position().map_or(1, csv::Position::line),
        }
    }

    fn write_string(&self, place: usize, out: &mut Vec<u8>) -> Result<(), DataError> {
        let text = simdutf8::basic::from_utf8(&self.record[place]).map_err(|_| self.fail(place, Fault::Utf8))?;
        simd_json::serde::to_writer(out, text).expect("writing to memory does not fail");
        Ok(())
    }

    /// The error for a fault in a field. Its column is that of the field as written without quotes.
    fn fail(&self, place: usize, fault: Fault) -> DataError {
        let fields: Vec<&[u8]> = self.record.iter().collect();
        let mut before = fields[..place.min(fields.len())].join(&self.delimiter);
        if place > 0 {
            before.push(self.delimiter);
        }
        let after = fields[place.min(fields.len())..].join(&self.delimiter);
        let column = String::from_utf8_lossy(&before).chars().count() as u64 + 1;
        DataError::new(fault, self.line, column, &before, &after)
    }
}

/// The rows that are not indexed yet, for errors.
#[derive(Debug, Default)]
struct Lines {
    rows: Vec<(u64, Vec<u8>)>,
}

impl Lines {
    fn keep(&mut self, row: &Row<'_>) {
        self.rows
            .push((row.line, row.record.iter().collect::<Vec<_>>().join(&row.delimiter)));
    }
}

impl Places for Lines {
    fn line(&mut self, place: u64) -> u64 {
        place
    }

    fn error(&self, place: u64, fault: Fault) -> DataError {
        let text = self
            .rows
            .iter()
            .find(|(line, _)| *line == place)
            .map_or(&b""[..], |(_, text)| text);
        DataError::new(fault, place, 1, b"", text)
    }
}
