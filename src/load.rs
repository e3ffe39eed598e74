//! One load: source to items to snapshot, with what it took.

use std::time::{Duration, Instant, SystemTime};

use crate::exit;
use crate::items::{self, DataError, Format, Note, ParseError, ParseOptions, Parsed, Told};
use crate::snapshot::{Settings, Snapshot, compile};
use crate::source::{Input, Revision, Source, SourceError};

/// How often a source that is changed while it is read is read again.
const ATTEMPTS_MAX: usize = 5;

/// How data is loaded.
#[derive(Clone, Debug)]
pub struct Loading {
    /// The format, where it does not follow from the source's name or first bytes.
    pub format: Option<Format>,
    /// How items are read.
    pub parse: ParseOptions,
    /// How answers are made.
    pub compile: Settings,
}

/// A loaded snapshot and where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// What is to be published.
    pub snapshot: Snapshot,
    /// The hash of the bytes that were read.
    pub revision: Revision,
    /// The format that was read.
    pub format: Format,
    /// What is to be told of the data.
    pub notes: Vec<Note>,
    /// Reading and parsing.
    pub parse_took: Duration,
    /// Compiling.
    pub compile_took: Duration,
}

/// Why there is no new snapshot.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The source can be read and is not what it should be.
    #[error("{source_name}: {error}\n{}{}", error.excerpt(), error.hint().map(|hint| format!("\n{hint}")).unwrap_or_default())]
    Data {
        /// The source's name.
        source_name: String,
        /// What is wrong, and where.
        error: DataError,
    },
}

impl LoadError {
    /// The exit code that `sysexits.h` has for it.
    pub fn exit_code(&self) -> u8 {
        if self.is_bad_data() { exit::DATA } else { exit::NO_INPUT }
    }

    /// What is wrong, without the excerpt of the data that [`Display`](std::fmt::Display) shows.
    pub fn summary(&self) -> String {
        match self {
            Self::Source(error) => error.to_string(),
            Self::Data { source_name, error } => format!("{source_name}: {error}"),
        }
    }

    /// Whether the source is there and what it holds is wrong, rather than out of reach.
    pub fn is_bad_data(&self) -> bool {
        match self {
            Self::Source(error) => error.is_bad_data(),
            Self::Data { .. } => true,
        }
    }

    /// The fault in the data, with its place, if the source could be read.
    pub fn fault(&self) -> Option<&DataError> {
        match self {
            Self::Source(_) => None,
            Self::Data { error, .. } => Some(error),
        }
    }

    fn is_change(&self) -> bool {
        matches!(self, Self::Source(SourceError::Changed { .. }))
    }
}

/// Loads what `source` has now. `opened` is given each input before it is read, to watch its progress.
///
/// # Errors
///
/// If the source cannot be read, or what it holds is not a collection. A source that is changed while it is read is
/// read again before that is an error.
pub fn load(source: &Source, loading: &Loading, opened: &dyn Fn(&Input)) -> Result<Loaded, LoadError> {
    let mut result = load_once(source, loading, opened);
    for _ in 1..ATTEMPTS_MAX {
        match &result {
            Err(error) if error.is_change() => result = load_once(source, loading, opened),
            _ => break,
        }
    }
    result
}

fn load_once(source: &Source, loading: &Loading, opened: &dyn Fn(&Input)) -> Result<Loaded, LoadError> {
    let started = Instant::now();
    let mut input = source.open()?;
    opened(&input);
    let by_name = || source.extension().and_then(|name| Format::from_extension(&name));
    let told = loading
        .format
        .map(Told::Given)
        .or_else(|| by_name().map(Told::ByName))
        .unwrap_or(Told::ByData);
    let options = ParseOptions {
        size_hint: input.size_hint(),
        ..loading.parse.clone()
    };
    let parsed = items::read(told, &mut input, &options).map_err(|error| match error {
        ParseError::Io(error) => LoadError::Source(SourceError::from_io(error)),
        ParseError::Data(error) => LoadError::Data {
            source_name: source.name(),
            error,
        },
    });
    // A source that changed meanwhile is read again, whatever was found in the half of it that was read.
    let revision = match (input.finish(), &parsed) {
        (Err(changed @ SourceError::Changed { .. }), _) => return Err(changed.into()),
        (Err(error), Ok(_)) => return Err(error.into()),
        (revision, _) => revision,
    };
    let Parsed { items, format, notes } = parsed?;
    let revision = revision?;
    let parse_took = started.elapsed();
    let started = Instant::now();
    let snapshot = compile(items, &loading.compile).with_loaded_at(SystemTime::now());
    Ok(Loaded {
        snapshot,
        revision,
        format,
        notes,
        parse_took,
        compile_took: started.elapsed(),
    })
}
