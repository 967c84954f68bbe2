//! `meter_provider.views`.

use opentelemetry_sdk::metrics::{Aggregation, InstrumentKind};
use serde::Deserialize;

use super::refusal::Refusal;
use super::values::Empty;
use crate::setup::view;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct View {
    selector: Selector,
    stream: Stream,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selector {
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
    pub(super) fn build(self) -> Result<view::View, Refusal> {
        let Stream { attribute_keys, .. } = &self.stream;
        let mut keys = attribute_keys.included.iter().flatten();
        if keys.any(|key| view::is_pattern(key)) {
            let refusal = Refusal::new("takes attribute keys without `*` and `?`");
            return Err(refusal
                .within("included")
                .within("attribute_keys")
                .within("stream"));
        }
        let selects_many = self
            .selector
            .instrument_name
            .as_deref()
            .is_none_or(view::is_pattern);
        if self.stream.name.is_some() && selects_many {
            let refusal = Refusal::new("takes the name of a stream if the selector names one instrument");
            return Err(refusal.within("name").within("stream"));
        }
        let settings = self.stream.build();
        let refused = |error: Box<dyn std::error::Error>| Refusal::new(error.to_string()).within("stream");
        settings.stream().map_err(refused)?;
        Ok(view::View {
            selector: self.selector.build(),
            settings,
        })
    }
}

impl Selector {
    fn build(self) -> view::Selector {
        view::Selector {
            name: self.instrument_name,
            kind: self.instrument_type.map(InstrumentType::kind),
            unit: self.unit,
            meter_name: self.meter_name,
            meter_version: self.meter_version,
            meter_schema_url: self.meter_schema_url,
        }
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
    fn build(self) -> view::StreamSettings {
        view::StreamSettings {
            name: self.name,
            description: self.description,
            aggregation: self.aggregation.map(AggregationKind::build),
            cardinality_limit: self.aggregation_cardinality_limit,
            attribute_keys: self.attribute_keys.included,
        }
    }
}

impl AggregationKind {
    fn build(self) -> Aggregation {
        match self {
            Self::Default(Empty {}) => Aggregation::Default,
            Self::Drop(Empty {}) => Aggregation::Drop,
            Self::LastValue(Empty {}) => Aggregation::LastValue,
            Self::Sum(Empty {}) => Aggregation::Sum,
            Self::ExplicitBucketHistogram(buckets) => Aggregation::ExplicitBucketHistogram {
                boundaries: buckets.boundaries.unwrap_or_else(|| DEFAULT_BOUNDARIES.to_vec()),
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
