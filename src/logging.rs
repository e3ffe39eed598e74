//! The log: one event a line on standard error, as text or as JSON.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::fmt;

use crate::config::{Config, LogFormat, LogLevel};

/// Sends events to standard error from now on.
pub fn init(config: &Config) {
    let level = match config.log_level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let builder = fmt().with_max_level(level).with_writer(std::io::stderr);
    // A subscriber that is there already is a test's.
    let _ = match config.log_format {
        LogFormat::Json => tracing::subscriber::set_global_default(builder.json().finish()),
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            tracing::subscriber::set_global_default(builder.with_ansi(ansi).with_target(false).finish())
        }
    };
}
