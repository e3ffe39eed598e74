//! Who takes its answers too slowly: bytes that wait to be sent hold memory, of a snapshot too, for as long as they wait. Pure.
//!
//! A client must take `rate` bytes a second, over any 30 s in which bytes wait for it; time in which none do does not count.
//! The clock is the caller's, in whole seconds, and so is the count of what was taken: it is asked for when a span of the 30 s
//! is over, not when something is sent.

/// How long it may take to take what the rate asks for, in seconds.
pub const WINDOW_SECONDS: u32 = 30;

/// The window slides in steps of this.
const SPAN_SECONDS: u32 = WINDOW_SECONDS / SPANS as u32;
const SPANS: usize = 3;

/// How fast one connection takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendRate {
    /// Bytes that a window asks for; at least one, so that nobody waits who takes nothing.
    asked: u64,
    /// What was taken in the last whole spans.
    taken: [u64; SPANS],
    /// How many whole spans there have been, up to all.
    spans: usize,
    /// What was taken in the span that goes on.
    taken_now: u64,
    /// What is left of that span while nothing waits, in seconds; while something does, the second at which it ends.
    rest: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Paused { left_seconds: u32 },
    Ends { at_seconds: u32 },
}

/// What is to be done about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Look again in this second.
    Wait(u32),
    /// It is too slow.
    TooSlow,
}

impl SendRate {
    /// Asks for `bytes_per_second`; with 0 it is enough to take a byte now and then.
    pub fn new(bytes_per_second: u32) -> Self {
        Self {
            asked: (u64::from(bytes_per_second) * u64::from(WINDOW_SECONDS)).max(1),
            taken: [0; SPANS],
            spans: 0,
            taken_now: 0,
            rest: Span::Paused {
                left_seconds: SPAN_SECONDS,
            },
        }
    }

    /// Bytes wait, and `taken` more of them have been taken since this was asked last.
    pub fn wait(&mut self, now_seconds: u32, taken: u64) -> Verdict {
        self.taken_now += taken;
        let mut end = match self.rest {
            // A second more: the present one has already begun.
            Span::Paused { left_seconds } => now_seconds + left_seconds + 1,
            Span::Ends { at_seconds } => at_seconds,
        };
        if end <= now_seconds {
            self.taken.rotate_left(1);
            self.taken[SPANS - 1] = std::mem::take(&mut self.taken_now);
            self.spans = (self.spans + 1).min(SPANS);
            if self.spans == SPANS && self.taken.iter().sum::<u64>() < self.asked {
                return Verdict::TooSlow;
            }
            // Who comes late is not asked for what it could not have been asked for.
            end = now_seconds + SPAN_SECONDS;
        }
        self.rest = Span::Ends { at_seconds: end };
        Verdict::Wait(end)
    }

    /// Whether it is time to ask for what was taken.
    pub fn is_due(&self, now_seconds: u32) -> bool {
        matches!(self.rest, Span::Ends { at_seconds } if at_seconds <= now_seconds)
    }

    /// Nothing waits for now; `taken` more bytes have been taken since this was asked last.
    pub fn pause(&mut self, now_seconds: u32, taken: u64) {
        self.taken_now += taken;
        if let Span::Ends { at_seconds } = self.rest {
            self.rest = Span::Paused {
                left_seconds: at_seconds.saturating_sub(now_seconds),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second at which a client is too slow that takes `taken(second)` bytes in each, if it is within ten minutes.
    fn ends(rate: u32, taken: impl Fn(u32) -> u64) -> Option<u32> {
        let mut sending = SendRate::new(rate);
        let mut due = match sending.wait(0, 0) {
            Verdict::Wait(due) => due,
            Verdict::TooSlow => return Some(0),
        };
        let mut since = 0;
        for now in 1..600 {
            since += taken(now);
            assert_eq!(sending.is_due(now), now >= due);
            if now >= due {
                match sending.wait(now, std::mem::take(&mut since)) {
                    Verdict::Wait(next) => due = next,
                    Verdict::TooSlow => return Some(now),
                }
            }
        }
        None
    }

    #[test]
    fn who_takes_less_than_the_rate_is_told_within_the_window() {
        type Taken = fn(u32) -> u64;
        let table: [(&str, u32, Taken, Option<u32>); 9] = [
            ("nothing", 1024, |_| 0, Some(31)),
            ("a byte a second", 1024, |_| 1, Some(31)),
            ("just too little", 1024, |_| 990, Some(31)),
            ("just enough", 1024, |_| 1024, None),
            (
                "enough in lumps",
                1024,
                |now| if now % 25 == 0 { 64 << 10 } else { 0 },
                None,
            ),
            (
                "enough at first",
                1024,
                |now| if now < 5 { 1 << 20 } else { 0 },
                Some(41),
            ),
            (
                "enough until later",
                1024,
                |now| if now < 300 { 1 << 20 } else { 0 },
                Some(331),
            ),
            ("nothing, without a rate", 0, |_| 0, Some(31)),
            (
                "a byte now and then, without a rate",
                0,
                |now| u64::from(now % 20 == 0),
                None,
            ),
        ];
        for (what, rate, taken, expected) in table {
            assert_eq!(ends(rate, taken), expected, "{what}");
        }
    }

    #[test]
    fn only_time_in_which_bytes_wait_counts() {
        let mut sending = SendRate::new(1024);
        assert_eq!(sending.wait(0, 0), Verdict::Wait(11));
        sending.pause(8, 100);
        assert!(!sending.is_due(3600), "nothing waits");
        assert_eq!(sending.wait(3600, 0), Verdict::Wait(3604));
        assert_eq!(sending.wait(3604, 0), Verdict::Wait(3614));
        assert_eq!(sending.wait(3614, 0), Verdict::Wait(3624));
        assert_eq!(sending.wait(3624, 0), Verdict::TooSlow);
        let mut sending = SendRate::new(1024);
        for hour in 0..100 {
            sending.wait(hour * 3600, 0);
            sending.pause(hour * 3600 + 10, 20 << 10);
        }
        assert!(
            matches!(sending.wait(360_000, 0), Verdict::Wait(_)),
            "always fast enough"
        );
    }
}
