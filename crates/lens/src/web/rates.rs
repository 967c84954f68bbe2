//! The charts above the list of traces: how many, how many failed, and how long they took.

use std::time::Duration;

use askama::Template;
use ui::{Chart, Colour, Series};

use super::filter::Filter;
use super::frame::render;
use super::problem::Problem;
use super::time_axis::{labels, seconds};
use crate::format::named;
use crate::numbers::double_of_count;
use crate::query::Query;
use crate::rates::{Rates, RootSeries, RootStep};
use crate::search::TraceSearch;
use crate::storage::TelemetryStore;

/// The points of a chart.
const STEPS: usize = 60;
/// Rows before the others are hidden.
const SHOWN_ROOTS: usize = 8;

#[derive(Template)]
#[template(path = "traces/rates.html")]
struct Part {
    traces: String,
    durations: String,
    /// The root whose durations are drawn.
    root: String,
    rows: Vec<Row>,
    hidden: usize,
}

struct Row {
    name: String,
    address: String,
    count: String,
    rate: String,
    errors: usize,
    error_share: String,
    p50: String,
    p95: String,
    p99: String,
    spark: String,
}

/// Also without traces: a live part needs its element.
pub(super) fn rates(
    store: &TelemetryStore,
    search: &TraceSearch,
    filter: &Filter,
) -> Result<String, Problem> {
    let rates = store.rates(search, STEPS);
    let step = rates.timeline.step();
    let period = step.as_secs_f64() * double_of_count(rates.timeline.steps());
    let rows = rates.roots.iter().take(SHOWN_ROOTS);
    render(&Part {
        traces: traces(&rates),
        durations: durations(&rates),
        root: rates
            .roots
            .first()
            .map(|root| named(&root.root_name).to_owned())
            .unwrap_or_default(),
        rows: rows.map(|root| Row::of(root, period, filter)).collect(),
        hidden: rates.more + rates.roots.len().saturating_sub(SHOWN_ROOTS),
    })
}

fn traces(rates: &Rates) -> String {
    let step = rates.timeline.step().as_secs_f64();
    let per_second = |number: fn(&RootStep) -> usize| -> Vec<Option<f64>> {
        let in_step = |index: usize| {
            let steps = rates.roots.iter().filter_map(|root| root.steps.get(index));
            Some(double_of_count(steps.map(number).sum()) / step)
        };
        (0..rates.timeline.steps()).map(in_step).collect()
    };
    let all = per_second(|step| step.count);
    let failed = per_second(|step| step.errors);
    chart(
        "Traces per second, and those with errors",
        vec![
            Series::area(&all, Colour::First),
            Series::line(&failed, Colour::Bad),
        ],
        rates,
        ui::decimal,
    )
}

/// Of the most frequent root.
fn durations(rates: &Rates) -> String {
    let Some(root) = rates.roots.first() else {
        return String::new();
    };
    let line = |quantile: fn(&RootStep) -> Option<Duration>| -> Vec<Option<f64>> {
        let steps = root.steps.iter().map(quantile);
        steps.map(|time| time.map(|time| time.as_secs_f64())).collect()
    };
    let (p50, p95, p99) = (
        line(|step| step.p50),
        line(|step| step.p95),
        line(|step| step.p99),
    );
    chart(
        "Duration: median, 95th and 99th percentile",
        vec![
            Series::line(&p99, Colour::Fourth),
            Series::line(&p95, Colour::Second),
            Series::line(&p50, Colour::Third),
        ],
        rates,
        seconds,
    )
}

fn chart(description: &str, series: Vec<Series<'_>>, rates: &Rates, unit: fn(f64) -> String) -> String {
    let chart = Chart {
        description: description.to_owned(),
        series,
        labels: labels(&rates.timeline),
        marks: Vec::new(),
        least_top: 0.0,
        unit,
    };
    chart.to_string()
}

impl Row {
    fn of(root: &RootSeries, period: f64, filter: &Filter) -> Self {
        let RootStep {
            count,
            errors,
            p50,
            p95,
            p99,
        } = root.total;
        let time = |time: Option<Duration>| time.map_or("–".to_owned(), ui::duration);
        let counts: Vec<Option<f64>> = root
            .steps
            .iter()
            .map(|step| Some(double_of_count(step.count)))
            .collect();
        Self {
            name: named(&root.root_name).to_owned(),
            address: filter
                .narrowed(&Query::word("root", &root.root_name))
                .address("/"),
            count: ui::grouped(count),
            rate: ui::rate(double_of_count(count) / period),
            errors,
            error_share: ui::percent(double_of_count(errors), double_of_count(count)),
            p50: time(p50),
            p95: time(p95),
            p99: time(p99),
            spark: ui::sparkline(&counts, Colour::First),
        }
    }
}
