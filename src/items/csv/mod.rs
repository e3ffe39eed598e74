//! Comma-separated values (RFC 4180), and those with another delimiter: each row becomes an object, the first row names
//! its members.
//!
//! What is accepted is kept byte for byte, and what is not is told with its place; `rows` has the grammar, `dialect` how
//! the delimiter is found, `columns` the header row and the types.

mod columns;
mod dialect;
mod kept;
mod rows;

use std::io::Read;

use super::ParseOptions;
use super::collection::{Builder, Collection};
use super::error::{DataError, Fault, ParseError};
use super::note::Note;
use super::text::Text;
use crate::ledger::Account;
use columns::{Columns, Placed, Type};
use dialect::{Inferred, SepLine, candidates_but, infer};
use kept::{Keeping, Kept};
use rows::{Dialect, Field, Stop, read_row};

pub use dialect::{BadDelimiter, Delimiter};

/// What a format is called, and what its delimiter is unless the file says otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    pub(super) delimiter: Delimiter,
    /// Whether the format was given, so that what looks like another is not taken for a mistake.
    pub(super) is_given: bool,
}

impl Usual {
    pub(super) fn csv(is_given: bool) -> Self {
        Self {
            delimiter: Delimiter::COMMA,
            is_given,
        }
    }

    pub(super) fn tsv(is_given: bool) -> Self {
        Self {
            delimiter: Delimiter::TAB,
            is_given,
        }
    }
}

pub(super) fn parse(
    input: impl Read,
    usual: Usual,
    options: &ParseOptions,
    notes: &mut Vec<Note>,
) -> Result<Collection, ParseError> {
    if !options.csv_types {
        return File::open(input, usual, options)?.items(None, options, notes);
    }
    // A column's type is known once its last field is, and the items' text has to be final before it is hashed and
    // indexed. So the source is kept while it is looked at, and given up piece by piece while it is read again.
    let mut kept = Kept::new(options.ledger.credit(Account::Building, 0));
    let types = File::open(Keeping::new(input, &mut kept), usual, options)?.types()?;
    File::open(kept, usual, options)?.items(Some(&types), options, notes)
}

/// What separates the fields of a file whose first line is `line`, as far as that can tell, by the rules of the parser.
pub(super) fn delimiter_of(line: &[u8], usual: Delimiter) -> Delimiter {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    match (SepLine::read(line), infer(line, true, usual, true)) {
        (SepLine::Names(named, _), _) => named,
        (_, Inferred::Plain(delimiter)) => delimiter,
        (_, Inferred::OneColumn) => usual,
        // Rows after it may tell; until then the usual one is as good as any.
        (_, Inferred::Several(all)) => {
            if all.contains(&usual) {
                usual
            } else {
                all[0]
            }
        }
    }
}

/// A row at hand.
#[derive(Clone, Copy)]
struct Row<'a> {
    window: &'a [u8],
    fields: &'a [Field],
}

impl Row<'_> {
    /// Where a field begins, with its quote.
    fn place(&self, number: usize) -> usize {
        let field = &self.fields[number];
        field.start - usize::from(field.is_quoted)
    }

    /// A field's text.
    fn value(&self, number: usize) -> String {
        let field = &self.fields[number];
        let text = String::from_utf8_lossy(&self.window[field.start..field.end]);
        if field.is_quoted {
            text.replace("\"\"", "\"")
        } else {
            text.into_owned()
        }
    }
}

/// A file whose header row has been read.
struct File<R> {
    text: Text<R>,
    dialect: Dialect,
    columns: Columns,
    /// The fields of the row that was read last.
    fields: Vec<Field>,
    notes: Vec<Note>,
    /// The place of a last column without a name, in which nothing may stand.
    trailing: Option<DataError>,
    /// Rows in which nothing stands.
    blank_rows: u64,
    /// Of a file of one column whose delimiter was guessed: the delimiters that stand equally often in each row.
    alike: Option<Vec<Alike>>,
    rows: u64,
}

/// A delimiter that has been in all rows, equally often.
struct Alike {
    delimiter: Delimiter,
    count: usize,
    /// What there is to be said if it stays so, of the first row.
    error: DataError,
}

/// What comes next in a file.
enum Next {
    /// A row whose fields have been read, from here to there.
    Row(usize, usize),
    /// More has to be read first.
    Incomplete,
    End,
}

/// The longest header row, in bytes: a quote that is never closed may make all of a source one.
const HEADER_LENGTH_MAX: usize = 8 << 20;

impl<R: Read> File<R> {
    fn open(input: R, usual: Usual, options: &ParseOptions) -> Result<Self, ParseError> {
        let mut text = Text::new(input);
        text.read_on()?;
        text.skip_byte_order_mark();
        let sep = SepLine::read(text.window());
        if let SepLine::Names(_, header) = sep {
            text.at = header;
        }
        pass_blank_lines(&mut text)?;
        let look_alike = looks_like_another(&text.window()[text.at..], usual.is_given);
        if let Some(message) = look_alike {
            return Err(text.error_at(text.at, Fault::Csv(message)).into());
        }
        let (delimiter, is_guessed) = match (sep, options.delimiter) {
            (SepLine::Bad, _) => {
                let message = "sep= is to name one character that is no letter, digit or quote".to_owned();
                return Err(text.error_at(0, Fault::Csv(message)).into());
            }
            (SepLine::Names(named, _), Some(given)) if named != given => {
                let message = format!("sep= names the delimiter {named}, and --delimiter {given}");
                return Err(text.error_at(0, Fault::Csv(message)).into());
            }
            (_, Some(delimiter)) | (SepLine::Names(delimiter, _), _) => (delimiter, false),
            (SepLine::None, None) => {
                let rest = &text.window()[text.at..];
                let delimiter = match infer(rest, text.is_whole(), usual.delimiter, !options.csv_no_quotes) {
                    Inferred::Plain(delimiter) => delimiter,
                    Inferred::OneColumn => usual.delimiter,
                    Inferred::Several(all) => {
                        let all: Vec<_> = all.iter().map(|one| format!("--delimiter {one}")).collect();
                        let message = format!("the delimiter is not plain; name it: {}", all.join(" or "));
                        return Err(text.error_at(text.at, Fault::Csv(message)).into());
                    }
                };
                (delimiter, true)
            }
        };
        let dialect = Dialect {
            delimiter: delimiter.byte(),
            has_quotes: !options.csv_no_quotes,
        };
        let mut file = Self {
            text,
            dialect,
            columns: Columns::default(),
            fields: Vec::new(),
            notes: Vec::new(),
            trailing: None,
            blank_rows: 0,
            alike: None,
            rows: 0,
        };
        file.read_header(options)?;
        if is_guessed && file.columns.width() == 1 {
            file.alike = Some(Vec::new());
        }
        Ok(file)
    }

    fn read_header(&mut self, options: &ParseOptions) -> Result<(), ParseError> {
        loop {
            match self.read_row()? {
                Next::Incomplete => {
                    if self.text.window().len() - self.text.at > HEADER_LENGTH_MAX {
                        let message = format!("the first row is longer than {} MiB", HEADER_LENGTH_MAX >> 20);
                        return Err(self.fail((self.text.at, Fault::Csv(message))));
                    }
                    self.text.read_on()?;
                }
                Next::End => unreachable!("what is not blank is a row"),
                Next::Row(_, end) => {
                    let header = Row {
                        window: self.text.window(),
                        fields: &self.fields,
                    };
                    let columns = Columns::new(header, options, &mut self.notes).map_err(|fault| self.fail(fault))?;
                    if columns.has_trailing_delimiter {
                        let place = header.place(self.fields.len() - 1);
                        self.trailing = Some(self.text.error_at(place, Fault::Empty));
                    }
                    self.columns = columns;
                    let is_all = self.text.is_whole() && end == self.text.window().len();
                    if is_all && self.text.window()[end - 1] != b'\n' {
                        let message = "the first row does not end, and there is no other: it may be cut off; \
                                       no rows at all are a first row with a line end";
                        return Err(self.fail((end, Fault::Csv(message.to_owned()))));
                    }
                    self.text.at = end;
                    return Ok(());
                }
            }
        }
    }

    /// Reads the fields of the row that begins at `text.at`, which stays there.
    fn read_row(&mut self) -> Result<Next, ParseError> {
        let (window, start) = (self.text.window(), self.text.at);
        if start == window.len() {
            return Ok(if self.text.is_whole() {
                Next::End
            } else {
                Next::Incomplete
            });
        }
        let end = match read_row(window, start, self.text.is_whole(), self.dialect, &mut self.fields) {
            Ok(end) => end,
            Err(Stop::Incomplete) => return Ok(Next::Incomplete),
            Err(Stop::At(at, fault)) => return Err(self.fail((at, fault))),
            Err(Stop::AfterQuote { opened, at }) => return Err(self.after_quote(opened, at)),
        };
        let row = &window[start..end];
        if !row.is_ascii()
            && let Err(error) = simdutf8::compat::from_utf8(row)
        {
            return Err(self.fail((start + error.valid_up_to(), Fault::Utf8)));
        }
        Ok(Next::Row(start, end))
    }

    /// Reads the next row that holds something, and passes those that do not.
    fn next(&mut self) -> Result<Next, ParseError> {
        loop {
            let next = self.read_row()?;
            let Next::Row(start, end) = next else { return Ok(next) };
            if self.fields[0].is_blank() && self.fields.iter().all(Field::is_blank) {
                // A line without anything is a row in a file of one column only.
                self.blank_rows += u64::from(self.fields.len() > 1 || self.columns.width() == 1);
                self.text.at = end;
                continue;
            }
            self.columns.check(self.row()).map_err(|fault| self.fail(fault))?;
            if let (Some(place), Some(last)) = (&self.trailing, self.fields.last())
                && last.start != last.end
            {
                let number = self.fields.len();
                let (line, _) = self.text.position(last.start);
                let message = format!(
                    "column {number} has no name, and holds something on line {line}; --unnamed-column NAME gives it one"
                );
                return Err(place.clone().with(Fault::Csv(message)).into());
            }
            if self.alike.is_some() {
                self.look_for_delimiters(start, end);
            }
            self.rows += 1;
            return Ok(next);
        }
    }

    fn row(&self) -> Row<'_> {
        Row {
            window: self.text.window(),
            fields: &self.fields,
        }
    }

    /// Looks, in a file of one column, for another delimiter that stands equally often in each row.
    fn look_for_delimiters(&mut self, start: usize, end: usize) {
        let Some(mut alike) = self.alike.take() else { return };
        let row = &self.text.window()[start..end];
        let count = |delimiter| dialect::count(row, delimiter, self.dialect.has_quotes);
        if self.rows == 0 {
            for delimiter in candidates_but(Delimiter::of(self.dialect.delimiter)) {
                let message = format!(
                    "the file has one column, and {delimiter} stands equally often in each row: \
                     --delimiter {delimiter} separates by it, --delimiter {} does not",
                    Delimiter::of(self.dialect.delimiter)
                );
                let count = count(delimiter);
                if count > 0 {
                    alike.push(Alike {
                        delimiter,
                        count,
                        error: self.text.error_at(start, Fault::Csv(message)),
                    });
                }
            }
        } else {
            alike.retain(|one| count(one.delimiter) == one.count);
        }
        self.alike = (!alike.is_empty()).then_some(alike);
    }

    /// What each column holds.
    fn types(mut self) -> Result<Vec<Type>, ParseError> {
        let mut types = vec![Type::Empty; self.columns.width()];
        loop {
            match self.next()? {
                Next::End => break,
                Next::Incomplete => self.text.read_on()?,
                Next::Row(_, end) => {
                    let window = self.text.window();
                    for (kind, field) in types.iter_mut().zip(&self.fields) {
                        if *kind != Type::Text {
                            *kind = kind.with(&window[field.start..field.end]);
                        }
                    }
                    self.text.at = end;
                }
            }
        }
        self.finish()?;
        Ok(types)
    }

    /// Reads all rows as items.
    fn items(
        mut self,
        types: Option<&[Type]>,
        options: &ParseOptions,
        notes: &mut Vec<Note>,
    ) -> Result<Collection, ParseError> {
        let mut builder = Builder::new(options);
        loop {
            let next = match self.next() {
                Err(ParseError::Data(error)) => {
                    let start = builder.next().len();
                    builder.pass_over(start, error)?;
                    self.pass_line()?;
                    continue;
                }
                next => next?,
            };
            match next {
                Next::End => break,
                Next::Incomplete => {
                    builder.index(&mut self.text)?;
                    let kept = self.text.window().len() - self.text.at;
                    builder
                        .check_value(kept)
                        .map_err(|fault| self.fail((self.text.at, fault)))?;
                    self.text.read_on()?;
                }
                Next::Row(start, end) => {
                    let out = builder.next();
                    let out_start = out.len();
                    let id = self.columns.write(self.row(), types, out);
                    if let Err(fault) = builder.push(out_start, id, self.text.place(start)) {
                        let place = self.row().place(self.columns.id.unwrap_or(0));
                        builder.pass_over(out_start, self.text.error_at(place, fault))?;
                    }
                    self.text.at = end;
                }
            }
        }
        builder.index(&mut self.text)?;
        notes.append(&mut self.finish()?);
        Ok(builder.finish())
    }

    /// Goes on after the end of the line at which the row begins that is being read.
    fn pass_line(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = &self.text.window()[self.text.at..];
            match memchr::memchr(b'\n', rest) {
                Some(length) => self.text.at += length + 1,
                None if self.text.is_whole() => self.text.at = self.text.window().len(),
                None => {
                    self.text.read_on()?;
                    continue;
                }
            }
            return Ok(());
        }
    }

    /// What is to be said once all rows have been read.
    fn finish(mut self) -> Result<Vec<Note>, ParseError> {
        if let Some(alike) = self.alike.and_then(|alike| alike.into_iter().next()) {
            return Err(alike.error.into());
        }
        if self.blank_rows > 0 {
            self.notes.push(Note::BlankRows(self.blank_rows));
        }
        Ok(self.notes)
    }

    fn after_quote(&self, opened: usize, at: usize) -> ParseError {
        let window = self.text.window();
        let follows = Delimiter::of(window[at]);
        let mut message = "text after the closing quote".to_owned();
        if window[at - 2] == b'\\' && at - 2 > opened {
            message += ": a quote within quotes is written \"\", not \\\"";
        } else if candidates_but(Delimiter::of(self.dialect.delimiter)).any(|other| other == follows) {
            message += &format!(": --delimiter {follows} reads it if that is the delimiter");
        } else {
            message += ": a quote within quotes is written \"\"";
        }
        let ((line, column), (end_line, _)) = (self.text.position(opened), self.text.position(at));
        if line != end_line {
            message += &format!("; the field opens in line {line}, column {column}");
        }
        self.fail((at, Fault::Csv(message)))
    }

    fn fail(&self, (at, fault): Placed) -> ParseError {
        self.text.error_at(at, fault).into()
    }
}

/// Passes lines in which nothing stands but white space, before the first row.
fn pass_blank_lines<R: Read>(text: &mut Text<R>) -> Result<(), ParseError> {
    loop {
        let rest = &text.window()[text.at..];
        match rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        {
            Some(length) => {
                let line = memchr::memrchr(b'\n', &rest[..length]).map_or(0, |newline| newline + 1);
                text.at += line;
                return Ok(());
            }
            None if text.is_whole() => return Err(text.error_at(text.window().len(), Fault::Empty).into()),
            None => {
                text.at += memchr::memrchr(b'\n', rest).map_or(0, |newline| newline + 1);
                text.read_on()?;
            }
        }
    }
}

/// What a text is that begins as no header row does: an error page in place of the data, or another format.
fn looks_like_another(text: &[u8], is_given: bool) -> Option<String> {
    let text = text.trim_ascii_start();
    let after = |index: usize| text[index.min(text.len())..].trim_ascii_start().first();
    match text.first() {
        Some(b'<')
            if text
                .get(1)
                .is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'!' | b'?' | b'/')) =>
        {
            Some("this is HTML or XML, not CSV".to_owned())
        }
        Some(b'{') if !is_given && matches!(after(1), Some(b'"' | b'}')) => {
            Some("this is JSON, not CSV: --format json or --format ndjson reads it".to_owned())
        }
        Some(b'[') if !is_given && matches!(after(1), Some(b'{' | b'[' | b'"' | b']')) => {
            Some("this is JSON, not CSV: --format json reads it".to_owned())
        }
        _ => None,
    }
}
