//! JSON pointers (RFC 6901), to name the array within a document.

use std::fmt;
use std::str::FromStr;

/// A JSON pointer: `/data/items`, with `~1` for a slash and `~0` for a tilde in a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    tokens: Vec<String>,
}

/// More names than this lead through no document.
const TOKENS_MAX: usize = 64;

/// Why a text is not a JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It does not begin with a slash.
    #[error("a JSON pointer begins with a slash, as in /data/items")]
    Start,
    /// A tilde that is not `~0` or `~1`.
    #[error("in a JSON pointer ~0 stands for a tilde and ~1 for a slash; no other ~ may stand in it")]
    Tilde,
    /// Too many names.
    #[error("a JSON pointer of more than {TOKENS_MAX} names leads nowhere")]
    Length,
}

impl Pointer {
    /// The names and indexes that lead to the value, decoded.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self { tokens: Vec::new() });
        }
        let names = text.strip_prefix('/').ok_or(PointerError::Start)?;
        let tokens = names.split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
        if tokens.len() > TOKENS_MAX {
            Err(PointerError::Length)
        } else {
            Ok(Self { tokens })
        }
    }
}

fn decode(token: &str) -> Result<String, PointerError> {
    let is_escape = |part: &str| part.starts_with(['0', '1']);
    if token.split('~').skip(1).all(is_escape) {
        Ok(token.replace("~1", "/").replace("~0", "~"))
    } else {
        Err(PointerError::Tilde)
    }
}

/// A name as it stands in a pointer.
pub(super) fn encode(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A pointer as a shell takes it.
pub(super) fn quoted(pointer: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | '~' | ':' | '@');
    if pointer.chars().all(is_plain) && !pointer[1.min(pointer.len())..].contains("/~") {
        pointer.to_owned()
    } else {
        format!("'{}'", pointer.replace('\'', "'\\''"))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.iter().try_for_each(|token| write!(f, "/{}", encode(token)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_and_come_back() {
        for (text, tokens) in [
            ("", vec![]),
            ("/", vec![""]),
            ("/data/items", vec!["data", "items"]),
            ("/a~1b/m~0n/~01", vec!["a/b", "m~n", "~1"]),
        ] {
            let pointer: Pointer = text.parse().unwrap();
            assert_eq!(pointer.tokens(), tokens, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        assert_eq!("data".parse::<Pointer>(), Err(PointerError::Start));
        assert_eq!("/a~".parse::<Pointer>(), Err(PointerError::Tilde));
        assert_eq!("/a~2".parse::<Pointer>(), Err(PointerError::Tilde));
        assert_eq!("/a".repeat(65).parse::<Pointer>(), Err(PointerError::Length));
    }
}
