//! Of a source that is being written, what is whole: up to the last end of a record.

use std::io::{self, Read};

use super::csv::{self, Delimiter};

/// How much is read at a time, in bytes.
const CHUNK: usize = 64 << 10;

/// Where records end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ends {
    /// Where the reader ends: nothing is left out.
    Anywhere,
    /// With a line.
    Line,
    /// With a row of CSV, which a line end within a quoted field does not end: what separates fields, and what usually does
    /// where that is not given and the first row does not tell.
    Row(Option<Delimiter>, Delimiter),
}

/// A reader of whole records: what comes after the last end of one is not there.
#[derive(Debug)]
pub(super) struct WholeRecords<R> {
    reader: R,
    buffer: Vec<u8>,
    /// What has been given of the buffer.
    given: usize,
    /// What is whole of it.
    whole: usize,
    ends: Ends,
    rows: Rows,
}

impl<R: Read> WholeRecords<R> {
    pub(super) fn new(reader: R, ends: Ends) -> Self {
        let (delimiter, usual) = match ends {
            Ends::Row(delimiter, usual) => (delimiter, usual),
            Ends::Anywhere | Ends::Line => (None, csv::Usual::csv(false).delimiter),
        };
        Self {
            reader,
            buffer: Vec::new(),
            given: 0,
            whole: 0,
            ends,
            rows: Rows::new(delimiter, usual),
        }
    }
}

impl<R> WholeRecords<R> {
    /// Whether something was left out, once all of it has been read.
    pub(super) fn is_cut(&self) -> bool {
        self.buffer.len() > self.whole
    }
}

impl<R: Read> Read for WholeRecords<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if matches!(self.ends, Ends::Anywhere) {
            return self.reader.read(out);
        }
        while self.given == self.whole {
            self.buffer.drain(..self.given);
            self.given = 0;
            self.whole = 0;
            let before = self.buffer.len();
            self.buffer.resize(before + CHUNK, 0);
            let read = self.reader.read(&mut self.buffer[before..]);
            self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Ok(0);
            }
            let end = match self.ends {
                Ends::Row(..) => self.rows.end(&self.buffer),
                Ends::Anywhere | Ends::Line => memchr::memrchr(b'\n', &self.buffer[before..]).map(|at| before + at + 1),
            };
            self.whole = end.unwrap_or(0);
        }
        let length = out.len().min(self.whole - self.given);
        out[..length].copy_from_slice(&self.buffer[self.given..][..length]);
        self.given += length;
        Ok(length)
    }
}

/// Where in a row a byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    FieldStart,
    Field,
    Quoted,
    /// After a quote within a quoted field: its end, or the first of two.
    Quote,
}

/// Follows the rows of CSV. Only where they end is known here; what is not CSV is the parser's to refuse.
#[derive(Debug)]
struct Rows {
    delimiter: Option<Delimiter>,
    usual: Delimiter,
    at: At,
    is_start: bool,
    /// How much of the buffer has been followed: what is kept of it begins after the last whole row.
    followed: usize,
}

impl Rows {
    fn new(delimiter: Option<Delimiter>, usual: Delimiter) -> Self {
        Self {
            delimiter,
            usual,
            at: At::FieldStart,
            is_start: true,
            followed: 0,
        }
    }

    /// The end of the last whole row in `buffer`, which begins with what was left over of the last one.
    fn end(&mut self, buffer: &[u8]) -> Option<usize> {
        if self.is_start {
            // The first row tells what separates fields, and whether there is a byte order mark.
            if self.delimiter.is_none() {
                let line = &buffer[..=memchr::memchr(b'\n', buffer)?];
                self.delimiter = Some(csv::delimiter_of(line, self.usual));
            }
            self.is_start = false;
            self.followed = if buffer.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        }
        let delimiter = self.delimiter.unwrap_or(self.usual).byte();
        let mut end = None;
        for (index, &byte) in buffer.iter().enumerate().skip(self.followed) {
            self.at = match (self.at, byte) {
                (At::Quoted, b'"') => At::Quote,
                (At::Quoted, _) => At::Quoted,
                (_, b'\n') => {
                    end = Some(index + 1);
                    At::FieldStart
                }
                (At::FieldStart | At::Quote, b'"') => At::Quoted,
                (_, byte) if byte == delimiter => At::FieldStart,
                _ => At::Field,
            };
        }
        self.followed = buffer.len() - end.unwrap_or(0);
        end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows of CSV, with this delimiter.
    fn row(delimiter: Option<u8>) -> Ends {
        let given = delimiter.map(|byte| char::from(byte).to_string().parse().unwrap());
        Ends::Row(given, csv::Usual::csv(false).delimiter)
    }

    /// Reads in pieces of `piece` bytes, as a file that grows might be read.
    fn whole(text: &str, ends: Ends, piece: usize) -> String {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let length = self.1.min(self.0.len()).min(out.len());
                out[..length].copy_from_slice(&self.0[..length]);
                self.0 = &self.0[length..];
                Ok(length)
            }
        }
        let mut read = String::new();
        WholeRecords::new(Pieces(text.as_bytes(), piece), ends)
            .read_to_string(&mut read)
            .unwrap();
        read
    }

    #[track_caller]
    fn check(ends: Ends, text: &str, expected: &str) {
        for piece in [1, 2, 3, 7, usize::MAX] {
            assert_eq!(whole(text, ends, piece), expected, "{text:?} by {piece}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_a_beginning_that_ends_with_a_record_however_it_comes(
            text in "[,;\"a\n\r ]{0,60}",
            more in "[,\"a\n]{0,20}",
            piece in 1_usize..9,
        ) {
            for ends in [Ends::Line, row(Some(b',')), row(None)] {
                let read = whole(&text, ends, usize::MAX);
                prop_assert_eq!(&whole(&text, ends, piece), &read);
                prop_assert!(text.starts_with(&read) && (read.is_empty() || read.ends_with('\n')));
                // It is a record's end for good, whatever comes.
                let later = whole(&format!("{text}{more}"), ends, piece);
                prop_assert!(later.starts_with(&read), "{:?} after {:?}", later, read);
            }
        }
    }

    #[test]
    fn a_line_counts_when_it_has_ended() {
        for (text, expected) in [
            ("", ""),
            ("{\"id\":1}", ""),
            ("{\"id\":1}\n", "{\"id\":1}\n"),
            ("1\n2\n\"3", "1\n2\n"),
            ("1\n\n\n2", "1\n\n\n"),
        ] {
            check(Ends::Line, text, expected);
            check(Ends::Anywhere, text, text);
        }
    }

    #[test]
    fn a_line_end_within_quotes_ends_no_row() {
        for (text, expected) in [
            ("id,n\n1,a\n2,b", "id,n\n1,a\n"),
            ("id,n\n1,\"a\nb\n", "id,n\n"),
            ("id,n\n1,\"a\nb\"\n", "id,n\n1,\"a\nb\"\n"),
            ("id,n\n1,\"a\nb\"", "id,n\n"),
            ("id,n\r\n1,\"a\"\"\n\"\"\"\r\n2", "id,n\r\n1,\"a\"\"\n\"\"\"\r\n"),
            // A quote in a field that does not begin with one is text.
            ("id,n\n1,7\" x\n2,\"\n", "id,n\n1,7\" x\n"),
            ("id;n\n1;\"a\n", "id;n\n"),
            ("sep=|\nid|n,m\n1|\"a\n", "sep=|\nid|n,m\n"),
            ("\u{feff}\"id\nx\",n\n1", "\u{feff}\"id\nx\",n\n"),
        ] {
            check(row(None), text, expected);
        }
        check(row(Some(b';')), "id,n;m\n1,\"a;b\n", "id,n;m\n1,\"a;b\n");
        check(row(Some(b'\t')), "id\tn\n1\t\"a\n", "id\tn\n");
        check(row(Some(b'\t')), "id,n\n1,\"a\n", "id,n\n1,\"a\n");
    }
}
