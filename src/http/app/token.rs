//! The admin token: what the file that holds it says now, and whether a request has it.
//!
//! The file may come after the start and be replaced at any time, as a Secret that is mounted in a pod is. What it
//! holds is the token; while it is not there, is empty or holds what can be no token, there is none and nobody is let
//! in. The token is never logged and never written for debugging.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use subtle::ConstantTimeEq;

use crate::http::answer::problem::Problem;

/// The longest token, in bytes.
const LENGTH_MAX: usize = 1024;

/// How much of a file is read, in bytes: a token of the greatest length and some white space around it.
const FILE_LENGTH_MAX: usize = LENGTH_MAX + 64;

/// The file of the admin token, and the token that it held when it was last read.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    current: ArcSwapOption<Token>,
    /// Readers of the file wait for each other, so that what was read last is what counts.
    reading: Mutex<()>,
}

impl TokenFile {
    /// Of the file at `path`; there is no token before [`TokenFile::read`].
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            current: ArcSwapOption::empty(),
            reading: Mutex::new(()),
        }
    }

    /// Takes what the file holds now for the token, and says in the log whether it is one.
    pub fn read(&self) {
        let _reading = self.reading.lock();
        let (token, error) = match self.load() {
            Ok(token) => (Some(Arc::new(token)), None),
            Err(error) => (None, Some(error)),
        };
        self.current.store(token);
        let file = self.path.display();
        match error {
            None => tracing::info!(%file, "the admin token was read"),
            Some(error) => {
                tracing::warn!(%file, %error, "no admin token: the admin endpoints answer 503 until there is one");
            }
        }
    }

    /// Lets a request pass that presents the token in the value of its `Authorization`.
    ///
    /// # Errors
    ///
    /// What it is answered with otherwise.
    pub fn authorize(&self, authorization: Option<&[u8]>) -> Result<(), Problem> {
        let current = self.current.load();
        let token = current.as_ref().ok_or(Problem::TokenUnavailable)?;
        let presented = authorization.and_then(bearer).ok_or(Problem::TokenRequired)?;
        if token.is(presented) {
            Ok(())
        } else {
            Err(Problem::InvalidToken)
        }
    }

    fn load(&self) -> Result<Token, TokenError> {
        // The open of a FIFO would wait for a writer.
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open(&self.path)?;
        let mut text = Vec::with_capacity(FILE_LENGTH_MAX + 1);
        file.take(FILE_LENGTH_MAX as u64 + 1).read_to_end(&mut text)?;
        Token::parse(&text)
    }
}

/// Why a file holds no token. It never says what the file holds.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    /// The kernel refuses, or there is none.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Nothing but white space.
    #[error("the file is empty")]
    Empty,
    /// More than is compared.
    #[error("the token is longer than {LENGTH_MAX} bytes")]
    TooLong,
    /// What no header field can carry.
    #[error("a token is visible ASCII characters without a space between them, and byte {0} of the file is none")]
    NotVisible(usize),
}

/// A token, filled up with zeros so that how long a comparison takes does not tell how long the token is.
struct Token {
    padded: [u8; LENGTH_MAX],
    length: usize,
}

impl Token {
    /// Reads a file's content; white space around the token, as the line break that editors add, is no part of it.
    fn parse(text: &[u8]) -> Result<Self, TokenError> {
        let token = text.trim_ascii();
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        if let Some(at) = token.iter().position(|byte| !byte.is_ascii_graphic()) {
            let before = text.len() - text.trim_ascii_start().len();
            return Err(TokenError::NotVisible(before + at + 1));
        }
        Self::padded(token).ok_or(TokenError::TooLong)
    }

    fn padded(token: &[u8]) -> Option<Self> {
        let mut padded = [0; LENGTH_MAX];
        padded.get_mut(..token.len())?.copy_from_slice(token);
        Some(Self {
            padded,
            length: token.len(),
        })
    }

    /// Whether `presented` is this token, in a time that depends on neither.
    fn is(&self, presented: &[u8]) -> bool {
        Self::padded(presented).is_some_and(|presented| {
            let is_same = self.padded.ct_eq(&presented.padded) & self.length.ct_eq(&presented.length);
            is_same.into()
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The token in the value of an `Authorization` field (RFC 6750, section 2.1).
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = authorization.split_at_checked(b"Bearer ".len())?;
    // A scheme's name is case-insensitive, and may be followed by more than one space (RFC 9110, section 11.4).
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct-horse-battery-staple";

    /// What a file with this content answers to a request with this `Authorization`.
    #[track_caller]
    fn check(content: &[u8], authorization: Option<&str>, expected: Result<(), Problem>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        let tokens = TokenFile::new(file.path().to_owned());
        tokens.read();
        let answer = tokens.authorize(authorization.map(str::as_bytes));
        assert_eq!(
            answer,
            expected,
            "{:?}: {authorization:?}",
            String::from_utf8_lossy(content)
        );
    }

    #[test]
    fn only_the_token_passes() {
        let check = |authorization, expected| check(TOKEN.as_bytes(), authorization, expected);
        for right in [
            "Bearer correct-horse-battery-staple",
            "bearer  correct-horse-battery-staple",
        ] {
            check(Some(right), Ok(()));
        }
        for missing in ["", "Bearer", "Bearer ", "Basic Y29ycmVjdA==", TOKEN] {
            check(Some(missing), Err(Problem::TokenRequired));
        }
        check(None, Err(Problem::TokenRequired));
        let long = format!("Bearer {}", "a".repeat(LENGTH_MAX + 1));
        for wrong in [
            "Bearer correct-horse-battery-stapl",
            "Bearer correct-horse-battery-staple2",
            "Bearer correct-horse-battery-staple\0",
            "Bearer Correct-horse-battery-staple",
            "Bearer correct-horse battery-staple",
            &long,
        ] {
            check(Some(wrong), Err(Problem::InvalidToken));
        }
    }

    #[test]
    fn white_space_around_it_is_no_part_of_it() {
        for content in ["t0ken\n", "t0ken\r\n", "  t0ken \n\n"] {
            check(content.as_bytes(), Some("Bearer t0ken"), Ok(()));
        }
        check(
            &[b'a'; LENGTH_MAX],
            Some(&format!("Bearer {}", "a".repeat(LENGTH_MAX))),
            Ok(()),
        );
    }

    #[test]
    fn what_is_no_token_lets_nobody_in() {
        for content in [
            &b""[..],
            b"\n",
            b"two words",
            b"t\xc3\xb6ken",
            b"a\0",
            &[b'a'; LENGTH_MAX + 1],
        ] {
            for authorization in [None, Some("Bearer "), Some("Bearer two words"), Some("Bearer a")] {
                check(content, authorization, Err(Problem::TokenUnavailable));
            }
        }
        let absent = TokenFile::new("/nowhere/at/all".into());
        absent.read();
        assert_eq!(absent.authorize(Some(b"Bearer ")), Err(Problem::TokenUnavailable));
    }

    #[test]
    fn a_fault_is_named_by_its_place_and_not_by_what_stands_there() {
        let fault = |content: &[u8]| Token::parse(content).unwrap_err().to_string();
        assert_eq!(fault(b"\n"), "the file is empty");
        assert_eq!(fault(&[b'a'; LENGTH_MAX + 1]), "the token is longer than 1024 bytes");
        let fault = fault(b"\nsecret one");
        assert!(fault.contains("byte 8") && !fault.contains("secret"), "{fault}");
    }

    #[test]
    fn it_is_never_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, TOKEN).unwrap();
        let tokens = TokenFile::new(file.path().to_owned());
        tokens.read();
        assert!(tokens.authorize(Some(format!("Bearer {TOKEN}").as_bytes())).is_ok());
        let written = format!("{tokens:?} {tokens:#?}");
        assert!(written.contains("Token(..)") && !written.contains(TOKEN), "{written}");
        // Nor as the numbers that its bytes are.
        assert!(!written.contains("99, 111, 114"), "{written}");
    }

    #[test]
    fn what_is_no_file_is_no_token() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in [directory.path().to_owned(), pipe] {
            let tokens = TokenFile::new(path);
            tokens.read();
            assert_eq!(tokens.authorize(None), Err(Problem::TokenUnavailable));
        }
    }
}
