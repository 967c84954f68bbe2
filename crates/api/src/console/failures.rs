//! `/failures`: what failed in the last day, by code and hour, with examples, and the way to a bulk retry.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Order, OrderStatus};
use store::{OrderFilter, Sample, Sort};
use ui::{Colour, Moment, sparkline};

use super::access::{Look, Operator};
use super::frame::Frame;
use super::page::page;
use super::series::number;
use super::words::{self, Explanation};
use crate::problem::Problem;
use crate::state::AppState;

const HOURS: usize = 24;
/// The latest failed orders, from which the examples are taken.
const LATEST: usize = 100;
/// Examples of a code.
const EXAMPLES: usize = 3;

#[derive(Template)]
#[template(path = "failures.html")]
struct FailuresPage {
    frame: Frame,
    groups: Groups,
}

/// The live part of the page.
#[derive(Template)]
#[template(path = "failures/groups.html")]
pub(super) struct Groups {
    groups: Vec<Group>,
    may_act: bool,
}

struct Group {
    code: String,
    explanation: Explanation,
    last_hour: String,
    last_day: String,
    /// Failures per hour of the last day.
    by_hour: String,
    examples: Vec<Example>,
}

struct Example {
    id: String,
    short: String,
    at: Moment,
}

pub(super) async fn show(state: Data<AppState>, operator: Operator<Look>) -> Result<HttpResponse, Problem> {
    let shown = FailuresPage {
        groups: groups(&state, operator.may_act()).await?,
        frame: Frame::of(&state, &operator, "Failures", "/live/failures").await,
    };
    page("render failures.html", &shown, StatusCode::OK).await
}

/// The hourly counts and the latest orders of one code.
#[derive(Default)]
struct OfCode {
    hours: [i64; HOURS],
    orders: Vec<Order>,
}

pub(super) async fn groups(state: &AppState, may_act: bool) -> Result<Groups, Problem> {
    let failed = OrderFilter {
        status: Some(OrderStatus::Failed),
        ..OrderFilter::default()
    };
    let orders = state.store.list(&failed, Sort::NewestFirst, None, LATEST).await?;
    let samples = state.samples.since(TimeDelta::hours(24)).await;
    let mut by_code = by_hour(&samples, Utc::now());
    for order in orders.into_iter().flatten() {
        if let Some(failure) = &order.failure {
            by_code
                .entry(failure.code.as_str().to_owned())
                .or_default()
                .orders
                .push(order);
        }
    }
    let mut groups: Vec<(i64, Group)> = by_code.into_iter().map(group).collect();
    groups.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ok(Groups {
        groups: groups.into_iter().map(|(_, group)| group).collect(),
        may_act,
    })
}

/// The counts of each code by hour, the last one up to now.
fn by_hour(samples: &[Arc<Sample>], now: DateTime<Utc>) -> BTreeMap<String, OfCode> {
    let mut by_code: BTreeMap<String, OfCode> = BTreeMap::new();
    for sample in samples {
        let age = usize::try_from((now - sample.at).num_hours()).unwrap_or(0);
        for (code, count) in &sample.failed {
            let hours = &mut by_code.entry(code.clone()).or_default().hours;
            if let Some(hour) = HOURS.checked_sub(age + 1).and_then(|index| hours.get_mut(index)) {
                *hour += count;
            }
        }
    }
    by_code
}

fn group((code, of_code): (String, OfCode)) -> (i64, Group) {
    let total: i64 = of_code.hours.iter().sum();
    let last = of_code.hours.last().copied().unwrap_or(0);
    let values: Vec<_> = of_code.hours.iter().map(|count| Some(number(*count))).collect();
    let examples = of_code.orders.iter().take(EXAMPLES).map(|order| {
        let id = order.id.to_string();
        Example {
            short: ui::shortened(&id),
            id,
            at: Moment::recent(order.completed_at.unwrap_or(order.updated_at)),
        }
    });
    let group = Group {
        explanation: words::explanation(&code),
        last_hour: ui::grouped(last),
        last_day: ui::grouped(total),
        by_hour: sparkline(&values, Colour::Bad),
        examples: examples.collect(),
        code,
    };
    (total, group)
}
