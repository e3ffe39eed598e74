//! What is to be told of data that is accepted.

use std::fmt;

use super::format::Format;

/// Something of a source that its owner may not have meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Rows of CSV that hold nothing, which are passed over.
    BlankRows(u64),
    /// A column of CSV whose name begins or ends with white space, which is kept.
    SpacedName(String),
    /// A delimiter at the end of every row of CSV, the first one too, with nothing behind it.
    TrailingDelimiter,
    /// A setting of CSV, for data that is none.
    NotCsv {
        /// The setting.
        setting: &'static str,
        /// What the data is.
        format: Format,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlankRows(1) => f.write_str("1 row holds nothing, and is passed over"),
            Self::BlankRows(number) => write!(f, "{number} rows hold nothing, and are passed over"),
            Self::SpacedName(name) => write!(f, "column name {name:?} begins or ends with white space, which is kept"),
            Self::TrailingDelimiter => f.write_str(
                "every row ends with a delimiter, and the last column has neither name nor content: it is left out",
            ),
            Self::NotCsv { setting, format } => {
                write!(f, "--{setting} is for CSV, and this is {format}: it changes nothing")
            }
        }
    }
}
