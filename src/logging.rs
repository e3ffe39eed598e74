//! The log: one event a line on standard error, as text or as JSON.
//!
//! Who logs waits until its line is written, but for the access log: a request waits for nobody who reads, and its line is
//! handed over once its answer is sent. A panic is an event too.

mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Stderr, stderr};
use std::thread;
use std::time::Duration;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::{EitherWriter, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::queue::LineQueue;
use crate::config::{Config, LogFormat, LogLevel};

/// How long the end waits for lines of the access log that are still to be written.
const FINISH_MAX: Duration = Duration::from_secs(1);

/// Where lines go. When it is dropped, the access log is written as far as that goes.
#[derive(Debug)]
pub struct Log {
    access: Option<LineQueue>,
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(queue) = &self.access {
            queue.finish(FINISH_MAX);
        }
    }
}

/// Writes the lines of the access log to its queue, all others to standard error.
struct Lines {
    access: Option<LineQueue>,
}

impl MakeWriter<'_> for Lines {
    type Writer = EitherWriter<Stderr, LineQueue>;

    fn make_writer(&self) -> Self::Writer {
        EitherWriter::A(stderr())
    }

    fn make_writer_for(&self, event: &Metadata<'_>) -> Self::Writer {
        match &self.access {
            Some(queue) if event.target() == "janus::access" => EitherWriter::B(queue.clone()),
            _ => self.make_writer(),
        }
    }
}

/// Has the lines of the access log written that this thread has logged.
pub fn flush_access_log() {
    queue::hand_over();
}

/// Sends events to standard error from now on.
///
/// # Errors
///
/// The thread that writes the access log cannot be started.
pub fn init(config: &Config) -> std::io::Result<Log> {
    let level = match config.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // What other crates say of themselves is of use only when something is wrong.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        // It warns of what clients do, who could fill the log with that.
        .with_target("h2", LevelFilter::OFF)
        .with_target("janus", level);
    let access = if config.access_log {
        Some(LineQueue::start(stderr(), |lines| {
            tracing::warn!(lines, "nobody read the access log, and lines of it were dropped");
        })?)
    } else {
        None
    };
    let lines = fmt::layer().with_writer(Lines { access: access.clone() });
    log_panics();
    // A subscriber that is there already is a test's.
    let _ = match config.log_format {
        LogFormat::Json => tracing_subscriber::registry()
            .with(lines.json().with_filter(filter))
            .try_init(),
        LogFormat::Text => {
            let ansi = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let lines = lines.with_ansi(ansi).with_target(false).with_filter(filter);
            tracing_subscriber::registry().with(lines).try_init()
        }
    };
    Ok(Log { access })
}

/// Has a panic logged like any other event, instead of as lines of a form of its own, which nobody who collects lines of
/// JSON could read.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload_as_str().unwrap_or("a value that is no text");
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(
            target: "janus::panic",
            place = panic.location().map(tracing::field::display),
            thread = thread::current().name(),
            backtrace,
            "panicked: {payload}"
        );
        // It may end the process before this thread is through.
        flush_access_log();
    }));
}
