//! The log: one event a line on standard error, as text or as JSON.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, LogFormat, LogLevel};

/// Sends events to standard error from now on.
pub fn init(config: &Config) {
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
        .with_target("janus", level);
    let lines = fmt::layer().with_writer(std::io::stderr);
    // A subscriber that is there already is a test's.
    let _ = match config.log_format {
        LogFormat::Json => tracing_subscriber::registry()
            .with(lines.json().with_filter(filter))
            .try_init(),
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let lines = lines.with_ansi(ansi).with_target(false).with_filter(filter);
            tracing_subscriber::registry().with(lines).try_init()
        }
    };
}
