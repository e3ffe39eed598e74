//! A reply's header block as the `h2` crate takes it.

use bytes::Bytes;
use http::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::http::answer::reply::Reply;
use crate::http::serve::worker::DateLine;

/// Blocks whose fields are remembered.
const BLOCKS_MAX: usize = 8;

/// The longest block that is remembered, in bytes.
const BLOCK_LENGTH_MAX: usize = 1 << 10;

/// Makes the heads of a connection's answers. The same block comes again and again: its fields are taken apart once.
#[derive(Debug, Default)]
pub(super) struct Heads {
    block: Vec<u8>,
    known: Vec<Known>,
    /// Which of `known` is replaced next.
    next: usize,
    date: Option<(DateLine, HeaderValue)>,
}

/// A block that has come before.
#[derive(Debug)]
struct Known {
    block: Box<[u8]>,
    date: DateLine,
    /// Its fields, and `Date`.
    fields: HeaderMap,
}

impl Heads {
    /// The head of a reply.
    pub(super) fn head(&mut self, reply: &Reply<'_>, date: &DateLine) -> Response<()> {
        self.block.clear();
        reply.write_head(&mut self.block);
        let fields = match self.known.iter().position(|known| *known.block == *self.block) {
            Some(place) => {
                if self.known[place].date != *date {
                    let value = self.date(date);
                    self.known[place].fields.insert(DATE, value);
                    self.known[place].date = *date;
                }
                self.known[place].fields.clone()
            }
            None => self.learn(date),
        };
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(reply.status()).expect("Janus's status codes are status codes");
        *response.headers_mut() = fields;
        response
    }

    fn learn(&mut self, date: &DateLine) -> HeaderMap {
        let mut fields = fields(&Bytes::copy_from_slice(&self.block));
        fields.insert(DATE, self.date(date));
        if self.block.len() <= BLOCK_LENGTH_MAX {
            let known = Known {
                block: self.block.as_slice().into(),
                date: *date,
                fields: fields.clone(),
            };
            if self.known.len() < BLOCKS_MAX {
                self.known.push(known);
            } else {
                self.known[self.next] = known;
                self.next = (self.next + 1) % BLOCKS_MAX;
            }
        }
        fields
    }

    /// The value of `Date`.
    pub(super) fn date(&mut self, line: &DateLine) -> HeaderValue {
        match &self.date {
            Some((known, value)) if known == line => value.clone(),
            _ => {
                let value = line
                    .trim_ascii_end()
                    .strip_prefix(b"date: ")
                    .expect("it is a `Date` line");
                let value = HeaderValue::from_bytes(value).expect("a date is a field's value");
                self.date = Some((*line, value.clone()));
                value
            }
        }
    }
}

/// The fields of a block, each value a slice of it.
fn fields(block: &Bytes) -> HeaderMap {
    // Room for `Date` too.
    let mut fields = HeaderMap::with_capacity(12);
    for line in block.split(|&byte| byte == b'\n').skip(1) {
        let Some(line) = line.strip_suffix(b"\r") else { continue };
        let colon = line.iter().position(|&byte| byte == b':');
        let colon = colon.expect("a block's lines are header lines");
        let name = HeaderName::from_bytes(&line[..colon]).expect("a block's names are header names");
        let value = HeaderValue::from_maybe_shared(block.slice_ref(&line[colon + 2..]));
        fields.append(name, value.expect("a block's values are header values"));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::answer::problem::Problem;

    #[test]
    fn a_block_is_its_fields_the_first_time_and_again() {
        let mut heads = Heads::default();
        let date = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        let later = *b"date: Thu, 01 Jan 1970 00:00:01 GMT\r\n";
        let reply = Problem::NotAcceptable.reply();
        let made: Vec<Response<()>> = [date, date, later]
            .iter()
            .map(|date| heads.head(&reply, date))
            .collect();
        for (response, date) in made.iter().zip(["00:00:00", "00:00:00", "00:00:01"]) {
            assert_eq!(response.status(), 406);
            let fields = response.headers();
            assert_eq!(fields["date"], format!("Thu, 01 Jan 1970 {date} GMT"));
            assert_eq!(fields["vary"], "accept-encoding");
            assert_eq!(fields["content-type"], "application/problem+json");
            assert_eq!(fields["content-length"], reply.body().len().to_string());
            assert_eq!(fields.len(), 5);
        }
    }

    #[test]
    fn no_more_blocks_are_remembered_than_there_is_room_for() {
        let mut heads = Heads::default();
        let date = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        for length in 0..3 * BLOCKS_MAX {
            let made = crate::http::answer::reply::Made {
                head: crate::snapshot::Head::builder(200)
                    .field("content-length", length.to_string())
                    .build(),
                body: crate::body::Body::default(),
            };
            let head = heads.head(&made.reply(), &date);
            assert_eq!(head.headers()["content-length"], length.to_string());
            assert!(heads.known.len() <= BLOCKS_MAX);
        }
    }
}
