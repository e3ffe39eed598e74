//! A JSON document: an array of items, or a document in which a pointer leads to one.

use std::io::Read;

use super::collection::{Builder, Collection};
use super::error::{DataError, Fault, Found, ParseError};
use super::id::IdField;
use super::parts::{self, Separator};
use super::pieces::Pieces;
use super::pointer::encode;
use super::scan::{ScanError, Scanned, decode, scan};
use super::text::Text;
use super::walk::{Map, Survey};
use super::{ParseOptions, Pointer};

pub(super) fn parse(input: impl Read, options: &ParseOptions) -> Result<Collection, ParseError> {
    let mut document = Document::open(input, options)?;
    let start = document.start();
    match document.read(&start, options) {
        Ok(()) => document.finish(),
        Err(error) => Err(document.first_of(error)),
    }
}

/// Reads values that follow each other, each of which is an item.
pub(super) fn parse_concatenated(input: impl Read, options: &ParseOptions) -> Result<Collection, ParseError> {
    let mut document = Document::open(input, options)?;
    match document.read_values() {
        Ok(()) => document.finish(),
        Err(error) => Err(document.first_of(error)),
    }
}

/// A document that is being read; `text.at` is where it is being read.
struct Document<'a, R> {
    text: Text<R>,
    builder: Builder,
    id_field: IdField,
    pieces: Pieces,
    /// Whether several threads have taken in what they could.
    has_parts: bool,
    options: &'a ParseOptions,
    pointer: Option<&'a Pointer>,
    /// Whether items are the members of an object, and their names the ids.
    ids_from_keys: bool,
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

impl<'a, R: Read> Document<'a, R> {
    /// Begins to read, and passes the white space before the first value.
    fn open(input: R, options: &'a ParseOptions) -> Parse<Self> {
        let mut text = Text::new(input);
        text.read_on()?;
        text.skip_byte_order_mark();
        let mut document = Self {
            text,
            builder: Builder::new(options),
            id_field: IdField::of(options),
            pieces: Pieces::new(options.way),
            has_parts: false,
            options,
            pointer: options.pointer.as_ref(),
            ids_from_keys: options.ids_from_keys,
        };
        match document.skip_white_space()? {
            Some(_) => Ok(document),
            None => Err(document.fail(Fault::Empty)),
        }
    }

    fn read(&mut self, start: &DataError, options: &ParseOptions) -> Parse<()> {
        self.follow(options.pointer.as_ref().map_or(&[], Pointer::tokens))?;
        let end = self.text.position(self.text.at).0;
        self.ends(start, end)
    }

    /// Takes in values that follow each other.
    fn read_values(&mut self) -> Parse<()> {
        while self.skip_white_space()?.is_some() {
            self.item(None)?;
        }
        Ok(())
    }

    /// An error, or one that stands before it.
    fn first_of(&mut self, error: ParseError) -> ParseError {
        self.builder.index_before(error, &mut self.text)
    }

    fn finish(mut self) -> Parse<Collection> {
        self.builder.index(&mut self.text)?;
        Ok(self.builder.finish())
    }

    /// The place of what comes next, for a fault that is known later.
    fn start(&self) -> DataError {
        self.text.error_at(self.text.at, Fault::Empty)
    }

    /// Sees to it that nothing follows the document, which has ended on line `end`.
    fn ends(&mut self, start: &DataError, end: u64) -> Parse<()> {
        let Some(byte) = self.skip_white_space()? else {
            return Ok(());
        };
        let is_value = matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n');
        if self.pointer.is_none() && is_value {
            let (line, _) = self.text.position(self.text.at);
            let a_line = start.line() == end && line > end;
            return Err(self.fail(Fault::SeveralValues { a_line }));
        }
        Err(self.fail(Fault::Syntax {
            expected: "the end",
            found: Found::Byte(byte),
        }))
    }

    /// Reads the items of the array that `tokens` lead to from the value that begins here, and passes that value.
    fn follow(&mut self, tokens: &[String]) -> Parse<()> {
        match (self.next("a value")?, tokens) {
            (b'{', []) if self.ids_from_keys => self.members(|document, name| document.item(Some(name))),
            (first, []) if self.ids_from_keys => Err(self.fail(Fault::NotAMap(what_begins_with(first)))),
            (b'[', []) => self.elements(|document| {
                document.items()?;
                document.item(None)
            }),
            (b'{', [token, rest @ ..]) => self.follow_member(token, rest),
            (b'[', [token, rest @ ..]) => self.follow_element(token, rest),
            (first, _) if self.pointer.is_some() => Err(self.leads_to(what_begins_with(first))),
            (first, _) => {
                // What is not valid is said first, and that it is not alone.
                let start = self.start();
                let mut survey = Survey::default();
                if first == b'{' {
                    self.look(&mut survey)?;
                } else {
                    self.pass_value()?;
                }
                let end = self.text.position(self.text.at).0;
                self.ends(&start, end)?;
                let fault = Fault::NotAnArray {
                    found: what_begins_with(first),
                    ways: survey.ways(),
                    a_line: false,
                };
                Err(start.with(fault).into())
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

    /// Passes the object that begins here, and looks for what could be a collection in it.
    fn look(&mut self, survey: &mut Survey) -> Parse<()> {
        let mut map = Map::default();
        self.members(|document, name| {
            let Copied { scanned, out_start, .. } = document.copy_value()?;
            let value = &document.builder.next()[out_start..];
            map.member(value);
            survey.look(value, &format!("/{}", encode(name)));
            document.builder.next().truncate(out_start);
            document.text.at = scanned.end;
            Ok(())
        })?;
        if map.is_one() || (map.has_members() && survey.is_empty()) {
            survey.maps.insert(0, String::new());
        }
        Ok(())
    }

    /// Takes in all items from here on but the last one that is at hand, by the structure of their text.
    fn items(&mut self) -> Parse<()> {
        loop {
            let goes_on = self
                .pieces
                .elements(&mut self.text, &self.id_field, &mut self.builder)?;
            if !goes_on || self.text.is_whole() {
                return self.next("a value").map(drop);
            }
            if std::mem::replace(&mut self.has_parts, true) {
                self.read_on()?;
            } else {
                self.builder.index(&mut self.text)?;
                parts::read(
                    &mut self.text,
                    Separator::Comma,
                    &self.id_field,
                    &mut self.builder,
                    self.options,
                )?;
            }
        }
    }

    /// Takes in the value that begins here, with a key if it does not hold its id.
    fn item(&mut self, key: Option<&str>) -> Parse<()> {
        let Copied {
            scanned,
            start,
            out_start,
        } = self.copy_value()?;
        let place = self.text.place(start);
        let pushed = match key {
            Some(key) => self.builder.push_with_key(out_start, key, place),
            None => {
                let id = self.id_field.locate(scanned, &self.builder.next()[out_start..]);
                self.builder.push(out_start, id, place)
            }
        };
        if let Err(fault) = pushed {
            let error = self.text.error_at(start, fault);
            self.builder.pass_over(out_start, error)?;
        }
        self.text.at = scanned.end;
        Ok(())
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
            let out = self.builder.next();
            let out_start = out.len();
            match scan(
                self.text.window(),
                start,
                self.text.is_whole(),
                self.id_field.member(),
                out,
            ) {
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
        self.text.squeeze();
        let kept = self.text.window().len() - self.text.at;
        self.builder.check_value(kept).map_err(|fault| self.fail(fault))?;
        self.text.read_on()
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
