//! `meter_provider.views`: other names, descriptions, buckets or attributes for instruments.

use std::sync::Arc;

use opentelemetry::Key;
use opentelemetry_sdk::metrics::{self, Aggregation, Instrument, InstrumentKind};
use serde::Deserialize;

use super::refusal::Refusal;
use super::values::Empty;
use crate::setup::configuration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct View {
    selector: Selector,
    stream: Stream,
}

/// Which instruments a view is for: those that match everything that is set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selector {
    /// `*` and `?` match any characters and any one character.
    instrument_name: Option<String>,
    instrument_type: Option<InstrumentType>,
    unit: Option<String>,
    meter_name: Option<String>,
    meter_version: Option<String>,
    meter_schema_url: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InstrumentType {
    Counter,
    Gauge,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
}

/// What is different from the instrument.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    name: Option<String>,
    description: Option<String>,
    aggregation: Option<AggregationKind>,
    aggregation_cardinality_limit: Option<usize>,
    #[serde(default)]
    attribute_keys: AttributeKeys,
}

/// The SDK has no list of excluded ones.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeKeys {
    included: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum AggregationKind {
    Default(Empty),
    Drop(Empty),
    ExplicitBucketHistogram(Buckets),
    #[serde(rename = "base2_exponential_bucket_histogram")]
    ExponentialHistogram(ExponentialBuckets),
    LastValue(Empty),
    Sum(Empty),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Buckets {
    boundaries: Option<Vec<f64>>,
    record_min_max: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExponentialBuckets {
    max_scale: Option<i8>,
    max_size: Option<u32>,
    record_min_max: Option<bool>,
}

const DEFAULT_BOUNDARIES: [f64; 15] = [
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1_000.0, 2_500.0, 5_000.0, 7_500.0,
    10_000.0,
];

impl View {
    pub(super) fn build(self) -> Result<configuration::View, Refusal> {
        let Self { selector, stream } = self;
        let mut keys = stream.attribute_keys.included.iter().flatten();
        if keys.any(|key| is_pattern(key)) {
            let refusal = Refusal::new("takes attribute keys without `*` and `?`");
            return Err(refusal
                .within("included")
                .within("attribute_keys")
                .within("stream"));
        }
        let selects_many = selector.instrument_name.as_deref().is_none_or(is_pattern);
        if stream.name.is_some() && selects_many {
            let refusal = Refusal::new("takes the name of a stream if the selector names one instrument");
            return Err(refusal.within("name").within("stream"));
        }
        if let Err(error) = stream.build() {
            return Err(Refusal::new(error.to_string()).within("stream"));
        }
        Ok(configuration::View(Arc::new(move |instrument: &Instrument| {
            let is_selected = selector.matches(instrument);
            is_selected.then(|| stream.build().ok()).flatten()
        })))
    }
}

impl Selector {
    fn matches(&self, instrument: &Instrument) -> bool {
        let is = |wanted: &Option<String>, actual: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| actual == Some(wanted))
        };
        let scope = instrument.scope();
        let matches_name = |pattern: &String| matches(&chars(pattern), &chars(instrument.name()));
        self.instrument_name.as_ref().is_none_or(matches_name)
            && self.instrument_type.is_none_or(|it| it.kind() == instrument.kind())
            && is(&self.unit, Some(instrument.unit()))
            && is(&self.meter_name, Some(scope.name()))
            && is(&self.meter_version, scope.version())
            && is(&self.meter_schema_url, scope.schema_url())
    }
}

impl InstrumentType {
    fn kind(self) -> InstrumentKind {
        match self {
            Self::Counter => InstrumentKind::Counter,
            Self::Gauge => InstrumentKind::Gauge,
            Self::Histogram => InstrumentKind::Histogram,
            Self::ObservableCounter => InstrumentKind::ObservableCounter,
            Self::ObservableGauge => InstrumentKind::ObservableGauge,
            Self::ObservableUpDownCounter => InstrumentKind::ObservableUpDownCounter,
            Self::UpDownCounter => InstrumentKind::UpDownCounter,
        }
    }
}

impl Stream {
    /// # Errors
    /// If the SDK does not accept the buckets or the limit.
    fn build(&self) -> Result<metrics::Stream, Box<dyn std::error::Error>> {
        let mut stream = metrics::Stream::builder();
        if let Some(name) = &self.name {
            stream = stream.with_name(name.clone());
        }
        if let Some(description) = &self.description {
            stream = stream.with_description(description.clone());
        }
        if let Some(aggregation) = &self.aggregation {
            stream = stream.with_aggregation(aggregation.build());
        }
        if let Some(limit) = self.aggregation_cardinality_limit {
            stream = stream.with_cardinality_limit(limit);
        }
        if let Some(keys) = &self.attribute_keys.included {
            stream = stream.with_allowed_attribute_keys(keys.iter().cloned().map(Key::from));
        }
        stream.build()
    }
}

impl AggregationKind {
    fn build(&self) -> Aggregation {
        match self {
            Self::Default(Empty {}) => Aggregation::Default,
            Self::Drop(Empty {}) => Aggregation::Drop,
            Self::LastValue(Empty {}) => Aggregation::LastValue,
            Self::Sum(Empty {}) => Aggregation::Sum,
            Self::ExplicitBucketHistogram(buckets) => Aggregation::ExplicitBucketHistogram {
                boundaries: buckets.boundaries.clone().unwrap_or_else(|| DEFAULT_BOUNDARIES.to_vec()),
                record_min_max: buckets.record_min_max.unwrap_or(true),
            },
            Self::ExponentialHistogram(buckets) => Aggregation::Base2ExponentialHistogram {
                max_scale: buckets.max_scale.unwrap_or(20),
                max_size: buckets.max_size.unwrap_or(160),
                record_min_max: buckets.record_min_max.unwrap_or(true),
            },
        }
    }
}

fn is_pattern(name: &str) -> bool {
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
