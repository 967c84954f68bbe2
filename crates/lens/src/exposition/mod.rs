//! Metrics in Prometheus' text format, as the collector's Prometheus exporter writes them with
//! `translation_strategy: UnderscoreEscapingWithSuffixes` and without scope labels.
//!
//! Left out, as Prometheus has no form for them: sums and histograms of delta temporality, and the buckets of
//! exponential histograms.

mod name;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::attributes::Attributes;
use crate::metric::{Metric, MetricKind, Point, PointValue, Temporality};
use name::{exported_name, label_name};

pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE: &str = "service.instance.id";

/// The series of one name. A metric of the same name and another type is left out.
struct Family {
    kind: &'static str,
    help: String,
    /// The lines of each set of labels.
    series: BTreeMap<String, String>,
}

/// The last export of each metric, without the points that were measured before `since_unix_nano`: those of
/// processes that have ended.
#[must_use]
pub fn prometheus_text(metrics: &[Metric], since_unix_nano: u64) -> String {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let is_current = |point: &&Point| point.time_unix_nano >= since_unix_nano;
    for metric in metrics {
        let points: Vec<&Point> = metric.points.iter().filter(is_current).collect();
        if points.is_empty() || metric.temporality == Temporality::Delta {
            continue;
        }
        add(&mut families, metric, &points);
        add_target(&mut families, metric);
    }
    let mut text = String::new();
    for (name, family) in families {
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing into a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", family.kind);
        text.extend(family.series.into_values());
    }
    text
}

fn add(families: &mut BTreeMap<String, Family>, metric: &Metric, points: &[&Point]) {
    let name = exported_name(metric);
    let kind = type_of(metric);
    let family = families.entry(name.clone()).or_insert_with(|| Family {
        kind,
        help: metric.description.clone(),
        series: BTreeMap::new(),
    });
    if family.kind != kind {
        return;
    }
    for point in points {
        let labels = labels(metric, &point.attributes);
        let lines = lines(&name, &labels, &point.value);
        family.series.insert(labels, lines);
    }
}

/// `target_info` has what the resource says of a process and `job` and `instance` do not.
fn add_target(families: &mut BTreeMap<String, Family>, metric: &Metric) {
    const NAME: &str = "target_info";
    let identity = [SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE];
    let others = metric.resource.iter().filter(|(key, _)| !identity.contains(key));
    let others: Attributes = others
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    let family = families.entry(NAME.to_owned()).or_insert_with(|| Family {
        kind: "gauge",
        help: "Target metadata".to_owned(),
        series: BTreeMap::new(),
    });
    if family.kind == "gauge" {
        let labels = labels(metric, &others);
        let line = format!("{NAME}{{{labels}}} 1\n");
        family.series.insert(labels, line);
    }
}

fn type_of(metric: &Metric) -> &'static str {
    match metric.kind {
        MetricKind::Sum if metric.monotonic => "counter",
        MetricKind::Sum | MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
        // Without buckets and quantiles: a sum and a count.
        MetricKind::ExponentialHistogram | MetricKind::Summary => "summary",
    }
}

/// `job` and `instance` of the process, and the attributes, sorted. The values of attributes whose names
/// differ only in what Prometheus does not permit are joined.
fn labels(metric: &Metric, attributes: &Attributes) -> String {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    // A label `le` would make two of a bucket's bound.
    let sorted: BTreeSet<(&str, String)> = attributes
        .iter()
        .filter(|(key, _)| *key != "le")
        .map(|(key, value)| (key, value.to_string()))
        .collect();
    for (key, value) in sorted {
        let label = labels.entry(label_name(key)).or_default();
        if !label.is_empty() {
            label.push(';');
        }
        label.push_str(&value);
    }
    let job = match metric.resource.get_str(SERVICE_NAMESPACE) {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}/{}", metric.service),
        _ => metric.service.to_string(),
    };
    labels.insert("job".to_owned(), job);
    labels.insert("instance".to_owned(), metric.instance().to_owned());
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    pairs.join(",")
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn lines(name: &str, labels: &str, value: &PointValue) -> String {
    match value {
        PointValue::Int { value } => format!("{name}{{{labels}}} {value}\n"),
        PointValue::Double { value } => format!("{name}{{{labels}}} {value}\n"),
        PointValue::Distribution {
            count,
            sum,
            bounds,
            buckets,
            ..
        } => {
            let mut lines = String::new();
            let mut below = 0_u64;
            for (bound, bucket) in bounds.iter().zip(buckets) {
                below = below.saturating_add(*bucket);
                let _ = writeln!(lines, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
            }
            if !buckets.is_empty() {
                let _ = writeln!(lines, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            }
            if let Some(sum) = sum {
                let _ = writeln!(lines, "{name}_sum{{{labels}}} {sum}");
            }
            let _ = writeln!(lines, "{name}_count{{{labels}}} {count}");
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixtures::{self, attributes};

    fn metric(name: &str, kind: MetricKind, value: PointValue) -> Metric {
        let resource = attributes(&[
            (SERVICE_NAME, "shop"),
            (SERVICE_NAMESPACE, "mall"),
            (SERVICE_INSTANCE, "i-1"),
            ("host.name", "here"),
        ]);
        Metric {
            description: "Two\nlines.".to_owned(),
            unit: "s".to_owned(),
            points: vec![Point {
                attributes: attributes(&[("a.b", "x\"y"), ("a-b", "z"), ("le", "1")]),
                start_unix_nano: 1,
                time_unix_nano: 10,
                value,
            }],
            resource: Arc::new(resource),
            ..fixtures::metric(name, kind)
        }
    }

    fn distribution() -> PointValue {
        PointValue::Distribution {
            count: 6,
            sum: Some(1.5),
            min: None,
            max: None,
            bounds: vec![0.005, 5.0],
            buckets: vec![1, 2, 3],
        }
    }

    #[test]
    fn a_histogram_has_cumulative_buckets_a_sum_and_a_count() {
        let text = prometheus_text(&[metric("wait", MetricKind::Histogram, distribution())], 0);
        let labels = r#"a_b="z;x\"y",instance="i-1",job="mall/shop""#;
        let expected = format!(
            "# HELP target_info Target metadata\n# TYPE target_info gauge\n\
             target_info{{host_name=\"here\",instance=\"i-1\",job=\"mall/shop\"}} 1\n\
             # HELP wait_seconds Two\\nlines.\n# TYPE wait_seconds histogram\n\
             wait_seconds_bucket{{{labels},le=\"0.005\"}} 1\nwait_seconds_bucket{{{labels},le=\"5\"}} 3\n\
             wait_seconds_bucket{{{labels},le=\"+Inf\"}} 6\nwait_seconds_sum{{{labels}}} 1.5\n\
             wait_seconds_count{{{labels}}} 6\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn one_name_has_one_type_and_a_set_of_labels_one_value() {
        let counter = metric("n", MetricKind::Sum, PointValue::Int { value: 3 });
        let gauge = metric("n_seconds_total", MetricKind::Gauge, PointValue::Int { value: 5 });
        let mut unitless = gauge;
        unitless.unit = String::new();
        let text = prometheus_text(&[counter.clone(), counter, unitless], 0);
        let values: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("n_seconds_total{"))
            .collect();
        assert_eq!(values.len(), 1, "{text}");
        assert!(values[0].ends_with(" 3"), "{text}");
    }

    #[test]
    fn what_is_not_current_or_not_cumulative_is_left_out() {
        let old = metric("old", MetricKind::Gauge, PointValue::Double { value: 1.0 });
        assert!(prometheus_text(std::slice::from_ref(&old), 10).contains("old_seconds{"));
        assert_eq!(prometheus_text(&[old], 11), "");
        let mut delta = metric("d", MetricKind::Sum, PointValue::Int { value: 1 });
        delta.temporality = Temporality::Delta;
        assert_eq!(prometheus_text(&[delta], 0), "");
    }
}
