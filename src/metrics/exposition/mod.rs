//! What a scrape is answered with: what the formats are written from, and the formats.

mod number;
mod protobuf;
mod text;

use std::sync::Arc;

use super::format::Format;
use super::series::{Series, escape, escape_help};
use super::shard::Cells;

/// HELP and unit of a metric.
pub(super) struct Description {
    pub(super) name: Box<str>,
    help: Box<str>,
    /// Escaped for the text format and for OpenMetrics.
    help_text: Box<str>,
    help_openmetrics: Box<str>,
    unit: Option<Box<str>>,
}

impl Description {
    pub(super) fn new(name: &str, help: &str, unit: Option<&str>) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            help_text: escape_help(help).into(),
            help_openmetrics: escape(help).into(),
            unit: unit.map(Into::into),
        }
    }
}

/// All series of one name, sorted by labels; never empty.
pub(super) struct Family {
    pub(super) series: Vec<Arc<Series>>,
    pub(super) description: Option<Arc<Description>>,
}

impl Family {
    fn name(&self) -> &str {
        &self.series[0].identity.name
    }

    /// The unit, where the family's `name` ends in it: OpenMetrics has no other.
    fn unit(&self, name: &str) -> Option<&str> {
        let unit = self.description.as_ref()?.unit.as_deref()?;
        name.strip_suffix(unit)?.ends_with('_').then_some(unit)
    }
}

/// What one scrape read.
pub(super) struct Reading<'a> {
    /// What was recorded, sorted by name.
    pub(super) families: &'a [Family],
    /// What was collected, sorted by name.
    pub(super) collected: &'a [Family],
    pub(super) cells: &'a Cells,
    /// The sum of each cell over the shards, by number.
    pub(super) totals: &'a [u64],
}

impl Reading<'_> {
    /// All families, sorted by name.
    fn all(&self) -> impl Iterator<Item = &Family> {
        let mut recorded = self.families.iter().peekable();
        let mut collected = self.collected.iter().peekable();
        std::iter::from_fn(move || match (recorded.peek(), collected.peek()) {
            (Some(one), Some(other)) if other.name() < one.name() => collected.next(),
            (None, _) => collected.next(),
            (Some(_), _) => recorded.next(),
        })
    }
}

/// Appends `reading` to `out`.
pub(super) fn write(format: Format, reading: &Reading<'_>, out: &mut Vec<u8>) {
    match format {
        Format::Text => text::write(reading, text::Dialect::Text, out),
        Format::OpenMetrics => text::write(reading, text::Dialect::OpenMetrics, out),
        Format::Protobuf => protobuf::write(reading, out),
    }
}
