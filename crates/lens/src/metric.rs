//! A metric with the points of its last export.

use std::sync::Arc;

use serde::Serialize;

use crate::attributes::Attributes;
use crate::trace::Scope;

/// One metric of one process, as last exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// What it is called.
    pub name: String,
    /// What it counts or measures.
    pub description: String,
    /// Its unit, in UCUM.
    pub unit: String,
    /// How its points are to be read.
    pub kind: MetricKind,
    /// Whether a sum only grows.
    pub monotonic: bool,
    /// What a sum or a histogram counts from.
    pub temporality: Temporality,
    /// One for each set of attributes.
    pub points: Vec<Point>,
    /// `service.name` of its resource; `unknown_service` if that is absent.
    pub service: String,
    /// The attributes of the process that made it.
    pub resource: Arc<Attributes>,
    /// The library that made it.
    pub scope: Arc<Scope>,
}

/// How a metric's points are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// The present value.
    Gauge,
    /// A count.
    Sum,
    /// A distribution with stated bounds.
    Histogram,
    /// A distribution whose buckets are not kept here; its count, sum, min and max are.
    ExponentialHistogram,
    /// A count and a sum; quantiles are not kept here.
    Summary,
}

/// What a sum or a histogram counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Temporality {
    /// It does not apply, or the sender did not say.
    Unspecified,
    /// From the export before.
    Delta,
    /// From the start of the process.
    Cumulative,
}

/// One value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// What the value is for.
    pub attributes: Attributes,
    /// Since when it counts, in nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// When it was read.
    pub time_unix_nano: u64,
    /// The value.
    #[serde(flatten)]
    pub value: PointValue,
}

/// The value of a point.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PointValue {
    /// A whole number.
    Int {
        /// The number.
        value: i64,
    },
    /// A floating-point number.
    Double {
        /// The number.
        value: f64,
    },
    /// A distribution.
    Distribution {
        /// How many values.
        count: u64,
        /// Their sum.
        sum: Option<f64>,
        /// The least.
        min: Option<f64>,
        /// The greatest.
        max: Option<f64>,
        /// Upper bounds of the buckets, one fewer than there are buckets.
        bounds: Vec<f64>,
        /// How many values in each bucket.
        buckets: Vec<u64>,
    },
}

impl Metric {
    /// `service.instance.id` of the process that made it; empty if that is absent.
    #[must_use]
    pub fn instance(&self) -> &str {
        self.resource.get_str("service.instance.id").unwrap_or_default()
    }

    /// About how many bytes it takes.
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
        let value = match &self.value {
            PointValue::Distribution { bounds, buckets, .. } => {
                (bounds.len() + buckets.len()) * size_of::<u64>()
            }
            PointValue::Int { .. } | PointValue::Double { .. } => 0,
        };
        size_of::<Self>() + self.attributes.heap_bytes() + value
    }
}
