//! An order of the walk, and its history in words.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::Row;

use crate::part::Part;

/// The order of the walk as PostgreSQL has it.
#[derive(Debug, Clone)]
pub(crate) struct OrderState {
    pub(crate) status: String,
    pub(crate) attempt: i32,
    pub(crate) is_final: bool,
    pub(crate) trace_id: String,
    pub(crate) events: Vec<Event>,
}

/// A transition of the order, or its creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: DateTime<Utc>,
    /// A status.
    pub(crate) to: String,
    pub(crate) words: String,
}

impl OrderState {
    /// Reads the order with the id `$1`.
    pub(crate) const STATEMENT: &str = "
        SELECT status, attempt, coalesce(history, '') AS history, created_at, completed_at,
               split_part(trace_context->>'traceparent', '-', 2) AS trace_id
        FROM orders WHERE id = $1";

    pub(crate) fn of(row: &Row, workers: &BTreeMap<i32, Part>) -> anyhow::Result<Self> {
        let history: String = row.get("history");
        let created = Event {
            at: row.try_get("created_at")?,
            to: "pending".to_owned(),
            words: "accepted with 201".to_owned(),
        };
        let transitions = history.lines().filter_map(|line| event(line, workers));
        let events = std::iter::once(created).chain(transitions).collect();
        Ok(Self {
            status: row.get("status"),
            attempt: row.get("attempt"),
            is_final: row.get::<_, Option<DateTime<Utc>>>("completed_at").is_some(),
            trace_id: row.get("trace_id"),
            events,
        })
    }
}

/// The fields of a line of the history: microseconds, attempt, from, to, actor, reason.
fn event(line: &str, workers: &BTreeMap<i32, Part>) -> Option<Event> {
    let fields: Vec<Value> = serde_json::from_str(line).ok()?;
    let text = |index: usize| fields.get(index).and_then(Value::as_str);
    let to = text(3)?.to_owned();
    let worker = claimed_by(line).map(|pid| match workers.get(&pid) {
        Some(part) => format!("{part} (process {pid})"),
        None => format!("a worker (process {pid})"),
    });
    let words = match (to.as_str(), worker, text(5)) {
        ("processing", Some(worker), _) => format!("claimed by {worker}, attempt {}", fields.get(1)?),
        ("pending", _, Some("lease_expired")) => "its lease ended: due again".to_owned(),
        (status, _, Some(reason)) => format!("{status}: {reason}"),
        (status, ..) => status.to_owned(),
    };
    Some(Event {
        at: DateTime::from_timestamp_micros(fields.first()?.as_i64()?)?,
        to,
        words,
    })
}

/// The process id of the worker that a line of the history names: `worker:throughline-worker-PID-...`.
pub(crate) fn claimed_by(line: &str) -> Option<i32> {
    let (_, rest) = line.split_once("worker:throughline-worker-")?;
    rest.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_says_in_words_who_claimed_an_order_and_why_it_is_due_again() {
        let workers = BTreeMap::from([(42, Part::Worker(1))]);
        let words = |line: &str| event(line, &workers).map(|event| event.words);
        let claimed = r#"[1000,1,"pending","processing","worker:throughline-worker-42-ab12-1"]"#;
        assert_eq!(
            words(claimed).as_deref(),
            Some("claimed by worker 1 (process 42), attempt 1")
        );
        let other = claimed.replace("-42-", "-43-");
        assert_eq!(
            words(&other).as_deref(),
            Some("claimed by a worker (process 43), attempt 1")
        );
        let due = r#"[2000,1,"processing","pending","system","lease_expired"]"#;
        assert_eq!(words(due).as_deref(), Some("its lease ended: due again"));
        assert_eq!(
            words(r#"[3000,2,"processing","completed"]"#).as_deref(),
            Some("completed")
        );
        assert_eq!(words("damaged"), None);
    }
}
