//! What is on its way to a socket: gathered bytes, and between them bodies that stay where they are.

use std::io::IoSlice;

use bytes::Bytes;

use crate::body::{Body, SEALED_LENGTH_MIN};
use crate::http::answer::reply::Reply;
use crate::http::serve::worker::DateLine;

/// From this length on, in bytes, a body is sent from the snapshot's memory, where it stands; below it is copied behind
/// its head, so that one piece is written.
pub(super) const BODY_SHARED_MIN: usize = 16 << 10;

/// Slices that one vectored write takes at the most.
const SLICES_MAX: usize = 64;

/// Answers that have not been sent yet.
#[derive(Debug, Default)]
pub struct Output {
    /// Heads and small bodies.
    gathered: Vec<u8>,
    /// Large bodies, each with the place in `gathered` that it comes before. Each keeps its snapshot's memory alive.
    bodies: Vec<(usize, Body)>,
    /// How much of `gathered` has been sent.
    gathered_sent: usize,
    /// How many of `bodies` have been sent.
    bodies_sent: usize,
}

/// What an answer says of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// Whether the request was HTTP/1.1, and not HTTP/1.0.
    pub is_http_11: bool,
    /// Whether the connection is closed after the answer.
    pub closes: bool,
}

impl Persistence {
    /// Of nearly every request: HTTP/1.1, and kept.
    pub(super) const ORDINARY: Self = Self {
        is_http_11: true,
        closes: false,
    };
}

impl Output {
    /// Adds an answer.
    #[inline]
    pub fn push(&mut self, reply: &Reply<'_>, date: &DateLine, persistence: Persistence) {
        match reply.wire() {
            Some((head, has_body)) if persistence == Persistence::ORDINARY => {
                let start = self.gathered.len();
                let length = if has_body {
                    head.wire().len()
                } else {
                    head.wire_head_length()
                };
                self.gathered.extend_from_slice(&head.wire()[..length]);
                let date_start = start + head.block().len();
                self.gathered[date_start..date_start + date.len()].copy_from_slice(date);
                if !has_body {
                    self.push_body(reply);
                }
            }
            _ => {
                self.write_head(reply, date, persistence);
                self.push_body(reply);
            }
        }
    }

    /// Adds an answer as it is kept, with this date at its place.
    #[inline]
    pub(super) fn push_wire(&mut self, wire: &[u8], date_at: usize, date: &DateLine) {
        let start = self.gathered.len() + date_at;
        self.gathered.extend_from_slice(wire);
        self.gathered[start..start + date.len()].copy_from_slice(date);
    }

    fn write_head(&mut self, reply: &Reply<'_>, date: &DateLine, persistence: Persistence) {
        let start = self.gathered.len();
        reply.write_head(&mut self.gathered);
        match persistence {
            Persistence {
                is_http_11: true,
                closes: false,
            } => {}
            Persistence {
                is_http_11: true,
                closes: true,
            } => self.gathered.extend_from_slice(b"connection: close\r\n"),
            Persistence {
                is_http_11: false,
                closes,
            } => {
                // Every head is written as that of HTTP/1.1, and begins with the version.
                self.gathered[start + b"HTTP/1.".len()] = b'0';
                // Of itself a connection of HTTP/1.0 is closed.
                if !closes {
                    self.gathered.extend_from_slice(b"connection: keep-alive\r\n");
                }
            }
        }
        self.gathered.extend_from_slice(date);
        self.gathered.extend_from_slice(b"\r\n");
    }

    fn push_body(&mut self, reply: &Reply<'_>) {
        let body = reply.body();
        if body.len() < BODY_SHARED_MIN {
            self.gathered.extend_from_slice(body);
        } else {
            let shared = reply.selected_shared();
            let is_worth_a_call = body.len() >= SEALED_LENGTH_MIN;
            let shared = if is_worth_a_call {
                shared
            } else {
                shared.into_bytes().into()
            };
            self.bodies.push((self.gathered.len(), shared));
        }
    }

    /// Adds a piece of a body whose head has been added before.
    pub fn push_piece(&mut self, piece: Bytes) {
        self.bodies.push((self.gathered.len(), piece.into()));
    }

    /// Whether everything has been sent.
    pub fn is_empty(&self) -> bool {
        self.gathered_sent == self.gathered.len() && self.bodies_sent == self.bodies.len()
    }

    /// Bytes that are gathered here and have not been sent; bodies that stay where they are do not count.
    pub fn gathered_length(&self) -> usize {
        self.gathered.len() - self.gathered_sent
    }

    /// The memory that is its own, in bytes: bodies that stay where they are do not count.
    pub fn memory(&self) -> usize {
        self.gathered.capacity() + self.bodies.capacity() * size_of::<(usize, Body)>()
    }

    /// What is gathered and not sent: all that comes when no body does.
    pub fn rest(&self) -> &[u8] {
        &self.gathered[self.gathered_sent..]
    }

    /// What comes next, if a body does: what is gathered before it, and what is left of the body.
    pub fn next_body(&self) -> Option<(&[u8], &Body)> {
        let (before, body) = self.bodies.get(self.bodies_sent)?;
        Some((&self.gathered[self.gathered_sent..*before], body))
    }

    /// The next pieces, of `length_max` bytes together and as many as one vectored write takes.
    pub fn slices(&self, length_max: usize) -> impl AsRef<[IoSlice<'_>]> {
        let mut slices = Slices {
            all: [IoSlice::new(b""); SLICES_MAX],
            count: 0,
            room: length_max,
        };
        let mut at = self.gathered_sent;
        for (before, body) in &self.bodies[self.bodies_sent..] {
            slices.push(&self.gathered[at..*before]);
            slices.push(body);
            at = *before;
        }
        slices.push(&self.gathered[at..]);
        slices
    }

    /// Takes note that the first `length` bytes of the pieces have been sent.
    pub fn advance(&mut self, length: usize) {
        let mut rest = length;
        while let Some((before, body)) = self.bodies.get_mut(self.bodies_sent) {
            let gathered = rest.min(*before - self.gathered_sent);
            self.gathered_sent += gathered;
            rest -= gathered;
            if rest < body.len() {
                // Also where nothing of the body was sent: it stays as it is.
                body.advance(rest);
                return self.clear_if_empty();
            }
            rest -= body.len();
            *body = Body::default();
            self.bodies_sent += 1;
        }
        self.gathered_sent += rest;
        self.clear_if_empty();
    }

    fn clear_if_empty(&mut self) {
        if self.is_empty() {
            self.gathered.clear();
            self.bodies.clear();
            self.gathered_sent = 0;
            self.bodies_sent = 0;
        }
    }
}

struct Slices<'a> {
    all: [IoSlice<'a>; SLICES_MAX],
    count: usize,
    /// Bytes that may still be added.
    room: usize,
}

impl<'a> Slices<'a> {
    /// Adds of a piece what there is room for, if it is one.
    fn push(&mut self, piece: &'a [u8]) {
        let piece = &piece[..piece.len().min(self.room)];
        self.room -= piece.len();
        if !piece.is_empty() && self.count < SLICES_MAX {
            self.all[self.count] = IoSlice::new(piece);
            self.count += 1;
        }
    }
}

impl<'a> AsRef<[IoSlice<'a>]> for Slices<'a> {
    fn as_ref(&self) -> &[IoSlice<'a>] {
        &self.all[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends it in steps of `step` bytes and returns all that was sent.
    fn send(output: &mut Output, step: usize) -> Vec<u8> {
        let mut sent = Vec::new();
        while !output.is_empty() {
            let pieces: Vec<u8> = output
                .slices(step)
                .as_ref()
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            assert!(pieces.len() <= step);
            sent.extend_from_slice(&pieces);
            output.advance(pieces.len());
        }
        sent
    }

    #[test]
    fn pieces_are_sent_in_order_whatever_is_taken_at_once() {
        for step in [1, 2, 3, 5, 7, 1000] {
            let body = |text: &'static str| Body::from(text.as_bytes());
            let mut output = Output {
                gathered: b"head1head2small-head3".to_vec(),
                bodies: vec![(5, body("LARGE-ONE")), (21, body("LARGE-TWO")), (21, body("!"))],
                ..Output::default()
            };
            assert_eq!(send(&mut output, step), b"head1LARGE-ONEhead2small-head3LARGE-TWO!");
            assert!(output.gathered.is_empty() && output.bodies.is_empty());
        }
    }

    #[test]
    fn more_pieces_than_one_write_takes_are_sent_in_several() {
        let mut output = Output::default();
        let mut expected = Vec::new();
        for number in 0..5 * SLICES_MAX {
            output.gathered.push(number as u8);
            output
                .bodies
                .push((output.gathered.len(), Body::from(vec![number as u8; 3])));
            expected.extend_from_slice(&[number as u8; 4]);
        }
        assert_eq!(send(&mut output, 10), expected);
    }
}
