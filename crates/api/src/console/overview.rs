//! `/`: how the service does now, and did in the last 15 minutes or 24 hours.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use askama::Template;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::{Order, OrderStatus};
use serde::Deserialize;
use store::OrderFilter;
use ui::{Chart, Colour, Label, Mark, Series};

use super::access::{Look, Operator};
use super::moment::Moment;
use super::page::{Frame, page};
use super::words;
use crate::problem::Problem;
use crate::samples::Sample;
use crate::state::AppState;

/// What the charts show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Range {
    #[default]
    Minutes,
    Day,
}

#[derive(Deserialize)]
pub(super) struct RangeQuery {
    range: Option<String>,
}

impl RangeQuery {
    pub(super) fn range(&self) -> Range {
        match self.range.as_deref() {
            Some("24h") => Range::Day,
            _ => Range::Minutes,
        }
    }
}

impl Range {
    fn period(self) -> TimeDelta {
        match self {
            Self::Minutes => TimeDelta::minutes(15),
            Self::Day => TimeDelta::hours(24),
        }
    }

    /// Of one point of a chart.
    fn step(self) -> TimeDelta {
        match self {
            Self::Minutes => TimeDelta::seconds(10),
            Self::Day => TimeDelta::minutes(15),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Minutes => "the last 15 minutes",
            Self::Day => "the last 24 hours",
        }
    }

    fn query(self) -> &'static str {
        match self {
            Self::Minutes => "15m",
            Self::Day => "24h",
        }
    }
}

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
    let points = points(&samples, range, Utc::now());
    let filter = OrderFilter {
        status: Some(OrderStatus::Failed),
        ..OrderFilter::default()
    };
    let failed = state.store.list(&filter, None, 5).await?;
    let jobs = state.dispatcher.queue().stats().await.ok();
    Ok(Parts {
        stats: stats(
            &samples,
            &points,
            range,
            jobs.map(|jobs| (jobs.depth, jobs.in_flight)),
        ),
        rates: rates(&points, range),
        waits: waits(samples.last()),
        failures: Failures {
            rows: failed
                .into_iter()
                .filter_map(|order| order.ok().map(failed_row))
                .collect(),
            may_act,
        },
    })
}

/// What a chart shows for one step; everything is absent where no sample was written.
#[derive(Debug, Clone, Default)]
struct Point {
    seconds: f64,
    samples: Vec<Arc<Sample>>,
}

impl Point {
    fn per_second(&self, count: impl Fn(&Sample) -> u64) -> Option<f64> {
        let total: u64 = self.samples.iter().map(|sample| count(sample)).sum();
        (self.seconds > 0.0).then(|| number(total) / self.seconds)
    }

    fn most(&self, value: impl Fn(&Sample) -> Option<Duration>) -> Option<f64> {
        let values = self.samples.iter().filter_map(|sample| value(sample));
        values.max().map(|value| value.as_secs_f64())
    }
}

/// The samples by steps, from the first step of the range to now.
fn points(samples: &[Arc<Sample>], range: Range, now: DateTime<Utc>) -> Vec<Point> {
    let (start, step) = (now - range.period(), range.step().num_seconds().max(1));
    let count = usize::try_from(range.period().num_seconds() / step).unwrap_or(0);
    let mut points = vec![Point::default(); count];
    for sample in samples {
        let index = usize::try_from((sample.at - start).num_seconds() / step);
        if let Some(point) = index.ok().and_then(|index| points.get_mut(index)) {
            point.seconds += 10.0;
            point.samples.push(Arc::clone(sample));
        }
    }
    points
}

fn stats(samples: &[Arc<Sample>], points: &[Point], range: Range, jobs: Option<(u64, u64)>) -> Stats {
    let series = |value: &dyn Fn(&Point) -> Option<f64>| points.iter().map(value).collect::<Vec<_>>();
    let latest = samples.last();
    let minute = samples.get(samples.len().saturating_sub(6)..).unwrap_or_default();
    let created: u64 = samples.iter().map(|sample| sample.created).sum();
    let failed: u64 = samples.iter().map(|sample| sample.failed()).sum();
    let finished: u64 = samples.iter().map(|sample| sample.finished()).sum();
    let created_last: u64 = minute.iter().map(|sample| sample.created).sum();
    let measured = |value: Option<Duration>| value.map_or_else(|| "–".to_owned(), ui::duration);
    let slowest = |value: &dyn Fn(&Sample) -> Option<Duration>| minute.iter().filter_map(|s| value(s)).max();
    Stats {
        stats: [
            Stat {
                name: "Orders created",
                value: ui::rate(number(created_last) / 60.0),
                note: format!("{} in {}", ui::grouped(created), range.words()),
                spark: ui::sparkline(&series(&|point| point.per_second(|s| s.created)), Colour::First),
            },
            Stat {
                name: "Created to final, p50",
                value: measured(slowest(&|sample| sample.p50)),
                note: format!("p99 {}, last minute", measured(slowest(&|sample| sample.p99))),
                spark: ui::sparkline(&series(&|point| point.most(|s| s.p50)), Colour::Third),
            },
            Stat {
                name: "Failed",
                value: ui::percent(number(failed), number(finished)),
                note: format!("{} in {}", ui::grouped(failed), range.words()),
                spark: ui::sparkline(&series(&|point| point.per_second(Sample::failed)), Colour::Bad),
            },
            Stat {
                name: "Oldest unfinished",
                value: measured(latest.and_then(|sample| sample.oldest)),
                note: format!(
                    "of {} unfinished",
                    ui::grouped(latest.map_or(0, |sample| unfinished(sample)))
                ),
                spark: ui::sparkline(&series(&|point| point.most(|s| s.oldest)), Colour::Warn),
            },
            Stat {
                name: "Waiting jobs",
                value: jobs.map_or_else(|| "–".to_owned(), |(waiting, _)| ui::grouped(waiting)),
                note: jobs.map_or_else(
                    || "Redis is unreachable".to_owned(),
                    |(_, in_flight)| format!("{} in flight", ui::grouped(in_flight)),
                ),
                spark: ui::sparkline(
                    &series(&|point| {
                        point
                            .samples
                            .iter()
                            .filter_map(|s| s.waiting_jobs)
                            .max()
                            .map(number)
                    }),
                    Colour::Fourth,
                ),
            },
        ],
    }
}

fn unfinished(sample: &Sample) -> u64 {
    sample.unfinished.iter().map(|(_, count)| count).sum()
}

fn rates(points: &[Point], range: Range) -> Rates {
    let has_data = points.iter().any(|point| point.seconds > 0.0);
    let created: Vec<_> = points
        .iter()
        .map(|point| point.per_second(|s| s.created))
        .collect();
    let finished: Vec<_> = points
        .iter()
        .map(|point| point.per_second(Sample::finished))
        .collect();
    let latest = |values: &[Option<f64>]| values.iter().rev().flatten().next().copied().unwrap_or_default();
    let chart = Chart {
        description: format!(
            "Orders per second in {}: at its end {} created, {} final",
            range.words(),
            ui::decimal(latest(&created)),
            ui::decimal(latest(&finished))
        ),
        series: vec![
            Series {
                values: &created,
                colour: Colour::First,
                filled: true,
            },
            Series {
                values: &finished,
                colour: Colour::Third,
                filled: false,
            },
        ],
        labels: labels(range, Utc::now()),
        marks: outages(points, range),
        least_top: 1.0,
        unit: ui::decimal,
    };
    Rates {
        chart: has_data.then(|| chart.to_string()),
        range,
    }
}

fn labels(range: Range, now: DateTime<Utc>) -> Vec<Label> {
    let start = now - range.period();
    let mut labels: Vec<Label> = [0, 1, 2]
        .map(|third| {
            let at = start + range.period() * third / 3;
            Label {
                at: f64::from(third) / 3.0,
                text: at.format("%H:%M").to_string(),
                time: Some(at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            }
        })
        .into();
    labels.push(Label {
        at: 1.0,
        text: "now".to_owned(),
        time: None,
    });
    labels
}

/// A mark where the gateway became unavailable, with how long it was.
fn outages(points: &[Point], range: Range) -> Vec<Mark> {
    let mut marks: Vec<(usize, u64)> = Vec::new();
    let mut was_available = true;
    for (index, point) in points.iter().enumerate() {
        for sample in &point.samples {
            let available = sample.gateway_available.unwrap_or(true);
            if !available && was_available {
                marks.push((index, 0));
            }
            if let Some((_, seconds)) = marks.last_mut().filter(|_| !available) {
                *seconds += 10;
            }
            was_available = available;
        }
    }
    let steps = number(u64::try_from(points.len()).unwrap_or(1).max(1));
    let longest = if range == Range::Day { 3 } else { 4 };
    let first = marks.len().saturating_sub(longest);
    let shown = marks.get(first..).unwrap_or_default().iter();
    shown
        .map(|(index, seconds)| Mark {
            at: number(u64::try_from(*index).unwrap_or(0)) / steps,
            text: format!(
                "gateway unavailable {}",
                ui::duration(Duration::from_secs(*seconds))
            ),
        })
        .collect()
}

fn waits(latest: Option<&Arc<Sample>>) -> Waits {
    let counts = latest.map_or(&[][..], |sample| sample.unfinished.as_slice());
    let rows = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| {
            let (class, name, words) = words::waiting(reason);
            Wait {
                class,
                name,
                words,
                count: ui::grouped(*count),
            }
        });
    Waits {
        is_known: latest.is_some(),
        total: ui::grouped(latest.map_or(0, |sample| unfinished(sample))),
        rows: rows.collect(),
    }
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
        amount: ui::amount(&order.amount.to_string(), order.amount.currency().code()),
        what: words::explanation(&code).what,
        code,
    }
}

/// Counts are far below 2^52.
fn number(count: u64) -> f64 {
    u32::try_from(count).map_or_else(|_| f64::from(u32::MAX), f64::from)
}
