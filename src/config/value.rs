//! Values as they are written: durations, sizes, addresses, lists.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::{CorsOrigins, LogFormat, LogLevel};
use crate::hardware::sampler::INTERVAL_MIN;
use crate::hardware::{DeviceLabel, Mode};
use crate::http::answer::route::Route;
use crate::items::{Charset, Delimiter, Format, Pointer};
use crate::reload::Share;
use crate::snapshot::Coding;
use crate::source::Location;

/// The shortest poll interval: more often is a busy loop.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What was expected instead, as the end of a sentence: "... is not {this}".
pub(super) type Expected = String;

pub(super) fn boolean(text: &str) -> Result<bool, Expected> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

pub(super) fn number(text: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize, Expected> {
    let expected = || format!("a whole number from {} to {}", range.start(), range.end());
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(expected)
}

pub(super) fn duration(text: &str) -> Result<Duration, Expected> {
    let expected = || "a duration with its unit, as 500ms, 2s, 1m or 1h".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number
        .checked_mul(milliseconds)
        .map(Duration::from_millis)
        .ok_or_else(expected)
}

/// A duration with its unit, longer than none.
///
/// # Errors
///
/// What was expected, if it is none.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration(text)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a duration with its unit, as 500ms or 2s".to_owned())
}

pub(super) fn size(text: &str) -> Result<u64, Expected> {
    let expected = || "a size, as 1048576, 64MiB or 2GiB".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let bytes: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(bytes).filter(|size| *size > 0).ok_or_else(expected)
}

/// A number of items, or a percentage with up to two decimals.
pub(super) fn share(text: &str) -> Result<Share, Expected> {
    let expected = || "a number of items or a percentage of them, as 500, 20% or 0.5%".to_owned();
    let digits = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number
            .then(|| text.parse::<u64>().ok())
            .flatten()
            .ok_or_else(expected)
    };
    let Some(percent) = text.strip_suffix('%') else {
        return digits(text).map(Share::Items);
    };
    let (whole, hundredths) = match percent.trim_end().split_once('.') {
        Some((whole, decimals)) if matches!(decimals.len(), 1 | 2) => {
            (digits(whole)?, digits(&format!("{decimals:0<2}"))?)
        }
        Some(_) => return Err(expected()),
        None => (digits(percent.trim_end())?, 0),
    };
    let points = whole.checked_mul(100).and_then(|points| points.checked_add(hundredths));
    points
        .filter(|&points| points <= 10_000)
        .map(Share::BasisPoints)
        .ok_or_else(expected)
}

/// Bytes a second; 0 for none.
pub(super) fn rate(text: &str) -> Result<u32, Expected> {
    let expected = || "a number of bytes a second up to 1GiB, as 512, 1KiB or 1MiB, or 0".to_owned();
    if text == "0" {
        return Ok(0);
    }
    match size(text) {
        Ok(bytes) if bytes <= 1 << 30 => Ok(bytes as u32),
        _ => Err(expected()),
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, Expected> {
    let expected = || "an address and port to listen on, as 127.0.0.1:8080, [::]:8080 or localhost:8080".to_owned();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    // A name is looked up once, here. Without a host it would be every interface, which is not to happen by omission.
    match text.rsplit_once(':') {
        Some((host, _)) if !host.is_empty() => text
            .to_socket_addrs()
            .ok()
            .and_then(|mut all| all.next())
            .ok_or_else(expected),
        _ => Err(expected()),
    }
}

/// A member's name, or a pointer to it; empty for none.
pub(super) fn id_field(text: &str) -> Result<String, Expected> {
    if text.starts_with('/') {
        pointer(text)?;
    }
    Ok(text.to_owned())
}

pub(super) fn format(text: &str) -> Result<Format, Expected> {
    text.parse()
        .map_err(|_| "json, ndjson, concatenated, csv or tsv".to_owned())
}

pub(super) fn charset(text: &str) -> Result<Charset, Expected> {
    text.parse()
        .map_err(|_| "the label of a charset, as utf-16, windows-1252 or shift_jis".to_owned())
}

pub(super) fn pointer(text: &str) -> Result<Pointer, Expected> {
    text.parse().map_err(|error| format!("a JSON pointer: {error}"))
}

pub(super) fn delimiter(text: &str) -> Result<Delimiter, Expected> {
    text.parse().map_err(|_| {
        "one character that is no letter, digit, quote or line end, or comma, semicolon, tab or pipe".to_owned()
    })
}

/// Where data comes from, by a path that is not empty.
pub fn location(path: &OsStr) -> Location {
    if path == "-" {
        Location::Stdin
    } else {
        Location::File(path.into())
    }
}

/// A directory's absolute path.
pub(super) fn directory(path: &OsStr) -> Result<PathBuf, Expected> {
    let path = PathBuf::from(path);
    path.is_absolute()
        .then_some(path)
        .ok_or_else(|| "an absolute path".to_owned())
}

/// How often to look at a file; `None` for never.
pub(super) fn poll_interval(text: &str) -> Result<Option<Duration>, Expected> {
    match duration(text)? {
        Duration::ZERO => Ok(None),
        interval if interval >= POLL_INTERVAL_MIN => Ok(Some(interval)),
        _ => Err("a duration of at least 100ms, or 0 for never".to_owned()),
    }
}

pub(super) fn hardware_interval(text: &str) -> Result<Duration, Expected> {
    duration(text).and_then(|interval| {
        (interval >= INTERVAL_MIN)
            .then_some(interval)
            .ok_or_else(|| "a duration of at least 1s".to_owned())
    })
}

/// The elements of a list, which are separated by commas.
pub(super) fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty())
}

pub(super) fn codings(text: &str) -> Result<Vec<Coding>, Expected> {
    let mut codings = Vec::new();
    if text.trim() == "none" {
        return Ok(codings);
    }
    for element in elements(text) {
        let coding = match element {
            "br" => Coding::Br,
            "zstd" => Coding::Zstd,
            "gzip" => Coding::Gzip,
            _ => return Err("a list of br, zstd and gzip, or none".to_owned()),
        };
        if codings.contains(&coding) {
            return Err(format!("a list that names {element} once"));
        }
        codings.push(coding);
    }
    Ok(codings)
}

pub(super) fn header_value(text: &str) -> Result<String, Expected> {
    let is_value = !text.trim().is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_value
        .then(|| text.trim().to_owned())
        .ok_or_else(|| "a header value: visible ASCII, as no-cache".to_owned())
}

pub(super) fn origins(text: &str) -> Result<CorsOrigins, Expected> {
    let origins: Vec<String> = elements(text).map(str::to_owned).collect();
    match &origins[..] {
        [] => Ok(CorsOrigins::None),
        [any] if any == "*" => Ok(CorsOrigins::Any),
        all if all.iter().all(|origin| is_origin(origin)) => Ok(CorsOrigins::List(origins)),
        _ => Err("* or a list of origins as browsers write them, as https://app.example:8443".to_owned()),
    }
}

/// `scheme://host[:port]` in lower case, without a path (RFC 6454, section 6.2).
fn is_origin(text: &str) -> bool {
    let is_host = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'[' | b']' | b':' | b'_');
    text.split_once("://").is_some_and(|(scheme, authority)| {
        scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
            && !authority.is_empty()
            && authority.bytes().all(is_host)
    })
}

/// The value of `Access-Control-Allow-Headers`, names in lower case. `*` does not stand for `Authorization` (the Fetch
/// standard, "CORS protocol"), so that is named too.
pub(super) fn field_names(text: &str) -> Result<String, Expected> {
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    if text == "none" {
        return Ok(String::new());
    }
    let names: Vec<String> = elements(text).map(str::to_ascii_lowercase).collect();
    match &names[..] {
        [any] if any == "*" => Ok("*, authorization".to_owned()),
        all if all.iter().all(|name| name != "*" && is_name(name)) => Ok(names.join(", ")),
        _ => Err("* or a list of names of header fields, as authorization,range".to_owned()),
    }
}

/// A path without a slash at its end, so that routes can follow; `/` is none. It may be redirected to, so that it cannot
/// begin with two slashes, which would name a host.
pub(super) fn base_path(text: &str) -> Result<String, Expected> {
    let expected = || "a path of plain segments, as /prefix or /a/b".to_owned();
    let path = text.strip_suffix('/').unwrap_or(text);
    if path.is_empty() {
        return Ok(String::new());
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
    let segments = path.strip_prefix('/').ok_or_else(expected)?;
    if matches!(path, "/health" | "/livez" | "/readyz") {
        return Err("another path than those of the probes, which answer without it too".to_owned());
    }
    if segments.split('/').all(is_segment) {
        Ok(path.to_owned())
    } else {
        Err(expected())
    }
}

/// Templates of routes, each once.
pub(super) fn routes(text: &str) -> Result<Vec<&'static str>, Expected> {
    let mut routes = Vec::new();
    for element in elements(text) {
        let meant = match element {
            "probes" => &["/health", "/livez", "/readyz"][..],
            "scrapes" => &["/metrics"][..],
            other => match Route::TEMPLATES.iter().position(|template| *template == other) {
                Some(place) => &Route::TEMPLATES[place..=place],
                None => {
                    return Err(format!(
                        "a list of probes, scrapes and routes ({})",
                        Route::TEMPLATES.join(", ")
                    ));
                }
            },
        };
        routes.extend(meant);
    }
    routes.sort_unstable();
    routes.dedup();
    Ok(routes)
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, Expected> {
    let network = |text: &str| {
        text.parse()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    let networks = elements(text).map(network).collect::<Option<Vec<_>>>();
    networks.ok_or_else(|| "a list of networks or addresses, as 10.0.0.0/8,fd00::/8".to_owned())
}

pub(super) fn hardware_mode(text: &str) -> Result<Mode, Expected> {
    match text {
        "real" => Ok(Mode::Real),
        "simulated" => Ok(Mode::Simulated),
        "off" => Ok(Mode::Off),
        _ => Err("real, simulated or off".to_owned()),
    }
}

pub(super) fn device_label(text: &str) -> Result<DeviceLabel, Expected> {
    match text {
        "path" => Ok(DeviceLabel::Path),
        "kernel" => Ok(DeviceLabel::Kernel),
        _ => Err("path or kernel".to_owned()),
    }
}

pub(super) fn log_level(text: &str) -> Result<LogLevel, Expected> {
    Ok(match text {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => return Err("error, warn, info, debug or trace".to_owned()),
    })
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, Expected> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in [
            ("0", 0),
            ("500ms", 500),
            ("2s", 2_000),
            ("1m", 60_000),
            ("1h", 3_600_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "1.5s",
            "-1s",
            "1 s",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, bytes) in [
            ("1", 1),
            ("64MiB", 64 << 20),
            ("2 GiB", 2 << 30),
            ("10MB", 10_000_000),
            ("1KiB", 1024),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "MiB", "1.5GiB", "-1", "1XB", "99999999999TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_items_or_percentages() {
        for (text, expected) in [
            ("0", Share::Items(0)),
            ("500", Share::Items(500)),
            ("20%", Share::BasisPoints(2_000)),
            ("0.5%", Share::BasisPoints(50)),
            ("12.34 %", Share::BasisPoints(1_234)),
            ("100%", Share::BasisPoints(10_000)),
        ] {
            assert_eq!(share(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "%",
            "-1",
            "+1",
            "1.5",
            "101%",
            "0.123%",
            ".5%",
            "5.%",
            "20 percent",
            "0x10",
        ] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_sizes_or_nothing() {
        for (text, bytes) in [("0", 0), ("1", 1), ("1KiB", 1024), ("1GiB", 1 << 30)] {
            assert_eq!(rate(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "1KiB/s", "2GiB", "0KiB"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_name_their_host() {
        for text in ["127.0.0.1:8080", "[::]:0", "0.0.0.0:80", "localhost:8080"] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:99999", "localhost:http:1"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_read_whole_or_refused() {
        assert_eq!(codings("br, gzip"), Ok(vec![Coding::Br, Coding::Gzip]));
        assert_eq!((codings(""), codings("none")), (Ok(vec![]), Ok(vec![])));
        assert!(codings("none,br").is_err() && codings("br,none").is_err());
        assert!(codings("br,br").is_err() && codings("deflate").is_err());
        assert_eq!(origins("*"), Ok(CorsOrigins::Any));
        assert!(matches!(origins("https://a.example,http://b:8080"), Ok(CorsOrigins::List(list)) if list.len() == 2));
        for text in [
            "*,https://a.example",
            "https://a.example/",
            "a.example",
            "https://A.example",
            "https://",
        ] {
            assert!(origins(text).is_err(), "{text}");
        }
        assert_eq!(field_names("Authorization, x-a"), Ok("authorization, x-a".to_owned()));
        assert_eq!(field_names("*"), Ok("*, authorization".to_owned()));
        assert_eq!(field_names("none"), Ok(String::new()));
        for text in ["a b", "a:", "*,a", "é"] {
            assert!(field_names(text).is_err(), "{text}");
        }
        assert_eq!(
            routes("scrapes, /livez,probes"),
            Ok(vec!["/health", "/livez", "/metrics", "/readyz"])
        );
        assert_eq!(
            routes("/items/{id},/-/snapshot"),
            Ok(vec!["/-/snapshot", "/items/{id}"])
        );
        assert!(routes("/nowhere").is_err() && routes("probes,items").is_err());
        assert_eq!(networks("10.0.0.0/8,127.0.0.1").map(|all| all.len()), Ok(2));
        assert!(networks("10.0.0.0/33").is_err());
        assert!(header_value("a\r\nb").is_err() && header_value(" ").is_err() && header_value("é").is_err());
    }

    #[test]
    fn a_base_path_is_a_path_and_never_a_host() {
        for (text, path) in [
            ("", ""),
            ("/", ""),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/b-c.d_e~f", "/a/b-c.d_e~f"),
            ("/items", "/items"),
        ] {
            assert_eq!(base_path(text).as_deref(), Ok(path), "{text}");
        }
        for text in [
            "a",
            "//",
            "//evil.example",
            "/a//b",
            "/.",
            "/a/../b",
            "/a?b",
            "/a%20b",
            "/é",
            "/a b",
            "/a\\b",
            "/livez",
            "/health/",
            "https://a/b",
        ] {
            assert!(base_path(text).is_err(), "{text}");
        }
    }
}
