//! The settings, each once.

use std::fmt::Write as _;

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
}

const fn setting(
    group: &'static str,
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        value: Some(value),
        default,
        group,
        help,
    }
}

const fn switch(group: &'static str, name: &'static str, help: &'static str) -> Setting {
    Setting {
        name,
        value: None,
        default: "false",
        group,
        help,
    }
}

/// What clients in browsers send of their own accord: for validators and ranges, for who asks, and for tracing.
const CORS_HEADERS: &str = "accept,accept-language,authorization,b3,baggage,cache-control,content-language,content-type,\
    if-match,if-modified-since,if-none-match,if-range,if-unmodified-since,pragma,range,sentry-trace,traceparent,tracestate,\
    x-correlation-id,x-request-id,x-requested-with";

/// All settings, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    setting(
        "Data",
        "data",
        "PATH",
        "",
        "The file to serve, `-` for standard input; without this setting a built-in sample is served. .json, .ndjson, .jsonl, .csv or .tsv, each also as .gz or .zst",
    ),
    setting(
        "Data",
        "format",
        "FORMAT",
        "",
        "json, ndjson, concatenated (JSON values one after the other), csv or tsv, where the name does not tell it; without it the first bytes tell",
    ),
    setting(
        "Data",
        "charset",
        "LABEL",
        "",
        "What the text is encoded in, as utf-16 or windows-1252, by the labels of the Encoding Standard; without it it is UTF-8",
    ),
    setting(
        "Data",
        "id-field",
        "NAME",
        "id",
        "The member of an item that is its id, or a JSON pointer to it, as /properties/id; empty for none",
    ),
    setting(
        "Data",
        "pointer",
        "POINTER",
        "",
        "A JSON pointer (RFC 6901) to the array within a JSON document, as /data/items",
    ),
    switch(
        "Data",
        "ids-from-keys",
        "Take the members of a JSON object as items, and their names as ids",
    ),
    setting(
        "Data",
        "delimiter",
        "CHARACTER",
        "",
        "What separates the fields of CSV: one character, or comma, semicolon, tab or pipe; without it the header row tells, or a line sep=",
    ),
    setting(
        "Data",
        "unnamed-column",
        "NAME",
        "",
        "The name of a column of CSV that has none in the header row, as of an index",
    ),
    switch(
        "Data",
        "csv-types",
        "Make columns of CSV that hold only numbers or only booleans numbers or booleans, and empty fields null; else all values are strings",
    ),
    switch(
        "Data",
        "csv-no-quotes",
        "Take quotes in CSV for text; else a field that begins with one ends with one",
    ),
    setting(
        "Data",
        "max-data-bytes",
        "SIZE",
        "",
        "The most that is read, after decompression, and the most that is made of it as JSON, each, as 64MiB; by default three quarters of the memory that the control group, or else the machine, has",
    ),
    setting(
        "Network",
        "listen",
        "ADDRESS",
        "127.0.0.1:8080",
        "Where to listen; port 0 takes a free one. The variable PORT replaces the port, unless the flag is given",
    ),
    setting(
        "Network",
        "admin-listen",
        "ADDRESS",
        "",
        "Where to answer probes, /metrics and admin endpoints instead of on the main address",
    ),
    setting(
        "Network",
        "admin-token-file",
        "PATH",
        "",
        "The file that holds the bearer token of POST /-/reload and GET /-/snapshot, which are off without it; read again when it changes, and it may come later",
    ),
    setting(
        "Network",
        "workers",
        "NUMBER",
        "",
        "Threads that serve, 1 to 1024; by default the CPU quota of the cgroup, or else the cores",
    ),
    switch(
        "Network",
        "no-lane",
        "Accepted for one more release, and without effect: one loop serves every connection",
    ),
    switch(
        "Network",
        "proxy-protocol",
        "Have the proxies of --trusted-proxies begin each connection to the main address with the PROXY protocol, version 1 or 2",
    ),
    setting(
        "Network",
        "max-connections",
        "NUMBER",
        "65536",
        "Connections that are open at once at the most, on each address, rounded up to a multiple of the workers; the next ones wait",
    ),
    setting(
        "Network",
        "min-send-rate",
        "RATE",
        "1KiB",
        "What a client must take of its answers, in bytes a second over 30s in which bytes wait for it, as 4KiB, or its connection is reset; 0 for any, as long as it takes some within 30s",
    ),
    setting(
        "HTTP",
        "base-path",
        "PREFIX",
        "",
        "The path that all routes are below, as /prefix, for load balancers that do not take it off",
    ),
    setting(
        "HTTP",
        "encodings",
        "LIST",
        "br,zstd,gzip",
        "Content codings to make when data is published; `none` for none",
    ),
    setting(
        "HTTP",
        "cache-control",
        "VALUE",
        "no-cache",
        "The Cache-Control of data",
    ),
    setting(
        "HTTP",
        "cors-origin",
        "LIST",
        "",
        "Origins whose scripts may read the answers, as https://app.example, or *",
    ),
    setting(
        "HTTP",
        "cors-headers",
        "LIST",
        CORS_HEADERS,
        "Header fields that those scripts may send, or * for all; `none` for none but those that need no leave",
    ),
    Setting {
        default: "true",
        ..switch("Reload", "watch", "Reload the file when it changes")
    },
    switch(
        "Reload",
        "no-watch",
        "Neither watch the file nor poll it; SIGHUP still reloads",
    ),
    setting(
        "Reload",
        "poll-interval",
        "DURATION",
        "2s",
        "Look at the file this often too, since not every change is told by the kernel; at least 100ms, 0 for never",
    ),
    switch(
        "Reload",
        "allow-empty",
        "Let a reload that has no item replace data; it is refused otherwise",
    ),
    setting(
        "Reload",
        "min-items",
        "NUMBER",
        "0",
        "Refuse a reload that has fewer items; 0 for no limit",
    ),
    setting(
        "Reload",
        "max-removed",
        "SHARE",
        "",
        "Refuse a reload that lacks more of the items that are served, as 20% or 500; without it there is no limit",
    ),
    setting(
        "Hardware",
        "hardware",
        "MODE",
        "real",
        "real, simulated (a machine that is not there, its series labelled so) or off",
    ),
    setting(
        "Hardware",
        "hardware-interval",
        "DURATION",
        "10s",
        "From one reading of the sensors to the next; at least 1s",
    ),
    switch(
        "Hardware",
        "hardware-trust-vm",
        "Read CPU temperatures in a virtual machine too, where they are mostly not real",
    ),
    setting(
        "Hardware",
        "hardware-device-label",
        "FORM",
        "path",
        "How disks are named: path (/dev/sda) or kernel (sda)",
    ),
    setting(
        "Hardware",
        "sysfs-root",
        "PATH",
        "/sys",
        "Where sysfs is, for a container that has the host's mounted elsewhere",
    ),
    setting("Hardware", "procfs-root", "PATH", "/proc", "Where procfs is"),
    setting(
        "Life",
        "drain-delay",
        "DURATION",
        "0",
        "How long to go on serving after SIGTERM, not ready and with Connection: close, as 15s",
    ),
    setting(
        "Life",
        "shutdown-timeout",
        "DURATION",
        "30s",
        "How long answers that are under way may take to end",
    ),
    setting("Log", "log-level", "LEVEL", "info", "error, warn, info, debug or trace"),
    setting(
        "Log",
        "log-format",
        "FORMAT",
        "",
        "text or json; by default text on a terminal and json elsewhere",
    ),
    switch("Log", "access-log", "Log each request"),
    setting(
        "Log",
        "access-log-exclude",
        "LIST",
        "",
        "Routes whose requests are not logged unless they fail, as /livez,/metrics; probes stands for /health, /livez and /readyz, scrapes for /metrics",
    ),
    setting(
        "Log",
        "trusted-proxies",
        "LIST",
        "",
        "Networks whose X-Forwarded-For, X-Request-Id and PROXY protocol are believed, as 10.0.0.0/8",
    ),
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
