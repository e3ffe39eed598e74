//! From what is written to what is meant: precedence, validation, and errors that name the place.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use super::Config;
use super::print::{Written, hidden};
use super::settings::{SETTINGS, Setting};
use super::value;
use crate::exit;
use crate::items::Format;
use crate::source::Location;

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
pub enum Origin {
    /// Nowhere.
    Default,
    /// On the command line.
    Flag,
    /// In the variable of the setting.
    Variable,
    /// In the variable `PORT`.
    Port,
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Flag => f.write_str("the command line"),
            Self::Variable => f.write_str("the environment"),
            Self::Port => f.write_str("the environment: PORT"),
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
    resolve_written(sources).map(|(config, _)| config)
}

/// As [`resolve`], with each setting as it was written, in the order of the table.
///
/// # Errors
///
/// As of [`resolve`].
pub fn resolve_written(sources: &Sources) -> Result<(Config, Vec<Written>), ConfigError> {
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
        Some(config) if resolver.problems.is_empty() => Ok((config, resolver.written())),
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
                        .push(format!("unknown key {:?}{hint} [{origin}]", key.get_ref()));
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
                        "unknown variable {variable}; did you mean {near}? [the environment]"
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

    fn is_asked_for(&self, name: &str) -> bool {
        self.values[name].1 != Origin::Default
    }

    fn refuse(&mut self, name: &'static str, why: &str) {
        let (text, origin) = &self.values[name];
        self.is_usage |= *origin == Origin::Flag;
        let setting = Setting::named(name).expect("only settings are refused");
        let variable = setting.variable();
        let text = hidden(setting, text);
        self.problems
            .push(format!("--{name} ({variable}): {text:?} {why} [{origin}]"));
    }

    fn config(&mut self, sources: &Sources) -> Option<Config> {
        let mut config = Config::blank();
        let mut is_right = true;
        for setting in SETTINGS {
            let (value, origin) = &self.values[setting.name];
            let is_left_out = value.is_empty() && setting.default.is_empty();
            let read = if !is_left_out {
                setting
                    .read(value, &mut config)
                    .map_err(|expected| format!("is not {expected}"))
            } else if setting.name == "data" && *origin != Origin::Default {
                // The sample is served only where nothing at all was said.
                Err("names no file; - is standard input".to_owned())
            } else {
                Ok(())
            };
            if let Err(why) = read {
                is_right = false;
                self.refuse(setting.name, &why);
            }
        }
        is_right &= self.take_port(&mut config, sources);
        config.is_id_required = self.is_asked_for("id-field");
        if is_right {
            self.contradictions(&config);
        }
        is_right.then_some(config)
    }

    /// `PORT` is how platforms tell a program its port: it beats all but the flag. False if it is none.
    fn take_port(&mut self, config: &mut Config, sources: &Sources) -> bool {
        let Some(port) = sources.variables.get("PORT").filter(|port| !port.is_empty()) else {
            return true;
        };
        if self.values["listen"].1 == Origin::Flag {
            return true;
        }
        let Some(number) = port.to_str().and_then(|port| port.parse().ok()) else {
            self.problems
                .push(format!("PORT: {port:?} is not a port, 0 to 65535 [the environment]"));
            return false;
        };
        config.listen.set_port(number);
        let listen = config.listen.to_string();
        self.values.insert("listen", (listen.into(), Origin::Port));
        true
    }

    /// Every setting as it was written. `no-watch` is the other form of `watch`.
    fn written(self) -> Vec<Written> {
        let mut values = self.values;
        let (watch, origin) = values["watch"].clone();
        let is_off = watch.to_str().map(value::boolean) == Some(Ok(false));
        values.insert("no-watch", (is_off.to_string().into(), origin));
        let written = |setting: &'static Setting| {
            let (value, origin) = values.remove(setting.name)?;
            Some(Written { setting, value, origin })
        };
        SETTINGS.iter().filter_map(written).collect()
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
