//! What a reload may not do: lose data that is served. A pure comparison of two snapshots.
//!
//! A source that is emptied, cut or exported without its ids is well-formed, and was mostly not meant. Only what is
//! served can be lost, so a start is never refused.

use std::fmt;

use crate::snapshot::Snapshot;

/// What a reload is allowed to lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// Whether no item at all may replace some.
    pub allow_empty: bool,
    /// The fewest items that replace data.
    pub items_min: usize,
    /// The most that may be removed.
    pub removed_max: Option<Share>,
}

/// A number of items, or a part of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many items.
    Items(u64),
    /// So many hundredths of a percent of those that are served.
    BasisPoints(u64),
}

impl Share {
    fn is_exceeded(self, removed: usize, of: usize) -> bool {
        match self {
            Self::Items(items) => removed as u64 > items,
            Self::BasisPoints(points) => removed as u128 * 10_000 > of as u128 * u128::from(points),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Items(items) => write!(f, "{items}"),
            Self::BasisPoints(points) if points % 100 == 0 => write!(f, "{}%", points / 100),
            Self::BasisPoints(points) => {
                let text = format!("{}.{:02}", points / 100, points % 100);
                write!(f, "{}%", text.trim_end_matches('0'))
            }
        }
    }
}

/// Why a reload is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has no item.
    Empty,
    /// Its items have no id, and those that are served have one.
    Ids,
    /// It has fewer items than are allowed.
    ItemsMin(usize),
    /// It lacks more items than are allowed.
    RemovedMax(Share),
}

impl Reason {
    /// Every label, in the order of [`Reason::place`].
    pub(super) const LABELS: [&'static str; 4] = ["empty", "ids", "min_items", "max_removed"];

    /// Its name in metrics and answers.
    pub fn label(self) -> &'static str {
        Self::LABELS[self.place()]
    }

    pub(super) fn place(self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Ids => 1,
            Self::ItemsMin(_) => 2,
            Self::RemovedMax(_) => 3,
        }
    }
}

/// What a reload would have lost, for which it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why it is refused.
    pub reason: Reason,
    /// The items that are served.
    pub items_before: usize,
    /// The items that would have been served.
    pub items_after: usize,
    /// The items that would have been there no more: by their ids, where all have some, else by their number.
    pub items_removed: usize,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reason,
            items_before,
            items_after,
            items_removed,
        } = self;
        write!(f, "refused: ")?;
        match reason {
            Reason::Empty => write!(
                f,
                "it has no item, and all {items_before} that are served would be lost (--allow-empty takes it)"
            ),
            Reason::Ids => write!(
                f,
                "none of its {items_after} items has an id, and the {items_before} that are served have one: /items/{{id}} would be lost"
            ),
            Reason::ItemsMin(least) => write!(
                f,
                "it has {items_after} items, fewer than --min-items {least}; {items_removed} of the {items_before} that are served would be lost"
            ),
            Reason::RemovedMax(most) => write!(
                f,
                "it has {items_after} items, and {items_removed} of the {items_before} that are served would be lost, more than --max-removed {most}"
            ),
        }?;
        write!(f, "; POST /-/reload?force=true takes it all the same")
    }
}

impl Guards {
    /// Whether `after` may replace `before`.
    ///
    /// # Errors
    ///
    /// What would be lost, and may not.
    pub fn check(&self, before: &Snapshot, after: &Snapshot) -> Result<(), Loss> {
        if !before.is_ready() {
            return Ok(());
        }
        let (items_before, items_after) = (before.items_count(), after.items_count());
        let removed = || before.items_missing_in(after);
        let refuse = |reason| {
            Err(Loss {
                reason,
                items_before,
                items_after,
                items_removed: removed(),
            })
        };
        if items_after == 0 && items_before > 0 && !self.allow_empty {
            return refuse(Reason::Empty);
        }
        if items_after > 0 && items_before > 0 && before.has_ids() && !after.has_ids() {
            return refuse(Reason::Ids);
        }
        if items_after < self.items_min {
            return refuse(Reason::ItemsMin(self.items_min));
        }
        match self.removed_max {
            Some(most) if most.is_exceeded(removed(), items_before) => refuse(Reason::RemovedMax(most)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::{Format, ParseOptions, parse};
    use crate::snapshot::{Settings, compile};

    fn snapshot(json: &str) -> Snapshot {
        let settings = Settings {
            codings: Vec::new(),
            cache_control: "no-cache".to_owned(),
            version: "0",
            is_sample: false,
            base_path: String::new(),
        };
        compile(
            parse(Format::Json, json.as_bytes(), &ParseOptions::default()).unwrap(),
            &settings,
        )
    }

    /// Reason and number of removed items, where it is refused.
    #[track_caller]
    fn check(guards: Guards, before: &str, after: &str, refused: Option<(&str, usize)>) {
        let found = guards.check(&snapshot(before), &snapshot(after)).err();
        let found = found.map(|loss| (loss.reason.label(), loss.items_removed));
        assert_eq!(found, refused, "{guards:?}: {before} to {after}");
    }

    const FIVE: &str = r#"[{"id":1},{"id":2},{"id":3},{"id":4},{"id":5}]"#;

    #[test]
    fn by_default_no_items_and_no_ids_are_refused() {
        let none = Guards::default();
        check(none, FIVE, "[]", Some(("empty", 5)));
        check(none, r#"[1,2]"#, "[]", Some(("empty", 2)));
        check(none, FIVE, r#"[{"ID":1},{"ID":2}]"#, Some(("ids", 3)));
        check(none, FIVE, r#"[{"id":9}]"#, None);
        check(none, r#"[1,2]"#, r#"[{"id":1}]"#, None);
        check(none, "[]", "[]", None);
        check(none, "[]", "[1]", None);
        let allowed = Guards {
            allow_empty: true,
            ..none
        };
        check(allowed, FIVE, "[]", None);
        check(allowed, FIVE, "[1]", Some(("ids", 4)));
    }

    #[test]
    fn limits_hold_where_they_are_set() {
        let min = |items_min| Guards {
            items_min,
            ..Guards::default()
        };
        check(min(2), FIVE, r#"[{"id":1},{"id":2}]"#, None);
        check(min(3), FIVE, r#"[{"id":1},{"id":2}]"#, Some(("min_items", 3)));
        check(
            Guards {
                allow_empty: true,
                ..min(1)
            },
            FIVE,
            "[]",
            Some(("min_items", 5)),
        );
        let max = |share| Guards {
            removed_max: Some(share),
            ..Guards::default()
        };
        let four = r#"[{"id":1},{"id":2},{"id":3},{"id":4}]"#;
        check(max(Share::BasisPoints(2_000)), FIVE, four, None);
        check(max(Share::BasisPoints(1_999)), FIVE, four, Some(("max_removed", 1)));
        check(max(Share::Items(0)), FIVE, four, Some(("max_removed", 1)));
        check(max(Share::Items(1)), FIVE, four, None);
        // As many as before, and other ones.
        let others = r#"[{"id":1},{"id":6},{"id":7},{"id":8},{"id":9}]"#;
        check(max(Share::Items(3)), FIVE, others, Some(("max_removed", 4)));
        // Without ids only their number is known.
        check(max(Share::Items(0)), "[1,2,3]", "[4,5,6]", None);
        check(max(Share::Items(0)), "[1,2,3]", "[4,5]", Some(("max_removed", 1)));
        check(max(Share::BasisPoints(0)), "[]", "[1]", None);
    }

    #[test]
    fn a_start_is_never_refused() {
        let settings = Settings {
            codings: Vec::new(),
            cache_control: "no-cache".to_owned(),
            version: "0",
            is_sample: false,
            base_path: String::new(),
        };
        let guards = Guards {
            items_min: 9,
            removed_max: Some(Share::Items(0)),
            ..Guards::default()
        };
        assert_eq!(guards.check(&Snapshot::pending(&settings), &snapshot("[]")), Ok(()));
    }

    #[test]
    fn shares_are_written_as_they_are_given() {
        for (share, text) in [
            (Share::BasisPoints(2_000), "20%"),
            (Share::BasisPoints(50), "0.5%"),
            (Share::BasisPoints(1_234), "12.34%"),
            (Share::Items(7), "7"),
        ] {
            assert_eq!(share.to_string(), text);
        }
    }
}
