//! A metric with the points of its last export.

use std::sync::Arc;

pub use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality as Temporality;
use serde::Serialize;

use crate::attributes::Attributes;
use crate::service_name::ServiceName;
use crate::trace::Scope;

/// One metric of one process, as last exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: String,
    pub description: String,
    /// In UCUM.
    pub unit: String,
    pub kind: MetricKind,
    /// True only for a sum that never decreases.
    pub monotonic: bool,
    /// Unspecified for a gauge and a summary.
    pub temporality: Temporality,
    /// One for each set of attributes.
    pub points: Vec<Point>,
    /// `service.name` of the resource; `unknown_service` if that is absent.
    pub service: ServiceName,
    pub resource: Arc<Attributes>,
    pub scope: Arc<Scope>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    Gauge,
    Sum,
    Histogram,
    /// Its count, sum, min and max are stored, its buckets are not.
    ExponentialHistogram,
    /// Its count and sum are stored, its quantiles are not.
    Summary,
}

/// A value for one set of attributes. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    pub attributes: Attributes,
    pub start_unix_nano: u64,
    pub time_unix_nano: u64,
    #[serde(flatten)]
    pub value: PointValue,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PointValue {
    Int {
        value: i64,
    },
    Double {
        value: f64,
    },
    Distribution {
        count: u64,
        sum: Option<f64>,
        min: Option<f64>,
        max: Option<f64>,
        /// Upper bounds of the buckets, one fewer than there are buckets.
        bounds: Vec<f64>,
        /// The number of values in each bucket.
        buckets: Vec<u64>,
    },
}

impl Metric {
    /// `service.instance.id` of the resource; empty if that is absent.
    #[must_use]
    pub fn instance(&self) -> &str {
        self.resource.get_str("service.instance.id").unwrap_or_default()
    }

    /// An estimate of the memory used.
    pub(crate) fn bytes(&self) -> usize {
        let points: usize = self.points.iter().map(Point::bytes).sum();
        size_of::<Self>()
            + self.name.len()
            + self.description.len()
            + self.unit.len()
            + self.service.len()
            + self.resource.heap_bytes()
            + self.scope.heap_bytes()
            + points
    }
}

impl Point {
    fn bytes(&self) -> usize {
        let buckets = match &self.value {
            PointValue::Distribution { bounds, buckets, .. } => bounds.len() + buckets.len(),
            PointValue::Int { .. } | PointValue::Double { .. } => 0,
        };
        size_of::<Self>() + self.attributes.heap_bytes() + buckets * size_of::<u64>()
    }
}
