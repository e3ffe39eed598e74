//! The content codings that Janus speaks.

use std::fmt;

/// A content coding (RFC 9110, section 8.4.1; `br` is RFC 7932, `zstd` RFC 8878, `gzip` RFC 1952).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    /// The bytes as they are.
    Identity,
    /// Brotli.
    Br,
    /// Zstandard.
    Zstd,
    /// Gzip.
    Gzip,
}

impl Coding {
    /// Every coding, identity first. A coding's place here is [`Coding::index`].
    pub const ALL: [Coding; 4] = [Coding::Identity, Coding::Br, Coding::Zstd, Coding::Gzip];

    /// The token of `Content-Encoding` and of metric labels.
    pub fn token(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Br => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// The place of this coding in [`Coding::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}
