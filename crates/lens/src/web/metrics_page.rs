//! Metrics: all of them, and one of them over time.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use askama::Template;

use super::address::address;
use super::frame::{Frame, SystemUrl, error_page, page, render};
use super::live::Streams;
use super::metric_chart::MetricChart;
use super::metric_unit::Unit;
use super::params::now;
use super::period::{CHOICES, Period};
use super::problem::Problem;
use crate::metric::MetricKind;
use crate::series::{MetricName, MetricQuery};
use crate::storage::TelemetryStore;

/// The points of a chart.
const STEPS: usize = 90;
/// The points of a small chart in the list.
const SPARK_STEPS: usize = 40;
/// With more metrics, the list has no small charts, which keeps it fast.
const MAX_SPARKS: usize = 120;
/// What a page shows if nothing else is chosen.
const DEFAULT_PERIOD: &str = "15m";
/// Precedes the name of an attribute in a parameter.
const ATTRIBUTE: &str = "a.";

/// The parameters of the page. Those of attributes have names as received.
#[derive(Debug, Default, Clone)]
struct Choice {
    name: String,
    last: String,
    attributes: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "metrics.html")]
struct MetricsPage<'a> {
    frame: Frame<'a>,
    period: Period,
    choice: Choice,
    /// The choices of each attribute.
    attributes: Vec<Attribute>,
    part: String,
}

struct Attribute {
    key: String,
    chosen: String,
    values: Vec<String>,
}

#[derive(Template)]
#[template(path = "metrics/list.html")]
struct List {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    address: String,
    description: String,
    kind: &'static str,
    services: String,
    series: usize,
    latest: String,
    spark: String,
}

pub(super) async fn show(
    query: Query<Vec<(String, String)>>,
    store: Data<TelemetryStore>,
    system: Data<SystemUrl>,
) -> HttpResponse {
    let frame = Frame::of(&system, "Metrics");
    let choice = Choice::of(query.into_inner());
    match metrics_page(frame, &store, choice) {
        Ok(metrics) => page(&metrics),
        Err(problem) => error_page(Frame::of(&system, "Metrics"), &problem),
    }
}

pub(super) async fn follow(
    query: Query<Vec<(String, String)>>,
    store: Data<TelemetryStore>,
    streams: Data<Streams>,
) -> HttpResponse {
    let choice = Choice::of(query.into_inner());
    streams.follow(store, move |store: &TelemetryStore| {
        Ok(vec![part(store, &choice)?.0])
    })
}

fn metrics_page<'a>(
    frame: Frame<'a>,
    store: &TelemetryStore,
    choice: Choice,
) -> Result<MetricsPage<'a>, Problem> {
    let (part, attributes) = part(store, &choice)?;
    Ok(MetricsPage {
        frame: frame.live_at(choice.address("/live/metrics")),
        period: choice.period()?,
        attributes,
        part,
        choice,
    })
}

/// The live part, and the attributes that can be chosen.
fn part(store: &TelemetryStore, choice: &Choice) -> Result<(String, Vec<Attribute>), Problem> {
    if choice.name.is_empty() {
        return Ok((list(store, choice)?, Vec::new()));
    }
    let series = store.series(&choice.query(&choice.name, STEPS)?);
    let Some(series) = series else {
        return Err(Problem::NotFound(format!("no metric is named {}", choice.name)));
    };
    let attribute = |(key, values): (&String, &std::collections::BTreeSet<String>)| Attribute {
        chosen: choice.chosen(key).to_owned(),
        key: key.clone(),
        values: values.iter().cloned().collect(),
    };
    let attributes = series
        .choices
        .iter()
        .filter(|(_, values)| values.len() > 1 || choice.has_attributes());
    let attributes = attributes.map(attribute).collect();
    Ok((render(&MetricChart::of(&series, &choice.attributes))?, attributes))
}

fn list(store: &TelemetryStore, choice: &Choice) -> Result<String, Problem> {
    let names = store.metric_names();
    let has_sparks = names.len() <= MAX_SPARKS;
    let rows: Result<Vec<Row>, Problem> = names
        .into_iter()
        .map(|metric| {
            let query = choice.query(&metric.name, SPARK_STEPS)?;
            let series = has_sparks.then(|| store.series(&query)).flatten();
            let total = series.map(|series| series.total()).unwrap_or_default();
            Ok(Row::of(metric, &total, choice))
        })
        .collect();
    render(&List { rows: rows? })
}

impl Row {
    fn of(metric: MetricName, total: &[Option<f64>], choice: &Choice) -> Self {
        let unit = Unit::of(&metric);
        let latest = total.iter().rev().flatten().next();
        let chosen = Choice {
            name: metric.name.clone(),
            attributes: Vec::new(),
            ..choice.clone()
        };
        let services: Vec<String> = metric.services.iter().map(ToString::to_string).collect();
        Self {
            address: chosen.address("/metrics"),
            kind: kind_words(&metric),
            services: services.join(", "),
            series: metric.series,
            latest: latest.map(|value| unit.write(*value)).unwrap_or_default(),
            spark: ui::sparkline(total, ui::Colour::First),
            description: metric.description,
            name: metric.name,
        }
    }
}

fn kind_words(metric: &MetricName) -> &'static str {
    match metric.kind {
        MetricKind::Gauge => "value",
        MetricKind::Sum if metric.monotonic => "counter",
        MetricKind::Sum => "sum",
        MetricKind::Histogram | MetricKind::ExponentialHistogram | MetricKind::Summary => "distribution",
    }
}

impl Choice {
    fn of(parameters: Vec<(String, String)>) -> Self {
        let mut choice = Self::default();
        for (key, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
            match key.as_str() {
                "name" => choice.name = value,
                "last" => choice.last = value,
                key => {
                    if let Some(key) = key.strip_prefix(ATTRIBUTE) {
                        choice.attributes.push((key.to_owned(), value));
                    }
                }
            }
        }
        if choice.last.is_empty() {
            DEFAULT_PERIOD.clone_into(&mut choice.last);
        }
        choice
    }

    fn period(&self) -> Result<Period, Problem> {
        Period::parse(&self.last)
    }

    fn query(&self, name: &str, steps: usize) -> Result<MetricQuery, Problem> {
        Ok(MetricQuery {
            name: name.to_owned(),
            attributes: self.attributes.clone(),
            between: self.period()?.range().start..now(),
            steps,
        })
    }

    fn chosen(&self, key: &str) -> &str {
        let chosen = self.attributes.iter().find(|(name, _)| name == key);
        chosen.map_or("", |(_, value)| value)
    }

    fn has_attributes(&self) -> bool {
        !self.attributes.is_empty()
    }

    fn address(&self, path: &str) -> String {
        self.address_with(path, &self.last)
    }

    fn address_with(&self, path: &str, last: &str) -> String {
        let attributes: Vec<(String, &str)> = self
            .attributes
            .iter()
            .map(|(key, value)| (format!("{ATTRIBUTE}{key}"), value.as_str()))
            .collect();
        let mut parameters = vec![("name", self.name.as_str()), ("last", last)];
        parameters.extend(attributes.iter().map(|(key, value)| (key.as_str(), *value)));
        address(path, &parameters)
    }
}
