//! What has been read, to be read a second time.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::super::short::NoMemory;
use crate::ledger::Credit;

/// The bytes that a [`Keeping`] has passed. Reading takes them away, piece by piece.
#[derive(Debug)]
pub(super) struct Kept {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece has been read.
    at: usize,
    /// Of the pieces.
    credit: Credit,
}

/// The length of a piece, in bytes.
const PIECE: usize = 1 << 20;

impl Kept {
    pub(super) fn new(credit: Credit) -> Self {
        Self {
            pieces: VecDeque::new(),
            at: 0,
            credit,
        }
    }

    fn account(&self) {
        let last = self.pieces.back().map_or(0, Vec::capacity);
        self.credit.resize(self.pieces.len().saturating_sub(1) * PIECE + last);
    }

    fn keep(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.pieces.back().is_none_or(|last| last.len() == PIECE) {
                // Small sources are kept in a small piece, which grows.
                let capacity = if self.pieces.is_empty() { bytes.len() } else { PIECE };
                self.pieces.push_back(Vec::with_capacity(capacity.min(PIECE)));
            }
            let last = self.pieces.back_mut().expect("there is a piece");
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - last.len()));
            last.extend_from_slice(now);
            bytes = later;
        }
        self.account();
    }
}

impl Read for Kept {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(first) = self.pieces.front() else { return Ok(0) };
        let rest = &first[self.at..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        if self.at == first.len() {
            self.pieces.pop_front();
            self.at = 0;
            self.account();
        }
        Ok(length)
    }
}

/// A reader that keeps what it passes.
pub(super) struct Keeping<'a, R> {
    inner: R,
    kept: &'a mut Kept,
}

impl<'a, R> Keeping<'a, R> {
    pub(super) fn new(inner: R, kept: &'a mut Kept) -> Self {
        Self { inner, kept }
    }
}

impl<R: Read> Read for Keeping<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.kept.credit.ledger().is_under_pressure() {
            return Err(NoMemory::error(self.kept.credit.entry().bytes()));
        }
        let length = self.inner.read(buffer)?;
        self.kept.keep(&buffer[..length]);
        Ok(length)
    }
}
