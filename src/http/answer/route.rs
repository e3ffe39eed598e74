//! Routes: which target a path names.

use std::borrow::Cow;

/// What a path names.
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
    /// `/items/{id}/`, which redirects.
    ItemSlash,
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
    /// A path with a character that is not ASCII, or an id that is not percent-encoded text.
    Malformed,
    /// Any other path.
    Unknown,
}

/// Which methods a route takes, besides OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// None.
    None,
    /// GET and HEAD.
    Read,
    /// POST.
    Post,
}

/// Where a route is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// In the loop, from what is there.
    Loop,
    /// By the application, which may take its time; what is wrong with a request is told by the loop.
    Application,
}

/// A route, as it is known in logs and metric labels: never by text that a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `/`
    Index,
    /// `/items`
    Collection,
    /// `/items/{id}`
    Item,
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
    /// `*`
    Server,
    /// Any path that names nothing.
    Unmatched,
}

/// What there is to know of a route.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub name: Name,
    /// What its paths look like.
    pub template: &'static str,
    /// Which methods it takes.
    pub methods: Methods,
    /// Where it is answered.
    pub by: By,
}

const fn row(name: Name, template: &'static str, methods: Methods, by: By) -> Row {
    Row {
        name,
        template,
        methods,
        by,
    }
}

/// The routes, each at the place of its name.
pub const ROUTES: [Row; 11] = [
    row(Name::Index, "/", Methods::Read, By::Loop),
    row(Name::Collection, "/items", Methods::Read, By::Loop),
    row(Name::Item, "/items/{id}", Methods::Read, By::Loop),
    row(Name::Health, "/health", Methods::Read, By::Loop),
    row(Name::Livez, "/livez", Methods::Read, By::Loop),
    row(Name::Readyz, "/readyz", Methods::Read, By::Loop),
    row(Name::Metrics, "/metrics", Methods::Read, By::Application),
    row(Name::Reload, "/-/reload", Methods::Post, By::Application),
    row(Name::Snapshot, "/-/snapshot", Methods::Read, By::Application),
    row(Name::Server, "*", Methods::None, By::Loop),
    row(Name::Unmatched, "unmatched", Methods::Read, By::Loop),
];

impl Name {
    /// What there is to know of it.
    pub fn row(self) -> &'static Row {
        &ROUTES[self as usize]
    }

    /// What its paths look like.
    pub fn template(self) -> &'static str {
        self.row().template
    }
}

impl<'r> Route<'r> {
    /// Every template.
    pub const TEMPLATES: [&'static str; ROUTES.len()] = {
        let mut templates = [""; ROUTES.len()];
        let mut place = 0;
        while place < ROUTES.len() {
            templates[place] = ROUTES[place].template;
            place += 1;
        }
        templates
    };

    /// Reads a path as it stands in the request's target.
    ///
    /// Only an id is percent-decoded, and an encoded slash is part of it, never a separator. Any other path is compared as
    /// it stands: who blocks `/metrics` or `/-/` at the edge compares text too, and a second spelling would be a way past
    /// that.
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
            _ if path.is_ascii() => Self::Unknown,
            _ => Self::Malformed,
        }
    }

    /// Its name.
    pub fn name(&self) -> Name {
        match self {
            Self::Index => Name::Index,
            Self::Collection | Self::CollectionSlash => Name::Collection,
            Self::Item(_) | Self::ItemSlash => Name::Item,
            Self::Health => Name::Health,
            Self::Livez => Name::Livez,
            Self::Readyz => Name::Readyz,
            Self::Metrics => Name::Metrics,
            Self::Reload => Name::Reload,
            Self::Snapshot => Name::Snapshot,
            Self::Server => Name::Server,
            Self::Malformed | Self::Unknown => Name::Unmatched,
        }
    }

    fn item(id: &'r [u8]) -> Self {
        if id.is_empty() {
            return Self::CollectionSlash;
        }
        let (id, has_slash) = id.strip_suffix(b"/").map_or((id, false), |id| (id, true));
        if !id.is_ascii() {
            return Self::Malformed;
        }
        if id.is_empty() || id.contains(&b'/') {
            return Self::Unknown;
        }
        match decode(id) {
            None => Self::Malformed,
            Some(_) if has_slash => Self::ItemSlash,
            Some(id) => Self::Item(id),
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
    fn every_route_stands_at_the_place_of_its_name() {
        for (place, row) in ROUTES.iter().enumerate() {
            assert_eq!(row.name as usize, place);
        }
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
    fn only_an_id_is_decoded() {
        check("/items/%31", Route::Item("1".into()));
        for path in [
            "/%69tems",
            "/%69tems/",
            "/item%73/1",
            "/items%2F1",
            "/%68ealth",
            "/%6detrics",
            "/metrics%00",
            "/%2d/snapshot",
            "/%2D/reload",
            "/-/%72eload",
            "/-%2Freload",
            "/%zz",
            "/%ff",
            "/./metrics",
            "/items/../metrics",
        ] {
            check(path, Route::Unknown);
        }
    }

    #[test]
    fn a_slash_after_an_id_redirects() {
        check("/items/1/", Route::ItemSlash);
        check("/items/%2F%2Fevil.example/", Route::ItemSlash);
        for path in [
            "/items//",
            "/items///",
            "/items//evil.example/",
            "/items/1//",
            "//evil.example/items/1/",
        ] {
            check(path, Route::Unknown);
        }
        check("/items/%zz/", Route::Malformed);
    }

    #[test]
    fn what_is_not_encoded_text_is_malformed() {
        for path in [
            "/items/%",
            "/items/%4",
            "/items/%zz",
            "/items/%ff",
            "/items/Åland",
            "/Åland",
            "/items/a/Å",
        ] {
            check(path, Route::Malformed);
        }
    }
}
