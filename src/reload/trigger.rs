//! Why a source is looked at.

use super::report::Reply;
use crate::source::Change;

/// Why to look at the source.
#[derive(Debug)]
pub enum Trigger {
    /// It has changed.
    Changed(Change),
    /// Somebody asked.
    Requested,
    /// Somebody asked, and waits to hear how it ends.
    Awaited {
        /// Where to tell it.
        reply: Reply,
        /// Whether data that is served may be lost.
        force: bool,
    },
}

impl Trigger {
    pub(super) fn change(&self) -> Option<Change> {
        match self {
            Self::Changed(change) => Some(*change),
            Self::Requested | Self::Awaited { .. } => None,
        }
    }

    /// Whether it is not to wait for the source's writer.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self, Self::Changed(_) | Self::Awaited { force: true, .. })
    }
}
