//! `/orders/{id}`: one order, with what happened to it and what can be done.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use chrono::{DateTime, Utc};
use domain::{Item, Order, OrderId, OrderStatus};
use store::Transition;
use ui::Moment;

use super::access::{Look, Operator};
use super::frame::Frame;
use super::page::page_with_frames;
use super::words::{self, Explanation};
use super::workers;
use crate::orders::representation::OrderBody;
use crate::problem::Problem;
use crate::state::AppState;

/// Items that are shown at once; the others are folded.
const ITEMS: usize = 10;

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    frame: Frame,
    parts: Parts,
    trace: Option<Trace>,
}

/// The order's trace, where TRACE_URL shows it.
struct Trace {
    url: String,
    /// Whether it may be shown inside the page.
    is_local: bool,
}

/// The live parts of the page.
pub(super) struct Parts {
    pub(super) head: Head,
    pub(super) history: HistoryPart,
    pub(super) facts: Facts,
    pub(super) json: Json,
}

#[derive(Template)]
#[template(path = "order/head.html")]
pub(super) struct Head {
    id: String,
    status: OrderStatus,
    payment: &'static str,
    payment_class: &'static str,
    may_act: bool,
    failure: Option<Failure>,
}

struct Failure {
    code: String,
    detail: String,
    explanation: Explanation,
    /// Another attempt follows by itself.
    is_retried: bool,
}

impl Step {
    /// A worker's name is long; the table of workers shortens it likewise.
    fn short_actor(&self) -> String {
        match self.actor.strip_prefix("worker:") {
            Some(name) => format!("worker:{}", workers::short(name)),
            None => self.actor.clone(),
        }
    }
}

impl Head {
    fn can_retry(&self) -> bool {
        self.status == OrderStatus::Failed
    }

    fn can_cancel(&self) -> bool {
        self.status == OrderStatus::Pending
    }
}

#[derive(Template)]
#[template(path = "order/history.html")]
pub(super) struct HistoryPart {
    steps: Vec<Step>,
    incomplete: bool,
}

struct Step {
    at: Moment,
    class: &'static str,
    title: String,
    actor: String,
    /// How long the state before it lasted.
    after: Option<String>,
    note: String,
}

#[derive(Template)]
#[template(path = "order/facts.html")]
pub(super) struct Facts {
    customer: String,
    amount: String,
    is_high_value: bool,
    items: Vec<ItemRow>,
    more_items: Vec<ItemRow>,
    payment_id: Option<String>,
    payment_method: Option<&'static str>,
    payment: &'static str,
    attempts: String,
    /// Where not all of them count as attempts.
    deliveries: Option<String>,
    /// Of workers, if the last one died.
    crashes: Option<String>,
    created: Moment,
    updated: Moment,
    completed: Option<Moment>,
    waiting_since: Option<Moment>,
    trace_id: Option<String>,
    trace_url: Option<String>,
    idempotency_key: Option<String>,
}

struct ItemRow {
    quantity: String,
    name: String,
    unit_price: String,
}

#[derive(Template)]
#[template(path = "order/json.html")]
pub(super) struct Json {
    json: String,
}

pub(super) async fn show(
    state: Data<AppState>,
    operator: Operator<Look>,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    let parts = parts(&state, *id, operator.may_act()).await?;
    telemetry::span::set("order.id", id.to_string());
    let viewer = state.console.trace_url.as_ref();
    let local = viewer.and_then(|viewer| viewer.local_origin());
    let trace_url = parts.facts.trace_url.clone();
    let shown = OrderPage {
        frame: Frame::of(&state, &operator, "Orders", format!("/live/orders/{id}")).await,
        trace: trace_url.map(|url| Trace {
            url,
            is_local: local.is_some(),
        }),
        parts,
    };
    page_with_frames("render order.html", &shown, StatusCode::OK, local).await
}

pub(super) async fn parts(state: &AppState, id: OrderId, may_act: bool) -> Result<Parts, Problem> {
    let order = state.store.find(id, None).await?;
    let order = order.ok_or_else(Problem::order_not_found)?;
    let history = state.store.history(id, None).await?;
    let history = history.ok_or_else(Problem::order_not_found)?;
    let idempotency_key = state.store.idempotency_key_of(&order).await?;
    Ok(Parts {
        head: head(&order, may_act),
        history: HistoryPart {
            steps: steps(&history.transitions, &order),
            incomplete: history.incomplete,
        },
        facts: facts(state, &order, idempotency_key),
        json: json(order)?,
    })
}

fn head(order: &Order, may_act: bool) -> Head {
    let is_final = order.status.is_final();
    let failure = order
        .failure
        .as_ref()
        .filter(|_| order.status != OrderStatus::Completed);
    Head {
        id: order.id.to_string(),
        status: order.status,
        payment: words::payment(order.payment_status),
        payment_class: order.payment_status.as_str(),
        may_act,
        failure: failure.map(|failure| Failure {
            code: failure.code.as_str().to_owned(),
            detail: failure.detail.clone(),
            explanation: words::explanation(failure.code.as_str()),
            is_retried: !is_final,
        }),
    }
}

fn facts(state: &AppState, order: &Order, idempotency_key: Option<String>) -> Facts {
    let mut items: Vec<ItemRow> = order.items.iter().map(item_row).collect();
    let more_items = items.split_off(items.len().min(ITEMS));
    let trace_id = order.trace.trace_id();
    let (deliveries, attempts) = (order.attempt.number(), order.attempts_counted());
    let forgiven = deliveries.saturating_sub(attempts);
    let (max_attempts, max_crashes) = (state.console.max_attempts, state.console.max_crashes);
    Facts {
        customer: order.customer.as_str().to_owned(),
        amount: words::amount(&order.amount),
        is_high_value: order.amount.exceeds(state.high_value),
        items,
        more_items,
        payment_id: order.payment_id.clone(),
        payment_method: order.payment_method.map(words::payment_method),
        payment: words::payment(order.payment_status),
        attempts: format!("{attempts} of {max_attempts}"),
        deliveries: (forgiven > 0).then(|| format!("{deliveries}, of which {forgiven} do not count")),
        crashes: (order.crashes > 0).then(|| format!("{} of {max_crashes}", order.crashes)),
        created: Moment::recent(order.created_at),
        updated: Moment::recent(order.updated_at),
        completed: order.completed_at.map(Moment::recent),
        waiting_since: order
            .waiting_since
            .filter(|_| !order.status.is_final())
            .map(Moment::recent),
        trace_url: state
            .console
            .trace_url
            .as_ref()
            .zip(trace_id)
            .map(|(viewer, id)| viewer.of(id)),
        trace_id: trace_id.map(str::to_owned),
        idempotency_key,
    }
}

fn item_row(item: &Item) -> ItemRow {
    ItemRow {
        quantity: ui::grouped(item.quantity),
        name: item.product_name.clone(),
        unit_price: words::amount(&item.unit_price),
    }
}

fn json(order: Order) -> Result<Json, Problem> {
    let json = serde_json::to_string_pretty(&OrderBody::from(order));
    json.map(|json| Json { json })
        .map_err(|error| Problem::internal(&error))
}

fn steps(transitions: &[Transition], order: &Order) -> Vec<Step> {
    let created = transitions.first().map(|first| first.at);
    let mut before: Option<DateTime<Utc>> = None;
    transitions
        .iter()
        .map(|transition| {
            let (class, title) = title(transition, order);
            let total =
                created.filter(|_| matches!(transition.to.as_str(), "completed" | "failed" | "cancelled"));
            let step = Step {
                at: Moment::precise(transition.at),
                class,
                title,
                actor: transition.actor.clone(),
                after: before.map(|before| between(before, transition.at)),
                note: match (total, &transition.reason) {
                    (Some(created), None) => {
                        format!("{} after its creation", between(created, transition.at))
                    }
                    (_, Some(reason)) => words::reason(reason).to_owned(),
                    (None, None) => String::new(),
                },
            };
            before = Some(transition.at);
            step
        })
        .collect()
}

/// The class and the title of a transition.
fn title(transition: &Transition, order: &Order) -> (&'static str, String) {
    let attempt = transition.attempt;
    match (
        transition.from.as_deref(),
        transition.to.as_str(),
        transition.reason.as_deref(),
    ) {
        (None, "pending", _) => ("wait", "Created".to_owned()),
        (Some("processing"), "processing", _) => {
            ("busy", format!("Processing, attempt {attempt}, taken over"))
        }
        (_, "processing", _) => ("busy", format!("Processing, attempt {attempt}")),
        (Some("failed"), "pending", _) => ("wait", "Retried by an operator".to_owned()),
        (_, "pending", Some("payment_unavailable" | "payment_timeout")) => {
            ("wait", "Waiting for the gateway".to_owned())
        }
        (_, "pending", Some("lease_expired")) => ("bad", "Its worker died".to_owned()),
        (_, "pending", _) => ("wait", "Waiting for the next attempt".to_owned()),
        (_, "completed", _) if order.payment_method.is_some() => ("ok", "Completed and charged".to_owned()),
        (_, "completed", _) => ("ok", "Completed".to_owned()),
        (_, "failed", reason) => (
            "bad",
            reason.map_or_else(|| "Failed".to_owned(), |code| format!("Failed: {code}")),
        ),
        (_, "cancelled", _) => ("", "Cancelled".to_owned()),
        (_, other, _) => ("", other.to_owned()),
    }
}

fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    ui::duration((to - from).to_std().unwrap_or(Duration::ZERO))
}
