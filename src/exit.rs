//! Exit codes. Those above 63 are of BSD's `sysexits.h`; all stand in the README.

/// The command line is wrong.
pub const USAGE: u8 = 2;
/// The data is not what it should be (`EX_DATAERR`).
pub const DATA: u8 = 65;
/// There is no such source (`EX_NOINPUT`).
pub const NO_INPUT: u8 = 66;
/// An address cannot be listened on, or there is no memory for the data (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// The program itself has failed (`EX_SOFTWARE`).
pub const SOFTWARE: u8 = 70;
/// A source that is there cannot be read, or standard output does not take what is printed (`EX_IOERR`).
pub const IO: u8 = 74;
/// Reading the source is not permitted (`EX_NOPERM`).
pub const NO_PERMISSION: u8 = 77;
/// The configuration is wrong (`EX_CONFIG`).
pub const CONFIG: u8 = 78;
/// `janus health`: not healthy.
pub const UNHEALTHY: u8 = 1;
/// Interrupted a second time, as a shell reports a program that SIGINT ended.
pub const INTERRUPTED: u8 = 130;
