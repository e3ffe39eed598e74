//! What can be wrong with data, and where.

use std::fmt;
use std::io;

use super::pointer::quoted;

/// Why there is no collection.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The input could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The input was read and is not a collection.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// A fault in the data. Lines and columns begin at 1; a column counts characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError {
    fault: Box<Fault>,
    line: u64,
    column: u64,
    excerpt: String,
    /// Characters of the excerpt before the fault.
    indent: usize,
}

/// The kinds of fault. [`Fault::code`] is stable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing, or nothing but white space.
    #[error("there is no data: an empty collection is written []")]
    Empty,
    /// Text that is not JSON.
    #[error("{}", syntax(.expected, *.found))]
    Syntax {
        /// What could have stood there.
        expected: &'static str,
        /// What stands there.
        found: Found,
    },
    /// A control character within a string.
    #[error("control character U+{0:04X} within a string: write it as an escape")]
    ControlCharacter(u8),
    /// An escape that JSON does not have.
    #[error("not an escape of JSON: \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX are")]
    Escape,
    /// A surrogate escape without its other half.
    #[error("a lone surrogate is not a character: \\uD800 to \\uDBFF and \\uDC00 to \\uDFFF come in pairs")]
    LoneSurrogate,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8; text in another charset is read by --charset, as --charset windows-1252")]
    Utf8,
    /// Text in a charset that is not the one that is named.
    #[error("{0}")]
    Charset(String),
    /// Arrays and objects within each other, too deep.
    #[error("nested deeper than {} levels", super::DEPTH_MAX)]
    Depth,
    /// A document that is not an array, and no pointer.
    #[error("the document is {found}, not an array of items{}", hint(.ways, *.a_line))]
    NotAnArray {
        /// What it is.
        found: &'static str,
        /// Settings that read a collection in it.
        ways: Vec<String>,
        /// Whether it could be the only line of NDJSON.
        a_line: bool,
    },
    /// What is no object, where the ids are to be the names of its members.
    #[error("{0} has no keys for --ids-from-keys; an object has")]
    NotAMap(&'static str),
    /// A setting that only a JSON document can have.
    #[error("--{setting} leads through a JSON document, and this is {format}; --format json reads it as one")]
    NotADocument {
        /// The setting.
        setting: &'static str,
        /// What it is read as.
        format: super::Format,
    },
    /// The pointer leads nowhere, or not to an array.
    #[error(
        "--pointer {pointer} leads to {found}, not to an array of items{}",
        if *.found == "an object" { "; --ids-from-keys takes the members of an object" } else { "" }
    )]
    Pointer {
        /// The pointer.
        pointer: String,
        /// What it leads to.
        found: &'static str,
    },
    /// Two members of the name that the pointer goes by.
    #[error("duplicate key {0:?} in the object that --pointer leads through, which is ambiguous")]
    AmbiguousPointer(String),
    /// An id that names nothing.
    #[error(
        "the id (member {field:?}) is {found}; it is to be a number or a string that is not empty{}",
        .pointer.as_ref().map(|pointer| format!(": --id-field {} leads to one", quoted(pointer))).unwrap_or_default()
    )]
    BadId {
        /// The id field's name.
        field: String,
        /// What it is.
        found: &'static str,
        /// Leads to what could be an id, within an object.
        pointer: Option<String>,
    },
    /// A key that names nothing.
    #[error("the key is an empty string, which names nothing")]
    EmptyKey,
    /// Two items of one id.
    #[error("duplicate id {id:?}: item {first_item} (line {first_line}) has it too")]
    DuplicateId {
        /// The id's key text.
        id: String,
        /// The number of the first item that has it, from 1.
        first_item: u64,
        /// The line on which that item begins.
        first_line: u64,
        /// Whether ids are the keys of an object.
        is_key: bool,
    },
    /// An item without an id where others have one, or the other way about.
    #[error(
        "{}; either every item has an id (member {field:?}) or none",
        if *.has { "this item has an id and the ones before it have none" } else { "this item has no id and the ones before it have one" }
    )]
    MixedIds {
        /// The id field's name.
        field: String,
        /// Whether the item at fault has an id.
        has: bool,
    },
    /// More on a line than one value.
    #[error("one value a line: this line goes on after its value; --format concatenated reads several a line")]
    SeveralOnALine,
    /// A value that does not end on its line.
    #[error(
        "one value a line: this one does not end here; --format json reads a document of several lines, \
         --format concatenated several values of several lines"
    )]
    AcrossLines,
    /// A control character in CSV.
    #[error("control character U+{0:04X}: of those, text has tab, line feed and carriage return only")]
    CsvControlCharacter(u8),
    /// A field of CSV that begins with a quote and does not end with one.
    #[error("the quote that opens here is never closed")]
    UnclosedQuote,
    /// A carriage return in CSV that is neither within quotes nor before a line feed.
    #[error("a carriage return without a line feed: a row ends with a line feed, or with both")]
    LoneCarriageReturn,
    /// Several values where one document is expected.
    #[error("a second value follows the first: {}", if *.a_line {
        "this is NDJSON, which --format ndjson reads"
    } else {
        "these are concatenated values, which --format concatenated reads"
    })]
    SeveralValues {
        /// Whether each seems to have a line of its own.
        a_line: bool,
    },
    /// An array on a line of its own, and no other line.
    #[error("this is a JSON array: --format json reads its elements as items, --format ndjson reads it as one item")]
    OneArray,
    /// A row that is not CSV.
    #[error("{0}")]
    Csv(String),
    /// More text than can be addressed.
    #[error("the items are longer than 1 TiB together")]
    TooMuchText,
    /// More is made of what is read than is allowed.
    #[error(
        "the items become more than {bytes_max} bytes of JSON; --max-data-bytes (JANUS_MAX_DATA_BYTES) bounds what is made of data, apart from what is read"
    )]
    TooMuchMade {
        /// The limit.
        bytes_max: u64,
    },
    /// Memory is at its end.
    #[error("there is no memory for more: {held} bytes hold what came before")]
    NoMemory {
        /// What the items so far take, in bytes.
        held: u64,
    },
    /// More items than can be counted.
    #[error("more than {} items", u32::MAX)]
    TooManyItems,
}

/// What stood where something else was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The end of the input.
    End,
    /// A byte; those above 0x7f begin or continue a character.
    Byte(u8),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end"),
            Self::Byte(byte) if byte.is_ascii_graphic() => write!(f, "`{}`", char::from(*byte)),
            Self::Byte(byte) => write!(f, "byte 0x{byte:02x}"),
        }
    }
}

fn syntax(expected: &str, found: Found) -> String {
    match found {
        Found::End => format!("unexpected end of input: expected {expected}"),
        found => format!("expected {expected}, found {found}"),
    }
}

fn hint(ways: &[String], a_line: bool) -> String {
    let mut hint = String::new();
    if !ways.is_empty() {
        hint += &format!("; name the collection within it with {}", ways.join(" or "));
    }
    if a_line {
        hint += "; --format ndjson reads it as one item";
    }
    hint
}

impl Fault {
    /// Whether nothing after it can be read, whatever is passed over.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::TooMuchText
                | Self::TooMuchMade { .. }
                | Self::NoMemory { .. }
                | Self::TooManyItems
                | Self::Charset(_)
        )
    }

    /// A stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Syntax { .. } => "syntax",
            Self::ControlCharacter(_) => "control_character",
            Self::Escape => "escape",
            Self::LoneSurrogate => "lone_surrogate",
            Self::Utf8 => "utf8",
            Self::Charset(_) => "charset",
            Self::CsvControlCharacter(_) => "control_character",
            Self::UnclosedQuote => "unclosed_quote",
            Self::LoneCarriageReturn => "lone_carriage_return",
            Self::SeveralValues { .. } => "several_values",
            Self::OneArray => "one_array",
            Self::Depth => "depth",
            Self::NotAnArray { .. } => "not_an_array",
            Self::NotAMap(_) => "not_a_map",
            Self::NotADocument { .. } => "not_a_document",
            Self::Pointer { .. } => "pointer",
            Self::AmbiguousPointer(_) => "ambiguous_pointer",
            Self::BadId { .. } | Self::EmptyKey => "bad_id",
            Self::DuplicateId { .. } => "duplicate_id",
            Self::MixedIds { .. } => "mixed_ids",
            Self::SeveralOnALine => "several_on_a_line",
            Self::AcrossLines => "across_lines",
            Self::Csv(_) => "csv",
            Self::TooMuchText => "too_much_text",
            Self::TooMuchMade { .. } => "too_much_made",
            Self::NoMemory { .. } => "no_memory",
            Self::TooManyItems => "too_many_items",
        }
    }
}

/// Characters of a line that an excerpt shows on either side of the fault.
const EXCERPT_SIDE: usize = 60;

impl DataError {
    /// `line_before` and `line_after` are what is known of the line on either side of the fault.
    pub(super) fn new(fault: Fault, line: u64, column: u64, line_before: &[u8], line_after: &[u8]) -> Self {
        let before = shown(line_before);
        let skipped = before.chars().count().saturating_sub(EXCERPT_SIDE);
        let mut excerpt: String = before.chars().skip(skipped).collect();
        let indent = excerpt.chars().count();
        excerpt.extend(shown(line_after).chars().take(EXCERPT_SIDE));
        Self {
            fault: Box::new(fault),
            line,
            column,
            excerpt,
            indent,
        }
    }

    /// The same place with another fault.
    pub(super) fn with(self, fault: Fault) -> Self {
        Self {
            fault: Box::new(fault),
            ..self
        }
    }

    /// What is wrong.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The line, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> u64 {
        self.column
    }

    /// The setting that reads the data as it is, where the message does not name it.
    pub fn hint(&self) -> Option<&'static str> {
        match *self.fault {
            Fault::Syntax { .. } if (self.line, self.column) == (1, 1) => {
                Some("--format names the format, if it is not JSON")
            }
            Fault::DuplicateId { is_key: false, .. } => {
                Some("--id-field names another member or, as --id-field \"\", none")
            }
            _ => None,
        }
    }

    /// Two lines to print: the line of the data around the fault, and a caret below it.
    pub fn excerpt(&self) -> String {
        format!("  | {}\n  | {:indent$}^", self.excerpt, "", indent = self.indent)
    }
}

/// Text for a terminal: what is no character of text is replaced, each character by one.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.fault)
    }
}

impl std::error::Error for DataError {}
