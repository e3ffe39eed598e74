//! Routes: which target a path names.

use std::borrow::Cow;

/// What a path names. The order is that of the table in the README.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'r> {
    /// `/`
    Index,
    /// `/items`
    Collection,
    /// `/items/`, which redirects.
    CollectionSlash,
    /// `/items/{id}`, with the id decoded.
    Item(Cow<'r, str>),
    /// `/health`
    Health,
    /// `/livez`
    Livez,
    /// `/readyz`
    Readyz,
    /// `/metrics`
    Metrics,
    /// `/-/reload`
    Reload,
    /// `/-/snapshot`
    Snapshot,
    /// `*`: the server as a whole, for OPTIONS (RFC 9112, section 3.2.4).
    Server,
    /// A path that is not percent-encoded text.
    Malformed,
    /// Any other path.
    Unknown,
}

impl<'r> Route<'r> {
    /// Every template.
    pub const TEMPLATES: [&'static str; 11] = [
        "/",
        "/items",
        "/items/{id}",
        "/health",
        "/livez",
        "/readyz",
        "/metrics",
        "/-/reload",
        "/-/snapshot",
        "*",
        "unmatched",
    ];

    /// Reads a path as it stands in the request's target.
    ///
    /// Percent-encoded spellings of a path name what it names (RFC 3986, section 6.2.2.2). An encoded slash is part of
    /// an id, never a separator.
    pub fn parse(path: &'r [u8]) -> Self {
        if let Some(id) = path.strip_prefix(b"/items/") {
            return Self::item(id);
        }
        match path {
            b"/items" => Self::Collection,
            b"/" => Self::Index,
            b"/health" => Self::Health,
            b"/livez" => Self::Livez,
            b"/readyz" => Self::Readyz,
            b"/metrics" => Self::Metrics,
            b"/-/reload" => Self::Reload,
            b"/-/snapshot" => Self::Snapshot,
            b"*" => Self::Server,
            _ if path.contains(&b'%') => Self::parse_encoded(path),
            _ => Self::Unknown,
        }
    }

    /// The route's name in logs and metric labels; never text that a client sent.
    pub fn template(&self) -> &'static str {
        match self {
            Self::Index => "/",
            Self::Collection | Self::CollectionSlash => "/items",
            Self::Item(_) => "/items/{id}",
            Self::Health => "/health",
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Metrics => "/metrics",
            Self::Reload => "/-/reload",
            Self::Snapshot => "/-/snapshot",
            Self::Server => "*",
            Self::Malformed | Self::Unknown => "unmatched",
        }
    }

    fn item(id: &'r [u8]) -> Self {
        if id.is_empty() {
            return Self::CollectionSlash;
        }
        if id.contains(&b'/') {
            return Self::Unknown;
        }
        decode(id).map_or(Self::Malformed, Self::Item)
    }

    fn parse_encoded(path: &'r [u8]) -> Self {
        let tail = path.strip_prefix(b"/").unwrap_or(path);
        let (first, rest) = match tail.iter().position(|&byte| byte == b'/') {
            Some(slash) => (&tail[..slash], Some(&tail[slash + 1..])),
            None => (tail, None),
        };
        match (decode(first).as_deref(), rest) {
            (None, _) => Self::Malformed,
            (Some("items"), Some(id)) => Self::item(id),
            (Some("-"), Some(name)) => match decode(name).as_deref() {
                Some("reload") => Self::Reload,
                Some("snapshot") => Self::Snapshot,
                Some(_) => Self::Unknown,
                None => Self::Malformed,
            },
            (Some("items"), None) => Self::Collection,
            (Some("health"), None) => Self::Health,
            (Some("livez"), None) => Self::Livez,
            (Some("readyz"), None) => Self::Readyz,
            (Some("metrics"), None) => Self::Metrics,
            _ => Self::Unknown,
        }
    }
}

/// Decodes percent-encoded UTF-8; `None` if it is not that.
fn decode(text: &[u8]) -> Option<Cow<'_, str>> {
    if !text.contains(&b'%') {
        return std::str::from_utf8(text).ok().map(Cow::Borrowed);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (&[high, low], tail) = rest.split_first_chunk()?;
        let digit = |digit: u8| char::from(digit).to_digit(16);
        decoded.push((digit(high)? << 4 | digit(low)?) as u8);
        rest = tail;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Route<'_>) {
        assert_eq!(Route::parse(path.as_bytes()), expected, "{path}");
    }

    #[test]
    fn paths_name_routes() {
        check("/", Route::Index);
        check("/items", Route::Collection);
        check("/items/", Route::CollectionSlash);
        check("/items/1", Route::Item("1".into()));
        check("/items/a%2Fb", Route::Item("a/b".into()));
        check("/items/%C3%85land", Route::Item("Åland".into()));
        check("/items/a+b", Route::Item("a+b".into()));
        check("/items/a/b", Route::Unknown);
        check("/items//", Route::Unknown);
        check("/health", Route::Health);
        check("/livez", Route::Livez);
        check("/readyz", Route::Readyz);
        check("/metrics", Route::Metrics);
        check("/-/reload", Route::Reload);
        check("/-/snapshot", Route::Snapshot);
        check("/-/", Route::Unknown);
        check("/-/reload/", Route::Unknown);
        check("*", Route::Server);
        check("", Route::Unknown);
        check("/Items", Route::Unknown);
        check("/itemsx", Route::Unknown);
        check("//items", Route::Unknown);
    }

    #[test]
    fn an_encoded_path_is_the_same_path() {
        check("/%69tems", Route::Collection);
        check("/%69tems/", Route::CollectionSlash);
        check("/item%73/1", Route::Item("1".into()));
        check("/%68ealth", Route::Health);
        check("/items%2F1", Route::Unknown);
        check("/-/%72eload", Route::Reload);
        check("/%2D/snapshot", Route::Snapshot);
        check("/-%2Freload", Route::Unknown);
    }

    #[test]
    fn what_is_not_encoded_text_is_malformed() {
        for path in ["/items/%", "/items/%4", "/items/%zz", "/items/%ff", "/%c3", "/-/%ff"] {
            check(path, Route::Malformed);
        }
    }
}
