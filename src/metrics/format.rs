//! The formats of the exposition, and which of them a scraper asks for.

/// A format of the exposition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The text format, version 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily` messages, each after its length; the only one with native histograms.
    Protobuf,
}

impl Format {
    /// Value of the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The format that the header `Accept` asks for (RFC 9110, section 12.5.1).
    ///
    /// Each format has the weight of the most specific media range that names it. The greatest weight wins; then a
    /// format named outright before one that a wildcard lets in; then the one named first; then text. Where there is
    /// no header, or it accepts none of the three, the answer is text: a scraper can read it, and a person too.
    pub fn negotiate(accept: Option<&[u8]>) -> Format {
        let Some(accept) = accept.and_then(|accept| std::str::from_utf8(accept).ok()) else {
            return Format::Text;
        };
        let ranges: Vec<MediaRange<'_>> = accept.split(',').filter_map(MediaRange::parse).collect();
        let preference = |format: Format| {
            // Specific ranges beat wildcards; among equals the first in the list is kept.
            let matching = ranges
                .iter()
                .enumerate()
                .filter_map(|(at, range)| Some((range.specificity(format)?, at)));
            let (specificity, at) = matching.max_by_key(|&(specificity, at)| (specificity, std::cmp::Reverse(at)))?;
            let weight = ranges[at].weight;
            (weight > 0).then_some((weight, specificity, std::cmp::Reverse(at), format))
        };
        [Format::Protobuf, Format::OpenMetrics, Format::Text]
            .into_iter()
            .filter_map(preference)
            .max_by_key(|&(weight, specificity, at, _)| (weight, specificity, at))
            .map_or(Format::Text, |(.., format)| format)
    }
}

/// One element of the header `Accept`.
struct MediaRange<'a> {
    essence: &'a str,
    /// All parameters but the weight, as they are spelled.
    parameters: Vec<(&'a str, &'a str)>,
    /// The weight `q` in thousandths.
    weight: u32,
}

impl<'a> MediaRange<'a> {
    fn parse(element: &'a str) -> Option<Self> {
        let mut parts = element.split(';').map(str::trim);
        let mut range = Self {
            essence: parts.next()?,
            parameters: Vec::new(),
            weight: 1000,
        };
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            let (name, value) = (name.trim_end(), value.trim_start().trim_matches('"'));
            if name.eq_ignore_ascii_case("q") {
                let weight = value
                    .parse::<f32>()
                    .ok()
                    .filter(|weight| (0.0..=1.0).contains(weight))?;
                range.weight = (weight * 1000.0).round() as u32;
            } else {
                range.parameters.push((name, value));
            }
        }
        Some(range)
    }

    /// How closely the range names the format: 3 by type and subtype, 2 by type, 1 by `*/*`; `None` if it does not.
    fn specificity(&self, format: Format) -> Option<u32> {
        let is = |essence: &str| self.essence.eq_ignore_ascii_case(essence);
        let names = match format {
            Format::Text => is("text/plain") && self.parameter_is("version", "0.0.4"),
            Format::OpenMetrics => is("application/openmetrics-text") && self.parameter_is("version", "1.0.0"),
            Format::Protobuf => {
                is("application/vnd.google.protobuf")
                    && self.parameter_is("proto", "io.prometheus.client.MetricFamily")
                    && self.parameter_is("encoding", "delimited")
            }
        };
        let any_of_type = match format {
            Format::Text => is("text/*"),
            Format::OpenMetrics | Format::Protobuf => is("application/*"),
        };
        match (names, any_of_type, is("*/*")) {
            (true, ..) => Some(3),
            (_, true, _) => Some(2),
            (.., true) => Some(1),
            _ => None,
        }
    }

    /// Whether the parameter has this value, or is not given.
    fn parameter_is(&self, name: &str, value: &str) -> bool {
        self.parameters
            .iter()
            .all(|(other, given)| !other.eq_ignore_ascii_case(name) || *given == value)
    }
}
