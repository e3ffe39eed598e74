//! Configuration: flags, `JANUS_` variables and a TOML file become one validated [`Config`], before a port is bound.
//!
//! [`settings::SETTINGS`] lists every setting once; flag, variable, file key, help and documentation follow from it. All
//! that is wrong is reported together, each with flag, variable, value and where the value came from.

mod print;
mod resolve;
pub mod settings;
mod value;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use print::{Written, print};
pub use resolve::{ConfigError, Origin, Sources, resolve, resolve_written};
pub use settings::{SETTINGS, Setting, markdown};
pub use value::{location, parse_duration};

use crate::hardware::HardwareConfig;
use crate::http::message::proxies::TrustedProxies;
use crate::items::{Charset, Delimiter, Format, Pointer};
use crate::reload::Guards;
use crate::snapshot::Coding;
use crate::source::Location;

/// A validated configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the data comes from.
    pub data: Location,
    /// The data's format, where its name does not tell.
    pub format: Option<Format>,
    /// What the text is encoded in, if not in UTF-8.
    pub charset: Option<Charset>,
    /// The member that is an item's id, or a JSON pointer to it; empty for none.
    pub id_field: String,
    /// Whether that member was named.
    pub is_id_required: bool,
    /// Leads to the array within a JSON document.
    pub pointer: Option<Pointer>,
    /// Whether the items are the members of an object.
    pub ids_from_keys: bool,
    /// What separates the fields of CSV, where the file is not to tell.
    pub delimiter: Option<Delimiter>,
    /// The name of a column of CSV that has none.
    pub unnamed_column: Option<String>,
    /// Whether columns of CSV that hold numbers or booleans become those, and empty fields null.
    pub csv_types: bool,
    /// Whether quotes in CSV are text.
    pub csv_no_quotes: bool,
    /// The most that is read, and that is made of it, each, in bytes; by default a share of the memory.
    pub max_data_bytes: Option<u64>,
    /// Threads that load.
    pub load_threads: usize,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where probes and metrics are asked for, if not on the main listener.
    pub admin_listen: Option<SocketAddr>,
    /// The file that holds the token of the admin endpoints, which are off without it.
    pub admin_token_file: Option<PathBuf>,
    /// Threads that serve.
    pub workers: usize,
    /// Connections that are open at once at the most, on each listener.
    pub max_connections: usize,
    /// What a client must take of its answers, in bytes a second, where bytes wait for it; 0 for any.
    pub min_send_rate: u32,
    /// The path that all routes are below: empty, or a slash and more, without a slash at its end.
    pub base_path: String,
    /// The codings to make.
    pub encodings: Vec<Coding>,
    /// The value of `Cache-Control`.
    pub cache_control: String,
    /// Whose scripts may read the answers.
    pub cors_origin: CorsOrigins,
    /// What their scripts may send: the value of `Access-Control-Allow-Headers`.
    pub cors_headers: String,
    /// Whether the file is watched.
    pub watch: bool,
    /// How often the file is looked at besides.
    pub poll_interval: Option<Duration>,
    /// What a reload is allowed to lose.
    pub guards: Guards,
    /// Which sensors are read, and how.
    pub hardware: HardwareConfig,
    /// How long to go on serving after SIGTERM.
    pub drain_delay: Duration,
    /// How long connections may take to end.
    pub shutdown_timeout: Duration,
    /// Whether requests are logged.
    pub access_log: bool,
    /// Templates of the routes whose requests are not logged.
    pub access_log_exclude: Vec<&'static str>,
    /// Whether trusted proxies begin their connections to the main listener with the PROXY protocol.
    pub proxy_protocol: bool,
    /// Networks whose `X-Forwarded-For`, `X-Request-Id` and PROXY protocol are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The least level that is logged.
    pub log_level: LogLevel,
    /// How it is logged.
    pub log_format: LogFormat,
    /// Whether `--no-lane` was not given, which has no effect any more.
    pub lane: bool,
}

impl Config {
    /// What stands before any row of the table has been read: nothing, and what only the machine can tell. Every default
    /// stands in the table.
    fn blank() -> Self {
        Self {
            data: Location::Sample,
            format: None,
            charset: None,
            id_field: String::new(),
            is_id_required: false,
            pointer: None,
            ids_from_keys: false,
            delimiter: None,
            unnamed_column: None,
            csv_types: false,
            csv_no_quotes: false,
            max_data_bytes: None,
            load_threads: cores().min(settings::LOAD_THREADS_MAX),
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            admin_listen: None,
            admin_token_file: None,
            workers: cores(),
            max_connections: 0,
            min_send_rate: 0,
            base_path: String::new(),
            encodings: Vec::new(),
            cache_control: String::new(),
            cors_origin: CorsOrigins::None,
            cors_headers: String::new(),
            watch: false,
            poll_interval: None,
            guards: Guards::default(),
            hardware: HardwareConfig::default(),
            drain_delay: Duration::ZERO,
            shutdown_timeout: Duration::ZERO,
            access_log: false,
            access_log_exclude: Vec::new(),
            proxy_protocol: false,
            trusted_proxies: Vec::new(),
            log_level: LogLevel::Info,
            log_format: if std::io::stderr().is_terminal() {
                LogFormat::Text
            } else {
                LogFormat::Json
            },
            lane: false,
        }
    }

    /// The proxies that begin their connections to the main listener with the PROXY protocol, if any do.
    pub fn introducing_proxies(&self) -> Option<TrustedProxies> {
        self.proxy_protocol
            .then(|| TrustedProxies::new(self.trusted_proxies.clone()))
    }
}

/// Whose scripts may read the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Those of the same origin only.
    None,
    /// Everybody's.
    Any,
    /// Those of these origins, each `scheme://host[:port]`.
    List(Vec<String>),
}

/// Levels of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What may be wrong.
    Warn,
    /// What happened.
    Info,
    /// What was considered.
    Debug,
    /// Everything.
    Trace,
}

/// Forms of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// The CPU quota of the control group, or else the cores.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
