//! Metrics out of OTLP's export requests.

use std::sync::Arc;

use opentelemetry_proto::tonic::metrics::v1 as proto;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

use super::decode::{Origin, attributes};
use crate::metric::{Metric, MetricKind, Point, PointValue, Temporality};

/// The metrics of an export; one without data is left out.
pub(crate) fn metrics(resource_metrics: Vec<proto::ResourceMetrics>) -> Vec<Metric> {
    let mut items = Vec::new();
    for group in resource_metrics {
        let mut origin = Origin::of(group.resource);
        for scope_metrics in group.scope_metrics {
            origin.enter(scope_metrics.scope);
            let metrics = scope_metrics.metrics.into_iter();
            items.extend(metrics.filter_map(|proto| metric(proto, &origin)));
        }
    }
    items
}

fn metric(proto: proto::Metric, origin: &Origin) -> Option<Metric> {
    let data = proto.data?;
    let (kind, temporality) = match &data {
        Data::Gauge(_) => (MetricKind::Gauge, Temporality::Unspecified),
        Data::Sum(sum) => (MetricKind::Sum, sum.aggregation_temporality()),
        Data::Histogram(it) => (MetricKind::Histogram, it.aggregation_temporality()),
        Data::ExponentialHistogram(it) => (MetricKind::ExponentialHistogram, it.aggregation_temporality()),
        Data::Summary(_) => (MetricKind::Summary, Temporality::Unspecified),
    };
    Some(Metric {
        name: proto.name,
        description: proto.description,
        unit: proto.unit,
        kind,
        monotonic: matches!(&data, Data::Sum(sum) if sum.is_monotonic),
        temporality,
        points: match data {
            Data::Gauge(gauge) => points(gauge.data_points),
            Data::Sum(sum) => points(sum.data_points),
            Data::Histogram(histogram) => points(histogram.data_points),
            Data::ExponentialHistogram(histogram) => points(histogram.data_points),
            Data::Summary(summary) => points(summary.data_points),
        },
        service: origin.service.clone(),
        resource: Arc::clone(&origin.resource),
        scope: Arc::clone(&origin.scope),
    })
}

fn points<P: Into<Point>>(points: Vec<P>) -> Vec<Point> {
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
        Self::from(proto::HistogramDataPoint {
            attributes: point.attributes,
            start_time_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
            ..Default::default()
        })
    }
}

impl From<proto::SummaryDataPoint> for Point {
    fn from(point: proto::SummaryDataPoint) -> Self {
        Self::from(proto::HistogramDataPoint {
            attributes: point.attributes,
            start_time_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            count: point.count,
            sum: Some(point.sum),
            ..Default::default()
        })
    }
}
