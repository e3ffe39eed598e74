//! Requests that are repeated: one that comes again byte for byte, while the same snapshot is served, has the same answer. Pure.
//!
//! Clients that poll, probes and load balancers repeat themselves. What their head says, which route that is, which
//! representation is chosen and whether they have it already is found out once; the second time it is remembered, and from the
//! third on it is one comparison and one copy.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::record::Answered;
use crate::snapshot::Snapshot;

/// Requests that are remembered. A power of two.
const REQUESTS_MAX: usize = 64;

/// The longest head that is remembered, in bytes.
const HEAD_LENGTH_MAX: usize = 1 << 10;

/// What one loop remembers.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// The snapshot that the answers are of: so that nothing else is taken for it, and without keeping its data.
    of: Weak<Snapshot>,
    requests: Vec<Slot>,
    /// The one that was found last: the next one is mostly the same.
    last: usize,
}

#[derive(Debug, Default)]
struct Slot {
    /// Of the request that came last for this place.
    mark: u64,
    known: Option<Known>,
}

/// A request, and what it is answered with.
#[derive(Debug)]
pub(super) struct Known {
    request: Box<[u8]>,
    /// Head and body as they are sent.
    pub(super) wire: Bytes,
    /// Where the date is put in.
    pub(super) date_at: usize,
    /// What is recorded.
    pub(super) answered: Answered,
}

impl Known {
    /// The request's length in bytes.
    pub(super) fn length(&self) -> usize {
        self.request.len()
    }
}

impl Repeats {
    /// Forgets what is not of this snapshot.
    #[inline]
    pub(super) fn follow(&mut self, snapshot: &Arc<Snapshot>) {
        if !std::ptr::eq(self.of.as_ptr(), Arc::as_ptr(snapshot)) {
            self.requests.clear();
            self.of = Arc::downgrade(snapshot);
        }
    }

    /// The request that `input` begins with, if it is remembered.
    #[inline]
    pub(super) fn find(&mut self, input: &[u8]) -> Option<&Known> {
        let is_next = |slot: &Slot| {
            let known = slot.known.as_ref();
            known.is_some_and(|known| input.starts_with(&known.request))
        };
        if !self.requests.get(self.last).is_some_and(is_next) {
            let (place, _) = place(input)?;
            self.requests.get(place).filter(|slot| is_next(slot))?;
            self.last = place;
        }
        self.requests[self.last].known.as_ref()
    }

    /// Whether a request that was not found has come before, so that it is worth remembering.
    #[inline]
    pub(super) fn has_come(&mut self, request: &[u8]) -> bool {
        let Some((place, mark)) = place(request).filter(|_| request.len() <= HEAD_LENGTH_MAX) else {
            return false;
        };
        if self.requests.is_empty() {
            self.requests.resize_with(REQUESTS_MAX, Slot::default);
        }
        let slot = &mut self.requests[place];
        std::mem::replace(&mut slot.mark, mark) == mark
    }

    /// Remembers what a request is answered with, in place of another.
    pub(super) fn learn(&mut self, request: &[u8], wire: Bytes, date_at: usize, answered: Answered) {
        let Some((place, _)) = place(request) else { return };
        if let Some(slot) = self.requests.get_mut(place) {
            slot.known = Some(Known {
                request: request.into(),
                wire,
                date_at,
                answered,
            });
            self.last = place;
        }
    }
}

/// Where a request is looked for, by its length and some of its bytes, and what tells it from most others there. `None` if it
/// is no whole head.
#[inline]
fn place(request: &[u8]) -> Option<(usize, u64)> {
    let fields_end = request.strip_suffix(b"\r\n\r\n")?.last_chunk::<8>()?;
    // Most of them differ in what follows `GET /items`.
    let target = request.get(8..24)?;
    let (first, second) = (target.first_chunk::<8>()?, target.last_chunk::<8>()?);
    let mixed = u64::from_le_bytes(*fields_end)
        ^ u64::from_le_bytes(*first).rotate_left(23)
        ^ u64::from_le_bytes(*second).rotate_left(41)
        ^ request.len() as u64;
    // Fibonacci hashing: the high bits of the product depend on all of the word.
    let hash = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Some(((hash >> (64 - REQUESTS_MAX.trailing_zeros())) as usize, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::Coding;
    use crate::http::answer::route::Name;
    use crate::http::message::request::Method;
    use crate::snapshot::Settings;

    fn answered(length: usize) -> Answered {
        Answered {
            method: Method::Get,
            route: Name::Collection,
            status: 200,
            coding: Coding::Identity,
            length,
        }
    }

    #[test]
    fn a_request_is_remembered_when_it_has_come_twice_and_as_long_as_its_snapshot_is_served() {
        let [first, second] = [(); 2].map(|()| Arc::new(Snapshot::pending(&Settings::default())));
        let request = |number: usize| format!("GET /items/{number} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        let mut repeats = Repeats::default();
        repeats.follow(&first);
        for number in 0..1000 {
            let request = request(number);
            assert!(repeats.find(&request).is_none());
            assert!(!repeats.has_come(&request));
            assert!(repeats.has_come(&request));
            repeats.learn(&request, Bytes::from(number.to_string()), 0, answered(number));
            let twice = request.repeat(2);
            let known = repeats.find(&twice).expect("it is remembered");
            assert_eq!((known.length(), known.answered.length), (request.len(), number));
            assert!(repeats.find(&request[..request.len() - 1]).is_none());
            assert!(repeats.requests.len() <= REQUESTS_MAX);
        }
        repeats.follow(&first);
        assert!(repeats.find(&request(999)).is_some());
        repeats.follow(&second);
        assert!(repeats.find(&request(999)).is_none());
    }
}
