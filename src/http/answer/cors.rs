//! Cross-origin resource sharing (the Fetch standard, "CORS protocol"): header lines made once for each origin.

/// Which origins' scripts may read the answers.
#[derive(Clone, Debug)]
pub struct Cors {
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Any(Lines),
    Listed(Vec<(Box<str>, Lines)>),
}

/// The header lines of an answer, each ended by CRLF.
#[derive(Clone, Debug)]
struct Lines {
    simple: Box<[u8]>,
    preflight: Box<[u8]>,
}

/// What answers to origins that are not listed carry: caches must not give them to those that are.
const OTHERS: &[u8] = b"vary: origin\r\n";

impl Cors {
    /// Every origin. `request_headers` are the fields that their scripts may send, as [`Cors::listed`] takes them.
    pub fn any(request_headers: &str) -> Self {
        Self {
            rule: Rule::Any(Lines::new("*", request_headers, "")),
        }
    }

    /// These origins, each as a browser writes it: `scheme://host[:port]`. `request_headers` is the value of
    /// `Access-Control-Allow-Headers`: names separated by commas, or nothing.
    pub fn listed(origins: impl IntoIterator<Item = String>, request_headers: &str) -> Self {
        let lines = |origin: String| {
            let lines = Lines::new(&origin, request_headers, "vary: origin\r\n");
            (origin.into_boxed_str(), lines)
        };
        Self {
            rule: Rule::Listed(origins.into_iter().map(lines).collect()),
        }
    }

    /// The lines that an answer to a request from `origin` carries.
    pub fn lines(&self, origin: Option<&[u8]>, preflight: bool) -> &[u8] {
        let lines = match &self.rule {
            Rule::Any(lines) => lines,
            Rule::Listed(listed) => match listed.iter().find(|(allowed, _)| Some(allowed.as_bytes()) == origin) {
                Some((_, lines)) => lines,
                None => return OTHERS,
            },
        };
        if preflight { &lines.preflight } else { &lines.simple }
    }
}

/// What scripts may read of an answer, besides what they may always.
const EXPOSED: &str = "accept-ranges, content-encoding, content-range, date, etag, retry-after, x-total-count";

impl Lines {
    fn new(origin: &str, request_headers: &str, vary: &str) -> Self {
        let allow = format!("access-control-allow-origin: {origin}\r\n");
        let simple = format!("{allow}access-control-expose-headers: {EXPOSED}\r\n{vary}");
        let headers = if request_headers.is_empty() {
            String::new()
        } else {
            format!("access-control-allow-headers: {request_headers}\r\n")
        };
        let preflight = format!(
            "{allow}access-control-allow-methods: GET, HEAD, OPTIONS\r\n{headers}access-control-max-age: 86400\r\n{vary}"
        );
        Self {
            simple: simple.into_bytes().into(),
            preflight: preflight.into_bytes().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cors: &Cors, origin: Option<&str>, allowed: Option<&str>, varies: bool) {
        for preflight in [false, true] {
            let lines = std::str::from_utf8(cors.lines(origin.map(str::as_bytes), preflight)).unwrap();
            let line = allowed.map(|allowed| format!("access-control-allow-origin: {allowed}\r\n"));
            assert_eq!(
                lines
                    .split_inclusive("\r\n")
                    .next()
                    .map(str::to_owned)
                    .filter(|l| l.starts_with("acc")),
                line
            );
            assert_eq!(lines.contains("vary: origin\r\n"), varies);
            assert_eq!(lines.contains("access-control-max-age"), preflight && allowed.is_some());
        }
    }

    #[test]
    fn origins_are_answered_as_listed() {
        check(&Cors::any("range"), Some("https://a.example"), Some("*"), false);
        check(&Cors::any("range"), None, Some("*"), false);
        let listed = Cors::listed(
            ["https://a.example".to_owned(), "http://b.example:8080".to_owned()],
            "range",
        );
        check(&listed, Some("https://a.example"), Some("https://a.example"), true);
        check(
            &listed,
            Some("http://b.example:8080"),
            Some("http://b.example:8080"),
            true,
        );
        check(&listed, Some("https://c.example"), None, true);
        check(&listed, None, None, true);
    }

    #[test]
    fn a_preflight_is_told_which_fields_may_be_sent() {
        let told = |headers: &str| {
            let cors = Cors::any(headers);
            let lines = std::str::from_utf8(cors.lines(None, true)).unwrap().to_owned();
            let mut lines = lines
                .split("\r\n")
                .filter_map(|line| line.strip_prefix("access-control-allow-headers: "));
            lines.next().map(str::to_owned)
        };
        assert_eq!(told("authorization, range").as_deref(), Some("authorization, range"));
        assert_eq!(told(""), None);
    }
}
