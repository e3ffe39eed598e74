//! A JSON document: an array of items, or a document in which a pointer leads to one.

use std::io::Read;

use super::collection::{Builder, Collection};
use super::error::{Fault, Found, ParseError};
use super::pointer::encode;
use super::scan::{ScanError, Scanned, decode, scan};
use super::text::Text;
use super::{ParseOptions, Pointer};

pub(super) fn parse(input: impl Read, options: &ParseOptions) -> Result<Collection, ParseError> {
    let mut text = Text::new(input);
    text.read_on()?;
    text.skip_byte_order_mark();
    let builder = Builder::new(options);
    let mut document = Document {
        text,
        builder,
        pointer: options.pointer.as_ref(),
    };
    if document.skip_white_space()?.is_none() {
        return Err(document.fail(Fault::Empty));
    }
    document.follow(options.pointer.as_ref().map_or(&[], Pointer::tokens))?;
    if let Some(byte) = document.skip_white_space()? {
        return Err(document.fail(Fault::Syntax {
            expected: "the end",
            found: Found::Byte(byte),
        }));
    }
    document.builder.index(&mut document.text)?;
    Ok(document.builder.finish())
}

/// A document that is being read; `text.at` is where it is being read.
struct Document<'a, R> {
    text: Text<R>,
    builder: Builder,
    pointer: Option<&'a Pointer>,
}

/// A value that has been scanned and copied to the end of the arena.
struct Copied {
    scanned: Scanned,
    /// Where the value begins in the window.
    start: usize,
    /// Where its copy begins in the arena.
    out_start: usize,
}

type Parse<T> = Result<T, ParseError>;

impl<R: Read> Document<'_, R> {
    /// Reads the items of the array that `tokens` lead to from the value that begins here, and passes that value.
    fn follow(&mut self, tokens: &[String]) -> Parse<()> {
        match (self.next("a value")?, tokens) {
            (b'[', []) => self.items(),
            (b'{', [token, rest @ ..]) => self.follow_member(token, rest),
            (b'[', [token, rest @ ..]) => self.follow_element(token, rest),
            (first, _) if self.pointer.is_some() => Err(self.leads_to(what_begins_with(first))),
            (b'{', _) => {
                // What it holds helps to name the array; and what is not valid is said first.
                let arrays = self.arrays()?;
                Err(self.fail(Fault::NotAnArray {
                    found: "an object",
                    arrays,
                }))
            }
            (first, _) => {
                self.pass_value()?;
                Err(self.fail(Fault::NotAnArray {
                    found: what_begins_with(first),
                    arrays: Vec::new(),
                }))
            }
        }
    }

    fn follow_member(&mut self, token: &str, rest: &[String]) -> Parse<()> {
        let mut found = false;
        self.members(|document, name| {
            if name != token {
                return document.pass_value();
            }
            if std::mem::replace(&mut found, true) {
                return Err(document.fail(Fault::AmbiguousPointer(name.to_owned())));
            }
            document.follow(rest)
        })?;
        if found { Ok(()) } else { Err(self.leads_to("nothing")) }
    }

    fn follow_element(&mut self, token: &str, rest: &[String]) -> Parse<()> {
        // RFC 6901, section 4: no leading zeros.
        let wanted = token.parse::<usize>().ok().filter(|index| index.to_string() == token);
        let (mut index, mut found) = (0, false);
        self.elements(|document| {
            let is_wanted = Some(index) == wanted;
            index += 1;
            found |= is_wanted;
            if is_wanted {
                document.follow(rest)
            } else {
                document.pass_value()
            }
        })?;
        if found { Ok(()) } else { Err(self.leads_to("nothing")) }
    }

    /// Passes the object that begins here, and gives pointers to its members that are arrays.
    fn arrays(&mut self) -> Parse<Vec<String>> {
        let mut arrays = Vec::new();
        self.members(|document, name| {
            if document.next("a value")? == b'[' {
                arrays.push(format!("/{}", encode(name)));
            }
            document.pass_value()
        })?;
        Ok(arrays)
    }

    fn items(&mut self) -> Parse<()> {
        self.elements(|document| {
            let Copied {
                scanned,
                start,
                out_start,
            } = document.copy_value()?;
            let place = document.text.place(start);
            document
                .builder
                .push(out_start, scanned.id, place)
                .map_err(|fault| document.text.error_at(start, fault))?;
            document.text.at = scanned.end;
            Ok(())
        })
    }

    /// Passes a value that is not an item; it must be valid all the same.
    fn pass_value(&mut self) -> Parse<()> {
        let Copied { scanned, out_start, .. } = self.copy_value()?;
        self.builder.next().truncate(out_start);
        self.text.at = scanned.end;
        Ok(())
    }

    /// Scans the value that begins here, reading on as long as it is incomplete.
    fn copy_value(&mut self) -> Parse<Copied> {
        loop {
            let start = self.text.at;
            let (out, id_field) = self.builder.next_and_id_field();
            let out_start = out.len();
            match scan(self.text.window(), start, self.text.is_whole(), Some(id_field), out) {
                Ok(scanned) => {
                    return Ok(Copied {
                        scanned,
                        start,
                        out_start,
                    });
                }
                Err(ScanError::At(at, fault)) => return Err(self.text.error_at(at, fault).into()),
                Err(ScanError::Incomplete) => {
                    out.truncate(out_start);
                    self.read_on()?;
                }
            }
        }
    }

    /// Passes the array that begins here; `element` passes each of its values.
    fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Parse<()>) -> Parse<()> {
        self.text.at += 1;
        if self.next("a value or `]`")? == b']' {
            self.text.at += 1;
            return Ok(());
        }
        loop {
            self.next("a value")?;
            element(self)?;
            match self.next("`,` or `]`")? {
                b',' => self.text.at += 1,
                b']' => {
                    self.text.at += 1;
                    return Ok(());
                }
                other => {
                    return Err(self.fail(Fault::Syntax {
                        expected: "`,` or `]`",
                        found: Found::Byte(other),
                    }));
                }
            }
        }
    }

    /// Passes the object that begins here; `member` passes each value, and is given its name.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &str) -> Parse<()>) -> Parse<()> {
        self.text.at += 1;
        if self.next("a member or `}`")? == b'}' {
            self.text.at += 1;
            return Ok(());
        }
        loop {
            let found = self.next("a member's name in quotes")?;
            if found != b'"' {
                return Err(self.fail(Fault::Syntax {
                    expected: "a member's name in quotes",
                    found: Found::Byte(found),
                }));
            }
            let Copied { scanned, out_start, .. } = self.copy_value()?;
            let name = decode(&self.builder.next()[out_start..]);
            self.builder.next().truncate(out_start);
            self.text.at = scanned.end;
            let found = self.next("`:`")?;
            if found != b':' {
                return Err(self.fail(Fault::Syntax {
                    expected: "`:`",
                    found: Found::Byte(found),
                }));
            }
            self.text.at += 1;
            self.next("a value")?;
            member(self, &name)?;
            match self.next("`,` or `}`")? {
                b',' => self.text.at += 1,
                b'}' => {
                    self.text.at += 1;
                    return Ok(());
                }
                other => {
                    return Err(self.fail(Fault::Syntax {
                        expected: "`,` or `}`",
                        found: Found::Byte(other),
                    }));
                }
            }
        }
    }

    /// Passes white space, and shows the byte after it.
    fn next(&mut self, expected: &'static str) -> Parse<u8> {
        match self.skip_white_space()? {
            Some(byte) => Ok(byte),
            None => Err(self.fail(Fault::Syntax {
                expected,
                found: Found::End,
            })),
        }
    }

    fn skip_white_space(&mut self) -> Parse<Option<u8>> {
        loop {
            let rest = &self.text.window()[self.text.at..];
            match rest
                .iter()
                .position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
            {
                Some(length) => {
                    let byte = rest[length];
                    self.text.at += length;
                    return Ok(Some(byte));
                }
                None => self.text.at = self.text.window().len(),
            }
            if self.text.is_whole() {
                return Ok(None);
            }
            self.read_on()?;
        }
    }

    /// Reads on; what has been pushed is indexed first, while its places are in the window.
    fn read_on(&mut self) -> Parse<()> {
        self.builder.index(&mut self.text)?;
        Ok(self.text.read_on()?)
    }

    fn leads_to(&self, found: &'static str) -> ParseError {
        let pointer = self.pointer.map(Pointer::to_string).unwrap_or_default();
        self.fail(Fault::Pointer { pointer, found })
    }

    fn fail(&self, fault: Fault) -> ParseError {
        self.text.error_at(self.text.at, fault).into()
    }
}

fn what_begins_with(first: u8) -> &'static str {
    match first {
        b'{' => "an object",
        b'[' => "an array",
        b'"' => "a string",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    }
}
