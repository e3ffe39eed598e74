//! One load: source to items to snapshot, with what it took.

use std::time::{Duration, Instant, SystemTime};

use super::loss::Loss;
use crate::exit;
use crate::items::{self, DataError, Fault, Format, Note, ParseError, ParseOptions, Parsed, Told};
use crate::memory::Bound;
use crate::snapshot::{Settings, Snapshot, compile};
use crate::source::{Extent, Input, Revision, Shape, Source, SourceError};

/// How many bytes are looked at to tell what a beginning of a source without a telling name is worth.
const SNIFF_LENGTH: usize = 1024;

/// How often a source that is changed while it is read is read again, if nothing else will have it read again.
const ATTEMPTS_MAX: u32 = 5;

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

/// What is asked of a load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask {
    /// How much is read.
    pub extent: Extent,
    /// What has grown is to begin with this.
    pub begins_with: Option<Revision>,
    /// What makes no new snapshot if it is found again.
    pub same: Option<Revision>,
    /// Whether a change meanwhile is noticed by somebody who asks again. Otherwise it is read again here.
    pub is_watched: bool,
}

/// What a load found.
#[derive(Debug)]
pub enum Found {
    /// Something new.
    New(Box<Loaded>),
    /// What was known.
    Same,
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
    /// What a beginning of such a source is worth.
    pub shape: Shape,
    /// How much was read: what has grown and ends with a line is whole.
    pub extent: Extent,
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
    /// It would take more memory than is left.
    #[error(
        "{source_name}: it does not fit: it takes about {needed} bytes of memory, and {left} are left for it of {limit}, the limit of {bound}"
    )]
    DoesNotFit {
        /// The source's name.
        source_name: String,
        /// What it would take, in bytes, by what the data takes that is served.
        needed: u64,
        /// What is left, in bytes.
        left: u64,
        /// The limit, in bytes.
        limit: u64,
        /// What has that limit.
        bound: Bound,
    },
    /// It can be published, and would lose what is served.
    #[error("{source_name}: {loss}")]
    Loss {
        /// The source's name.
        source_name: String,
        /// What would have been lost.
        loss: Loss,
    },
    /// The load itself has failed: a fault of the program.
    #[error("the load panicked: {0}")]
    Panicked(String),
}

impl LoadError {
    /// The exit code that `sysexits.h` has for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Panicked(_) => exit::SOFTWARE,
            error if error.is_for_memory() => exit::UNAVAILABLE,
            error if error.is_bad_data() => exit::DATA,
            Self::Source(error) if error.is_missing() => exit::NO_INPUT,
            Self::Source(error) if error.is_forbidden() => exit::NO_PERMISSION,
            _ => exit::IO,
        }
    }

    /// A stable name of what is wrong.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Data { error, .. } => error.fault().code(),
            Self::DoesNotFit { .. } => "no_memory",
            Self::Loss { loss, .. } => loss.reason.label(),
            Self::Panicked(_) => "panicked",
        }
    }

    /// What is wrong, without the excerpt of the data that [`Display`](std::fmt::Display) shows.
    pub fn summary(&self) -> String {
        match self {
            Self::Source(error) => error.to_string(),
            Self::Data { source_name, error } => format!("{source_name}: {error}"),
            Self::Loss { .. } | Self::Panicked(_) | Self::DoesNotFit { .. } => self.to_string(),
        }
    }

    /// Whether the source is there and what it holds is wrong, rather than out of reach.
    pub fn is_bad_data(&self) -> bool {
        match self {
            Self::Source(error) => error.is_bad_data(),
            Self::Loss { .. } => true,
            Self::Data { .. } => !self.is_for_memory(),
            Self::DoesNotFit { .. } | Self::Panicked(_) => false,
        }
    }

    /// The fault in the data, with its place, if the source could be read.
    pub fn fault(&self) -> Option<&DataError> {
        match self {
            Self::Data { error, .. } => Some(error),
            Self::Source(_) | Self::Loss { .. } | Self::Panicked(_) | Self::DoesNotFit { .. } => None,
        }
    }

    /// Whether it is memory that it fails by, and not the data.
    pub fn is_for_memory(&self) -> bool {
        match self {
            Self::DoesNotFit { .. } => true,
            Self::Data { error, .. } => matches!(error.fault(), Fault::NoMemory { .. }),
            _ => false,
        }
    }

    /// What would have been lost, if that is why there is no new snapshot.
    pub fn loss(&self) -> Option<&Loss> {
        match self {
            Self::Loss { loss, .. } => Some(loss),
            _ => None,
        }
    }

    /// Whether the source is being written.
    pub fn is_change(&self) -> bool {
        matches!(
            self,
            Self::Source(SourceError::Changed { .. } | SourceError::Rewritten { .. })
        )
    }
}

/// Loads what `source` has now. `opened` is given each input before it is read, to watch its progress.
///
/// # Errors
///
/// If the source cannot be read, or what it holds is not a collection. A source that is changed while it is read is
/// given up at once; unless the change is noticed otherwise it is read again before that is an error, and what only
/// grows meanwhile is read as far as its records are whole.
pub fn load(source: &Source, loading: &Loading, ask: &Ask, opened: &dyn Fn(&Input)) -> Result<Found, LoadError> {
    let mut ask = *ask;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut shape = Shape::Opaque;
        let error = match load_once(source, loading, &ask, &mut shape, opened) {
            Err(error) if error.is_change() && !ask.is_watched && attempt < ATTEMPTS_MAX => error,
            result => return result,
        };
        let grew = matches!(error, LoadError::Source(SourceError::Changed { grew: true, .. }));
        ask.extent = if grew && shape == Shape::Lines {
            Extent::Grown
        } else {
            Extent::Whole
        };
    }
}

/// The first load: there is nothing yet that could be found again.
///
/// # Errors
///
/// As of [`load`].
pub fn load_first(source: &Source, loading: &Loading, opened: &dyn Fn(&Input)) -> Result<Loaded, LoadError> {
    match load(source, loading, &Ask::default(), opened)? {
        Found::New(loaded) => Ok(*loaded),
        Found::Same => unreachable!("nothing is known"),
    }
}

/// Everything that is wrong with the data of `source`, at most `errors_max` of it: where that is possible, what is at fault
/// is passed over, and the rest is read on. What is right in itself is not told of.
///
/// # Errors
///
/// If the source cannot be read again.
pub fn faults(source: &Source, loading: &Loading, errors_max: usize) -> Result<Vec<DataError>, SourceError> {
    let mut input = source.open()?;
    let told = told(source, loading);
    items::faults(told, &mut input, &loading.parse, errors_max).map_err(SourceError::from_io)
}

/// How the format of `source` is known.
fn told(source: &Source, loading: &Loading) -> Told {
    let by_name = || source.extension().and_then(|name| Format::from_extension(&name));
    loading
        .format
        .map(Told::Given)
        .or_else(|| by_name().map(Told::ByName))
        .unwrap_or(Told::ByData)
}

fn load_once(
    source: &Source,
    loading: &Loading,
    ask: &Ask,
    shape: &mut Shape,
    opened: &dyn Fn(&Input),
) -> Result<Found, LoadError> {
    let started = Instant::now();
    let mut input = source.open_extent(ask.extent, ask.begins_with)?;
    opened(&input);
    let told = told(source, loading);
    let format = match told {
        Told::Given(format) | Told::ByName(format) => format,
        Told::ByData => {
            let start = input.peek(SNIFF_LENGTH).map_err(SourceError::from_io)?;
            Format::sniff(start, loading.parse.pointer.is_some())
        }
    };
    // The end of a text in another charset may be half of a character.
    let is_opaque = input.is_compressed() || loading.parse.charset.is_some();
    let shape_of = |format| match format {
        _ if is_opaque => Shape::Opaque,
        Format::Json => Shape::Document,
        Format::Ndjson | Format::Csv | Format::Tsv => Shape::Lines,
        // The beginning of a number is a number.
        Format::Concatenated => Shape::Opaque,
    };
    *shape = shape_of(format);
    let options = ParseOptions {
        size_hint: input.size_hint(),
        is_growing: ask.extent == Extent::Grown,
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
    let Parsed {
        items,
        format,
        notes,
        is_cut,
    } = parsed?;
    let revision = revision?;
    if ask.same == Some(revision) {
        return Ok(Found::Same);
    }
    let parse_took = started.elapsed();
    let started = Instant::now();
    let snapshot = compile(items, &loading.compile).with_loaded_at(SystemTime::now());
    Ok(Found::New(Box::new(Loaded {
        snapshot,
        revision,
        format,
        notes,
        shape: shape_of(format),
        extent: if is_cut { Extent::Grown } else { Extent::Whole },
        parse_took,
        compile_took: started.elapsed(),
    })))
}
