//! The settings, each once: a row has the name, the default, the help and the parser, and everything else follows from it,
//! the flag, the variable, the key of the file, `docs/configuration.md` and what `--print-config` shows.

use std::ffi::OsStr;
use std::fmt::Write as _;

use super::Config;
use super::value::{self, Expected, location};

/// More threads have nothing to do while data is loaded: the one that joins what they make is not faster.
pub(super) const LOAD_THREADS_MAX: usize = 16;

/// One setting: `--name`, `JANUS_NAME`, and the key `name` of the file.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The name, in words joined by hyphens.
    pub name: &'static str,
    /// What its value is called in the help; `None` for a switch.
    pub value: Option<&'static str>,
    /// The default, as it would be written; empty if there is none.
    pub default: &'static str,
    /// The heading it stands under in the help.
    pub group: &'static str,
    /// What it does, in a sentence.
    pub help: &'static str,
    /// Whether it is one of those that one meets first, which `-h` shows.
    pub is_common: bool,
    /// Whether its value is a secret, which nothing shows.
    pub is_secret: bool,
    parser: Parser,
}

/// Reads a value, and puts it where it belongs in the configuration.
#[derive(Clone, Copy, Debug)]
enum Parser {
    Text(fn(&mut Config, &str) -> Result<(), Expected>),
    /// A path need not be text.
    Path(fn(&mut Config, &OsStr) -> Result<(), Expected>),
}

impl Setting {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("JANUS_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }

    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Whether its value is a path, which need not be text.
    pub fn is_path(&self) -> bool {
        matches!(self.parser, Parser::Path(_))
    }

    /// Reads `value` into `config`.
    pub(super) fn read(&self, value: &OsStr, config: &mut Config) -> Result<(), Expected> {
        match self.parser {
            Parser::Text(read) => read(config, value.to_str().ok_or("UTF-8")?),
            Parser::Path(read) => read(config, value),
        }
    }

    /// One that `-h` shows.
    const fn common(self) -> Self {
        Self {
            is_common: true,
            ..self
        }
    }

    /// A switch that is on unless it is turned off.
    const fn default_true(self) -> Self {
        Self {
            default: "true",
            ..self
        }
    }
}

const fn setting(
    group: &'static str,
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
    read: fn(&mut Config, &str) -> Result<(), Expected>,
) -> Setting {
    Setting {
        name,
        value: Some(value),
        default,
        group,
        help,
        is_common: false,
        is_secret: false,
        parser: Parser::Text(read),
    }
}

const fn path(
    group: &'static str,
    name: &'static str,
    default: &'static str,
    help: &'static str,
    read: fn(&mut Config, &OsStr) -> Result<(), Expected>,
) -> Setting {
    Setting {
        parser: Parser::Path(read),
        ..setting(group, name, "PATH", default, help, |_, _| Ok(()))
    }
}

const fn switch(
    group: &'static str,
    name: &'static str,
    help: &'static str,
    read: fn(&mut Config, &str) -> Result<(), Expected>,
) -> Setting {
    Setting {
        value: None,
        ..setting(group, name, "", "false", help, read)
    }
}

fn put<T>(place: &mut T, value: Result<T, Expected>) -> Result<(), Expected> {
    *place = value?;
    Ok(())
}

/// What clients in browsers send of their own accord: for validators and ranges, for who asks, and for tracing.
const CORS_HEADERS: &str = "accept,accept-language,authorization,b3,baggage,cache-control,content-language,content-type,\
    if-match,if-modified-since,if-none-match,if-range,if-unmodified-since,pragma,range,sentry-trace,traceparent,tracestate,\
    x-correlation-id,x-request-id,x-requested-with";

/// All settings, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    path(
        "Data",
        "data",

        "",
        "The file to serve, `-` for standard input; without this setting a built-in sample is served. .json, .ndjson, .jsonl, .csv or .tsv, each also as .gz or .zst", |c, path| put(&mut c.data, Ok(location(path)))).common(),
    setting(
        "Data",
        "format",
        "FORMAT",
        "",
        "json, ndjson, concatenated (JSON values one after the other), csv or tsv, where the name does not tell it; without it the first bytes tell", |c, text| put(&mut c.format, value::format(text).map(Some))).common(),
    setting(
        "Data",
        "charset",
        "LABEL",
        "",
        "What the text is encoded in, as utf-16 or windows-1252, by the labels of the Encoding Standard; without it it is UTF-8", |c, text| put(&mut c.charset, value::charset(text).map(Some))),
    setting(
        "Data",
        "id-field",
        "NAME",
        "id",
        "The member of an item that is its id, or a JSON pointer to it, as /properties/id; empty for none", |c, text| put(&mut c.id_field, value::id_field(text))).common(),
    setting(
        "Data",
        "pointer",
        "POINTER",
        "",
        "A JSON pointer (RFC 6901) to the array within a JSON document, as /data/items", |c, text| put(&mut c.pointer, value::pointer(text).map(Some))).common(),
    switch(
        "Data",
        "ids-from-keys",
        "Take the members of a JSON object as items, and their names as ids", |c, text| put(&mut c.ids_from_keys, value::boolean(text))),
    setting(
        "Data",
        "delimiter",
        "CHARACTER",
        "",
        "What separates the fields of CSV: one character, or comma, semicolon, tab or pipe; without it the header row tells, or a line sep=", |c, text| put(&mut c.delimiter, value::delimiter(text).map(Some))),
    setting(
        "Data",
        "unnamed-column",
        "NAME",
        "",
        "The name of a column of CSV that has none in the header row, as of an index", |c, text| put(&mut c.unnamed_column, Ok(Some(text.to_owned())))),
    switch(
        "Data",
        "csv-types",
        "Make columns of CSV that hold only numbers or only booleans numbers or booleans, and empty fields null; else all values are strings", |c, text| put(&mut c.csv_types, value::boolean(text))),
    switch(
        "Data",
        "csv-no-quotes",
        "Take quotes in CSV for text; else a field that begins with one ends with one", |c, text| put(&mut c.csv_no_quotes, value::boolean(text))),
    setting(
        "Data",
        "max-data-bytes",
        "SIZE",
        "",
        "The most that is read, after decompression, and the most that is made of it as JSON, each, as 64MiB; by default three quarters of the memory that the control group, or else the machine, has", |c, text| put(&mut c.max_data_bytes, value::size(text).map(Some))),
    setting(
        "Data",
        "load-threads",
        "NUMBER",
        "",
        "Threads that load JSON at the same time, 1 to 16, all but one of which give way to those that serve; by default the CPU quota of the cgroup, or else the cores", |c, text| put(&mut c.load_threads, value::number(text, 1..=LOAD_THREADS_MAX))),
    setting(
        "Network",
        "listen",
        "ADDRESS",
        "127.0.0.1:8080",
        "Where to listen; port 0 takes a free one. The variable PORT replaces the port, unless the flag is given", |c, text| put(&mut c.listen, value::address(text))).common(),
    setting(
        "Network",
        "admin-listen",
        "ADDRESS",
        "",
        "Where to answer probes, /metrics and admin endpoints instead of on the main address", |c, text| put(&mut c.admin_listen, value::address(text).map(Some))).common(),
    path(
        "Network",
        "admin-token-file",

        "",
        "The file that holds the bearer token of POST /-/reload and GET /-/snapshot, which are off without it; read again when it changes, and it may come later", |c, path| put(&mut c.admin_token_file, Ok(Some(path.into())))).common(),
    setting(
        "Network",
        "workers",
        "NUMBER",
        "",
        "Threads that serve, 1 to 1024; by default the CPU quota of the cgroup, or else the cores", |c, text| put(&mut c.workers, value::number(text, 1..=1024))).common(),
    switch(
        "Network",
        "no-lane",
        "Accepted for one more release, and without effect: one loop serves every connection", |c, text| put(&mut c.lane, value::boolean(text).map(|no_lane| !no_lane))),
    switch(
        "Network",
        "proxy-protocol",
        "Have the proxies of --trusted-proxies begin each connection to the main address with the PROXY protocol, version 1 or 2", |c, text| put(&mut c.proxy_protocol, value::boolean(text))),
    setting(
        "Network",
        "max-connections",
        "NUMBER",
        "65536",
        "Connections that are open at once at the most, on each address, rounded up to a multiple of the workers; the next ones wait", |c, text| put(&mut c.max_connections, value::number(text, 1..=10_000_000))),
    setting(
        "Network",
        "min-send-rate",
        "RATE",
        "1KiB",
        "What a client must take of its answers, in bytes a second over 30s in which bytes wait for it, as 4KiB, or its connection is reset; 0 for any, as long as it takes some within 30s", |c, text| put(&mut c.min_send_rate, value::rate(text))),
    setting(
        "HTTP",
        "base-path",
        "PREFIX",
        "",
        "The path that all routes are below, as /prefix, for load balancers that do not take it off", |c, text| put(&mut c.base_path, value::base_path(text))).common(),
    setting(
        "HTTP",
        "encodings",
        "LIST",
        "br,zstd,gzip",
        "Content codings to make when data is published; `none` for none", |c, text| put(&mut c.encodings, value::codings(text))).common(),
    setting(
        "HTTP",
        "cache-control",
        "VALUE",
        "no-cache",
        "The Cache-Control of data", |c, text| put(&mut c.cache_control, value::header_value(text))).common(),
    setting(
        "HTTP",
        "cors-origin",
        "LIST",
        "",
        "Origins whose scripts may read the answers, as https://app.example, or *", |c, text| put(&mut c.cors_origin, value::origins(text))).common(),
    setting(
        "HTTP",
        "cors-headers",
        "LIST",
        CORS_HEADERS,
        "Header fields that those scripts may send, or * for all; `none` for none but those that need no leave", |c, text| put(&mut c.cors_headers, value::field_names(text))),
    switch("Reload", "watch", "Reload the file when it changes", |c, text| put(&mut c.watch, value::boolean(text))).default_true().common(),
    switch(
        "Reload",
        "no-watch",
        "Neither watch the file nor poll it; SIGHUP still reloads", |_, text| value::boolean(text).map(drop)),
    setting(
        "Reload",
        "poll-interval",
        "DURATION",
        "2s",
        "Look at the file this often too, since not every change is told by the kernel; at least 100ms, 0 for never", |c, text| put(&mut c.poll_interval, value::poll_interval(text))),
    switch(
        "Reload",
        "allow-empty",
        "Let a reload that has no item replace data; it is refused otherwise", |c, text| put(&mut c.guards.allow_empty, value::boolean(text))),
    setting(
        "Reload",
        "min-items",
        "NUMBER",
        "0",
        "Refuse a reload that has fewer items; 0 for no limit", |c, text| put(&mut c.guards.items_min, value::number(text, 0..=u32::MAX as usize))),
    setting(
        "Reload",
        "max-removed",
        "SHARE",
        "",
        "Refuse a reload that lacks more of the items that are served, as 20% or 500; without it there is no limit", |c, text| put(&mut c.guards.removed_max, value::share(text).map(Some))),
    setting(
        "Hardware",
        "hardware",
        "MODE",
        "real",
        "real, simulated (a machine that is not there, its series labelled so) or off", |c, text| put(&mut c.hardware.mode, value::hardware_mode(text))).common(),
    setting(
        "Hardware",
        "hardware-interval",
        "DURATION",
        "10s",
        "From one reading of the sensors to the next; at least 1s", |c, text| put(&mut c.hardware.interval, value::hardware_interval(text))),
    switch(
        "Hardware",
        "hardware-trust-vm",
        "Read CPU temperatures in a virtual machine too, where they are mostly not real", |c, text| put(&mut c.hardware.trust_vm, value::boolean(text))),
    setting(
        "Hardware",
        "hardware-device-label",
        "FORM",
        "path",
        "How disks are named: path (/dev/sda) or kernel (sda)", |c, text| put(&mut c.hardware.device_label, value::device_label(text))),
    path(
        "Hardware",
        "sysfs-root",

        "/sys",
        "Where sysfs is, for a container that has the host's mounted elsewhere", |c, path| put(&mut c.hardware.sysfs_root, value::directory(path))),
    path("Hardware", "procfs-root",  "/proc", "Where procfs is", |c, path| put(&mut c.hardware.procfs_root, value::directory(path))),
    setting(
        "Life",
        "drain-delay",
        "DURATION",
        "0",
        "How long to go on serving after SIGTERM, not ready and with Connection: close, as 15s", |c, text| put(&mut c.drain_delay, value::duration(text))).common(),
    setting(
        "Life",
        "shutdown-timeout",
        "DURATION",
        "30s",
        "How long answers that are under way may take to end", |c, text| put(&mut c.shutdown_timeout, value::duration(text))),
    setting("Log", "log-level", "LEVEL", "info", "error, warn, info, debug or trace", |c, text| put(&mut c.log_level, value::log_level(text))).common(),
    setting(
        "Log",
        "log-format",
        "FORMAT",
        "",
        "text or json; by default text on a terminal and json elsewhere", |c, text| put(&mut c.log_format, value::log_format(text))),
    switch("Log", "access-log", "Log each request", |c, text| put(&mut c.access_log, value::boolean(text))).common(),
    setting(
        "Log",
        "access-log-exclude",
        "LIST",
        "",
        "Routes whose requests are not logged unless they fail, as /livez,/metrics; probes stands for /health, /livez and /readyz, scrapes for /metrics", |c, text| put(&mut c.access_log_exclude, value::routes(text))),
    setting(
        "Log",
        "trusted-proxies",
        "LIST",
        "",
        "Networks whose X-Forwarded-For, X-Request-Id and PROXY protocol are believed, as 10.0.0.0/8", |c, text| put(&mut c.trusted_proxies, value::networks(text))),
];

/// The table of `docs/configuration.md`.
pub fn markdown() -> String {
    let mut table = String::from("| Flag | Variable | Key | Default | Meaning |\n|---|---|---|---|---|\n");
    for setting in SETTINGS {
        let flag = setting.value.map_or_else(
            || format!("--{}", setting.name),
            |value| format!("--{} {value}", setting.name),
        );
        let default = if setting.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", setting.default)
        };
        let (variable, key, help) = (setting.variable(), setting.name, setting.help);
        // Writing to a string does not fail.
        let _ = writeln!(table, "| `{flag}` | `{variable}` | `{key}` | {default} | {help} |");
    }
    table
}
