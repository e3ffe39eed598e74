//! From what is written to what is meant: precedence, validation, and errors that name the place.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::settings::{SETTINGS, Setting};
use super::value::{self, Expected};
use super::{Config, LogFormat};
use crate::exit;
use crate::hardware::HardwareConfig;
use crate::hardware::sampler::INTERVAL_MIN;
use crate::items::Format;
use crate::reload::Guards;
use crate::source::Location;

/// The shortest poll interval: more often is a busy loop.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Where values come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Flags that were given, by the setting's name.
    pub flags: BTreeMap<String, OsString>,
    /// The environment. A variable whose name is not text is none of ours.
    pub variables: BTreeMap<String, OsString>,
    /// The file that `--config` or `JANUS_CONFIG` names, and its content.
    pub file: Option<(PathBuf, String)>,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<String>,
    is_usage: bool,
}

impl ConfigError {
    /// A problem that is not of one setting.
    pub fn new(problem: String) -> Self {
        Self {
            problems: vec![problem],
            is_usage: false,
        }
    }

    /// 2 if the command line is to blame, else 78.
    pub fn exit_code(&self) -> u8 {
        if self.is_usage { exit::USAGE } else { exit::CONFIG }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\njanus: "))
    }
}

impl std::error::Error for ConfigError {}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Default,
    Flag,
    Variable,
    File { path: PathBuf, line: usize },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Flag => f.write_str("the command line"),
            Self::Variable => f.write_str("the environment"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
        }
    }
}

/// Makes one configuration of all sources: a flag beats a variable, a variable beats the file.
///
/// # Errors
///
/// All that is wrong with any of the values, together.
pub fn resolve(sources: &Sources) -> Result<Config, ConfigError> {
    let mut resolver = Resolver {
        values: BTreeMap::new(),
        problems: Vec::new(),
        is_usage: false,
    };
    for setting in SETTINGS {
        resolver
            .values
            .insert(setting.name, (setting.default.into(), Origin::Default));
    }
    resolver.take_file(sources);
    resolver.take_variables(sources);
    for (name, text) in &sources.flags {
        resolver.set(name, text, Origin::Flag);
    }
    let config = resolver.config(sources);
    match config {
        Some(config) if resolver.problems.is_empty() => Ok(config),
        _ => Err(ConfigError {
            problems: resolver.problems,
            is_usage: resolver.is_usage,
        }),
    }
}

struct Resolver {
    values: BTreeMap<&'static str, (OsString, Origin)>,
    problems: Vec<String>,
    is_usage: bool,
}

impl Resolver {
    fn take_file(&mut self, sources: &Sources) {
        let Some((path, text)) = &sources.file else { return };
        type Table = BTreeMap<toml::Spanned<String>, toml::Spanned<toml::Value>>;
        let table: Table = match toml::from_str(text) {
            Ok(table) => table,
            Err(error) => {
                self.problems
                    .push(format!("{}: {}", path.display(), error.to_string().trim_end()));
                return;
            }
        };
        for (key, value) in table {
            let line = text[..key.span().start].matches('\n').count() + 1;
            let origin = Origin::File {
                path: path.clone(),
                line,
            };
            match (Setting::named(key.get_ref()), written(value.get_ref())) {
                (Some(setting), Some(text)) => self.set(setting.name, OsStr::new(&text), origin),
                (Some(setting), None) => {
                    self.problems.push(format!(
                        "{}: a string, number, boolean or list is expected [{origin}]",
                        setting.name
                    ));
                }
                (None, _) => {
                    let hint = nearest(
                        key.get_ref(),
                        SETTINGS.iter().map(|setting| setting.name.to_owned()),
                        usize::MAX,
                    );
                    let hint = hint.map(|name| format!("; {name} is the nearest")).unwrap_or_default();
                    self.problems
                        .push(format!("{:?} is no setting{hint} [{origin}]", key.get_ref()));
                }
            }
        }
    }

    fn take_variables(&mut self, sources: &Sources) {
        for (variable, text) in &sources.variables {
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == *variable) {
                // An empty variable is unset: docker compose gives an unset `${X}` so. But data that was named must
                // not silently become the sample.
                if !text.is_empty() || setting.name == "data" {
                    self.set(setting.name, text, Origin::Variable);
                }
            } else if variable.starts_with("JANUS_") && variable != "JANUS_CONFIG" {
                // Others may have variables of this prefix (Kubernetes makes some for a Service of that name); one that
                // is nearly a setting is a mistake.
                let near = nearest(variable, SETTINGS.iter().map(Setting::variable), 2);
                if let Some(near) = near {
                    self.problems.push(format!(
                        "{variable} is no setting; did you mean {near}? [the environment]"
                    ));
                }
            }
        }
    }

    fn set(&mut self, name: &str, text: &OsStr, origin: Origin) {
        let setting = Setting::named(name).expect("only settings are set");
        // `no-watch` and `watch` are one setting in two forms: the later source wins.
        if name == "no-watch" {
            match text.to_str().map(value::boolean) {
                Some(Ok(no_watch)) => {
                    let watch = OsStr::new(if no_watch { "false" } else { "true" });
                    self.set("watch", watch, origin);
                }
                _ => drop(self.values.insert(setting.name, (text.to_owned(), origin))),
            }
            return;
        }
        self.values.insert(setting.name, (text.to_owned(), origin));
    }

    /// A value that is always there.
    fn get<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, Expected>) -> Option<T> {
        match self.values[name]
            .0
            .to_str()
            .map_or_else(|| Err("UTF-8".to_owned()), parse)
        {
            Ok(value) => Some(value),
            Err(expected) => {
                self.refuse(name, &format!("is not {expected}"));
                None
            }
        }
    }

    /// A value that may be left out: an empty one is none. The outer option is whether it is right.
    fn optional<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, Expected>) -> Option<Option<T>> {
        if self.values[name].0.is_empty() {
            Some(None)
        } else {
            self.get(name, parse).map(Some)
        }
    }

    /// A path, which need not be text; an empty one is none.
    fn path(&self, name: &'static str) -> Option<PathBuf> {
        let (path, _) = &self.values[name];
        (!path.is_empty()).then(|| PathBuf::from(path))
    }

    /// A directory that is always named. `None` if it is not an absolute path.
    fn directory(&mut self, name: &'static str) -> Option<PathBuf> {
        let directory = PathBuf::from(&self.values[name].0);
        if directory.is_absolute() {
            return Some(directory);
        }
        self.refuse(name, "is not an absolute path");
        None
    }

    /// Where the data comes from. The sample is served only where nothing at all was said.
    fn data(&mut self) -> Option<Location> {
        let (path, origin) = &self.values["data"];
        match path.to_str() {
            Some("") if *origin == Origin::Default => Some(Location::Sample),
            Some("") => {
                self.refuse("data", "names no file; - is standard input");
                None
            }
            Some("-") => Some(Location::Stdin),
            _ => Some(Location::File(PathBuf::from(path))),
        }
    }

    fn is_asked_for(&self, name: &str) -> bool {
        self.values[name].1 != Origin::Default
    }

    fn refuse(&mut self, name: &'static str, why: &str) {
        let (text, origin) = &self.values[name];
        self.is_usage |= *origin == Origin::Flag;
        let variable = Setting::named(name).expect("only settings are refused").variable();
        self.problems
            .push(format!("--{name} ({variable}): {text:?} {why} [{origin}]"));
    }

    fn config(&mut self, sources: &Sources) -> Option<Config> {
        let data = self.data();
        let format = self.optional("format", |text| {
            text.parse::<Format>()
                .map_err(|_| "json, ndjson, concatenated, csv or tsv".to_owned())
        });
        let charset = self.optional("charset", |text| text.parse().map_err(|_| value::expected_charset()));
        let id_field = self.get("id-field", value::id_field);
        let pointer = self.optional("pointer", |text| {
            text.parse().map_err(|error| format!("a JSON pointer: {error}"))
        });
        let ids_from_keys = self.get("ids-from-keys", value::boolean);
        let delimiter = self.optional("delimiter", |text| {
            text.parse().map_err(|_| value::expected_delimiter())
        });
        let unnamed_column = self.optional("unnamed-column", |text| Ok(text.to_owned()));
        let csv_types = self.get("csv-types", value::boolean);
        let csv_no_quotes = self.get("csv-no-quotes", value::boolean);
        let max_data_bytes = self.optional("max-data-bytes", value::size);
        let listen = self.listen(sources);
        let admin_listen = self.optional("admin-listen", value::address);
        let admin_token_file = self.path("admin-token-file");
        let workers = self.optional("workers", |text| value::number(text, 1..=1024));
        let max_connections = self.get("max-connections", |text| value::number(text, 1..=10_000_000));
        let min_send_rate = self.get("min-send-rate", value::rate);
        let encodings = self.get("encodings", value::codings);
        let cache_control = self.get("cache-control", value::header_value);
        let cors_origin = self.get("cors-origin", value::origins);
        let cors_headers = self.get("cors-headers", value::field_names);
        let base_path = self.get("base-path", value::base_path);
        let _ = self.get("no-watch", value::boolean);
        let watch = self.get("watch", value::boolean);
        let poll_interval = self.get("poll-interval", |text| {
            let expected = || "a duration of at least 100ms, or 0 for never".to_owned();
            match value::duration(text)? {
                Duration::ZERO => Ok(None),
                interval => (interval >= POLL_INTERVAL_MIN)
                    .then_some(Some(interval))
                    .ok_or_else(expected),
            }
        });
        let allow_empty = self.get("allow-empty", value::boolean);
        let items_min = self.get("min-items", |text| value::number(text, 0..=u32::MAX as usize));
        let removed_max = self.optional("max-removed", value::share);
        let mode = self.get("hardware", value::hardware_mode);
        let interval = self.get("hardware-interval", |text| {
            let expected = || "a duration of at least 1s".to_owned();
            value::duration(text)
                .and_then(|interval| (interval >= INTERVAL_MIN).then_some(interval).ok_or_else(expected))
        });
        let trust_vm = self.get("hardware-trust-vm", value::boolean);
        let device_label = self.get("hardware-device-label", value::device_label);
        let sysfs_root = self.directory("sysfs-root");
        let procfs_root = self.directory("procfs-root");
        let drain_delay = self.get("drain-delay", value::duration);
        let shutdown_timeout = self.get("shutdown-timeout", value::duration);
        let access_log = self.get("access-log", value::boolean);
        let access_log_exclude = self.get("access-log-exclude", value::routes);
        let proxy_protocol = self.get("proxy-protocol", value::boolean);
        let trusted_proxies = self.get("trusted-proxies", value::networks);
        let log_level = self.get("log-level", value::log_level);
        let log_format = self.optional("log-format", value::log_format);
        let no_lane = self.get("no-lane", value::boolean);

        let config = Config {
            data: data?,
            format: format?,
            charset: charset?,
            id_field: id_field?,
            is_id_required: self.is_asked_for("id-field"),
            pointer: pointer?,
            ids_from_keys: ids_from_keys?,
            delimiter: delimiter?,
            unnamed_column: unnamed_column?,
            csv_types: csv_types?,
            csv_no_quotes: csv_no_quotes?,
            max_data_bytes: max_data_bytes?,
            listen: listen?,
            admin_listen: admin_listen?,
            admin_token_file,
            workers: workers?.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            max_connections: max_connections?,
            min_send_rate: min_send_rate?,
            encodings: encodings?,
            cache_control: cache_control?,
            cors_origin: cors_origin?,
            cors_headers: cors_headers?,
            base_path: base_path?,
            watch: watch?,
            poll_interval: poll_interval?,
            guards: Guards {
                allow_empty: allow_empty?,
                items_min: items_min?,
                removed_max: removed_max?,
            },
            hardware: HardwareConfig {
                mode: mode?,
                interval: interval?,
                trust_vm: trust_vm?,
                device_label: device_label?,
                sysfs_root: sysfs_root?,
                procfs_root: procfs_root?,
            },
            drain_delay: drain_delay?,
            shutdown_timeout: shutdown_timeout?,
            access_log: access_log?,
            access_log_exclude: access_log_exclude?,
            proxy_protocol: proxy_protocol?,
            trusted_proxies: trusted_proxies?,
            log_level: log_level?,
            log_format: log_format?.unwrap_or_else(default_log_format),
            lane: !no_lane?,
        };
        self.contradictions(&config);
        Some(config)
    }

    /// `PORT` is how platforms tell a program its port: it beats all but the flag.
    fn listen(&mut self, sources: &Sources) -> Option<SocketAddr> {
        let mut listen = self.get("listen", value::address)?;
        if self.values["listen"].1 != Origin::Flag
            && let Some(port) = sources.variables.get("PORT").filter(|port| !port.is_empty())
        {
            match port.to_str().and_then(|port| port.parse().ok()) {
                Some(port) => listen.set_port(port),
                None => {
                    self.problems
                        .push(format!("PORT: {port:?} is not a port, 0 to 65535 [the environment]"));
                    return None;
                }
            }
        }
        Some(listen)
    }

    fn contradictions(&mut self, config: &Config) {
        if config.admin_listen == Some(config.listen) && config.listen.port() != 0 {
            self.refuse("admin-listen", "is the main address too");
        }
        if config.proxy_protocol && config.trusted_proxies.is_empty() {
            self.refuse(
                "proxy-protocol",
                "cannot be: anybody could name any client. --trusted-proxies says from which networks it is believed",
            );
        }
        let is_file = matches!(config.data, Location::File(_));
        if config.watch && self.is_asked_for("watch") && !is_file {
            self.refuse("watch", "cannot be: only a file can be watched, and --data names none");
        }
        if config.poll_interval.is_some() && self.is_asked_for("poll-interval") && !is_file {
            self.refuse(
                "poll-interval",
                "cannot be: only a file can be looked at, and --data names none",
            );
        }
        if config.pointer.is_some() && config.format.is_some_and(|format| format != Format::Json) {
            self.refuse(
                "pointer",
                "cannot be: only a JSON document has pointers, and --format names another",
            );
        }
        if config.ids_from_keys && config.format.is_some_and(|format| format != Format::Json) {
            self.refuse("ids-from-keys", "cannot be: --format names another than json");
        }
        if config.ids_from_keys && config.is_id_required && !config.id_field.is_empty() {
            self.refuse("ids-from-keys", "cannot be: --id-field names a member for the ids");
        }
        let is_other = |format| !matches!(format, Format::Csv | Format::Tsv);
        if config.format.is_some_and(is_other) {
            for (name, is_set) in [
                ("csv-types", config.csv_types),
                ("csv-no-quotes", config.csv_no_quotes),
                ("delimiter", config.delimiter.is_some()),
                ("unnamed-column", config.unnamed_column.is_some()),
            ] {
                if is_set {
                    self.refuse(name, "cannot be: --format is neither csv nor tsv");
                }
            }
        }
    }
}

/// A file's value as it would be written for a flag.
fn written(value: &toml::Value) -> Option<String> {
    Some(match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Boolean(boolean) => boolean.to_string(),
        toml::Value::Array(all) => {
            let all = all.iter().map(|element| element.as_str()).collect::<Option<Vec<_>>>()?;
            all.join(",")
        }
        _ => return None,
    })
}

fn nearest(name: &str, known: impl Iterator<Item = String>, distance_max: usize) -> Option<String> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, &known), known))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, known)| known)
}

fn default_log_format() -> LogFormat {
    if std::io::stderr().is_terminal() {
        LogFormat::Text
    } else {
        LogFormat::Json
    }
}
