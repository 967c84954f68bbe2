//! `meter_provider.views`: other names, descriptions, buckets or attributes for instruments.

use std::sync::Arc;

use opentelemetry::Key;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, Stream, StreamBuilder};

use super::node::Malformation;
use super::place::{Place, each, keys, optional};
use crate::setup::configuration::View;

const INSTRUMENT_TYPES: [(&str, InstrumentKind); 7] = [
    ("counter", InstrumentKind::Counter),
    ("gauge", InstrumentKind::Gauge),
    ("histogram", InstrumentKind::Histogram),
    ("observable_counter", InstrumentKind::ObservableCounter),
    ("observable_gauge", InstrumentKind::ObservableGauge),
    (
        "observable_up_down_counter",
        InstrumentKind::ObservableUpDownCounter,
    ),
    ("up_down_counter", InstrumentKind::UpDownCounter),
];

type ReadAggregation = fn(&Place<'_>) -> Result<Aggregation, Malformation>;

const AGGREGATIONS: [(&str, ReadAggregation); 6] = [
    ("default", |place| without_settings(place, Aggregation::Default)),
    ("drop", |place| without_settings(place, Aggregation::Drop)),
    ("explicit_bucket_histogram", explicit_buckets),
    ("base2_exponential_bucket_histogram", exponential_buckets),
    ("last_value", |place| {
        without_settings(place, Aggregation::LastValue)
    }),
    ("sum", |place| without_settings(place, Aggregation::Sum)),
];

const DEFAULT_BOUNDARIES: [f64; 15] = [
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1_000.0, 2_500.0, 5_000.0, 7_500.0,
    10_000.0,
];

pub(super) fn read(place: &Place<'_>) -> Result<View, Malformation> {
    let [selector, stream] = place.keys(["selector", "stream"])?;
    let selector = Selector::read(&place.required("selector", selector)?)?;
    let place = place.required("stream", stream)?;
    let stream = Changes::read(&place, &selector)?;
    if let Err(error) = stream.builder().build() {
        return Err(place.refuse(error.to_string()));
    }
    Ok(View(Arc::new(move |instrument: &Instrument| {
        let is_selected = selector.matches(instrument);
        is_selected.then(|| stream.builder().build().ok()).flatten()
    })))
}

/// Which instruments a view is for: those that match everything that is set.
struct Selector {
    /// `*` and `?` match any characters and any one character.
    name: Option<String>,
    kind: Option<InstrumentKind>,
    unit: Option<String>,
    meter_name: Option<String>,
    meter_version: Option<String>,
    meter_schema_url: Option<String>,
}

impl Selector {
    fn read(place: &Place<'_>) -> Result<Self, Malformation> {
        let [name, kind, unit, meter_name, meter_version, meter_schema_url] = place.keys([
            "instrument_name",
            "instrument_type",
            "unit",
            "meter_name",
            "meter_version",
            "meter_schema_url",
        ])?;
        Ok(Self {
            name: text(name.as_ref())?,
            kind: optional(kind.as_ref(), |place| place.word(&INSTRUMENT_TYPES))?,
            unit: text(unit.as_ref())?,
            meter_name: text(meter_name.as_ref())?,
            meter_version: text(meter_version.as_ref())?,
            meter_schema_url: text(meter_schema_url.as_ref())?,
        })
    }

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

/// What is different from the instrument.
struct Changes {
    name: Option<String>,
    description: Option<String>,
    aggregation: Option<Aggregation>,
    cardinality_limit: Option<usize>,
    attribute_keys: Option<Vec<String>>,
}

impl Changes {
    fn read(place: &Place<'_>, selector: &Selector) -> Result<Self, Malformation> {
        let [name, description, aggregation, limit, attribute_keys] = place.keys([
            "name",
            "description",
            "aggregation",
            "aggregation_cardinality_limit",
            "attribute_keys",
        ])?;
        // The SDK has no list of excluded ones.
        let [included] = keys(attribute_keys.as_ref(), ["included"])?;
        let attribute_keys = optional(included.as_ref(), |place| {
            let keys = each(Some(place), |key| Ok(key.text()?.to_owned()))?;
            if keys.iter().any(|key| is_pattern(key)) {
                return Err(place.refuse("takes attribute keys without `*` and `?`"));
            }
            Ok(keys)
        })?;
        let selects_many = selector.name.as_deref().is_none_or(is_pattern);
        let name = optional(name.as_ref(), |place| {
            if selects_many {
                return Err(place.refuse("takes the name of a stream if the selector names one instrument"));
            }
            Ok(place.text()?.to_owned())
        })?;
        let aggregation = optional(aggregation.as_ref(), |place| {
            let (read, settings) = place.choice(&AGGREGATIONS)?;
            read(&settings)
        })?;
        Ok(Self {
            name,
            description: text(description.as_ref())?,
            aggregation,
            cardinality_limit: optional(limit.as_ref(), Place::count)?,
            attribute_keys,
        })
    }

    fn builder(&self) -> StreamBuilder {
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
        stream
    }
}

fn text(place: Option<&Place<'_>>) -> Result<Option<String>, Malformation> {
    optional(place, |place| Ok(place.text()?.to_owned()))
}

fn without_settings(place: &Place<'_>, aggregation: Aggregation) -> Result<Aggregation, Malformation> {
    place.keys([])?;
    Ok(aggregation)
}

fn explicit_buckets(place: &Place<'_>) -> Result<Aggregation, Malformation> {
    let [boundaries, record_min_max] = place.keys(["boundaries", "record_min_max"])?;
    let boundaries = optional(boundaries.as_ref(), |place| each(Some(place), Place::number))?;
    Ok(Aggregation::ExplicitBucketHistogram {
        boundaries: boundaries.unwrap_or_else(|| DEFAULT_BOUNDARIES.to_vec()),
        record_min_max: optional(record_min_max.as_ref(), Place::boolean)?.unwrap_or(true),
    })
}

fn exponential_buckets(place: &Place<'_>) -> Result<Aggregation, Malformation> {
    let [max_scale, max_size, record_min_max] = place.keys(["max_scale", "max_size", "record_min_max"])?;
    let max_scale = optional(max_scale.as_ref(), |place| place.integer("an integer"))?;
    Ok(Aggregation::Base2ExponentialHistogram {
        max_scale: max_scale.unwrap_or(20),
        max_size: optional(max_size.as_ref(), Place::count)?.unwrap_or(160),
        record_min_max: optional(record_min_max.as_ref(), Place::boolean)?.unwrap_or(true),
    })
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
