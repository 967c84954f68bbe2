//! Views of a configuration file: other names, descriptions, buckets or attributes for instruments.

use opentelemetry::Key;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, Stream};

#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) selector: Selector,
    pub(super) settings: StreamSettings,
}

/// Which instruments a view is for: those that match everything that is set.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    /// `*` and `?` match any characters and any one character.
    pub(super) name: Option<String>,
    pub(super) kind: Option<InstrumentKind>,
    pub(super) unit: Option<String>,
    pub(super) meter_name: Option<String>,
    pub(super) meter_version: Option<String>,
    pub(super) meter_schema_url: Option<String>,
}

/// What is different from the instrument.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamSettings {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) aggregation: Option<Aggregation>,
    pub(super) cardinality_limit: Option<usize>,
    pub(super) attribute_keys: Option<Vec<String>>,
}

impl View {
    /// `None` if the view is not for this instrument.
    pub(super) fn stream(&self, instrument: &Instrument) -> Option<Stream> {
        if self.selector.matches(instrument) {
            self.settings.stream().ok()
        } else {
            None
        }
    }
}

impl Selector {
    fn matches(&self, instrument: &Instrument) -> bool {
        let is = |wanted: &Option<String>, actual: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| actual == Some(wanted))
        };
        let scope = instrument.scope();
        let matches_name = |pattern: &String| matches(&chars(pattern), &chars(instrument.name()));
        self.name.as_ref().is_none_or(matches_name)
            && self.kind.is_none_or(|kind| kind == instrument.kind())
            && is(&self.unit, Some(instrument.unit()))
            && is(&self.meter_name, Some(scope.name()))
            && is(&self.meter_version, scope.version())
            && is(&self.meter_schema_url, scope.schema_url())
    }
}

impl StreamSettings {
    /// # Errors
    /// If the SDK does not accept the buckets or the limit.
    pub(super) fn stream(&self) -> Result<Stream, Box<dyn std::error::Error>> {
        let mut stream = Stream::builder();
        if let Some(name) = &self.name {
            stream = stream.with_name(name.clone());
        }
        if let Some(description) = &self.description {
            stream = stream.with_description(description.clone());
        }
        if let Some(aggregation) = &self.aggregation {
            stream = stream.with_aggregation(aggregation.clone());
        }
        if let Some(limit) = self.cardinality_limit {
            stream = stream.with_cardinality_limit(limit);
        }
        if let Some(keys) = &self.attribute_keys {
            stream = stream.with_allowed_attribute_keys(keys.iter().cloned().map(Key::from));
        }
        stream.build()
    }
}

pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// Whether `pattern` matches all of `text`.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            let after_one = |(_, text): (_, &[char])| matches(pattern, text);
            matches(rest, text) || text.split_first().is_some_and(after_one)
        }
        (['?', pattern @ ..], [_, text @ ..]) => matches(pattern, text),
        ([wanted, pattern @ ..], [actual, text @ ..]) => wanted == actual && matches(pattern, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_a_whole_name() {
        for (pattern, text, expected) in [
            ("http.requests", "http.requests", true),
            ("http.requests", "http.requests.active", false),
            ("http.*", "http.requests", true),
            ("*.requests", "http.requests", true),
            ("h*p*.r?quests", "http.requests", true),
            ("h*x*", "http.requests", false),
            ("?", "", false),
            ("?", "ab", false),
            ("*", "", true),
            ("**a", "a", true),
            ("", "", true),
            ("", "a", false),
            ("?*", "ä", true),
        ] {
            assert_eq!(
                matches(&chars(pattern), &chars(text)),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
