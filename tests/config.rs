//! Configuration: precedence, validation, and what errors say.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use janus::config::{Config, ConfigError, SETTINGS, Sources, markdown, print, resolve, resolve_written};
use janus::reload::{Guards, Share};
use janus::source::Location;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, OsString> {
    pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.into()))
        .collect()
}

fn config(flags: &[(&str, &str)], variables: &[(&str, &str)], file: Option<&str>) -> Result<Config, ConfigError> {
    let file = file.map(|text| ("janus.toml".into(), text.to_owned()));
    resolve(&Sources {
        flags: map(flags),
        variables: map(variables),
        file,
    })
}

#[test]
fn the_defaults_are_safe() {
    let config = config(&[], &[], None).unwrap();
    assert_eq!(config.data, Location::Sample);
    assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!((config.admin_listen, config.admin_token_file), (None, None));
    assert_eq!(
        (config.drain_delay, config.shutdown_timeout),
        (Duration::ZERO, Duration::from_secs(30))
    );
    assert!(config.watch && config.lane && !config.access_log && config.workers >= 1);
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_the_file() {
    let (flag, variable, file) = ([("workers", "1")], [("JANUS_WORKERS", "2")], Some("workers = 3"));
    assert_eq!(config(&flag, &variable, file).unwrap().workers, 1);
    assert_eq!(config(&[], &variable, file).unwrap().workers, 2);
    assert_eq!(config(&[], &[], file).unwrap().workers, 3);
}

#[test]
fn a_load_has_the_threads_it_is_given_or_a_core_each() {
    let given = |variables: &[(&str, &str)]| config(&[], variables, None).unwrap().load_threads;
    assert_eq!(given(&[("JANUS_LOAD_THREADS", "3")]), 3);
    assert!((1..=16).contains(&given(&[])));
}

#[test]
fn watching_is_one_setting_in_two_forms() {
    let file = [("data", "a.json")];
    assert!(
        !config(&[("data", "a.json"), ("no-watch", "true")], &[], None)
            .unwrap()
            .watch
    );
    assert!(!config(&file, &[("JANUS_WATCH", "false")], None).unwrap().watch);
    assert!(
        config(
            &[("data", "a.json"), ("watch", "true")],
            &[("JANUS_NO_WATCH", "1")],
            None
        )
        .unwrap()
        .watch
    );
    assert!(
        config(&file, &[("JANUS_NO_WATCH", "0")], Some("watch = false"))
            .unwrap()
            .watch
    );
}

#[test]
fn port_sets_the_port_of_all_but_the_flag() {
    let listen =
        |flags: &[(&str, &str)], variables: &[(&str, &str)]| config(flags, variables, None).unwrap().listen.to_string();
    assert_eq!(listen(&[], &[("PORT", "9000")]), "127.0.0.1:9000");
    assert_eq!(
        listen(&[], &[("PORT", "9000"), ("JANUS_LISTEN", "0.0.0.0:8080")]),
        "0.0.0.0:9000"
    );
    assert_eq!(
        listen(&[("listen", "127.0.0.1:7000")], &[("PORT", "9000")]),
        "127.0.0.1:7000"
    );
}

#[track_caller]
fn check_refused(
    flags: &[(&str, &str)],
    variables: &[(&str, &str)],
    file: Option<&str>,
    exit_code: u8,
    messages: &[&str],
) {
    let error = config(flags, variables, file).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), exit_code, "{text}");
    for message in messages {
        assert!(text.contains(message), "{message:?} is not in {text}");
    }
}

#[test]
fn a_bad_value_is_named_with_its_flag_variable_and_origin() {
    for (name, value) in [
        ("workers", "many"),
        ("load-threads", "0"),
        ("load-threads", "17"),
        ("workers", "0"),
        ("listen", "nowhere"),
        ("encodings", "deflate"),
        ("drain-delay", "5"),
        ("max-data-bytes", "64Mib"),
        ("cors-origin", "https://a.example/"),
        ("trusted-proxies", "10.0.0.0/99"),
        ("base-path", "//evil.example"),
        ("cors-headers", "a b"),
        ("access-log-exclude", "/nowhere"),
        ("proxy-protocol", "yes"),
        ("log-level", "loud"),
        ("log-format", "xml"),
        ("cache-control", ""),
        ("pointer", "data"),
        ("format", "xml"),
        ("csv-types", "yes"),
        ("poll-interval", "1ms"),
        ("min-items", "-1"),
        ("max-removed", "most"),
        ("access-log", "on"),
        ("no-lane", "x"),
    ] {
        let flag = format!("--{name}");
        let variable = format!("JANUS_{}", name.replace('-', "_").to_uppercase());
        let value_shown = format!("{value:?}");
        let messages = [flag.as_str(), variable.as_str(), value_shown.as_str()];
        check_refused(&[(name, value)], &[], None, 2, &messages);
        if !value.is_empty() {
            check_refused(&[], &[(&variable, value)], None, 78, &messages);
            check_refused(&[], &[(&variable, value)], None, 78, &["[the environment]"]);
        }
        let file = format!("\n{name} = {value:?}");
        check_refused(&[], &[], Some(&file), 78, &[&flag, &value_shown, "janus.toml, line 2"]);
    }
}

#[test]
fn all_that_is_wrong_is_reported_together() {
    check_refused(
        &[("workers", "x")],
        &[("JANUS_LISTEN", "y")],
        Some("encodings = \"z\""),
        2,
        &["\"x\"", "\"y\"", "\"z\""],
    );
}

#[test]
fn what_is_no_setting_is_refused_with_the_nearest() {
    check_refused(
        &[],
        &[],
        Some("worker = 3"),
        78,
        &["unknown key \"worker\"", "workers", "line 1"],
    );
    check_refused(
        &[],
        &[("JANUS_WORKER", "3")],
        None,
        78,
        &["unknown variable JANUS_WORKER", "JANUS_WORKERS"],
    );
    check_refused(&[], &[], Some("workers = {}"), 78, &["workers", "line 1"]);
    check_refused(&[], &[], Some("workers ="), 78, &["janus.toml"]);
    // What Kubernetes makes for a Service of this name, and others' own.
    let variables = [
        ("JANUS_PORT", "tcp://10.0.0.1:80"),
        ("JANUS_SERVICE_HOST", "10.0.0.1"),
        ("JANUS_PORT_80_TCP", "x"),
    ];
    config(&[], &variables, None).unwrap();
}

#[test]
fn a_file_is_polled_unless_that_is_turned_off() {
    let poll = |value: &[(&str, &str)]| config(value, &[], None).unwrap().poll_interval;
    assert_eq!(poll(&[]), Some(Duration::from_secs(2)));
    assert_eq!(
        poll(&[("data", "a.json"), ("poll-interval", "100ms")]),
        Some(Duration::from_millis(100))
    );
    for off in ["0", "0s"] {
        assert_eq!(poll(&[("poll-interval", off)]), None);
    }
}

#[test]
fn nothing_is_lost_by_default_but_some_items() {
    assert_eq!(config(&[], &[], None).unwrap().guards, Guards::default());
    let flags = [("allow-empty", "true"), ("min-items", "10"), ("max-removed", "12.5%")];
    let guards = Guards {
        allow_empty: true,
        items_min: 10,
        removed_max: Some(Share::BasisPoints(1_250)),
    };
    assert_eq!(config(&flags, &[], None).unwrap().guards, guards);
}

#[test]
fn an_empty_variable_is_unset_for_every_setting_alike() {
    let unset = config(&[], &[], None).unwrap();
    for setting in SETTINGS.iter().filter(|setting| setting.name != "data") {
        let variable = setting.variable();
        assert_eq!(config(&[], &[(&variable, "")], None).unwrap(), unset, "{variable}");
        // It hides nothing either: what the file says counts.
        let file = format!("{} = \"no such value\"", setting.name);
        let said = config(&[], &[], Some(&file)).map_err(|error| error.to_string());
        let with_variable = config(&[], &[(&variable, "")], Some(&file)).map_err(|error| error.to_string());
        assert_eq!(with_variable, said, "{variable}");
    }
    assert_eq!(config(&[], &[("PORT", "")], None).unwrap(), unset);
}

#[test]
fn data_that_was_named_and_is_empty_is_refused() {
    check_refused(
        &[("data", "")],
        &[],
        None,
        2,
        &["--data", "names no file", "the command line"],
    );
    check_refused(
        &[],
        &[("JANUS_DATA", "")],
        None,
        78,
        &["JANUS_DATA", "names no file", "the environment"],
    );
    check_refused(&[], &[], Some("data = \"\""), 78, &["data", "names no file", "line 1"]);
    // What beats it counts, and it is said no more.
    let named = config(&[("data", "a.json")], &[("JANUS_DATA", "")], Some("data = \"\"")).unwrap();
    assert_eq!(named.data, Location::File("a.json".into()));
}

#[test]
fn no_codings_are_asked_for_by_name_or_by_an_empty_list_but_not_by_an_empty_variable() {
    let codings = |flags: &[(&str, &str)], variables: &[(&str, &str)], file| {
        config(flags, variables, file).unwrap().encodings.len()
    };
    assert_eq!(codings(&[("encodings", "none")], &[], None), 0);
    assert_eq!(codings(&[("encodings", "")], &[], None), 0);
    assert_eq!(codings(&[], &[("JANUS_ENCODINGS", "none")], None), 0);
    assert_eq!(codings(&[], &[("JANUS_ENCODINGS", "")], None), 3);
    for file in [
        "encodings = \"\"",
        "encodings = []",
        "encodings = \"none\"",
        "encodings = [\"none\"]",
    ] {
        assert_eq!(codings(&[], &[], Some(file)), 0, "{file}");
        assert_eq!(codings(&[], &[("JANUS_ENCODINGS", "")], Some(file)), 0, "{file}");
    }
    check_refused(&[("encodings", "none,br")], &[], None, 2, &["--encodings", "or none"]);
}

#[test]
fn paths_need_not_be_text_and_all_else_must() {
    let bytes = OsStr::from_bytes(b"/data/caf\xe9.json");
    for setting in SETTINGS {
        for (is_flag, exit_code) in [(true, 2), (false, 78)] {
            let mut sources = Sources::default();
            if is_flag {
                sources.flags.insert(setting.name.to_owned(), bytes.to_owned());
            } else {
                sources.variables.insert(setting.variable(), bytes.to_owned());
            }
            match resolve(&sources) {
                Ok(config) => {
                    assert!(setting.is_path(), "{}", setting.name);
                    let paths = [
                        match &config.data {
                            Location::File(path) => Some(path.as_path()),
                            _ => None,
                        },
                        config.admin_token_file.as_deref(),
                        Some(&config.hardware.sysfs_root),
                        Some(&config.hardware.procfs_root),
                    ];
                    assert!(paths.contains(&Some(bytes.as_ref())), "{}", setting.name);
                }
                Err(error) => {
                    assert!(!setting.is_path(), "{}: {error}", setting.name);
                    assert_eq!(error.exit_code(), exit_code, "{error}");
                    let text = error.to_string();
                    assert!(
                        text.contains("is not UTF-8") && text.contains(&setting.variable()),
                        "{text}"
                    );
                }
            }
        }
    }
}

#[test]
fn contradictions_are_refused() {
    check_refused(
        &[("admin-listen", "127.0.0.1:8080")],
        &[],
        None,
        2,
        &["--admin-listen", "main address"],
    );
    check_refused(&[("watch", "true")], &[], None, 2, &["--watch"]);
    check_refused(
        &[("proxy-protocol", "true")],
        &[],
        None,
        2,
        &["--proxy-protocol", "--trusted-proxies"],
    );
    check_refused(
        &[("data", "-"), ("poll-interval", "1s")],
        &[],
        None,
        2,
        &["--poll-interval"],
    );
    check_refused(&[("format", "csv"), ("pointer", "/a")], &[], None, 2, &["--pointer"]);
    check_refused(
        &[("format", "json"), ("csv-types", "true")],
        &[],
        None,
        2,
        &["--csv-types"],
    );
    config(&[("listen", "127.0.0.1:0"), ("admin-listen", "127.0.0.1:0")], &[], None).unwrap();
}

#[test]
fn a_file_has_lists_numbers_and_booleans_too() {
    let file = "encodings = [\"gzip\", \"br\"]\nworkers = 2\naccess-log = true\ndrain-delay = \"2s\"\n";
    let config = config(&[], &[], Some(file)).unwrap();
    assert_eq!(
        (config.encodings.len(), config.workers, config.access_log),
        (2, 2, true)
    );
    assert_eq!(config.drain_delay, Duration::from_secs(2));
}

#[test]
fn the_document_lists_every_setting() {
    let document = std::fs::read_to_string("docs/configuration.md").unwrap();
    assert!(
        document.contains(&markdown()),
        "docs/configuration.md is to hold this table:\n{}",
        markdown()
    );
    assert!(SETTINGS.iter().all(|setting| !setting.help.contains('|')));
}

/// What `--print-config` shows of these sources.
fn printed(flags: &[(&str, &str)], variables: &[(&str, &str)], file: Option<&str>) -> String {
    let file = file.map(|text| ("janus.toml".into(), text.to_owned()));
    let (config, written) = resolve_written(&Sources {
        flags: map(flags),
        variables: map(variables),
        file,
    })
    .unwrap();
    print(&written, &config)
}

#[test]
fn the_configuration_is_printed_with_the_origin_of_each_value() {
    let flags = [("data", "a \"b\".json"), ("no-watch", "true")];
    let variables = [("JANUS_CACHE_CONTROL", "no-store"), ("PORT", "9000")];
    let text = printed(&flags, &variables, Some("\nworkers = 3\nbase-path = \"\""));
    for line in [
        "data = \"a \\\"b\\\".json\"  # the command line",
        "watch = false  # the command line",
        "no-watch = true  # the command line",
        "cache-control = \"no-store\"  # the environment: JANUS_CACHE_CONTROL",
        "listen = \"127.0.0.1:9000\"  # the environment: PORT",
        "workers = \"3\"  # janus.toml, line 2",
        "base-path = \"\"  # janus.toml, line 3",
        "encodings = \"br,zstd,gzip\"  # the default",
        "access-log = false  # the default",
        "# pointer =  # not set",
    ] {
        assert!(text.lines().any(|one| one == line), "{line:?} is not in\n{text}");
    }
    for setting in SETTINGS {
        let line = format!("{} = ", setting.name);
        let count = text
            .lines()
            .filter(|one| one.trim_start_matches("# ").starts_with(line.trim_end()))
            .count();
        assert_eq!(count, 1, "{} in\n{text}", setting.name);
    }
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let flags = [
        ("data", "a.json"),
        ("cors-origin", "https://a.example"),
        ("watch", "false"),
    ];
    let text = printed(&flags, &[("JANUS_MAX_REMOVED", "20%")], None);
    assert_eq!(
        config(&[], &[], Some(&text)).unwrap(),
        Config {
            is_id_required: true,
            ..config(&flags, &[("JANUS_MAX_REMOVED", "20%")], None).unwrap()
        }
    );
}

#[test]
fn secrets_of_an_address_are_shown_nowhere() {
    for url in [
        "https://user:secret@host.example/a.json",
        "https://user:secret@host.example/a.json?token=secret",
        "https://host.example/a.json?token=secret",
        "https://user:secret@more@host.example",
    ] {
        let text = printed(&[("data", url)], &[], None);
        assert!(text.contains("host.example") && text.contains("(hidden)"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    let error = config(&[("listen", "https://user:secret@host")], &[], None).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn every_default_of_the_table_is_what_is_taken() {
    let unset = config(&[], &[], None).unwrap();
    for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
        let said = config(&[], &[(&setting.variable(), setting.default)], None);
        let said = match setting.name {
            // To say so is refused where no file is named.
            "watch" | "no-watch" | "poll-interval" => continue,
            "id-field" => Config {
                is_id_required: false,
                ..said.unwrap()
            },
            _ => said.unwrap(),
        };
        assert_eq!(said, unset, "{}", setting.name);
    }
}
