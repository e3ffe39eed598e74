//! What `--print-config` shows: each setting, its value, and where that was written.
//!
//! The text is a configuration file that says the same: what is not set is a comment of it, and so are the origins.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

use super::resolve::Origin;
use super::settings::Setting;
use super::{Config, LogFormat};

/// A setting as it was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value; empty where it has none.
    pub value: OsString,
    /// Where that was written.
    pub origin: Origin,
}

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";

/// The settings as a configuration file, with the origin behind each.
pub fn print(written: &[Written], config: &Config) -> String {
    let mut text = String::from("# Each setting, its value, and where that comes from. Secrets are hidden.\n");
    let mut group = "";
    for Written { setting, value, origin } in written {
        if setting.group != group {
            group = setting.group;
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n# {group}");
        }
        let name = setting.name;
        let shown = hidden(setting, value);
        let _ = if !value.is_empty() {
            let shown = match setting.value {
                Some(_) => quoted(&shown),
                None => shown.into_owned(),
            };
            let mark = if shown.contains(HIDDEN) { "# " } else { "" };
            let variable = match origin {
                Origin::Variable => format!(": {}", setting.variable()),
                _ => String::new(),
            };
            writeln!(text, "{mark}{name} = {shown}  # {origin}{variable}")
        } else if *origin != Origin::Default {
            writeln!(text, "{name} = \"\"  # {origin}")
        } else {
            match by_the_machine(name, config) {
                Some(value) => writeln!(text, "# {name} = \"{value}\"  # not set: what this machine gives"),
                None => writeln!(text, "# {name} =  # not set"),
            }
        };
    }
    text
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted + "\""
}

/// What is taken for a setting that is not set and has no fixed default.
fn by_the_machine(name: &str, config: &Config) -> Option<String> {
    match name {
        "workers" => Some(config.workers.to_string()),
        "log-format" => Some(
            match config.log_format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            }
            .to_owned(),
        ),
        _ => None,
    }
}

/// A value as it may be shown: of a secret nothing, of a URL neither its user nor what its query may hold.
pub(super) fn hidden<'a>(setting: &Setting, value: &'a OsStr) -> Cow<'a, str> {
    let value = value.to_string_lossy();
    if setting.is_secret && !value.is_empty() {
        return HIDDEN.into();
    }
    let Some((scheme, rest)) = value.split_once("://") else {
        return value;
    };
    let end = rest.find(['/', '?', '#', ',']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(user, host)| (Some(user), host));
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    if user.is_none() && query.is_none() {
        return value;
    }
    let user = user.map(|_| format!("{HIDDEN}@")).unwrap_or_default();
    let query = query.map(|_| format!("?{HIDDEN}")).unwrap_or_default();
    format!("{scheme}://{user}{host}{path}{query}").into()
}
