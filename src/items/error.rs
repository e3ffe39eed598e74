//! What can be wrong with data, and where.

use std::fmt;
use std::io;

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
    fault: Fault,
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
    #[error("expected {expected}, found {found}")]
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
    #[error("not UTF-8")]
    Utf8,
    /// Arrays and objects within each other, too deep.
    #[error("nested deeper than {} levels", super::DEPTH_MAX)]
    Depth,
    /// A document that is not an array, and no pointer.
    #[error("the document is {found}, not an array of items{}", hint(.arrays))]
    NotAnArray {
        /// What it is.
        found: &'static str,
        /// Pointers to members that hold arrays.
        arrays: Vec<String>,
    },
    /// The pointer leads nowhere, or not to an array.
    #[error("--pointer {pointer} leads to {found}, not to an array of items")]
    Pointer {
        /// The pointer.
        pointer: String,
        /// What it leads to.
        found: &'static str,
    },
    /// Two members of the name that the pointer goes by.
    #[error("member {0:?} stands twice in the object that --pointer leads through, so it is ambiguous")]
    AmbiguousPointer(String),
    /// An id that names nothing.
    #[error("the id (member {field:?}) is {found}; it is to be a number or a string that is not empty")]
    BadId {
        /// The id field's name.
        field: String,
        /// What it is.
        found: &'static str,
    },
    /// Two items of one id.
    #[error("id {id:?} stands twice: item {first_item} (line {first_line}) has it too")]
    DuplicateId {
        /// The id's key text.
        id: String,
        /// The number of the first item that has it, from 1.
        first_item: u64,
        /// The line on which that item begins.
        first_line: u64,
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
    #[error("one value a line: this line goes on after its value")]
    SeveralOnALine,
    /// A value that does not end on its line.
    #[error("one value a line: this one does not end here. A JSON document of several lines is named .json")]
    AcrossLines,
    /// A row that is not CSV.
    #[error("{0}")]
    Csv(String),
    /// More text than can be addressed.
    #[error("the items are longer than 1 TiB together")]
    TooMuchText,
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

fn hint(arrays: &[String]) -> String {
    match arrays {
        [] => String::new(),
        arrays => {
            let options: Vec<String> = arrays.iter().map(|pointer| format!("--pointer {pointer}")).collect();
            format!("; name the array within it with {}", options.join(" or "))
        }
    }
}

impl Fault {
    /// A stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Syntax { .. } => "syntax",
            Self::ControlCharacter(_) => "control_character",
            Self::Escape => "escape",
            Self::LoneSurrogate => "lone_surrogate",
            Self::Utf8 => "utf8",
            Self::Depth => "depth",
            Self::NotAnArray { .. } => "not_an_array",
            Self::Pointer { .. } => "pointer",
            Self::AmbiguousPointer(_) => "ambiguous_pointer",
            Self::BadId { .. } => "bad_id",
            Self::DuplicateId { .. } => "duplicate_id",
            Self::MixedIds { .. } => "mixed_ids",
            Self::SeveralOnALine => "several_on_a_line",
            Self::AcrossLines => "across_lines",
            Self::Csv(_) => "csv",
            Self::TooMuchText => "too_much_text",
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
            fault,
            line,
            column,
            excerpt,
            indent,
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
