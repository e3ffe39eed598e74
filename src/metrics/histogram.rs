//! Which bucket an observation belongs to, in bounded work, and what the buckets' bounds are.
//!
//! The buckets are Prometheus's native exponential ones of schema 3: eight to an octave, bucket `k` holds
//! `2^((k-1)/8) < v <= 2^(k/8)` seconds, from 2^-20 s (just below a microsecond; below it is the zero bucket) to 2^8.625 s,
//! which is over six minutes. All but three of the classic bounds lie inside such a bucket. There the bucket is kept as two
//! cells, so that sums of neighbouring cells give both forms exactly and one observation is still one addition.
//!
//! Every histogram has these cells, so that to record is the same for all of them; a family shows the classic bounds of its
//! own, which are a range of all of them ([`Buckets`]).
//!
//! Pure: everything here is a constant or a function of its arguments.

use super::cell::{BLOCK, Row};
use super::sync::Ordering;

/// Native histogram resolution: the bucket bounds grow by 2^(2^-SCHEMA).
pub(super) const SCHEMA: i32 = 3;

/// Observations up to this many seconds are in the zero bucket: 2^-20.
pub(super) const ZERO_THRESHOLD: f64 = 1.0 / (1 << 20) as f64;

/// How many classic bounds there are, of all families.
const CLASSIC_COUNT: usize = 26;

/// The classic bounds in nanoseconds.
const CLASSIC_NS: [u64; CLASSIC_COUNT] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    120_000_000_000,
    300_000_000_000,
];

/// The classic bounds in seconds.
const CLASSIC: [f64; CLASSIC_COUNT] = {
    let mut seconds = [0.0; CLASSIC_COUNT];
    let mut i = 0;
    while i < CLASSIC_COUNT {
        // Both are exact in binary, so this is the double nearest to the decimal number, as a parser would find it.
        seconds[i] = CLASSIC_NS[i] as f64 / 1e9;
        i += 1;
    }
    seconds
};

/// The classic bounds as the value of the label `le`, spelled as Go and OpenMetrics spell a float. One spelling in
/// every format, so that a change of format does not start new time series.
const CLASSIC_LE: [&str; CLASSIC_COUNT] = [
    "1e-06", "2.5e-06", "5e-06", "1e-05", "2.5e-05", "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025",
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0", "120.0",
    "300.0",
];

/// Which classic bounds a family of histograms shows. Native histograms have all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    from: usize,
    to: usize,
}

impl Buckets {
    /// From 1 µs to 10 s: of requests.
    pub const REQUESTS: Self = Self { from: 0, to: 22 };
    /// From 50 µs to 300 s: of loads.
    pub const LOADS: Self = Self {
        from: 5,
        to: CLASSIC_COUNT,
    };

    /// The values of the label `le`, in order, without `+Inf`.
    pub fn le(self) -> &'static [&'static str] {
        &CLASSIC_LE[self.from..self.to]
    }

    /// The bounds in seconds, in order.
    pub(super) fn seconds(self) -> &'static [f64] {
        &CLASSIC[self.from..self.to]
    }

    /// The last cell of each bucket, in order: the sum of the cells up to and with it is the bucket.
    pub(super) fn cells(self) -> &'static [usize] {
        &CLASSIC_CELL[self.from..self.to]
    }

    /// The place of the bucket of `ns` nanoseconds; that of `+Inf` is the number of the others.
    pub(super) fn place(self, ns: u64) -> usize {
        let cell = cell_of_ns(ns);
        self.cells().partition_point(|last| *last < cell)
    }
}

/// 2^(k/8) for k of 0 to 7, correctly rounded; the same doubles as in Prometheus's client libraries.
#[allow(clippy::excessive_precision, clippy::approx_constant)]
const EIGHTHS: [f64; 8] = [
    1.0,
    1.0905077326652577,
    1.189207115002721,
    1.2968395546510096,
    1.4142135623730951,
    1.5422108254079407,
    1.681792830507429,
    1.8340080864093424,
];

/// Native key of the bucket whose upper bound is 2^-20: the zero bucket of ours.
const ZERO_KEY: i32 = -160;
/// Native key of the bucket whose upper bound is 2^8.625.
const LAST_KEY: i32 = 69;

/// Cells that count: zero, 229 native buckets, 23 of them in two, and what is beyond the last one.
pub(super) const BUCKETS: usize = 254;
/// The cell of the sum in nanoseconds; it and the one after it are a wide sum.
pub(super) const SUM: usize = BUCKETS;
#[cfg(not(loom))]
const _: () = assert!(SUM + 2 == BLOCK);

/// The most nanoseconds that one observation adds to the sum: 292 years.
const MAX_NS: u64 = i64::MAX as u64;

/// What is known of each counting cell.
struct Bounds {
    /// Inclusive upper bound in seconds.
    seconds: [f64; BUCKETS],
    /// Greatest whole number of nanoseconds within the bound.
    ns: [u64; BUCKETS],
    /// Native key of the bucket that the cell is (part of).
    key: [i32; BUCKETS],
}

const BOUNDS: Bounds = bounds();

const fn bounds() -> Bounds {
    let mut b = Bounds {
        seconds: [f64::INFINITY; BUCKETS],
        ns: [u64::MAX; BUCKETS],
        key: [LAST_KEY + 1; BUCKETS],
    };
    let (mut cell, mut classic, mut key) = (0, 0, ZERO_KEY);
    while key <= LAST_KEY {
        let bound = EIGHTHS[key.rem_euclid(8) as usize] * power_of_two(key.div_euclid(8));
        if classic < CLASSIC.len() && CLASSIC[classic] < bound {
            (b.seconds[cell], b.ns[cell], b.key[cell]) = (CLASSIC[classic], CLASSIC_NS[classic], key);
            cell += 1;
            classic += 1;
            assert!(
                classic == CLASSIC.len() || CLASSIC[classic] > bound,
                "one split in a bucket at most"
            );
        }
        if classic < CLASSIC.len() && CLASSIC[classic] == bound {
            classic += 1;
        }
        (b.seconds[cell], b.ns[cell], b.key[cell]) = (bound, whole_ns(bound), key);
        cell += 1;
        key += 1;
    }
    assert!(cell == BUCKETS - 1 && classic == CLASSIC.len());
    b
}

const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// `seconds * 1e9` rounded down, exactly, for 2^-20 to 2^9 seconds.
const fn whole_ns(seconds: f64) -> u64 {
    let bits = seconds.to_bits();
    let mantissa = (bits & ((1 << 52) - 1)) | 1 << 52;
    let exponent = 1075 - (bits >> 52) as u32;
    ((mantissa as u128 * 1_000_000_000) >> exponent) as u64
}

/// Where in the row of cells a classic bound ends: the sum of the cells up to and with this one is its bucket.
static CLASSIC_CELL: [usize; CLASSIC_COUNT] = {
    let mut cells = [0; CLASSIC_COUNT];
    let (mut cell, mut classic) = (0, 0);
    while cell < BUCKETS {
        if classic < CLASSIC_COUNT && BOUNDS.seconds[cell] == CLASSIC[classic] {
            cells[classic] = cell;
            classic += 1;
        }
        cell += 1;
    }
    assert!(classic == CLASSIC_COUNT);
    cells
};

// Both searches are the same: the number's leading bits (its octave and the next four bits) name a slot, a table
// gives the first cell that can hold a number of that slot, and two comparisons find the right one from there. A
// slot is a sixteenth of an octave, so no more than two bounds are in it, which the making of the tables asserts.

const OCTAVE_SLOTS: usize = 16;
/// The slot of 2^-20, among all slots of positive doubles.
const FIRST_SLOT: usize = (1023 - 20) * OCTAVE_SLOTS;
const SLOTS: usize = 30 * OCTAVE_SLOTS + 1;
/// The lower bound in nanoseconds of the slots for whole nanoseconds, and its slot among all of `u64`.
const FIRST_NS: u64 = 1 << 9;
const FIRST_SLOT_NS: usize = 9 * OCTAVE_SLOTS;
const SLOTS_NS: usize = 31 * OCTAVE_SLOTS + 1;

static FIRST_CELL: [u8; SLOTS] = {
    let mut first = [0; SLOTS];
    let (mut slot, mut cell) = (0, 0);
    while slot < SLOTS {
        let low = f64::from_bits(((slot + FIRST_SLOT) as u64) << 48);
        let high = f64::from_bits(((slot + FIRST_SLOT + 1) as u64) << 48);
        while BOUNDS.seconds[cell] < low {
            cell += 1;
        }
        assert!(
            cell + 2 >= BUCKETS || BOUNDS.seconds[cell + 2] >= high,
            "two comparisons are enough"
        );
        first[slot] = cell as u8;
        slot += 1;
    }
    first
};

static FIRST_CELL_NS: [u8; SLOTS_NS] = {
    let mut first = [0; SLOTS_NS];
    let (mut slot, mut cell) = (0, 0);
    while slot < SLOTS_NS {
        let octave = 9 + slot / OCTAVE_SLOTS;
        let low = ((OCTAVE_SLOTS + slot % OCTAVE_SLOTS) as u64) << (octave - 4);
        let high = low + (1 << (octave - 4)) - 1;
        while BOUNDS.ns[cell] < low {
            cell += 1;
        }
        assert!(
            cell + 2 >= BUCKETS || BOUNDS.ns[cell + 2] >= high,
            "two comparisons are enough"
        );
        first[slot] = cell as u8;
        slot += 1;
    }
    first
};

/// Two more than there are cells, so that a comparison with the bound of the cell after the last needs no check.
static UPPER: [f64; BUCKETS + 2] = {
    let mut upper = [f64::INFINITY; BUCKETS + 2];
    let mut cell = 0;
    while cell < BUCKETS {
        upper[cell] = BOUNDS.seconds[cell];
        cell += 1;
    }
    upper
};

static UPPER_NS: [u64; BUCKETS + 2] = {
    let mut upper = [u64::MAX; BUCKETS + 2];
    let mut cell = 0;
    while cell < BUCKETS {
        upper[cell] = BOUNDS.ns[cell];
        cell += 1;
    }
    upper
};

/// Native key of the bucket that a cell is part of.
pub(super) static KEY: [i32; BUCKETS] = BOUNDS.key;

/// The cell of an observation of `seconds`, which is not NaN. What is negative counts as zero.
#[inline]
fn cell_of_seconds(seconds: f64) -> usize {
    // Not `max`, for which -0 may be as good as 0: its sign is the highest of the leading bits.
    let seconds = if seconds > 0.0 { seconds } else { 0.0 };
    let slot = ((seconds.to_bits() >> 48) as usize)
        .saturating_sub(FIRST_SLOT)
        .min(SLOTS - 1);
    let cell = FIRST_CELL[slot] as usize;
    cell + usize::from(seconds > UPPER[cell]) + usize::from(seconds > UPPER[cell + 1])
}

/// The cell of an observation of `ns` nanoseconds.
#[inline]
fn cell_of_ns(ns: u64) -> usize {
    let floor = ns.max(FIRST_NS);
    let octave = floor.ilog2() as usize;
    let sixteenth = (floor >> (octave - 4)) as usize & (OCTAVE_SLOTS - 1);
    let slot = (octave * OCTAVE_SLOTS + sixteenth - FIRST_SLOT_NS).min(SLOTS_NS - 1);
    let cell = FIRST_CELL_NS[slot] as usize;
    cell + usize::from(ns > UPPER_NS[cell]) + usize::from(ns > UPPER_NS[cell + 1])
}

/// Records `count` observations of `ns` nanoseconds.
#[inline]
pub(super) fn record_ns(row: &Row<'_, BLOCK>, ns: u64, count: u64) {
    row.add(cell_of_ns(ns), count, Ordering::Relaxed);
    row.add_wide(SUM, ns.saturating_mul(count).min(MAX_NS));
}

/// Records `count` observations of `seconds`, which is not NaN.
#[inline]
pub(super) fn record_seconds(row: &Row<'_, BLOCK>, seconds: f64, count: u64) {
    row.add(cell_of_seconds(seconds), count, Ordering::Relaxed);
    // The cast saturates, and makes what is negative 0.
    let ns = (seconds * 1e9 + 0.5) as i64;
    let ns = ns.max(0) as u64;
    row.add_wide(SUM, ns.saturating_mul(count).min(MAX_NS));
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: the first cell whose bound is not less.
    fn search_seconds(seconds: f64) -> usize {
        BOUNDS
            .seconds
            .iter()
            .position(|bound| seconds <= *bound)
            .expect("the last bound is infinite")
    }

    fn search_ns(ns: u64) -> usize {
        BOUNDS
            .ns
            .iter()
            .position(|bound| ns <= *bound)
            .expect("the last bound is the greatest number")
    }

    #[test]
    fn bounds_are_those_of_the_native_schema_and_the_classic_ones() {
        assert!(BOUNDS.seconds.is_sorted_by(|a, b| a < b) && BOUNDS.ns.is_sorted_by(|a, b| a < b));
        assert_eq!(
            (BOUNDS.seconds[0], BOUNDS.seconds[BUCKETS - 2]),
            (ZERO_THRESHOLD, 2f64.powi(8) * EIGHTHS[5])
        );
        for (cell, (seconds, key)) in BOUNDS.seconds.into_iter().zip(BOUNDS.key).enumerate().take(BUCKETS - 1) {
            let (low, high) = (2f64.powf(f64::from(key - 1) / 8.0), 2f64.powf(f64::from(key) / 8.0));
            let slack = 1.0 + 4.0 * f64::EPSILON;
            assert!(low < seconds && seconds <= high * slack, "cell {cell} of bucket {key}");
        }
        let split = BOUNDS.key.windows(2).filter(|keys| keys[0] == keys[1]).count();
        assert_eq!(split, 23);
        for (le, seconds) in CLASSIC_LE.into_iter().zip(CLASSIC) {
            assert_eq!(le.parse::<f64>().unwrap().to_bits(), seconds.to_bits());
        }
    }

    #[test]
    fn the_index_is_that_of_a_search_one_ulp_around_each_bound() {
        for bound in BOUNDS.seconds.into_iter().take(BUCKETS - 1) {
            for seconds in [bound.next_down(), bound, bound.next_up()] {
                assert_eq!(cell_of_seconds(seconds), search_seconds(seconds), "{seconds:e}");
            }
        }
        for bound in BOUNDS.ns {
            for ns in [bound - 1, bound, bound.saturating_add(1)] {
                assert_eq!(cell_of_ns(ns), search_ns(ns), "{ns}");
            }
        }
        let first = [0.0, -0.0, -1.0, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324];
        assert!(first.into_iter().all(|seconds| cell_of_seconds(seconds) == 0));
        assert!(
            [400.0, 1025.0, f64::MAX, f64::INFINITY]
                .into_iter()
                .all(|seconds| cell_of_seconds(seconds) == BUCKETS - 1)
        );
        assert_eq!((cell_of_ns(0), cell_of_ns(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn whole_nanoseconds_fall_where_their_seconds_fall() {
        for ns in BOUNDS
            .ns
            .into_iter()
            .take(BUCKETS - 1)
            .flat_map(|bound| [bound - 1, bound, bound + 1])
        {
            assert_eq!(cell_of_ns(ns), cell_of_seconds(ns as f64 / 1e9), "{ns}");
        }
    }

    #[test]
    fn each_family_has_the_bounds_of_old_and_its_own() {
        const OLD: [&str; 15] = [
            "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
            "0.5", "1.0", "2.5",
        ];
        for (buckets, first, last) in [(Buckets::REQUESTS, "1e-06", "10.0"), (Buckets::LOADS, "5e-05", "300.0")] {
            let le = buckets.le();
            assert!(OLD.iter().all(|bound| le.contains(bound)), "{le:?}");
            assert_eq!((le.first(), le.last()), (Some(&first), Some(&last)));
            for (place, seconds) in buckets.seconds().iter().enumerate() {
                let ns = (seconds * 1e9).round() as u64;
                assert_eq!(
                    (buckets.place(ns), buckets.place(ns + 1)),
                    (place, place + 1),
                    "{seconds}"
                );
            }
            assert_eq!((buckets.place(0), buckets.place(u64::MAX)), (0, le.len()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_index_is_that_of_a_search(bits: u64, ns: u64, shift in 0u32..64) {
            let seconds = f64::from_bits(bits);
            if !seconds.is_nan() {
                prop_assert_eq!(cell_of_seconds(seconds), search_seconds(seconds));
            }
            // Most of all floats are far out of range; these are around it.
            let near = 2f64.powf(f64::from(bits as u32) / f64::from(u32::MAX) * 34.0 - 22.0);
            prop_assert_eq!(cell_of_seconds(near), search_seconds(near));
            prop_assert_eq!(cell_of_ns(ns >> shift), search_ns(ns >> shift));
        }
    }
}
