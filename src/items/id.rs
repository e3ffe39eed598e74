//! Which part of an item is its id.

use super::ParseOptions;
use super::pointer::{Pointer, encode};
use super::scan::{Scanned, Token};
use super::walk::find;

/// What names an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IdField {
    /// Nothing: items have no ids.
    None,
    /// A member of the item.
    Member(String),
    /// What a JSON pointer leads to within the item.
    Pointer(Pointer),
}

impl IdField {
    /// As the options have it: a name, a pointer, or nothing.
    pub(super) fn of(options: &ParseOptions) -> Self {
        let text = &options.id_field;
        if text.is_empty() {
            return Self::None;
        }
        match text.parse::<Pointer>() {
            Ok(pointer) => match pointer.tokens() {
                [name] => Self::Member(name.clone()),
                _ => Self::Pointer(pointer),
            },
            Err(_) => Self::Member(text.clone()),
        }
    }

    /// A pointer that goes on from the field that `text` names to one of its members.
    pub(super) fn within(text: &str, member: &str) -> String {
        let start = if text.starts_with('/') {
            text.to_owned()
        } else {
            format!("/{}", encode(text))
        };
        format!("{start}/{}", encode(member))
    }

    /// The member that the scanner notes while it passes an item.
    pub(super) fn member(&self) -> Option<&str> {
        match self {
            Self::Member(name) => Some(name),
            Self::None | Self::Pointer(_) => None,
        }
    }

    /// The column of that name. A row is flat, so a longer pointer leads to none.
    pub(super) fn column(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Member(name) => Some(name.clone()),
            Self::Pointer(pointer) => Some(pointer.to_string()),
        }
    }

    /// The id of an item that the scanner has passed.
    #[inline]
    pub(super) fn locate(&self, scanned: Scanned, item: &[u8]) -> Option<Token> {
        match self {
            Self::None => None,
            Self::Member(_) => scanned.id,
            Self::Pointer(pointer) => {
                let range = find(item, pointer.tokens())?;
                Some(Token {
                    start: range.start,
                    end: range.end,
                })
            }
        }
    }
}
