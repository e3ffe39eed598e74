//! The command line: subcommands, help, and the flags that [`SETTINGS`] lists.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::Shell;

use crate::check::Wanted;
use crate::config::{Config, ConfigError, SETTINGS, Setting, Sources, Written, resolve_written};
use crate::{config, exit, output};

/// The version, with the git commit.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("JANUS_COMMIT"), ")");

const EXAMPLES: &str = "\
Examples:
  janus                                            serve a built-in sample on http://127.0.0.1:8080
  janus countries.json --id-field cca3             serve a file, and reload it when it changes
  janus serve data.json --pointer /data/items      serve the array within a document
  zcat items.ndjson.gz | janus serve -             serve standard input
  janus check a.json b.csv                         see what would be served, and all that is wrong
  janus check --output json a.json                 the same for programs
  janus --config janus.toml --print-config         see each setting, and where its value comes from
  JANUS_LISTEN=0.0.0.0:8080 janus a.json           every flag has a variable
  janus health                                     ask the server of this configuration; exit code 0 or 1

Exit codes: 0 success, 1 not healthy, 2 wrong command line, 65 bad data, 66 no such source, 69 port taken or no memory for
the data, 70 a fault of the program, 74 a source or standard output fails, 77 reading the source is not permitted,
78 bad configuration, 130 interrupted a second time.";

const MORE: &str = "\
Examples:
  janus countries.json --id-field cca3             serve a file, and reload it when it changes
  janus check countries.json                       see what would be served, and what is wrong

Every setting is a flag, a variable and a key of a file; --help shows all of them, with examples and exit codes.";

/// Settings that `janus health` takes: by them it finds the server. It goes by the variables and the file of the others
/// too.
const HEALTH: &[&str] = &["listen", "admin-listen", "proxy-protocol", "trusted-proxies"];

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Serve until a signal ends it.
    Serve,
    /// Load, report, and end.
    Check(Wanted),
    /// Ask a running server.
    Health {
        /// Whom; by default the server of this configuration.
        url: Option<String>,
        /// How long connecting, asking and answering may take, each.
        timeout: Duration,
    },
    /// Print completions.
    Completions(Shell),
}

/// A command line.
#[derive(Clone, Debug)]
pub struct Cli {
    /// What to do.
    pub action: Action,
    /// Whether to print the configuration in place of that.
    pub prints_config: bool,
    flags: BTreeMap<String, OsString>,
    config_file: Option<PathBuf>,
}

impl Cli {
    /// Reads the process's command line. Ends the process to show help or the version, or if it is wrong (exit code 2).
    pub fn parse_or_exit() -> Self {
        match command()
            .try_get_matches()
            .and_then(|matches| Self::from_matches(&matches))
        {
            Ok(cli) => cli,
            Err(shown) => std::process::exit(show(&shown)),
        }
    }

    fn from_matches(root: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = BTreeMap::new();
        take_flags(root, &mut flags);
        let mut config_file = config_file(root);
        let mut prints_config = root.get_flag("print-config");
        if let (Some(data), Some(name)) = (root.get_one::<OsString>("DATA"), root.subcommand_name()) {
            let message = format!(
                "{} stands before the command {name}; it belongs behind it",
                data.display()
            );
            return Err(command().error(ErrorKind::ArgumentConflict, message));
        }
        let action = match root.subcommand() {
            None => Action::Serve,
            Some(("completions", matches)) => {
                Action::Completions(*matches.get_one::<Shell>("shell").expect("clap requires a shell"))
            }
            Some((name, matches)) => {
                take_flags(matches, &mut flags);
                config_file = self::config_file(matches).or(config_file);
                prints_config |= matches.get_flag("print-config");
                match name {
                    "check" => Action::Check(Wanted {
                        files: matches.get_many("DATA").into_iter().flatten().cloned().collect(),
                        errors_max: *matches.get_one::<u32>("max-errors").expect("it has a default") as usize,
                        is_json: matches.get_one::<String>("output").is_some_and(|form| form == "json"),
                    }),
                    "health" => Action::Health {
                        url: matches.get_one::<String>("url").cloned(),
                        timeout: *matches.get_one("timeout").expect("it has a default"),
                    },
                    _ => Action::Serve,
                }
            }
        };
        Ok(Self {
            action,
            prints_config,
            flags,
            config_file,
        })
    }

    /// The configuration, of this command line, the process's environment and the file, and each setting as it was written.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn config(&self) -> Result<(Config, Vec<Written>), ConfigError> {
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
        resolve_written(&Sources {
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
            i32::from(exit::IO)
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
    let sub = |name: &'static str, about: &'static str| {
        Command::new(name)
            .about(about)
            .after_help("--help shows every setting.")
            .after_long_help(EXAMPLES)
            .args(arguments(|_| true))
    };
    Command::new("janus")
        .version(VERSION)
        .about("Publishes a read-mostly JSON collection as an HTTP API at the speed of the socket")
        .after_help(MORE)
        .after_long_help(EXAMPLES)
        .max_term_width(120)
        .args(arguments(|_| true))
        .arg(data())
        .subcommand(sub("serve", "Serve a collection; this is the default").arg(data()))
        .subcommand(
            sub("check", "Load as serve would, report, and exit")
                .arg(
                    data()
                        .required(true)
                        .num_args(1..)
                        .help("The files to check, or - for standard input"),
                )
                .arg(max_errors())
                .arg(
                    Arg::new("output")
                        .long("output")
                        .value_name("FORM")
                        .value_parser(["text", "json"])
                        .default_value("text")
                        .help("How to report: text or json"),
                ),
        )
        .subcommand(health())
        .subcommand(
            Command::new("completions").about("Print completions for a shell").arg(
                Arg::new("shell")
                    .value_name("SHELL")
                    .required(true)
                    .value_parser(clap::value_parser!(Shell)),
            ),
        )
}

fn max_errors() -> Arg {
    Arg::new("max-errors")
        .long("max-errors")
        .value_name("NUMBER")
        .value_parser(clap::value_parser!(u32).range(1..=100_000))
        .default_value("10")
        .help("How many errors of each file to tell of, at most")
}

fn health() -> Command {
    Command::new("health")
        .about("Ask a running server, and exit with 0 or 1")
        .args(
            arguments(|setting| HEALTH.contains(&setting.name))
                .into_iter()
                .map(|argument| argument.hide_short_help(false)),
        )
        .arg(
            Arg::new("url")
                .value_name("URL")
                .help("By default /health of the server of this configuration"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("DURATION")
                .value_parser(config::parse_duration)
                .default_value("2s")
                .help("How long connecting, asking and answering may take, each"),
        )
}

fn arguments(is_taken: impl Fn(&Setting) -> bool) -> Vec<Arg> {
    let config = Arg::new("config").long("config").value_name("FILE").value_parser(clap::value_parser!(PathBuf)).help_heading("Configuration").help(
        "A TOML file of settings, each by its flag's name; a flag beats a variable, a variable the file [env: JANUS_CONFIG]",
    );
    let print = Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help_heading("Configuration")
        .help("Print each setting, its value and where that comes from, secrets hidden, and exit");
    let settings = SETTINGS.iter().filter(|setting| is_taken(setting)).map(argument);
    settings.chain([config, print]).collect()
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
        .hide_short_help(!setting.is_common)
        .action(ArgAction::Set);
    match setting.value {
        // Values may begin with a hyphen: `-` is one.
        Some(value) if setting.is_path() => argument
            .value_name(value)
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
    // Of several, which `check` takes, the first stands for all.
    if let Some(data) = matches
        .try_get_raw("DATA")
        .ok()
        .flatten()
        .and_then(|mut all| all.next())
    {
        flags.insert("data".to_owned(), data.to_owned());
    }
}

fn config_file(matches: &ArgMatches) -> Option<PathBuf> {
    matches.get_one::<PathBuf>("config").cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Cli, clap::Error> {
        let all = ["janus"].iter().chain(arguments);
        command()
            .try_get_matches_from(all)
            .and_then(|matches| Cli::from_matches(&matches))
    }

    fn parse(arguments: &[&str]) -> Cli {
        read(arguments).unwrap()
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
            &["--workers=3", "a.json"],
            &["a.json", "--workers=3"],
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
    }

    #[test]
    fn a_file_alone_is_served() {
        for (arguments, data) in [
            (&["countries.json"][..], "countries.json"),
            (&["-"], "-"),
            (&["./serve"], "./serve"),
            (&["--watch", "a.json"], "a.json"),
            (&["a.json", "--id-field", "cca3"], "a.json"),
            (&["--", "check"], "check"),
        ] {
            let cli = parse(arguments);
            assert_eq!(
                (&cli.action, cli.flags["data"].to_str()),
                (&Action::Serve, Some(data)),
                "{arguments:?}"
            );
        }
        assert_eq!(parse(&["serve"]).flags.get("data"), None);
        for arguments in [
            &["a.json", "b.json"][..],
            &["a.json", "serve", "b.json"],
            &["a.json", "health"],
        ] {
            assert!(read(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn check_takes_several_files() {
        let wanted = |arguments: &[&str]| match parse(arguments).action {
            Action::Check(wanted) => (wanted.files.len(), wanted.errors_max, wanted.is_json),
            other => panic!("{other:?}"),
        };
        assert_eq!(wanted(&["check", "a.json"]), (1, 10, false));
        assert_eq!(
            wanted(&["check", "a.json", "b.csv", "-", "--output", "json"]),
            (3, 10, true)
        );
        assert_eq!(
            wanted(&["check", "--max-errors", "3", "a.json", "--output=text"]),
            (1, 3, false)
        );
        for arguments in [
            &["check"][..],
            &["check", "a.json", "--max-errors", "0"],
            &["check", "a.json", "--max-errors", "many"],
            &["check", "a.json", "--output", "xml"],
            &["check", "a.json", "--data", "b.json"],
        ] {
            assert!(read(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn health_has_flags_of_its_own() {
        let url = |arguments: &[&str]| match parse(arguments).action {
            Action::Health { url, timeout } => (url, timeout),
            other => panic!("{other:?}"),
        };
        assert_eq!(url(&["health"]), (None, Duration::from_secs(2)));
        assert_eq!(
            url(&["health", "http://a/", "--timeout", "500ms"]),
            (Some("http://a/".to_owned()), Duration::from_millis(500))
        );
        assert_eq!(parse(&["health", "--listen", "a:1"]).flags["listen"], "a:1");
        for flag in [
            "--encodings=br",
            "--data=a.json",
            "--workers=3",
            "--timeout=soon",
            "--timeout=0",
        ] {
            assert!(read(&["health", flag]).is_err(), "{flag}");
        }
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
        assert!(read(&["serve", "a.json", "--data", "b.json"]).is_err());
        assert!(read(&["a.json", "--data", "b.json"]).is_err());
    }

    #[test]
    fn short_help_has_what_one_meets_first_and_long_help_all() {
        let (short, long) = (
            command().render_help().to_string(),
            command().render_long_help().to_string(),
        );
        for setting in SETTINGS {
            let flag = format!("--{} ", setting.name);
            let flag = if setting.value.is_none() {
                format!("--{}[", setting.name)
            } else {
                flag
            };
            assert!(long.contains(&flag), "{flag} is not in {long}");
            assert_eq!(short.contains(&flag), setting.is_common, "{flag} in {short}");
        }
        assert!(short.lines().count() * 2 < long.lines().count());
    }
}
