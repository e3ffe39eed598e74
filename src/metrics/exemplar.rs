//! Exemplars: of each bucket of a histogram one trace whose request is in it.
//!
//! A bucket takes one exemplar between two scrapes, the first that it is offered. So a request with a trace costs one look
//! at a flag that nobody writes meanwhile, and one without a trace costs nothing.

use std::time::SystemTime;

use parking_lot::Mutex;

use super::sync::{AtomicBool, Ordering};

/// Which trace a request belongs to, as the field `traceparent` has it (W3C Trace Context, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 32],
    span_id: [u8; 16],
}

impl TraceContext {
    /// Of the value of `traceparent`. `None` if it is none, and if the trace is not recorded: its id would lead nowhere.
    pub fn parse(field: &[u8]) -> Option<Self> {
        let (head, rest) = field.split_first_chunk::<55>()?;
        let is_hexadecimal = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let (version, trace_id, span_id, flags) = (&head[..2], &head[3..35], &head[36..52], &head[53..55]);
        let is_right = [version, trace_id, span_id, flags].into_iter().all(is_hexadecimal)
            && [head[2], head[35], head[52]] == [b'-'; 3]
            && version != b"ff"
            // Only versions to come may go on after the flags.
            && (rest.is_empty() || (version != b"00" && rest[0] == b'-'))
            && [trace_id, span_id].into_iter().all(|id| id.iter().any(|byte| *byte != b'0'));
        let is_sampled = matches!(flags[1], b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f');
        (is_right && is_sampled).then(|| Self {
            trace_id: trace_id.try_into().expect("32 bytes"),
            span_id: span_id.try_into().expect("16 bytes"),
        })
    }

    /// The trace's id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        std::str::from_utf8(&self.trace_id).expect("it is hexadecimal")
    }

    /// The id of the caller's span: 16 hexadecimal digits.
    pub fn span_id(&self) -> &str {
        std::str::from_utf8(&self.span_id).expect("it is hexadecimal")
    }
}

/// One observation, and the trace that it is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exemplar {
    pub(super) trace: TraceContext,
    pub(super) ns: u64,
    pub(super) at: SystemTime,
}

/// The exemplar of one bucket.
pub(super) struct Slot {
    /// Whether it was taken after the last scrape.
    is_fresh: AtomicBool,
    exemplar: Mutex<Option<Exemplar>>,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            is_fresh: AtomicBool::new(false),
            exemplar: Mutex::new(None),
        }
    }

    /// Takes the observation, unless there is one since the last scrape. Waits for nobody.
    #[inline]
    pub(super) fn offer(&self, ns: u64, trace: impl FnOnce() -> Option<TraceContext>) {
        // Relaxed: a flag that is seen late costs an exemplar or makes one newer, and the lock orders the rest.
        if !self.is_fresh.load(Ordering::Relaxed)
            && let Some(trace) = trace()
        {
            self.take(ns, trace);
        }
    }

    #[cold]
    fn take(&self, ns: u64, trace: TraceContext) {
        if let Some(mut exemplar) = self.exemplar.try_lock() {
            *exemplar = Some(Exemplar {
                trace,
                ns,
                at: SystemTime::now(),
            });
            // Relaxed: as in `offer`.
            self.is_fresh.store(true, Ordering::Relaxed);
        }
    }

    /// The last one that was taken; from now on another is.
    pub(super) fn scrape(&self) -> Option<Exemplar> {
        let exemplar = self.exemplar.lock();
        // Relaxed: as in `offer`.
        self.is_fresh.store(false, Ordering::Relaxed);
        *exemplar
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_that_is_recorded_is_read() {
        let trace = TraceContext::parse(SAMPLED.as_bytes()).unwrap();
        assert_eq!(trace.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.span_id(), "b7ad6b7169203331");
        let of_the_future = format!("cc{}-what-will-come", &SAMPLED[2..]);
        assert_eq!(TraceContext::parse(of_the_future.as_bytes()), Some(trace));
    }

    #[test]
    fn what_is_none_or_is_not_recorded_is_passed_over() {
        for field in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        ] {
            assert_eq!(TraceContext::parse(field.as_bytes()), None, "{field}");
        }
    }

    proptest! {
        #[test]
        fn any_field_is_a_trace_or_nothing(field in "[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{15,17}-0[0-3].{0,4}|.*") {
            if let Some(trace) = TraceContext::parse(field.as_bytes()) {
                prop_assert_eq!(&field[3..35], trace.trace_id());
                prop_assert_eq!(&field[36..52], trace.span_id());
            }
        }
    }
}
