//! The charts of one metric: its lines; of a distribution also percentiles, a heat map and its buckets.

use askama::Template;
use ui::{Chart, Colour, HeatMap, Series};

use super::address::address;
use super::metric_unit::Unit;
use super::time_axis::labels;
use crate::query::Query;
use crate::series::{DistributionSeries, MetricLine, MetricSeries};

/// Lines with a colour; further ones are in the table alone.
const COLOURS: [Colour; 4] = [Colour::First, Colour::Second, Colour::Third, Colour::Fourth];

#[derive(Template)]
#[template(path = "metrics/chart.html")]
pub(super) struct MetricChart {
    title: &'static str,
    description: String,
    lines: String,
    rows: Vec<LineRow>,
    more: usize,
    distribution: Option<Charts>,
}

struct LineRow {
    colour: &'static str,
    attributes: String,
    latest: String,
    most: String,
}

/// Of a distribution.
struct Charts {
    percentiles: String,
    heat: Option<String>,
    buckets: Vec<Bucket>,
    /// Whether the buckets lead to traces.
    has_traces: bool,
}

struct Bucket {
    range: String,
    count: String,
    share: String,
    /// The address of the spans with such a duration.
    traces: Option<String>,
}

impl MetricChart {
    pub(super) fn of(series: &MetricSeries, attributes: &[(String, String)]) -> Self {
        let unit = Unit::of(&series.metric);
        let is_rate = matches!(unit, Unit::PerSecond | Unit::BytesPerSecond);
        let coloured = series.lines.iter().zip(COLOURS);
        let lines = coloured.map(|(line, colour)| Series::line(&line.values, colour));
        let classes = COLOURS
            .iter()
            .map(|colour| colour.class())
            .chain(std::iter::repeat(""));
        let title = match (series.distribution.is_some(), is_rate) {
            (true, _) => "Values per second",
            (false, true) => "Per second",
            (false, false) => "Value",
        };
        Self {
            title,
            description: series.metric.description.clone(),
            lines: chart(title, lines.collect(), series, unit),
            rows: series
                .lines
                .iter()
                .zip(classes)
                .map(|(line, colour)| LineRow::of(line, colour, unit))
                .collect(),
            more: series.more,
            distribution: series
                .distribution
                .as_ref()
                .map(|distribution| Charts::of(distribution, series, attributes)),
        }
    }
}

fn chart(description: &str, series: Vec<Series<'_>>, of: &MetricSeries, unit: Unit) -> String {
    let chart = Chart {
        description: format!("{}: {description}", of.metric.name),
        series,
        labels: labels(&of.timeline),
        marks: Vec::new(),
        least_top: 0.0,
        unit: unit.writer(),
    };
    chart.to_string()
}

impl LineRow {
    fn of(line: &MetricLine, colour: &'static str, unit: Unit) -> Self {
        let words = line.attributes.iter().map(|(key, value)| Query::word(key, value));
        let words: Vec<String> = words.collect();
        let measured = || line.values.iter().flatten();
        let write = |value: Option<&f64>| value.map(|value| unit.write(*value)).unwrap_or_default();
        Self {
            colour,
            attributes: words.join(" "),
            latest: write(measured().next_back()),
            most: write(measured().max_by(|a, b| a.total_cmp(b))),
        }
    }
}

impl Charts {
    fn of(distribution: &DistributionSeries, series: &MetricSeries, attributes: &[(String, String)]) -> Self {
        let unit = Unit::of_values(&series.metric.unit);
        let lines = vec![
            Series::line(&distribution.p99, Colour::Fourth),
            Series::line(&distribution.p95, Colour::Second),
            Series::line(&distribution.p50, Colour::Third),
        ];
        let rows: Vec<String> = ranges(&distribution.bounds)
            .map(|(_, high)| high.map_or("more".to_owned(), |high| unit.write(high)))
            .collect();
        let heat = HeatMap {
            description: format!("{}: how many values are in each bucket", series.metric.name),
            columns: &distribution.counts,
            rows,
            labels: labels(&series.timeline),
        };
        let buckets = buckets(distribution, series, attributes);
        Self {
            percentiles: chart("median, 95th and 99th percentile", lines, series, unit),
            heat: (!distribution.bounds.is_empty()).then(|| heat.to_string()),
            has_traces: buckets.iter().any(|bucket| bucket.traces.is_some()),
            buckets,
        }
    }
}

/// The bounds of each bucket. The first has no lower one, the last no upper one.
fn ranges(bounds: &[f64]) -> impl Iterator<Item = (Option<f64>, Option<f64>)> {
    let low = std::iter::once(None).chain(bounds.iter().copied().map(Some));
    let high = bounds.iter().copied().map(Some).chain(std::iter::once(None));
    low.zip(high)
}

/// Those with values.
fn buckets(
    distribution: &DistributionSeries,
    series: &MetricSeries,
    attributes: &[(String, String)],
) -> Vec<Bucket> {
    let unit = Unit::of_values(&series.metric.unit);
    let mut sums = vec![0.0; distribution.bounds.len() + 1];
    for counts in &distribution.counts {
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let total: f64 = sums.iter().sum();
    let with_values = ranges(&distribution.bounds)
        .zip(sums)
        .filter(|(_, count)| *count > 0.0);
    with_values
        .map(|((low, high), count)| Bucket {
            range: match (low, high) {
                (None, Some(high)) => format!("up to {}", unit.write(high)),
                (Some(low), None) => format!("more than {}", unit.write(low)),
                (Some(low), Some(high)) => format!("{} to {}", unit.write(low), unit.write(high)),
                (None, None) => "all".to_owned(),
            },
            count: ui::decimal(count.round()),
            share: ui::percent(count, total),
            traces: traces(series, unit, low, high, attributes),
        })
        .collect()
}

/// The address of the traces with a span of this duration; `None` if the metric is not a duration.
fn traces(
    series: &MetricSeries,
    unit: Unit,
    low: Option<f64>,
    high: Option<f64>,
    attributes: &[(String, String)],
) -> Option<String> {
    let mut words = Vec::new();
    if let Some(low) = low {
        words.push(format!("duration>{}", unit.duration(low)?));
    }
    if let Some(high) = high {
        words.push(format!("duration<={}", unit.duration(high)?));
    }
    words.extend(kind(&series.metric.name).map(str::to_owned));
    let of_span = attributes.iter().filter(|(key, _)| key != "instance");
    words.extend(of_span.map(|(key, value)| Query::word(key, value)));
    if !attributes.iter().any(|(key, _)| key == "service") && series.metric.services.len() == 1 {
        words.extend(
            series
                .metric
                .services
                .first()
                .map(|service| Query::word("service", service)),
        );
    }
    Some(address("/", &[("q", &format!("{{ {} }}", words.join(" ")))]))
}

/// The spans that a metric of the semantic conventions measures.
fn kind(metric: &str) -> Option<&'static str> {
    let kinds = [
        (".server.", "kind=server"),
        (".client.", "kind=client"),
        (".process.", "kind=consumer"),
    ];
    let kind = kinds.into_iter().find(|(part, _)| metric.contains(part));
    kind.map(|(_, word)| word)
}
