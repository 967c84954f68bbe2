//! Metrics, for saved telemetry. What lens does not store of a point (exemplars, quantiles, the buckets of an
//! exponential histogram) is absent.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{self as proto, MetricsData, ResourceMetrics, ScopeMetrics};

use super::common::{grouped, pairs};
use crate::metric::{Metric, MetricKind, Point, PointValue};

/// The metrics as OTLP, by process and library.
pub(crate) fn metrics_data(metrics: &[Metric]) -> MetricsData {
    let of_library = |scope, metrics: Vec<&Metric>| ScopeMetrics {
        scope,
        metrics: metrics.into_iter().map(encode).collect(),
        ..Default::default()
    };
    let of_process = |(resource, scope_metrics)| ResourceMetrics {
        resource,
        scope_metrics,
        ..Default::default()
    };
    let processes = grouped(metrics, |metric| (&metric.resource, &metric.scope), of_library);
    MetricsData {
        resource_metrics: processes.map(of_process).collect(),
    }
}

fn encode(metric: &Metric) -> proto::Metric {
    let points = &metric.points;
    let aggregation_temporality = metric.temporality.into();
    let data = match metric.kind {
        MetricKind::Gauge => Data::Gauge(proto::Gauge {
            data_points: points.iter().map(number).collect(),
        }),
        MetricKind::Sum => Data::Sum(proto::Sum {
            data_points: points.iter().map(number).collect(),
            aggregation_temporality,
            is_monotonic: metric.monotonic,
        }),
        MetricKind::Histogram => Data::Histogram(proto::Histogram {
            data_points: points.iter().map(histogram).collect(),
            aggregation_temporality,
        }),
        MetricKind::ExponentialHistogram => Data::ExponentialHistogram(proto::ExponentialHistogram {
            data_points: points.iter().map(exponential).collect(),
            aggregation_temporality,
        }),
        MetricKind::Summary => Data::Summary(proto::Summary {
            data_points: points.iter().map(summary).collect(),
        }),
    };
    proto::Metric {
        name: metric.name.clone(),
        description: metric.description.clone(),
        unit: metric.unit.clone(),
        data: Some(data),
        ..Default::default()
    }
}

fn number(point: &Point) -> proto::NumberDataPoint {
    proto::NumberDataPoint {
        attributes: pairs(&point.attributes),
        start_time_unix_nano: point.start_unix_nano,
        time_unix_nano: point.time_unix_nano,
        value: match point.value {
            PointValue::Int { value } => Some(Number::AsInt(value)),
            PointValue::Double { value } => Some(Number::AsDouble(value)),
            PointValue::Distribution { .. } => None,
        },
        ..Default::default()
    }
}

fn histogram(point: &Point) -> proto::HistogramDataPoint {
    let mut encoded = proto::HistogramDataPoint {
        attributes: pairs(&point.attributes),
        start_time_unix_nano: point.start_unix_nano,
        time_unix_nano: point.time_unix_nano,
        ..Default::default()
    };
    if let PointValue::Distribution {
        count,
        sum,
        min,
        max,
        bounds,
        buckets,
    } = &point.value
    {
        encoded.count = *count;
        (encoded.sum, encoded.min, encoded.max) = (*sum, *min, *max);
        encoded.explicit_bounds.clone_from(bounds);
        encoded.bucket_counts.clone_from(buckets);
    }
    encoded
}

fn exponential(point: &Point) -> proto::ExponentialHistogramDataPoint {
    let histogram = histogram(point);
    proto::ExponentialHistogramDataPoint {
        attributes: histogram.attributes,
        start_time_unix_nano: histogram.start_time_unix_nano,
        time_unix_nano: histogram.time_unix_nano,
        count: histogram.count,
        sum: histogram.sum,
        min: histogram.min,
        max: histogram.max,
        ..Default::default()
    }
}

fn summary(point: &Point) -> proto::SummaryDataPoint {
    let histogram = histogram(point);
    proto::SummaryDataPoint {
        attributes: histogram.attributes,
        start_time_unix_nano: histogram.start_time_unix_nano,
        time_unix_nano: histogram.time_unix_nano,
        count: histogram.count,
        sum: histogram.sum.unwrap_or_default(),
        ..Default::default()
    }
}
