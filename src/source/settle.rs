//! When a change of a file is over: a decision from what was seen of the file, and when. No clock, no file system.
//!
//! A writer that is not done must not be read: half-written data is bad data. What tells that it is done:
//!
//! - a file that was **renamed** into place, or that its writer has **closed**, is whole once it is quiet for
//!   [`QUIET`];
//! - one that only **grew** and whose records end with their lines is read up to its last line end, after
//!   [`UNQUIET_MAX`] at the latest: a log is never closed;
//! - anything else (truncated, shrunk, written over in place, made anew by a writer that still has it open) waits for one
//!   of the above, or until nothing has changed for [`SETTLED`].
//!
//! Where the kernel tells nothing of the writer, as on a network file system or without inotify, size and times decide.
//! A JSON document may be tried early there: no part of one is whole, so what parses was written to its end.

use std::time::{Duration, Instant};

use super::Identity;

/// Writers mostly write more than once: what counts as whole is read when it has been quiet for so long.
pub(super) const QUIET: Duration = Duration::from_millis(100);

/// A file that is never quiet for long is read all the same.
pub(super) const UNQUIET_MAX: Duration = Duration::from_secs(1);

/// A file of which the kernel tells nothing is looked at once more before it is read; one that is gone may come back.
const UNTOLD: Duration = Duration::from_secs(1);

/// What has not changed for so long is whole, whoever still has it open.
const SETTLED: Duration = Duration::from_secs(10);

/// How much of a file is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// What there is now, up to the last end of a record: its writer goes on.
    Grown,
}

/// What a beginning of a source is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Records that end with their lines: what ends with a line is whole as far as it goes.
    Lines,
    /// One document, no beginning of which is well-formed.
    Document,
    /// What cannot be told from its beginning, as compressed data; or not known yet.
    #[default]
    Opaque,
}

/// Whether a file can be read now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// As far as is known.
    #[default]
    Whole,
    /// Up to its last line end.
    Growing,
    /// No: its writer is not done.
    Written,
}

/// A change that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// How much of it.
    pub extent: Extent,
    /// Whether the writer is done, as far as can be told. Of what is not sure only a success counts.
    pub is_sure: bool,
    /// What stood there when it was told; `None` if nothing did.
    pub identity: Option<Identity>,
}

/// What was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Nothing but that it was looked at.
    Looked,
    /// The path was given a file by a rename, or a link on the way was.
    Moved,
    /// A file was made at the path.
    Created,
    /// The file was written to.
    Written,
    /// A writer has closed the file.
    Closed,
    /// The kernel lost events: what it told is not all.
    Lost,
}

/// What is known of one file's changes.
#[derive(Debug)]
pub(super) struct Settling {
    /// What was handed out last.
    base: Option<Identity>,
    /// What was seen last.
    seen: Option<Identity>,
    ongoing: Option<Ongoing>,
    /// Since when nothing has happened to what was handed out as grown. Its last line may have no end and be whole.
    resting: Option<Instant>,
}

/// What is to be done, when, and how the file stands until then.
#[derive(Clone, Copy, Debug)]
struct Plan {
    at: Instant,
    change: Change,
    standing: Standing,
}

/// A change that was noticed and not handed out, or not for sure.
#[derive(Debug)]
struct Ongoing {
    /// When it was noticed, when it was last quiet for [`QUIET`], and when there was the last sign of it.
    first: Instant,
    unquiet: Instant,
    last: Instant,
    signs: Signs,
    /// Whether it was handed out as it is, and not for sure.
    tried: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    moved: bool,
    closed: bool,
    /// The kernel told of its making, or of a write to it, and will tell when it is closed.
    created: bool,
    written: bool,
    lost: bool,
    /// It became shorter, or is known not to begin as it did.
    rewritten: bool,
}

impl Ongoing {
    fn new(now: Instant) -> Self {
        Self {
            first: now,
            unquiet: now,
            last: now,
            signs: Signs::default(),
            tried: false,
        }
    }
}

impl Signs {
    fn are_any(self) -> bool {
        self.moved || self.closed || self.created || self.written || self.rewritten
    }
}

impl Settling {
    /// Begins with what is there as what was read.
    pub(super) fn new(base: Option<Identity>) -> Self {
        Self {
            base,
            seen: base,
            ongoing: None,
            resting: None,
        }
    }

    /// Takes note of what was noticed, and of what stands there since.
    pub(super) fn note(&mut self, sign: Sign, seen: Option<Identity>, now: Instant) {
        let before = std::mem::replace(&mut self.seen, seen);
        if sign == Sign::Looked && before == seen {
            return;
        }
        if self.resting.is_some() && seen == self.base && sign != Sign::Closed && sign != Sign::Moved {
            // Of what was handed out already.
            self.resting = Some(now);
            return;
        }
        self.resting = None;
        let ongoing = self.ongoing.get_or_insert(Ongoing::new(now));
        if now.saturating_duration_since(ongoing.last) >= QUIET {
            ongoing.unquiet = now;
        }
        ongoing.last = now;
        ongoing.tried &= before == seen;
        let signs = &mut ongoing.signs;
        match (before, seen) {
            (Some(before), Some(seen)) if seen.is_same_file(&before) => {
                signs.rewritten |= seen.length < before.length;
                // Times and rights may be set after the last byte; a length may not.
                signs.closed &= seen.length == before.length;
            }
            // Another file, of which nothing is known yet.
            _ => *signs = Signs::default(),
        }
        match sign {
            Sign::Looked => {}
            Sign::Moved => {
                *signs = Signs {
                    moved: true,
                    ..Signs::default()
                }
            }
            Sign::Created => signs.created = true,
            Sign::Written => {
                signs.written = true;
                (signs.moved, signs.closed) = (false, false);
            }
            Sign::Closed => signs.closed = true,
            Sign::Lost => signs.lost = true,
        }
        if seen == self.base && !signs.are_any() {
            // It is what it was.
            self.ongoing = None;
        }
    }

    /// Hands out the change if it can be read now.
    pub(super) fn hand_out(&mut self, shape: Shape, now: Instant) -> Option<Change> {
        let Plan { at, change, .. } = self.plan(shape)?;
        if now < at {
            return None;
        }
        self.resting = None;
        if change.is_sure {
            self.base = self.seen;
            let ongoing = self.ongoing.take();
            self.resting = ongoing
                .filter(|_| change.extent == Extent::Grown)
                .map(|ongoing| ongoing.last);
        } else if let Some(ongoing) = &mut self.ongoing {
            ongoing.tried = true;
        }
        Some(change)
    }

    /// Whether it can be read now.
    pub(super) fn standing(&self, shape: Shape) -> Standing {
        self.plan(shape).map_or(Standing::Whole, |plan| plan.standing)
    }

    /// When the change can be read, if nothing else happens.
    pub(super) fn due(&self, shape: Shape) -> Option<Instant> {
        self.plan(shape).map(|plan| plan.at)
    }

    /// What was seen last.
    pub(super) fn seen(&self) -> Option<&Identity> {
        self.seen.as_ref()
    }

    /// Since when a change is waited for.
    pub(super) fn unsettled_since(&self) -> Option<Instant> {
        self.ongoing.as_ref().map(|ongoing| ongoing.first)
    }

    /// What was handed out without being sure, or as grown, was whole: it need not be handed out again.
    pub(super) fn was_whole(&mut self, identity: Option<Identity>) {
        if self.base == identity {
            self.resting = None;
        }
        let tried = self.ongoing.as_ref().is_some_and(|ongoing| ongoing.tried);
        if tried && self.seen == identity {
            self.base = identity;
            self.ongoing = None;
        }
    }

    /// What was handed out as grown does not begin as it did: it is being written anew.
    pub(super) fn was_rewritten(&mut self, identity: Option<Identity>, now: Instant) {
        if self.base != identity {
            // Another change was handed out since.
            return;
        }
        self.resting = None;
        let ongoing = self.ongoing.get_or_insert(Ongoing::new(now));
        ongoing.signs.rewritten = true;
    }

    fn plan(&self, shape: Shape) -> Option<Plan> {
        let change = |extent, is_sure| Change {
            extent,
            is_sure,
            identity: self.seen,
        };
        let plan = |at, change, standing| Plan { at, change, standing };
        let Some(ongoing) = &self.ongoing else {
            let since = self.resting?;
            return Some(plan(since + SETTLED, change(Extent::Whole, false), Standing::Growing));
        };
        let signs = ongoing.signs;
        let soon = (ongoing.last + QUIET)
            .min(ongoing.unquiet + UNQUIET_MAX)
            .max(ongoing.last);
        let whole = |at| plan(at, change(Extent::Whole, true), Standing::Whole);
        let Some(seen) = self.seen else {
            return Some(whole(ongoing.last + UNTOLD));
        };
        if signs.moved || signs.closed {
            return Some(whole(soon));
        }
        // Of what is told the end is waited for; what is not told may be tried where that does no harm.
        let is_told = (signs.created || signs.written) && !signs.lost;
        let is_same_file = self.base.is_some_and(|base| base.is_same_file(&seen));
        let is_same_length = is_same_file && self.base.is_some_and(|base| base.length == seen.length);
        let standing = if is_told || !is_same_length {
            Standing::Written
        } else {
            Standing::Whole
        };
        let settled = plan(ongoing.last + SETTLED, change(Extent::Whole, true), standing);
        let tried = if shape == Shape::Document && !is_told && !ongoing.tried {
            plan(ongoing.last + UNTOLD, change(Extent::Whole, false), standing)
        } else {
            settled
        };
        Some(match self.base {
            Some(base) if is_same_file => match shape {
                _ if signs.rewritten => tried,
                // Written over in place: old and new bytes may stand side by side, and be well-formed.
                _ if seen.length <= base.length => settled,
                Shape::Lines => plan(soon, change(Extent::Grown, true), Standing::Growing),
                Shape::Document | Shape::Opaque => tried,
            },
            // It was given this name and has another too: somebody has made it before.
            _ if seen.links > 1 && !signs.written => whole(soon),
            _ if is_told => settled,
            // Something was done to it after its last byte, as a rename is.
            _ if seen.changed != seen.modified => whole(soon),
            _ if shape == Shape::Document => tried,
            _ => plan(ongoing.last + UNTOLD, change(Extent::Whole, true), standing),
        })
    }
}

#[cfg(test)]
mod tests;
