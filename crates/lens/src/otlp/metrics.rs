//! Metrics out of OTLP's export requests.

use std::sync::Arc;

use opentelemetry_proto::tonic::metrics::v1 as proto;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

use super::decode::{Origin, attributes, scope};
use crate::metric::{Metric, MetricKind, Point, PointValue, Temporality};
use crate::trace::Scope;

/// The metrics of an export; one without data is left out.
pub(crate) fn metrics(resource_metrics: Vec<proto::ResourceMetrics>) -> Vec<Metric> {
    let mut items = Vec::new();
    for group in resource_metrics {
        let origin = Origin::from(group.resource);
        for scope_metrics in group.scope_metrics {
            let scope = scope(scope_metrics.scope);
            items.extend(
                scope_metrics
                    .metrics
                    .into_iter()
                    .filter_map(|metric| decode(metric, &origin, &scope)),
            );
        }
    }
    items
}

fn decode(metric: proto::Metric, origin: &Origin, scope: &Arc<Scope>) -> Option<Metric> {
    let (kind, monotonic, temporality, points) = match metric.data? {
        Data::Gauge(gauge) => (
            MetricKind::Gauge,
            false,
            Temporality::Unspecified,
            all(gauge.data_points),
        ),
        Data::Sum(sum) => (
            MetricKind::Sum,
            sum.is_monotonic,
            sum.aggregation_temporality().into(),
            all(sum.data_points),
        ),
        Data::Histogram(histogram) => {
            let temporality = histogram.aggregation_temporality().into();
            (
                MetricKind::Histogram,
                false,
                temporality,
                all(histogram.data_points),
            )
        }
        Data::ExponentialHistogram(histogram) => {
            let temporality = histogram.aggregation_temporality().into();
            (
                MetricKind::ExponentialHistogram,
                false,
                temporality,
                all(histogram.data_points),
            )
        }
        Data::Summary(summary) => (
            MetricKind::Summary,
            false,
            Temporality::Unspecified,
            all(summary.data_points),
        ),
    };
    Some(Metric {
        name: metric.name,
        description: metric.description,
        unit: metric.unit,
        kind,
        monotonic,
        temporality,
        points,
        service: origin.service.clone(),
        resource: Arc::clone(&origin.resource),
        scope: Arc::clone(scope),
    })
}

fn all<P: Into<Point>>(points: Vec<P>) -> Vec<Point> {
    points.into_iter().map(Into::into).collect()
}

impl From<proto::NumberDataPoint> for Point {
    fn from(point: proto::NumberDataPoint) -> Self {
        Self {
            attributes: attributes(point.attributes),
            start_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            value: match point.value {
                Some(Number::AsInt(value)) => PointValue::Int { value },
                Some(Number::AsDouble(value)) => PointValue::Double { value },
                None => PointValue::Int { value: 0 },
            },
        }
    }
}

impl From<proto::HistogramDataPoint> for Point {
    fn from(point: proto::HistogramDataPoint) -> Self {
        Self {
            attributes: attributes(point.attributes),
            start_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            value: PointValue::Distribution {
                count: point.count,
                sum: point.sum,
                min: point.min,
                max: point.max,
                bounds: point.explicit_bounds,
                buckets: point.bucket_counts,
            },
        }
    }
}

impl From<proto::ExponentialHistogramDataPoint> for Point {
    fn from(point: proto::ExponentialHistogramDataPoint) -> Self {
        Self {
            attributes: attributes(point.attributes),
            start_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            value: PointValue::Distribution {
                count: point.count,
                sum: point.sum,
                min: point.min,
                max: point.max,
                bounds: Vec::new(),
                buckets: Vec::new(),
            },
        }
    }
}

impl From<proto::SummaryDataPoint> for Point {
    fn from(point: proto::SummaryDataPoint) -> Self {
        Self {
            attributes: attributes(point.attributes),
            start_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            value: PointValue::Distribution {
                count: point.count,
                sum: Some(point.sum),
                min: None,
                max: None,
                bounds: Vec::new(),
                buckets: Vec::new(),
            },
        }
    }
}

impl From<proto::AggregationTemporality> for Temporality {
    fn from(temporality: proto::AggregationTemporality) -> Self {
        match temporality {
            proto::AggregationTemporality::Unspecified => Self::Unspecified,
            proto::AggregationTemporality::Delta => Self::Delta,
            proto::AggregationTemporality::Cumulative => Self::Cumulative,
        }
    }
}
