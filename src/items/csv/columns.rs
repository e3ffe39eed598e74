//! The header row: what each column is called, which one is the id, and what each holds.

use std::collections::HashSet;

use super::super::error::Fault;
use super::super::id::IdField;
use super::super::scan::{Token, is_number};
use super::super::{ParseOptions, note::Note};
use super::Row;
use super::rows::Field;

/// The columns of a file.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// What stands before each column's value in an object: a brace or a comma, the name, a colon.
    prefixes: Vec<Vec<u8>>,
    /// The column that is the id.
    pub(super) id: Option<usize>,
    /// Whether the header row ends with a delimiter: a last column without a name, in which nothing may stand.
    pub(super) has_trailing_delimiter: bool,
}

/// A fault, and the index into the window at which it stands.
pub(super) type Placed = (usize, Fault);

impl Columns {
    /// Reads the header row.
    pub(super) fn new(header: Row<'_>, options: &ParseOptions, notes: &mut Vec<Note>) -> Result<Self, Placed> {
        let fail = |number: usize, message: String| Err((header.place(number), Fault::Csv(message)));
        let mut names: Vec<String> = (0..header.fields.len()).map(|number| header.value(number)).collect();
        let is_unnamed = |name: &String| name.trim().is_empty();
        let mut unnamed: Vec<usize> = (0..names.len()).filter(|&number| is_unnamed(&names[number])).collect();
        if let (Some(name), Some(&first)) = (&options.unnamed_column, unnamed.first()) {
            names[first].clone_from(name);
            unnamed.remove(0);
        }
        let has_trailing_delimiter = names.len() > 1 && unnamed == [names.len() - 1];
        if has_trailing_delimiter {
            names.pop();
            notes.push(Note::TrailingDelimiter);
        } else if let Some(&number) = unnamed.first() {
            let message = match &options.unnamed_column {
                None => format!("column {} has no name; --unnamed-column NAME gives it one", number + 1),
                Some(_) => format!(
                    "column {} has no name either, and --unnamed-column names one",
                    number + 1
                ),
            };
            return fail(number, message);
        }

        let mut seen = HashSet::new();
        for (number, name) in names.iter().enumerate() {
            if !seen.insert(name) {
                return fail(
                    number,
                    format!("column name {name:?} stands twice, and an object has each name once"),
                );
            }
        }
        for name in names.iter().filter(|name| name.trim() != *name) {
            notes.push(Note::SpacedName(name.clone()));
        }

        let wanted = IdField::of(options).column();
        let id = wanted
            .as_ref()
            .and_then(|wanted| names.iter().position(|name| name == wanted));
        if let (Some(wanted), None) = (wanted, id) {
            let near = names.iter().position(|name| name.trim() == wanted);
            if let Some(number) = near {
                let name = &names[number];
                let message = format!(
                    "the name is {name:?}, with white space, not {wanted:?}: --id-field '{name}' takes it for the id"
                );
                return fail(number, message);
            }
            if options.is_id_required {
                return fail(
                    0,
                    format!(
                        "there is no column {wanted:?} for --id-field; the columns are {}",
                        listed(&names)
                    ),
                );
            }
        }
        let prefix = |(number, name): (usize, &String)| {
            let mut prefix = vec![if number == 0 { b'{' } else { b',' }];
            simd_json::serde::to_writer(&mut prefix, name).expect("writing to memory does not fail");
            prefix.push(b':');
            prefix
        };
        Ok(Self {
            prefixes: names.iter().enumerate().map(prefix).collect(),
            id,
            has_trailing_delimiter,
        })
    }

    /// The number of fields of a row.
    pub(super) fn width(&self) -> usize {
        self.prefixes.len() + usize::from(self.has_trailing_delimiter)
    }

    /// Looks at the number of a row's fields.
    pub(super) fn check(&self, row: Row<'_>) -> Result<(), Placed> {
        let (found, width) = (row.fields.len(), self.width());
        if found == width {
            return Ok(());
        }
        let why = match row.fields.last() {
            Some(last) if found == width + 1 && last.is_blank() => {
                ": it ends with a delimiter, and the first row does not"
            }
            _ if width == 1 => "; if commas and the like are text, --delimiter tab reads it, else they are quoted",
            _ => "",
        };
        let fields = |number: usize| {
            if number == 1 {
                "1 field".to_owned()
            } else {
                format!("{number} fields")
            }
        };
        let message = format!(
            "a row of {}, where the first row has {}{why}",
            fields(found),
            fields(width)
        );
        Err((row.place(0), Fault::Csv(message)))
    }

    /// Writes a row as an object, and says where its id stands.
    ///
    /// The row has the columns' width, and is UTF-8.
    pub(super) fn write(&self, row: Row<'_>, types: Option<&[Type]>, out: &mut Vec<u8>) -> Option<Token> {
        let start = out.len();
        let mut id = None;
        for (number, (prefix, field)) in self.prefixes.iter().zip(row.fields).enumerate() {
            out.extend_from_slice(prefix);
            let value_start = out.len() - start;
            match types {
                None => write_string(row.window, field, out),
                Some(types) => types[number].write(row.window, field, out),
            }
            if self.id == Some(number) {
                id = Some(Token {
                    start: value_start,
                    end: out.len() - start,
                });
            }
        }
        out.push(b'}');
        id
    }
}

/// Some of the names, for a message.
fn listed(names: &[String]) -> String {
    const LISTED_MAX: usize = 12;
    let mut list: Vec<String> = names.iter().take(LISTED_MAX).map(|name| format!("{name:?}")).collect();
    if names.len() > LISTED_MAX {
        list.push(format!("{} more", names.len() - LISTED_MAX));
    }
    list.join(", ")
}

#[inline]
fn write_string(window: &[u8], field: &Field, out: &mut Vec<u8>) {
    let text = &window[field.start..field.end];
    out.push(b'"');
    if field.is_special {
        write_escaped(text, field.is_quoted, out);
    } else {
        out.extend_from_slice(text);
    }
    out.push(b'"');
}

fn write_escaped(text: &[u8], is_quoted: bool, out: &mut Vec<u8>) {
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                // Within quotes it is written twice.
                if is_quoted {
                    bytes.next();
                }
                out.extend_from_slice(b"\\\"");
            }
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            // A delimiter that is a control character.
            0..=0x1f => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
}

/// What a column holds, besides empty fields, which are null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Nothing so far.
    Empty,
    Boolean,
    Number,
    Text,
}

impl Type {
    /// What a column holds that held this so far.
    pub(super) fn with(self, field: &[u8]) -> Self {
        match (self, field) {
            (_, b"") => self,
            (Self::Empty | Self::Boolean, field) if boolean(field).is_some() => Self::Boolean,
            (Self::Empty | Self::Number, field) if is_number(field) => Self::Number,
            _ => Self::Text,
        }
    }

    fn write(self, window: &[u8], field: &Field, out: &mut Vec<u8>) {
        let text = &window[field.start..field.end];
        match self {
            _ if text.is_empty() => out.extend_from_slice(b"null"),
            Self::Number => out.extend_from_slice(text),
            Self::Boolean => out.extend_from_slice(boolean(text).unwrap_or(b"null")),
            Self::Empty | Self::Text => write_string(window, field, out),
        }
    }
}

/// As JSON, as spreadsheets and as Python write them.
fn boolean(field: &[u8]) -> Option<&'static [u8]> {
    match field {
        b"true" | b"TRUE" | b"True" => Some(b"true"),
        b"false" | b"FALSE" | b"False" => Some(b"false"),
        _ => None,
    }
}
