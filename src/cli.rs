//! The command line: subcommands, help, and the flags that [`SETTINGS`] lists.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::Shell;

use crate::config::{Config, ConfigError, SETTINGS, Setting, Sources, resolve};
use crate::{exit, output};

/// The version, with the git commit.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("JANUS_COMMIT"), ")");

const EXAMPLES: &str = "\
Examples:
  janus                                            serve a built-in sample on http://127.0.0.1:8080
  janus serve countries.json --id-field cca3       serve a file, and reload it when it changes
  janus serve data.json --pointer /data/items      serve the array within a document
  zcat items.ndjson.gz | janus serve -             serve standard input
  janus check items.csv --csv-types                see what would be served, and what is wrong
  JANUS_LISTEN=0.0.0.0:8080 janus serve a.json     every flag has a variable
  janus health                                     ask the server of this configuration; exit code 0 or 1

Exit codes: 0 success, 1 not healthy, 2 wrong command line, 65 bad data, 66 no such source, 69 port taken,
74 standard output takes nothing, 78 bad configuration.";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Serve until a signal ends it.
    Serve,
    /// Load, report, and end.
    Check,
    /// Ask a running server.
    Health {
        /// Whom; by default the server of this configuration.
        url: Option<String>,
    },
    /// Print completions.
    Completions(Shell),
}

/// A command line.
#[derive(Clone, Debug)]
pub struct Cli {
    /// What to do.
    pub action: Action,
    flags: BTreeMap<String, OsString>,
    config_file: Option<PathBuf>,
}

impl Cli {
    /// Reads the process's command line. Ends the process to show help or the version, or if it is wrong (exit code 2).
    pub fn parse_or_exit() -> Self {
        match command().try_get_matches() {
            Ok(matches) => Self::from_matches(&matches),
            Err(shown) => std::process::exit(show(&shown)),
        }
    }

    fn from_matches(root: &ArgMatches) -> Self {
        let mut flags = BTreeMap::new();
        take_flags(root, &mut flags);
        let mut config_file = config_file(root);
        let action = match root.subcommand() {
            None => Action::Serve,
            Some(("completions", matches)) => {
                Action::Completions(*matches.get_one::<Shell>("shell").expect("clap requires a shell"))
            }
            Some((name, matches)) => {
                take_flags(matches, &mut flags);
                config_file = self::config_file(matches).or(config_file);
                match name {
                    "check" => Action::Check,
                    "health" => Action::Health {
                        url: matches.get_one::<String>("url").cloned(),
                    },
                    _ => Action::Serve,
                }
            }
        };
        Self {
            action,
            flags,
            config_file,
        }
    }

    /// The configuration, of this command line, the process's environment and the file.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        let variables: BTreeMap<String, OsString> = std::env::vars_os().filter_map(named).collect();
        let variable = variables.get("JANUS_CONFIG").filter(|path| !path.is_empty());
        let path = self.config_file.clone().or_else(|| variable.map(PathBuf::from));
        let file = path.map(|path| match std::fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(error) => Err(ConfigError::new(format!(
                "--config (JANUS_CONFIG): {}: {error}",
                path.display()
            ))),
        });
        resolve(&Sources {
            flags: self.flags.clone(),
            variables,
            file: file.transpose()?,
        })
    }
}

/// Shows help, the version, or what is wrong with the command line, and returns the exit code.
fn show(shown: &clap::Error) -> i32 {
    match output::taken(shown.print()) {
        // What is wrong is told on standard error; the exit code says it too.
        Err(error) if !shown.use_stderr() => {
            output::complain(&error);
            i32::from(exit::OUTPUT)
        }
        _ => shown.exit_code(),
    }
}

/// Completions for a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "janus", &mut script);
    script
}

/// The whole command line, for parsing, help and completions.
pub fn command() -> Command {
    let data = || {
        Arg::new("DATA")
            .value_name("DATA")
            .value_parser(clap::value_parser!(OsString))
            .help("The file to serve, or - for standard input")
            .conflicts_with("data")
    };
    let sub = |name: &'static str, about: &'static str| Command::new(name).about(about).args(arguments());
    Command::new("janus")
        .version(VERSION)
        .about("Publishes a read-mostly JSON collection as an HTTP API at the speed of the socket")
        .after_help(EXAMPLES)
        .max_term_width(120)
        .args(arguments())
        .subcommand(sub("serve", "Serve a collection; this is the default").arg(data()))
        .subcommand(sub("check", "Load as serve would, report, and exit").arg(data().required(true)))
        .subcommand(
            sub("health", "Ask a running server, and exit with 0 or 1").arg(
                Arg::new("url")
                    .value_name("URL")
                    .help("By default /health of the server of this configuration"),
            ),
        )
        .subcommand(
            Command::new("completions").about("Print completions for a shell").arg(
                Arg::new("shell")
                    .value_name("SHELL")
                    .required(true)
                    .value_parser(clap::value_parser!(Shell)),
            ),
        )
}

fn arguments() -> Vec<Arg> {
    let config = Arg::new("config").long("config").value_name("FILE").value_parser(clap::value_parser!(PathBuf)).help_heading("Configuration").help(
        "A TOML file of settings, each by its flag's name; a flag beats a variable, a variable the file [env: JANUS_CONFIG]",
    );
    SETTINGS.iter().map(argument).chain([config]).collect()
}

fn argument(setting: &'static Setting) -> Arg {
    let mut help = format!("{} [env: {}]", setting.help, setting.variable());
    if !setting.default.is_empty() && setting.value.is_some() {
        help.push_str(&format!(" [default: {}]", setting.default));
    }
    let argument = Arg::new(setting.name)
        .long(setting.name)
        .help(help)
        .help_heading(setting.group)
        .action(ArgAction::Set);
    match setting.value {
        // Values may begin with a hyphen: `-` is one.
        Some("PATH") => argument
            .value_name("PATH")
            .allow_hyphen_values(true)
            .value_parser(clap::value_parser!(OsString)),
        Some(value) => argument.value_name(value),
        None => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOLEAN"),
    }
}

fn take_flags(matches: &ArgMatches, flags: &mut BTreeMap<String, OsString>) {
    // As it was given: whether it has to be text is the setting's business.
    let value = |name: &str| matches.try_get_raw(name).ok().flatten()?.next_back();
    for setting in SETTINGS {
        if let Some(value) = value(setting.name) {
            flags.insert(setting.name.to_owned(), value.to_owned());
        }
    }
    if let Some(data) = value("DATA") {
        flags.insert("data".to_owned(), data.to_owned());
    }
}

fn config_file(matches: &ArgMatches) -> Option<PathBuf> {
    matches.get_one::<PathBuf>("config").cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Cli {
        let all = ["janus"].iter().chain(arguments);
        Cli::from_matches(&command().try_get_matches_from(all).unwrap())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn flags_are_taken_before_and_after_the_subcommand() {
        for arguments in [
            &["--workers", "3"][..],
            &["serve", "--workers", "3"],
            &["--workers=3", "serve"],
        ] {
            let cli = parse(arguments);
            assert_eq!(
                (cli.action, cli.flags["workers"].to_str()),
                (Action::Serve, Some("3")),
                "{arguments:?}"
            );
        }
        assert_eq!(parse(&["serve", "-"]).flags["data"], "-");
        assert_eq!(parse(&["--data", "-"]).flags["data"], "-");
        assert_eq!(parse(&["check", "a.json"]).action, Action::Check);
    }

    #[test]
    fn switches_take_a_value_if_they_must() {
        assert_eq!(parse(&["--access-log"]).flags["access-log"], "true");
        assert_eq!(parse(&["serve", "--watch", "a.json"]).flags["watch"], "true");
        assert_eq!(parse(&["--watch=false"]).flags["watch"], "false");
        assert_eq!(parse(&["--access-log=false"]).flags["access-log"], "false");
        assert_eq!(parse(&["serve", "--access-log", "a.json"]).flags["data"], "a.json");
    }

    #[test]
    fn data_is_named_once() {
        assert!(
            command()
                .try_get_matches_from(["janus", "serve", "a.json", "--data", "b.json"])
                .is_err()
        );
    }
}
