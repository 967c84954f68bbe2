//! The chart of a metric: its lines, one for each set of attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Serialize;

use super::distribution::DistributionSeries;
use super::growth::{increases, levels, rate};
use super::stored::StoredSeries;
use crate::metric::{Metric, MetricKind};
use crate::service_name::ServiceName;
use crate::timeline::Timeline;

/// The most lines of a chart; those with the smallest values are left out.
const MAX_LINES: usize = 20;
/// The most values of an attribute that are offered as a choice.
const MAX_CHOICES: usize = 50;
/// Attributes of a line besides those of its points.
const SERVICE: &str = "service";
const INSTANCE: &str = "instance";

/// Which metric to chart.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricQuery {
    pub name: String,
    /// Only points with these attributes; `service` and `instance` are those of the process.
    pub attributes: Vec<(String, String)>,
    /// In nanoseconds since the Unix epoch.
    pub between: Range<u64>,
    /// The number of values of a line, 1 to 500.
    pub steps: usize,
}

/// A metric that can be charted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricName {
    pub name: String,
    pub description: String,
    /// In UCUM.
    pub unit: String,
    pub kind: MetricKind,
    /// True only for a sum that never decreases.
    pub monotonic: bool,
    pub services: BTreeSet<ServiceName>,
    /// The number of sets of attributes, of all processes.
    pub series: usize,
}

/// A metric over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricSeries {
    pub metric: MetricName,
    pub timeline: Timeline,
    /// The values of each attribute by which points can be selected, at most 50 of each.
    pub choices: BTreeMap<String, BTreeSet<String>>,
    /// For each set of attributes; the one with the largest values first. For a monotonic sum and for a
    /// distribution, the rate a second; else the value itself.
    pub lines: Vec<MetricLine>,
    /// The number of further lines.
    pub more: usize,
    /// Of all points together; `None` for a sum or a gauge.
    pub distribution: Option<DistributionSeries>,
}

/// The values of one set of attributes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricLine {
    pub attributes: BTreeMap<String, String>,
    /// `None` where nothing was measured.
    pub values: Vec<Option<f64>>,
}

impl MetricName {
    pub(crate) fn of(metric: &Metric) -> Self {
        Self {
            name: metric.name.clone(),
            description: metric.description.clone(),
            unit: metric.unit.clone(),
            kind: metric.kind,
            monotonic: metric.monotonic,
            services: BTreeSet::new(),
            series: 0,
        }
    }

    /// Adds the metric of another process.
    pub(crate) fn add(&mut self, metric: &Metric, series: usize) {
        self.services.insert(metric.service.clone());
        self.series += series;
    }

    fn is_rate(&self) -> bool {
        self.monotonic || self.is_distribution()
    }

    pub(crate) fn is_distribution(&self) -> bool {
        !matches!(self.kind, MetricKind::Gauge | MetricKind::Sum)
    }
}

impl MetricSeries {
    pub(crate) fn of(metric: MetricName, query: &MetricQuery, series: &[StoredSeries]) -> Self {
        let timeline = Timeline::new(&query.between, query.steps);
        let all: Vec<_> = series.iter().map(|series| (labels(series), series)).collect();
        let is_selected = |labels: &BTreeMap<String, String>| {
            query
                .attributes
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
        };
        let selected = || all.iter().filter(|(labels, _)| is_selected(labels));

        let mut lines: BTreeMap<BTreeMap<String, String>, Vec<Option<f64>>> = BTreeMap::new();
        for (labels, series) in selected() {
            let mut labels = labels.clone();
            // Processes of a service add up, except where each has a level of its own.
            if metric.kind != MetricKind::Gauge {
                labels.remove(INSTANCE);
            }
            let values = if metric.is_rate() {
                rate(&increases(series), &timeline)
            } else {
                levels(series, &timeline)
            };
            let line = lines
                .entry(labels)
                .or_insert_with(|| vec![None; timeline.steps()]);
            add(line, values);
        }
        let to_line = |(attributes, values)| MetricLine { attributes, values };
        let mut lines: Vec<MetricLine> = lines.into_iter().map(to_line).collect();
        lines.retain(|line| line.values.iter().any(Option::is_some));
        lines.sort_by(|a, b| b.size().total_cmp(&a.size()));
        let more = lines.len().saturating_sub(MAX_LINES);
        lines.truncate(MAX_LINES);
        Self {
            distribution: metric
                .is_distribution()
                .then(|| DistributionSeries::of(selected().map(|(_, series)| *series), &timeline)),
            choices: choices(all.iter().map(|(labels, _)| labels)),
            metric,
            timeline,
            lines,
            more,
        }
    }

    /// The sum of all lines, in each step.
    pub(crate) fn total(&self) -> Vec<Option<f64>> {
        let mut total = vec![None; self.timeline.steps()];
        for line in &self.lines {
            add(&mut total, line.values.iter().copied());
        }
        total
    }
}

/// Adds the values that were measured.
fn add(sums: &mut [Option<f64>], values: impl IntoIterator<Item = Option<f64>>) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = value.map_or(*sum, |value| Some(sum.unwrap_or_default() + value));
    }
}

impl MetricLine {
    fn size(&self) -> f64 {
        self.values.iter().flatten().map(|value| value.abs()).sum()
    }
}

fn labels(series: &StoredSeries) -> BTreeMap<String, String> {
    let of_points = series
        .attributes
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_string()));
    let of_process = [
        (SERVICE.to_owned(), series.service.to_string()),
        (INSTANCE.to_owned(), series.instance.clone()),
    ];
    of_points.chain(of_process).collect()
}

fn choices<'a>(
    labels: impl Iterator<Item = &'a BTreeMap<String, String>>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut choices: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, value) in labels.flatten() {
        let values = choices.entry(key.clone()).or_default();
        if values.len() < MAX_CHOICES {
            values.insert(value.clone());
        }
    }
    choices
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::attributes::Value;
    use crate::metric::Temporality;
    use crate::samples::{Distribution, Sample, SampleValue};

    const SECOND: u64 = 1_000_000_000;

    fn sample(time: u64, value: SampleValue) -> Sample {
        Sample {
            start_unix_nano: SECOND,
            time_unix_nano: time * SECOND,
            value,
            bytes: 0,
        }
    }

    fn series(temporality: Temporality, samples: Vec<Sample>) -> StoredSeries {
        StoredSeries {
            service: "api".into(),
            instance: "1".to_owned(),
            temporality,
            attributes: [("route", Value::String("/a".into()))].into_iter().collect(),
            samples,
        }
    }

    fn chart(kind: MetricKind, monotonic: bool, series: &[StoredSeries]) -> MetricSeries {
        let metric = MetricName {
            name: "m".to_owned(),
            description: String::new(),
            unit: "s".to_owned(),
            kind,
            monotonic,
            services: BTreeSet::new(),
            series: series.len(),
        };
        let query = MetricQuery {
            name: "m".to_owned(),
            attributes: Vec::new(),
            between: 10 * SECOND..20 * SECOND,
            steps: 5,
        };
        MetricSeries::of(metric, &query, series)
    }

    fn counts(values: [(u64, i64); 3]) -> Vec<Sample> {
        values
            .map(|(time, value)| sample(time, SampleValue::Int(value)))
            .into()
    }

    #[test]
    fn the_rate_of_a_counter_is_its_growth_over_the_time_between_exports() {
        let cumulative = series(Temporality::Cumulative, counts([(10, 100), (14, 140), (18, 140)]));
        let line = chart(MetricKind::Sum, true, &[cumulative]).lines.remove(0);
        assert_eq!(line.values, [Some(10.0), Some(10.0), Some(0.0), Some(0.0), None]);
        assert_eq!(line.attributes.get("route").map(String::as_str), Some("/a"));
    }

    #[test]
    fn a_counter_that_began_again_has_no_negative_rate() {
        let restarted = series(Temporality::Cumulative, counts([(10, 100), (14, 140), (18, 20)]));
        let lines = chart(MetricKind::Sum, true, &[restarted]).lines;
        assert!(
            lines[0].values.iter().flatten().all(|rate| *rate >= 0.0),
            "{lines:?}"
        );
    }

    #[test]
    fn the_values_of_delta_temporality_are_growth_themselves() {
        let delta = |start, time, value| Sample {
            start_unix_nano: start * SECOND,
            ..sample(time, SampleValue::Int(value))
        };
        let samples = vec![delta(10, 12, 8), delta(12, 14, 8), delta(14, 16, 2)];
        let line = chart(MetricKind::Sum, true, &[series(Temporality::Delta, samples)])
            .lines
            .remove(0);
        assert_eq!(line.values, [Some(4.0), Some(4.0), Some(1.0), None, None]);
    }

    #[test]
    fn a_gauge_lasts_until_its_next_value_but_not_beyond_its_last() {
        let gauge = series(Temporality::Unspecified, counts([(11, 3), (15, 4), (16, 5)]));
        let line = chart(MetricKind::Gauge, false, &[gauge]).lines.remove(0);
        assert_eq!(line.values, [Some(3.0), Some(3.0), Some(4.0), Some(5.0), None]);
    }

    #[test]
    fn processes_of_a_service_add_up() {
        let one = series(Temporality::Cumulative, counts([(10, 0), (14, 40), (20, 100)]));
        let other = StoredSeries {
            instance: "2".to_owned(),
            ..series(Temporality::Cumulative, counts([(10, 0), (14, 4), (20, 10)]))
        };
        let chart = chart(MetricKind::Sum, true, &[one, other]);
        assert_eq!(chart.lines.len(), 1);
        assert_eq!(chart.lines[0].values[0], Some(11.0));
        assert_eq!(chart.choices.get("instance").unwrap().len(), 2);
    }

    #[test]
    fn a_distribution_has_counts_and_percentiles_in_each_step() {
        let of = |time, buckets: [u64; 3], sum| {
            let distribution = Distribution {
                count: buckets.iter().sum(),
                sum: Some(sum),
                min: None,
                max: None,
                bounds: Arc::from([1.0, 2.0]),
                buckets: buckets.into(),
            };
            sample(time, SampleValue::Distribution(Box::new(distribution)))
        };
        let samples = vec![
            of(10, [5, 0, 0], 2.0),
            of(14, [5, 8, 0], 14.0),
            of(16, [5, 8, 4], 30.0),
        ];
        let chart = chart(
            MetricKind::Histogram,
            false,
            &[series(Temporality::Cumulative, samples)],
        );
        let distribution = chart.distribution.unwrap();
        assert_eq!(distribution.bounds, [1.0, 2.0]);
        assert_eq!(
            distribution.counts[..3],
            [[0.0, 4.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]]
        );
        assert_eq!(distribution.p50, [Some(1.5), Some(1.5), Some(2.0), None, None]);
        assert_eq!(distribution.mean[..3], [Some(1.5), Some(1.5), Some(4.0)]);
        assert_eq!(chart.lines[0].values[..3], [Some(2.0), Some(2.0), Some(2.0)]);
    }
}
