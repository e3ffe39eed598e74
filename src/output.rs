//! Standard output: what commands print, and how the program ends where it cannot be written.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Standard output does not take what a command prints.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct OutputError(io::Error);

/// Prints `text` on standard output.
///
/// # Errors
///
/// If it is not taken. Whoever has closed the other end of a pipe has read enough: that is no error.
pub fn print(text: &[u8]) -> Result<(), OutputError> {
    taken(io::stdout().write_all(text).and_then(|()| io::stdout().flush()))
}

/// What an attempt to print has come to.
pub(crate) fn taken(written: io::Result<()>) -> Result<(), OutputError> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(OutputError),
    }
}

/// Says on standard error what is wrong, if anybody listens there.
pub fn complain(error: &dyn std::fmt::Display) {
    // The exit code says it too, and there is nowhere else to say it.
    let _ = writeln!(io::stderr(), "janus: {error}");
}

/// From now on a file that would grow beyond `RLIMIT_FSIZE` is an error of the write (`EFBIG`), and not the end of the
/// program: the log may be such a file.
pub fn survive_file_size_limit() {
    // A handler that does next to nothing. That it cannot be installed leaves things as they are.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
