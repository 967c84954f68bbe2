//! `/`: how the service does now, and did in the last 15 minutes or 24 hours.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use askama::Template;
use chrono::{TimeDelta, Utc};
use domain::{Order, OrderStatus};
use queue::QueueStats;
use store::{OrderFilter, Sample, SampledState, Sort};
use ui::{Chart, Colour, Moment, Series};

use super::access::{Look, Operator};
use super::frame::Frame;
use super::page::page;
use super::series::{Point, Range, RangeQuery, most, number, outages};
use super::words;
use super::workers::Workers;
use crate::problem::Problem;
use crate::samples;
use crate::state::AppState;

/// Failures on the page.
const RECENT: usize = 5;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    range: Range,
    parts: Parts,
}

/// The live parts of the page.
pub(super) struct Parts {
    pub(super) stats: Stats,
    pub(super) rates: Rates,
    pub(super) waits: Waits,
    pub(super) failures: Failures,
    pub(super) workers: Workers,
}

#[derive(Template)]
#[template(path = "overview/stats.html")]
pub(super) struct Stats {
    stats: [Stat; 5],
}

struct Stat {
    name: &'static str,
    value: String,
    note: String,
    spark: String,
}

#[derive(Template)]
#[template(path = "overview/rates.html")]
pub(super) struct Rates {
    /// `None` without samples.
    chart: Option<String>,
    range: Range,
}

#[derive(Template)]
#[template(path = "overview/waits.html")]
pub(super) struct Waits {
    /// Whether there is a sample.
    is_known: bool,
    total: String,
    rows: Vec<Wait>,
}

struct Wait {
    class: &'static str,
    name: &'static str,
    words: &'static str,
    count: String,
}

#[derive(Template)]
#[template(path = "overview/failures.html")]
pub(super) struct Failures {
    rows: Vec<Failed>,
    may_act: bool,
}

struct Failed {
    at: Moment,
    id: String,
    short: String,
    amount: String,
    code: String,
    what: &'static str,
}

pub(super) async fn show(
    state: Data<AppState>,
    operator: Operator<Look>,
    query: Query<RangeQuery>,
) -> Result<HttpResponse, Problem> {
    let range = query.range();
    let live = format!("/live/overview?range={}", range.query());
    let frame = Frame::of(&state, &operator, "Overview", live).await;
    let parts = parts(&state, range, operator.may_act()).await?;
    let shown = OverviewPage { frame, range, parts };
    page("render overview.html", &shown, StatusCode::OK).await
}

pub(super) async fn parts(state: &AppState, range: Range, may_act: bool) -> Result<Parts, Problem> {
    let samples = state.samples.since(range.period()).await;
    let points = range.points(&samples, Utc::now());
    let filter = OrderFilter {
        status: Some(OrderStatus::Failed),
        ..OrderFilter::default()
    };
    let failed = state.store.list(&filter, Sort::NewestFirst, None, RECENT).await?;
    let jobs = state.dispatcher.queue().stats().await.ok();
    let workers = Workers::read(state).await;
    Ok(Parts {
        stats: stats(&samples, &points, range, jobs),
        rates: rates(&points, range),
        waits: waits(present(&samples), workers.busy),
        workers,
        failures: Failures {
            rows: failed
                .into_iter()
                .filter_map(|order| order.ok().map(failed_row))
                .collect(),
            may_act,
        },
    })
}

fn stats(samples: &[Arc<Sample>], points: &[Point], range: Range, jobs: Option<QueueStats>) -> Stats {
    let minute = last_minute(samples);
    let sum = |samples: &[Arc<Sample>], count: fn(&Sample) -> i64| -> i64 {
        samples.iter().map(|sample| count(sample)).sum()
    };
    let created = sum(samples, |sample| sample.created);
    let (failed, finished) = (sum(samples, samples::failed), sum(samples, samples::finished));
    let state = present(samples);
    let spark = |value: &dyn Fn(&Point) -> Option<f64>, colour| {
        let values: Vec<_> = points.iter().map(value).collect();
        ui::sparkline(&values, colour)
    };
    Stats {
        stats: [
            Stat {
                name: "Orders created",
                value: if minute.is_empty() {
                    "–".to_owned()
                } else {
                    ui::rate(number(sum(minute, |sample| sample.created)) / 60.0)
                },
                note: format!("{} in {}", ui::grouped(created), range.short()),
                spark: spark(&|point| point.per_second(|s| s.created), Colour::First),
            },
            Stat {
                name: "Created to final, p50",
                value: seconds(most(minute, |sample| sample.p50)),
                note: format!("p99 {}, last minute", seconds(most(minute, |sample| sample.p99))),
                spark: spark(&|point| most(&point.samples, |s| s.p50), Colour::Third),
            },
            Stat {
                name: "Failed",
                value: ui::percent(number(failed), number(finished)),
                note: format!("{} in {}", ui::grouped(failed), range.short()),
                spark: spark(&|point| point.per_second(samples::failed), Colour::Bad),
            },
            Stat {
                name: "Oldest unfinished",
                value: seconds(state.map(|state| state.oldest_age)),
                note: state.map_or_else(String::new, |state| {
                    format!("{} wait", ui::grouped(waiting(&state)))
                }),
                spark: spark(
                    &|point| most(&point.samples, |s| s.state.map(|state| state.oldest_age)),
                    Colour::Warn,
                ),
            },
            Stat {
                name: "Waiting jobs",
                value: jobs.map_or_else(|| "–".to_owned(), |jobs| ui::grouped(jobs.depth)),
                note: jobs.map_or_else(
                    || "Redis is unreachable".to_owned(),
                    |jobs| format!("{} in flight", ui::grouped(jobs.in_flight)),
                ),
                spark: spark(
                    &|point| most(&point.samples, |s| s.state?.waiting_jobs.map(number)),
                    Colour::Fourth,
                ),
            },
        ],
    }
}

fn rates(points: &[Point], range: Range) -> Rates {
    let of = |count: fn(&Sample) -> i64| {
        points
            .iter()
            .map(|point| point.per_second(count))
            .collect::<Vec<_>>()
    };
    let (created, finished) = (of(|sample| sample.created), of(samples::finished));
    let latest = |values: &[Option<f64>]| values.iter().rev().flatten().next().copied().unwrap_or_default();
    let chart = Chart {
        description: format!(
            "Orders per second in {}: at its end {} created, {} final",
            range.words(),
            ui::decimal(latest(&created)),
            ui::decimal(latest(&finished))
        ),
        series: vec![
            Series::area(&created, Colour::First),
            Series::line(&finished, Colour::Third),
        ],
        labels: range.labels(Utc::now()),
        marks: outages(points),
        least_top: 1.0,
        unit: ui::decimal,
    };
    Rates {
        chart: created.iter().any(Option::is_some).then(|| chart.to_string()),
        range,
    }
}

fn waits(state: Option<SampledState>, busy: u64) -> Waits {
    let dispatch = if state.is_some_and(|state| state.paused) {
        "paused"
    } else {
        "dispatch"
    };
    let waiting = state.map_or(0, |state| waiting(&state));
    let counts = state.map(|state| {
        [
            ("gateway", state.waiting_for_gateway),
            ("backoff", state.waiting_for_backoff),
            (dispatch, state.waiting_for_dispatch),
        ]
    });
    let busy = i64::try_from(busy).unwrap_or(0);
    let counts = [("processing", busy)]
        .into_iter()
        .chain(counts.into_iter().flatten());
    let rows = counts.filter(|(_, count)| *count > 0).map(|(reason, orders)| {
        let (class, name, words) = words::waiting(reason);
        Wait {
            class,
            name,
            words,
            count: ui::grouped(orders),
        }
    });
    Waits {
        is_known: state.is_some(),
        total: ui::grouped(waiting + busy),
        rows: rows.collect(),
    }
}

fn waiting(state: &SampledState) -> i64 {
    state.waiting_for_gateway + state.waiting_for_backoff + state.waiting_for_dispatch
}

/// The latest samples; none if no worker has written one lately.
fn last_minute(samples: &[Arc<Sample>]) -> &[Arc<Sample>] {
    let latest = samples.get(samples.len().saturating_sub(6)..).unwrap_or_default();
    let is_recent = |sample: &Arc<Sample>| Utc::now() - sample.at < TimeDelta::minutes(1);
    if latest.last().is_some_and(is_recent) {
        latest
    } else {
        &[]
    }
}

/// What unfinished orders wait for now; `None` if that is not known.
fn present(samples: &[Arc<Sample>]) -> Option<SampledState> {
    last_minute(samples).last()?.state
}

fn seconds(value: Option<f64>) -> String {
    let duration = value.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.map_or_else(|| "–".to_owned(), ui::duration)
}

fn failed_row(order: Order) -> Failed {
    let code = order
        .failure
        .map_or_else(String::new, |failure| failure.code.as_str().to_owned());
    let id = order.id.to_string();
    Failed {
        at: Moment::recent(order.completed_at.unwrap_or(order.updated_at)),
        short: ui::shortened(&id),
        id,
        amount: words::amount(&order.amount),
        what: words::explanation(&code).what,
        code,
    }
}
