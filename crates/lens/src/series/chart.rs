//! Charts of metrics: values of counters and gauges, rates, and distributions over time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::attributes::Attributes;
use crate::metric::{Metric, MetricKind, Temporality};
use crate::numbers::{double, double_of_integer};
use crate::samples::{Distribution, Sample, SampleValue};
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

/// A distribution over time. The percentiles are interpolated in their buckets, in the metric's unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DistributionSeries {
    /// Upper bounds of the buckets, one fewer than there are buckets.
    pub bounds: Vec<f64>,
    /// For each step, how many values each bucket got. An export that covers several steps is divided among
    /// them, so these are no integers.
    pub counts: Vec<Vec<f64>>,
    pub mean: Vec<Option<f64>>,
    pub p50: Vec<Option<f64>>,
    pub p95: Vec<Option<f64>>,
    pub p99: Vec<Option<f64>>,
}

/// The samples of one set of attributes of a process.
#[derive(Debug)]
pub(crate) struct StoredSeries {
    pub(crate) service: ServiceName,
    pub(crate) instance: String,
    pub(crate) temporality: Temporality,
    pub(crate) attributes: Attributes,
    /// In order of arrival.
    pub(crate) samples: Vec<Sample>,
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

    fn is_distribution(&self) -> bool {
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
            for (sum, value) in line.iter_mut().zip(values) {
                *sum = value.map_or(*sum, |value| Some(sum.unwrap_or_default() + value));
            }
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

/// What a series grew by, and between which times.
struct Increase<'a> {
    between: Range<u64>,
    now: &'a Sample,
    /// The sample that counts from the same start; `None` for a difference, and after a restart.
    before: Option<&'a Sample>,
}

/// The increases between the samples of a sum or a distribution.
fn increases(series: &StoredSeries) -> Vec<Increase<'_>> {
    let mut increases = Vec::new();
    let mut previous: Option<&Sample> = None;
    for now in &series.samples {
        let before =
            previous.filter(|before| series.temporality != Temporality::Delta && continues(before, now));
        let start = match previous {
            Some(previous) if series.temporality != Temporality::Delta => {
                previous.time_unix_nano.max(now.start_unix_nano)
            }
            _ => now.start_unix_nano,
        };
        // The first sample of a counter whose start is not known says nothing of its rate.
        if start != 0 {
            increases.push(Increase {
                between: start.min(now.time_unix_nano)..now.time_unix_nano,
                now,
                before,
            });
        }
        previous = Some(now);
    }
    increases
}

/// Whether a sum or distribution grew since `before`, rather than that it began again.
fn continues(before: &Sample, now: &Sample) -> bool {
    let is_larger = match (&before.value, &now.value) {
        (SampleValue::Distribution(before), SampleValue::Distribution(now)) => {
            before.bounds == now.bounds
                && before.buckets.len() == now.buckets.len()
                && before.count <= now.count
                && before
                    .buckets
                    .iter()
                    .zip(&now.buckets)
                    .all(|(before, now)| before <= now)
        }
        _ => number(&before.value) <= number(&now.value),
    };
    before.start_unix_nano == now.start_unix_nano && before.time_unix_nano <= now.time_unix_nano && is_larger
}

/// The number of values of a distribution.
fn number(value: &SampleValue) -> f64 {
    match value {
        SampleValue::Int(value) => double_of_integer(*value),
        SampleValue::Double(value) => *value,
        SampleValue::Distribution(distribution) => double(distribution.count),
    }
}

/// A second, `None` in steps that no increase covers.
fn rate(increases: &[Increase<'_>], timeline: &Timeline) -> Vec<Option<f64>> {
    let mut rate = vec![None; timeline.steps()];
    let seconds = timeline.step().as_secs_f64();
    for increase in increases {
        let before = increase.before.map_or(0.0, |before| number(&before.value));
        let grown = number(&increase.now.value) - before;
        for (step, part) in timeline.parts(increase.between.clone()) {
            if let Some(rate) = rate.get_mut(step) {
                *rate = Some(rate.unwrap_or_default() + grown * part / seconds);
            }
        }
    }
    rate
}

/// The last value of each step. A value lasts until the next one is measured.
fn levels(series: &StoredSeries, timeline: &Timeline) -> Vec<Option<f64>> {
    let mut levels = vec![None; timeline.steps()];
    let mut samples = series.samples.iter().peekable();
    let mut last: Option<&Sample> = None;
    for (step, level) in levels.iter_mut().enumerate() {
        let end = timeline.start_of(step + 1);
        let mut is_measured = false;
        while let Some(sample) = samples.next_if(|sample| sample.time_unix_nano < end) {
            is_measured = sample.time_unix_nano >= timeline.start_of(step);
            last = Some(sample);
        }
        if is_measured || samples.peek().is_some() {
            *level = last.map(|sample| number(&sample.value));
        }
    }
    levels
}

impl DistributionSeries {
    fn of<'a>(series: impl Iterator<Item = &'a StoredSeries>, timeline: &Timeline) -> Self {
        let mut bounds: Option<&Arc<[f64]>> = None;
        let mut steps = vec![StepSum::default(); timeline.steps()];
        for increase in series.flat_map(increases) {
            let SampleValue::Distribution(now) = &increase.now.value else {
                continue;
            };
            // Distributions with other buckets cannot be added up.
            if **bounds.get_or_insert(&now.bounds) != now.bounds {
                continue;
            }
            let before = increase.before.and_then(|before| match &before.value {
                SampleValue::Distribution(before) => Some(&**before),
                SampleValue::Int(_) | SampleValue::Double(_) => None,
            });
            for (step, part) in timeline.parts(increase.between) {
                if let Some(step) = steps.get_mut(step) {
                    step.add(now, before, part);
                }
            }
        }
        let bounds = bounds.map(|bounds| bounds.to_vec()).unwrap_or_default();
        let percentile = |share| steps.iter().map(|step| step.percentile(&bounds, share)).collect();
        Self {
            mean: steps.iter().map(StepSum::mean).collect(),
            p50: percentile(0.5),
            p95: percentile(0.95),
            p99: percentile(0.99),
            counts: steps.into_iter().map(|step| step.buckets).collect(),
            bounds,
        }
    }
}

/// The values that fell into a step.
#[derive(Debug, Clone, Default)]
struct StepSum {
    buckets: Vec<f64>,
    count: f64,
    sum: f64,
}

impl StepSum {
    fn add(&mut self, now: &Distribution, before: Option<&Distribution>, part: f64) {
        let old = |index: usize| {
            before
                .and_then(|before| before.buckets.get(index))
                .copied()
                .unwrap_or(0)
        };
        self.buckets
            .resize(now.buckets.len().max(self.buckets.len()), 0.0);
        for (index, (sum, now)) in self.buckets.iter_mut().zip(&now.buckets).enumerate() {
            *sum += double(now.saturating_sub(old(index))) * part;
        }
        let (count, sum) = before.map_or((0, None), |before| (before.count, before.sum));
        self.count += double(now.count.saturating_sub(count)) * part;
        self.sum += (now.sum.unwrap_or_default() - sum.unwrap_or_default()) * part;
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// The value below which `share` of the values are. The first bucket begins at 0 if its bound is above;
    /// the last has no upper bound, so that its lower bound stands for its values.
    fn percentile(&self, bounds: &[f64], share: f64) -> Option<f64> {
        let total: f64 = self.buckets.iter().sum();
        if total <= 0.0 {
            return None;
        }
        let mut left = share * total;
        let mut lower = bounds.first().map(|bound| bound.min(0.0))?;
        for (count, upper) in self.buckets.iter().zip(bounds) {
            if left <= *count && *count > 0.0 {
                return Some(lower + (upper - lower) * left / count);
            }
            left -= count;
            lower = *upper;
        }
        Some(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Value;

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
