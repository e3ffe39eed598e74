//! When changes are handed out, for every way in which a file is written. The clock is the test's.

use std::time::{Duration, Instant};

use super::Sign::{Closed, Created, Looked, Lost, Moved, Written};
use super::*;

/// A file as `stat` shows it.
#[derive(Clone, Copy, Debug)]
struct Stat {
    inode: u64,
    length: u64,
    modified: i64,
    changed: i64,
    links: u64,
}

impl Stat {
    fn identity(self) -> Identity {
        Identity {
            device: 1,
            inode: self.inode,
            links: self.links,
            length: self.length,
            modified: (self.modified, 0),
            changed: (self.changed, 0),
        }
    }
}

/// What is served first: inode 1, 100 bytes, written at time 0.
const BASE: Stat = stat(1, 100, 0);

/// A file that was written at `time`.
const fn stat(inode: u64, length: u64, time: i64) -> Stat {
    Stat {
        inode,
        length,
        modified: time,
        changed: time,
        links: 1,
    }
}

/// A file that was written, and moved later.
const fn moved(inode: u64, length: u64, time: i64) -> Stat {
    Stat {
        changed: time + 1,
        ..stat(inode, length, time)
    }
}

/// At so many milliseconds: what the kernel tells, if anything, and what stands there from then on.
type Step = (u64, Option<Sign>, Option<Stat>);

/// At so many milliseconds: how much is handed out, and whether it is sure.
type Told = (u64, Extent, bool);

const WHOLE: Extent = Extent::Whole;

const GROWN: Extent = Extent::Grown;

/// What a watch does in the first 30 s: it looks when the kernel tells something, every 2 s, and every 250 ms as long as
/// something seems to change.
fn told(shape: Shape, steps: &[Step]) -> Vec<Told> {
    let start = Instant::now();
    let mut settling = Settling::new(Some(BASE.identity()));
    let mut told = Vec::new();
    let mut there = Some(BASE);
    let mut looked = 0;
    for milliseconds in (0..30_000).step_by(10) {
        let now = start + Duration::from_millis(milliseconds);
        let identity = |there: Option<Stat>| there.map(Stat::identity);
        for (_, sign, stat) in steps.iter().filter(|(at, ..)| *at == milliseconds) {
            there = *stat;
            if let Some(sign) = sign {
                settling.note(*sign, identity(there), now);
            }
        }
        let interval = if settling.due(shape).is_some() { 250 } else { 2_000 };
        if milliseconds >= looked + interval {
            looked = milliseconds;
            settling.note(Looked, identity(there), now);
        }
        if let Some(change) = settling.hand_out(shape, now) {
            assert_eq!(change.identity, identity(there));
            told.push((milliseconds, change.extent, change.is_sure));
        }
    }
    told
}

#[track_caller]
fn check(shapes: &[Shape], steps: &[Step], expected: &[Told]) {
    for &shape in shapes {
        assert_eq!(told(shape, steps), expected, "{shape:?}: {steps:?}");
    }
}

const ALL: &[Shape] = &[Shape::Lines, Shape::Document, Shape::Opaque];

#[test]
fn nothing_happens_and_nothing_is_told() {
    check(ALL, &[], &[]);
    check(
        ALL,
        &[(10, Some(Looked), Some(BASE)), (20, Some(Lost), Some(BASE))],
        &[],
    );
}

#[test]
fn a_rename_is_read_when_it_is_quiet() {
    check(ALL, &[(10, Some(Moved), Some(moved(2, 50, 0)))], &[(110, WHOLE, true)]);
    // Several in a row are one change, but not for ever.
    let row: Vec<Step> = (0..5)
        .map(|n| (n * 50, Some(Moved), Some(moved(n + 2, 50, 0))))
        .collect();
    check(ALL, &row, &[(300, WHOLE, true)]);
    let endless: Vec<Step> = (0..40)
        .map(|n| (n * 50, Some(Moved), Some(moved(n + 2, 50, 0))))
        .collect();
    check(ALL, &endless, &[(1_000, WHOLE, true), (2_050, WHOLE, true)]);
}

#[test]
fn what_its_writer_has_closed_is_read_when_it_is_quiet() {
    for after in [stat(1, 50, 1), stat(1, 150, 1), stat(1, 100, 1), BASE] {
        let steps = [(10, Some(Written), Some(after)), (20, Some(Closed), Some(after))];
        check(ALL, &steps, &[(120, WHOLE, true)]);
    }
    // Its times may be set after it was closed.
    let late = Stat {
        changed: 2,
        ..stat(1, 50, 1)
    };
    let steps = [
        (10, Some(Written), Some(stat(1, 50, 2))),
        (20, Some(Closed), Some(stat(1, 50, 2))),
        (50, Some(Looked), Some(late)),
    ];
    check(ALL, &steps, &[(150, WHOLE, true)]);
}

#[test]
fn a_truncated_file_waits_for_its_writer() {
    let third = stat(1, 33, 1);
    let written = [
        (10, Some(Written), Some(stat(1, 0, 1))),
        (20, Some(Written), Some(third)),
    ];
    // A pause is no end, however long its writer takes as long as it is less than 10 s.
    for pause in [600, 5_000, 9_900] {
        let mut steps = written.to_vec();
        steps.push((20 + pause, Some(Written), Some(stat(1, 200, 2))));
        steps.push((30 + pause, Some(Closed), Some(stat(1, 200, 2))));
        check(ALL, &steps, &[(130 + pause, WHOLE, true)]);
    }
    // Nobody knows of a writer that never closes it.
    check(ALL, &written, &[(10_020, WHOLE, true)]);
    // A rename is whole, whatever was before.
    let mut steps = written.to_vec();
    steps.push((900, Some(Moved), Some(moved(2, 10, 2))));
    check(ALL, &steps, &[(1_000, WHOLE, true)]);
    // It is longer than it was when it is seen first after it was shorter.
    let steps = [
        (10, Some(Written), Some(stat(1, 0, 1))),
        (20, Some(Written), Some(stat(1, 150, 1))),
    ];
    check(ALL, &steps, &[(10_020, WHOLE, true)]);
}

#[test]
fn what_is_written_over_in_place_waits_for_its_writer() {
    let over = [(10, Some(Written), Some(stat(1, 100, 1)))];
    check(ALL, &over, &[(10_010, WHOLE, true)]);
    // Not even its times tell: it was written within one tick of the clock.
    check(ALL, &[(10, Some(Written), Some(BASE))], &[(10_010, WHOLE, true)]);
    // Its time goes backwards.
    let steps = [
        (10, Some(Written), Some(stat(1, 100, -5))),
        (500, Some(Closed), Some(stat(1, 100, -5))),
    ];
    check(ALL, &steps, &[(600, WHOLE, true)]);
}

#[test]
fn lines_are_read_while_they_are_appended() {
    // A line each 20 ms, for 3 s: a log that is never closed and never quiet.
    let lines: Vec<Step> = (1..=150)
        .map(|n| (n * 20, Some(Written), Some(stat(1, 100 + n, n as i64))))
        .collect();
    check(
        &[Shape::Lines],
        &lines,
        &[
            (1_020, GROWN, true),
            (2_040, GROWN, true),
            (3_060, GROWN, true),
            // Its last line may be whole, and have no end.
            (13_000, WHOLE, false),
        ],
    );
    // A line now and then.
    let slow = [
        (10, Some(Written), Some(stat(1, 110, 1))),
        (900, Some(Written), Some(stat(1, 120, 2))),
    ];
    let expected = [(110, GROWN, true), (1_000, GROWN, true), (10_900, WHOLE, false)];
    check(&[Shape::Lines], &slow, &expected);
    // Of anything else the beginning tells nothing.
    check(&[Shape::Document, Shape::Opaque], &slow, &[(10_900, WHOLE, true)]);
    check(&[Shape::Document, Shape::Opaque], &lines, &[(13_000, WHOLE, true)]);
}

#[test]
fn what_did_not_begin_as_it_did_was_not_appended_to() {
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    let mut settling = Settling::new(Some(BASE.identity()));
    let grown = Some(stat(1, 150, 1).identity());
    settling.note(Written, grown, at(0));
    let change = settling.hand_out(Shape::Lines, at(100)).unwrap();
    assert_eq!(change.extent, GROWN);
    settling.was_rewritten(change.identity, at(120));
    assert_eq!(settling.due(Shape::Lines), Some(at(10_120)));
    // It goes on growing, and is not read until its writer is done.
    settling.note(Written, Some(stat(1, 180, 2).identity()), at(5_000));
    assert_eq!(settling.hand_out(Shape::Lines, at(14_900)), None);
    settling.note(Closed, Some(stat(1, 180, 2).identity()), at(14_950));
    let change = settling.hand_out(Shape::Lines, at(15_050)).unwrap();
    assert_eq!((change.extent, change.is_sure), (WHOLE, true));
    // What is said of an older change does not matter any more.
    settling.was_rewritten(grown, at(15_100));
    assert_eq!(settling.due(Shape::Lines), None);
}

#[test]
fn a_file_that_is_made_anew_waits_for_its_writer() {
    let steps = [
        (10, Some(Looked), None),
        (20, Some(Created), Some(stat(2, 0, 1))),
        (30, Some(Written), Some(stat(2, 60, 1))),
        (5_000, Some(Written), Some(stat(2, 200, 2))),
        (5_010, Some(Closed), Some(stat(2, 200, 2))),
    ];
    check(ALL, &steps, &[(5_110, WHOLE, true)]);
    check(ALL, &steps[..3], &[(10_030, WHOLE, true)]);
    // A link to what was there before is whole.
    let linked = Stat {
        links: 2,
        ..stat(2, 60, 1)
    };
    check(ALL, &[(20, Some(Created), Some(linked))], &[(120, WHOLE, true)]);
}

#[test]
fn a_file_that_is_gone_may_come_back() {
    check(ALL, &[(10, Some(Looked), None)], &[(1_010, WHOLE, true)]);
    let steps = [(10, Some(Looked), None), (500, Some(Moved), Some(moved(2, 60, 1)))];
    check(ALL, &steps, &[(600, WHOLE, true)]);
    check(
        ALL,
        &[(10, Some(Looked), None), (20, Some(Moved), Some(BASE))],
        &[(120, WHOLE, true)],
    );
}

#[test]
fn polling_alone_waits_for_the_same_size_and_time() {
    // Nothing is told; it is looked at after 2 s.
    let untold = |stat| [(10, None, Some(stat))];
    check(ALL, &untold(moved(2, 60, 1)), &[(2_100, WHOLE, true)]);
    check(
        &[Shape::Lines, Shape::Opaque],
        &untold(stat(2, 60, 1)),
        &[(3_000, WHOLE, true)],
    );
    let expected = [(2_100, GROWN, true), (12_000, WHOLE, false)];
    check(&[Shape::Lines], &untold(stat(1, 160, 1)), &expected);
    for after in [stat(1, 60, 1), stat(1, 100, 1)] {
        check(&[Shape::Lines, Shape::Opaque], &untold(after), &[(12_000, WHOLE, true)]);
    }
    check(&[Shape::Document], &untold(stat(1, 100, 1)), &[(12_000, WHOLE, true)]);
    // A document may be tried, for no part of one is well-formed; if it is not whole then, it is waited for.
    for after in [stat(2, 60, 1), stat(1, 60, 1), stat(1, 160, 1)] {
        let expected = [(3_000, WHOLE, false), (12_000, WHOLE, true)];
        check(&[Shape::Document], &untold(after), &expected);
    }
    // Each further change is tried, and waited for, anew.
    let steps = [(10, None, Some(stat(1, 60, 1))), (5_000, None, Some(stat(1, 80, 2)))];
    let expected = [(3_000, WHOLE, false), (6_000, WHOLE, false), (15_000, WHOLE, true)];
    check(&[Shape::Document], &steps, &expected);
    check(&[Shape::Lines, Shape::Opaque], &steps, &[(15_000, WHOLE, true)]);
}

#[test]
fn what_was_tried_and_was_whole_is_not_told_again() {
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    let after = Some(stat(1, 60, 1).identity());
    let mut settling = Settling::new(Some(BASE.identity()));
    settling.note(Looked, after, at(0));
    let change = settling.hand_out(Shape::Document, at(1_000)).unwrap();
    assert!(!change.is_sure);
    settling.was_whole(change.identity);
    assert_eq!(settling.due(Shape::Document), None);
    // What changed meanwhile was not in it.
    settling.note(Looked, Some(stat(1, 70, 2).identity()), at(2_000));
    let change = settling.hand_out(Shape::Document, at(3_000)).unwrap();
    settling.note(Looked, Some(stat(1, 80, 3).identity()), at(3_010));
    settling.was_whole(change.identity);
    assert!(settling.due(Shape::Document).is_some());
}

#[test]
fn what_grew_and_was_whole_is_not_told_again() {
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    let mut settling = Settling::new(Some(BASE.identity()));
    let grown = |length| Some(stat(1, length, 1).identity());
    for (time, length) in [(0, 110), (5_000, 120)] {
        settling.note(Written, grown(length), at(time));
        let change = settling.hand_out(Shape::Lines, at(time + 100)).unwrap();
        assert_eq!(change.extent, GROWN);
        // A word of what is in it comes late.
        settling.note(Written, grown(length), at(time + 110));
        assert_eq!(settling.due(Shape::Lines), Some(at(time + 10_110)));
        assert_eq!(settling.unsettled_since(), None);
        settling.was_whole(change.identity);
        assert_eq!(settling.due(Shape::Lines), None);
    }
    // Its writer has closed it: there is no more to come.
    settling.note(Written, grown(130), at(20_000));
    settling.hand_out(Shape::Lines, at(20_100)).unwrap();
    settling.note(Closed, grown(130), at(20_200));
    let change = settling.hand_out(Shape::Lines, at(20_300)).unwrap();
    assert_eq!((change.extent, change.is_sure), (WHOLE, true));
}

#[test]
fn whether_it_can_be_read_is_known_at_any_time() {
    let start = Instant::now();
    #[track_caller]
    fn check(start: Instant, shape: Shape, sign: Sign, after: Option<Stat>, expected: Standing) {
        let mut settling = Settling::new(Some(BASE.identity()));
        assert_eq!(settling.standing(shape), Standing::Whole);
        settling.note(sign, after.map(Stat::identity), start);
        assert_eq!(settling.standing(shape), expected, "{shape:?} {sign:?} {after:?}");
    }
    for shape in [Shape::Lines, Shape::Document, Shape::Opaque] {
        let check = |sign, after, expected| check(start, shape, sign, after, expected);
        check(Written, Some(stat(1, 50, 1)), Standing::Written);
        check(Written, Some(BASE), Standing::Written);
        check(Created, Some(stat(2, 0, 1)), Standing::Written);
        check(Looked, Some(stat(1, 50, 1)), Standing::Written);
        check(Closed, Some(stat(1, 50, 1)), Standing::Whole);
        check(Moved, Some(stat(2, 50, 1)), Standing::Whole);
        check(Looked, None, Standing::Whole);
        // Its rights were changed.
        check(Looked, Some(Stat { changed: 5, ..BASE }), Standing::Whole);
    }
    check(start, Shape::Lines, Written, Some(stat(1, 150, 1)), Standing::Growing);
    check(
        start,
        Shape::Document,
        Written,
        Some(stat(1, 150, 1)),
        Standing::Written,
    );
}

#[test]
fn lost_events_are_as_none() {
    let steps = [
        (10, Some(Written), Some(stat(1, 50, 1))),
        (20, Some(Lost), Some(stat(1, 60, 1))),
    ];
    check(
        &[Shape::Document],
        &steps,
        &[(1_020, WHOLE, false), (10_020, WHOLE, true)],
    );
    check(&[Shape::Lines], &steps, &[(10_020, WHOLE, true)]);
}
