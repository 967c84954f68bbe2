//! The history of an order. It is text in the order's row, and the UPDATE that makes a transition appends the
//! transition's line, so row and history cannot differ. The migration `add_history` documents the format.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::{CustomerId, OrderId, TraceContext};
use serde_json::Value;

use crate::error::StoreError;
use crate::pg::json::TryJson;
use crate::schema::orders;
use crate::store::Store;

telemetry::statement! {
    SelectHistory: "SELECT" "orders", action "order_history", framework "actix-web";
}

/// The worker of an attempt whose claim is not recorded.
const UNKNOWN_WORKER: &str = "worker:unknown";

/// A change of an order's state. What it says is as it is stored: a newer version may have other states and
/// reasons than this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// By PostgreSQL's clock.
    pub at: DateTime<Utc>,
    /// The status before it; `None` for the creation, and where it is unknown.
    pub from: Option<String>,
    /// The status after it.
    pub to: String,
    /// The number of the latest attempt.
    pub attempt: i32,
    /// As [`domain::Actor`] is displayed.
    pub actor: String,
    /// A failure code, `lease_expired`, `released`, or `unreadable`.
    pub reason: Option<String>,
    /// The trace that made it; 32 hexadecimal digits.
    pub trace_id: Option<String>,
}

/// The transitions of an order, from its creation to its present state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Oldest first.
    pub transitions: Vec<Transition>,
    /// Transitions are missing: release 0.1 made them, another version wrote them in a format that this one
    /// cannot read, or there were so many that the oldest are no longer stored.
    pub incomplete: bool,
}

impl Store {
    /// The order's history; `None` if it does not exist, or is not `customer`'s. It can be read even where
    /// this version cannot read the order.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn history(
        &self,
        id: OrderId,
        customer: Option<&CustomerId>,
    ) -> Result<Option<History>, StoreError> {
        let query = orders::table
            .filter(orders::id.eq(id.as_uuid()))
            .select(HistoryRow::as_select());
        let row: Option<HistoryRow> = self.reporting.row::<SelectHistory, _, _>(query).await?;
        let visible = row.filter(|row| customer.is_none_or(|customer| row.customer == customer.as_str()));
        Ok(visible.map(History::from))
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = orders, check_for_backend(Pg))]
struct HistoryRow {
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
    attempt: i32,
    customer: String,
    status: String,
    failure_code: Option<String>,
    trace_context: TryJson<TraceContext>,
    history: Option<String>,
}

impl From<HistoryRow> for History {
    fn from(row: HistoryRow) -> Self {
        let customer = format!("customer:{}", row.customer);
        let trace_context = row.trace_context.0.as_ref().ok();
        let trace_id = trace_context.and_then(TraceContext::trace_id).map(str::to_owned);
        let mut last = Transition {
            at: row.created_at,
            from: None,
            to: "pending".to_owned(),
            attempt: 0,
            actor: customer.clone(),
            reason: None,
            trace_id: trace_id.clone(),
        };
        // Whose attempt it is, and in which trace.
        let mut claim = last.clone();
        let mut history = Self {
            transitions: Vec::new(),
            incomplete: false,
        };
        for line in row.history.as_deref().unwrap_or_default().lines() {
            let Some(mut next) = parse(line) else {
                history.incomplete = true;
                continue;
            };
            history.incomplete |= next.from.as_ref() != Some(&last.to);
            let of_attempt = next.actor.is_empty() && claim.attempt == next.attempt;
            if of_attempt {
                next.actor.clone_from(&claim.actor);
                next.trace_id.clone_from(&claim.trace_id);
            } else if next.actor.is_empty() {
                UNKNOWN_WORKER.clone_into(&mut next.actor);
            } else if next.actor == "customer" {
                next.actor.clone_from(&customer);
            }
            next.trace_id = next.trace_id.or_else(|| trace_id.clone());
            if next.to == "processing" {
                claim.clone_from(&next);
            }
            history.transitions.push(std::mem::replace(&mut last, next));
        }
        let unrecorded = (row.status != last.to || row.attempt != last.attempt).then(|| row.unrecorded());
        history.transitions.push(last);
        history.incomplete |= unrecorded.is_some();
        history.transitions.extend(unrecorded);
        history
    }
}

impl HistoryRow {
    /// The transition to the present state, which another release made without recording it. Who cancelled or
    /// retried the order is unknown then.
    fn unrecorded(self) -> Transition {
        let (from, actor) = match self.status.as_str() {
            "completed" | "failed" => (Some("processing"), UNKNOWN_WORKER),
            "processing" => (Some("pending"), UNKNOWN_WORKER),
            "cancelled" => (Some("pending"), "system"),
            _ => (None, "system"),
        };
        let is_explained = matches!(self.status.as_str(), "failed" | "pending");
        let reason = self.failure_code.filter(|_| is_explained);
        Transition {
            at: self.completed_at.unwrap_or(self.updated_at),
            from: from.map(str::to_owned),
            to: self.status,
            attempt: self.attempt,
            actor: actor.to_owned(),
            reason,
            trace_id: None,
        }
    }
}

/// The transition of a line; its actor is empty where the line has none. Elements that a newer version
/// appends are ignored. `None` for any other text, such as the rest of a line that was cut off.
fn parse(line: &str) -> Option<Transition> {
    let elements: Vec<Value> = serde_json::from_str(line).ok()?;
    let integer = |index| elements.get(index).and_then(Value::as_i64);
    let text = |index| elements.get(index).and_then(Value::as_str).map(str::to_owned);
    let (from, to) = (text(2)?, text(3)?);
    let takes_over = from == "processing" && to == "processing";
    Some(Transition {
        at: DateTime::from_timestamp_micros(integer(0)?)?,
        attempt: i32::try_from(integer(1)?).ok()?,
        actor: text(4).unwrap_or_default(),
        reason: text(5).or_else(|| takes_over.then(|| "lease_expired".to_owned())),
        trace_id: text(6),
        from: Some(from),
        to,
    })
}
