//! Orders that are due for dispatch, by `dispatch_after`. [`Store::take_due`] covers a failed dispatch, a job
//! that Redis lost, a worker that died, and an order whose backoff has ended. Concurrent reconcilers take
//! different orders.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{min, now};
use diesel::prelude::*;
use diesel::query_builder::SqlQuery;
use diesel::sql_types::{BigInt, Double, Interval, Nullable, Text, Timestamptz};
use domain::{Actor, Attempt, OrderId, OrderStatus, ProcessOrder, TraceContext};
use serde_json::Value;
use telemetry::db::Statement;
use uuid::Uuid;

use crate::error::StoreError;
use crate::pg::expressions::{interval, limit_of, status_is};
use crate::pg::json::Json;
use crate::schema::orders;
use crate::store::Store;
use crate::transition::{NewTransition, with_transition};

telemetry::statement! {
    DispatchNow: "UPDATE" "orders", action "dispatch_now", framework "actix-web";
    GiveBackOrders: "UPDATE" "orders", action "give_back_orders", framework "apalis";
    DispatchAllNow: "UPDATE" "orders", action "dispatch_all_now", framework "apalis";
    TakeDueOrders: "UPDATE" "orders", action "take_due_orders", framework "apalis";
    TakeDueAttempted: "UPDATE" "orders", action "take_due_attempted", framework "apalis";
    SelectUnfinished: "SELECT" "orders", action "unfinished", framework "apalis";
    SelectOldestDue: "SELECT" "orders", action "oldest_due", framework "apalis";
}

/// Orders per statement of [`Store::dispatch_all_now`], so that no statement holds its locks for long.
const BATCH: usize = 1000;

/// Longer than any order has been due.
pub const EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Why an order is dispatched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DueReason {
    /// No worker claimed it: its job was not enqueued, or was lost.
    Lost,
    /// A worker claimed it, and its lease ended without an outcome.
    LeaseExpired,
    /// The backoff after a failed or released attempt has ended.
    Backoff,
}

impl DueReason {
    /// The reason in telemetry (`queue.reason`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::LeaseExpired => "lease_expired",
            Self::Backoff => "retry",
        }
    }
}

/// A pending order for the caller to dispatch, before it is due again.
#[derive(Debug, Clone)]
pub struct DueOrder {
    /// The order's id.
    pub id: OrderId,
    /// The number of its latest attempt.
    pub attempt: Attempt,
    /// The trace context of the request that created it.
    pub trace: TraceContext,
    /// The trace context of its latest attempt.
    pub previous_attempt: Option<TraceContext>,
    /// Why it is due.
    pub reason: DueReason,
}

impl DueOrder {
    /// The job for its next attempt.
    pub fn into_job(self) -> ProcessOrder {
        ProcessOrder {
            order_id: self.id,
            attempt: self.attempt.next(),
            trace: self.trace,
            previous_attempt: self.previous_attempt,
        }
    }
}

/// The statement that takes due orders. `$condition` is literal, so that every plan of the statement may use
/// an index with that predicate.
///
/// The CTE reads the status before the update: RETURNING has only the new one. A CTE that locks rows runs
/// once under every plan; a sub-select in `IN` may run for each row, and lock more than its limit. The
/// array is as in [`Store::dispatch_all_now`].
macro_rules! take_due {
    ($condition:literal) => {
        concat!(
            "WITH due AS MATERIALIZED (\
               SELECT id, status FROM orders WHERE ",
            $condition,
            " AND dispatch_after > now() - $2 ORDER BY dispatch_after LIMIT $1 FOR UPDATE SKIP LOCKED) \
             UPDATE orders SET \
               history = CASE due.status WHEN 'pending' THEN history ELSE ",
            with_transition!("orders.attempt", "$3::text"),
            " END, \
               status = 'pending', \
               crashes = crashes + (due.status = 'processing' AND attempts_two_step = attempt)::int, \
               attempts_forgiven = attempts_forgiven \
                 + (due.status = 'processing' AND attempts_two_step = attempt)::int, \
               dispatch_after = now() + least(greatest(now() - created_at, interval '30 s'), interval '10 min'), \
               updated_at = CASE due.status WHEN 'pending' THEN updated_at ELSE now() END \
             FROM due WHERE orders.id = due.id AND orders.id = ANY (ARRAY(SELECT id FROM due)) \
             RETURNING orders.id, attempt, trace_context, attempt_trace_context, due.status AS status_before",
        )
    };
}

impl Store {
    /// Makes a pending order due at once, after its dispatch failed.
    pub async fn dispatch_now(&self, id: OrderId) -> Result<(), StoreError> {
        let update = diesel::update(orders::table)
            .filter(orders::id.eq(id.as_uuid()))
            .filter(orders::status.eq(OrderStatus::Pending.as_str()))
            .set(orders::dispatch_after.eq(now));
        self.pg.execute::<DispatchNow, _>(update).await?;
        Ok(())
    }

    /// Makes taken orders due at once, after their dispatch failed. Orders that a worker has claimed since
    /// are unchanged.
    pub async fn give_back(&self, ids: &[OrderId]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let update = diesel::update(orders::table)
            .filter(orders::id.eq_any(ids))
            .filter(status_is(OrderStatus::Pending.as_str()))
            .set(orders::dispatch_after.eq(now));
        self.pg.execute::<GiveBackOrders, _>(update).await?;
        Ok(())
    }

    /// Makes the pending orders that were created before this time due at once, in the order of
    /// `dispatch_after`, after Redis lost its data. Processing orders keep their lease. Gives the number of
    /// changed orders.
    pub async fn dispatch_all_now(&self, created_before: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut total = 0_usize;
        loop {
            // The array makes it an index scan under every plan: a join with the CTE alone may read the whole
            // table.
            let update = diesel::sql_query(
                "WITH pending AS MATERIALIZED (\
                   SELECT id FROM orders \
                   WHERE dispatch_after > now() AND (status = 'pending') IS TRUE AND created_at < $2 \
                   ORDER BY dispatch_after LIMIT $1 FOR UPDATE SKIP LOCKED) \
                 UPDATE orders SET dispatch_after = now() \
                 WHERE id = ANY (ARRAY(SELECT id FROM pending))",
            );
            let update = update
                .bind::<BigInt, _>(limit_of(BATCH))
                .bind::<Timestamptz, _>(created_before);
            let changed = self.pg.execute::<DispatchAllNow, _>(update).await?;
            total = total.saturating_add(changed);
            if changed < BATCH {
                return Ok(total);
            }
        }
    }

    /// Takes up to `limit` due orders for the caller to dispatch. No other caller gets them until they are
    /// due again: after a delay equal to their age, but at least 30 s and at most 10 min. An order whose
    /// lease expired becomes pending, so its worker can no longer write; this counts as a crash.
    pub async fn take_due(&self, limit: usize) -> Result<Vec<DueOrder>, StoreError> {
        self.take_due_within(EVER, limit).await
    }

    /// As [`take_due`](Self::take_due), but only orders that became due within the last `age`. It does not
    /// read index entries that are older. While a snapshot is held open, the entries of all orders that have
    /// been processed since then remain.
    pub async fn take_due_within(&self, age: Duration, limit: usize) -> Result<Vec<DueOrder>, StoreError> {
        let update = diesel::sql_query(take_due!("dispatch_after <= now()"));
        self.take::<TakeDueOrders>(update, age, limit).await
    }

    /// As [`take_due_within`](Self::take_due_within), but only orders that were attempted. They have an index
    /// of their own: it costs the same however many new orders are due.
    pub async fn take_due_attempted(&self, age: Duration, limit: usize) -> Result<Vec<DueOrder>, StoreError> {
        let update = diesel::sql_query(take_due!("dispatch_after <= now() AND attempt > 0"));
        self.take::<TakeDueAttempted>(update, age, limit).await
    }

    async fn take<S: Statement + Send>(
        &self,
        update: SqlQuery,
        age: Duration,
        limit: usize,
    ) -> Result<Vec<DueOrder>, StoreError> {
        let expired = NewTransition {
            actor: Some(&Actor::System),
            ..NewTransition::because(DueReason::LeaseExpired.as_str())
        };
        let update = update
            .bind::<BigInt, _>(limit_of(limit))
            .bind::<Interval, _>(interval(age))
            .bind::<Text, _>(expired.rest_of_line(OrderStatus::Pending));
        let rows: Vec<DueRow> = self.pg.rows::<S, _, _>(update).await?;
        Ok(rows.into_iter().map(DueOrder::from).collect())
    }

    /// The orders that are not final, for gauges. Reads at most 101,000 rows, through the index of due
    /// orders. Polled, so it makes no span.
    pub async fn unfinished(&self) -> Result<Unfinished, StoreError> {
        let query = diesel::sql_query(
            "WITH first AS MATERIALIZED (\
               SELECT created_at, status, attempt, waiting_since FROM orders \
               WHERE dispatch_after IS NOT NULL ORDER BY dispatch_after LIMIT 100000), \
             last AS MATERIALIZED (\
               SELECT created_at FROM orders \
               WHERE dispatch_after IS NOT NULL ORDER BY dispatch_after DESC LIMIT 1000) \
             SELECT \
               extract(epoch FROM now() - least(min(created_at), (SELECT min(created_at) FROM last)))::float8 \
                 AS oldest_age, \
               count(*) FILTER (WHERE status = 'pending' AND waiting_since IS NOT NULL) AS waiting_for_gateway, \
               count(*) FILTER (WHERE status = 'pending' AND waiting_since IS NULL AND attempt > 0) AS in_backoff, \
               count(*) FILTER (WHERE status = 'pending' AND attempt = 0) AS waiting_for_dispatch \
             FROM first",
        );
        let row = telemetry::span::untraced(self.pg.row::<SelectUnfinished, _, _>(query)).await?;
        // An aggregate has one row.
        Ok(row.unwrap_or_default())
    }

    /// For how long the most overdue order has been due; `None` if none is. Polled, so it makes no span.
    pub async fn oldest_due(&self) -> Result<Option<Duration>, StoreError> {
        let query = orders::table
            .filter(orders::dispatch_after.le(now))
            .select((min(orders::dispatch_after), now.into_sql::<Timestamptz>()));
        let row = self
            .pg
            .row::<SelectOldestDue, _, (Option<DateTime<Utc>>, DateTime<Utc>)>(query);
        let Some((Some(since), read_at)) = telemetry::span::untraced(row).await? else {
            return Ok(None);
        };
        Ok(Some((read_at - since).to_std().unwrap_or_default()))
    }
}

/// The orders that are not final. Exact below 100,000 of them; above, the counts are those of the 100,000
/// that are due first.
#[derive(Debug, Clone, Copy, Default, PartialEq, QueryableByName)]
pub struct Unfinished {
    #[diesel(sql_type = Nullable<Double>)]
    oldest_age: Option<f64>,
    /// Pending orders that wait until the gateway is available.
    #[diesel(sql_type = BigInt)]
    pub waiting_for_gateway: i64,
    /// Pending orders whose last attempt failed, was released, or died.
    #[diesel(sql_type = BigInt)]
    pub in_backoff: i64,
    /// Pending orders that no worker has claimed yet.
    #[diesel(sql_type = BigInt)]
    pub waiting_for_dispatch: i64,
}

impl Unfinished {
    /// The age of the oldest order that is not final; zero if there is none. Among more than 100,000 orders
    /// it may miss the oldest: it reads those that are due first, and the 1,000 that are due last, because
    /// old orders are dispatched again at longer intervals.
    pub fn oldest_age(&self) -> Duration {
        Duration::try_from_secs_f64(self.oldest_age.unwrap_or(0.0)).unwrap_or_default()
    }
}

#[derive(QueryableByName)]
#[diesel(table_name = orders)]
struct DueRow {
    id: Uuid,
    attempt: i32,
    trace_context: Json<Value>,
    attempt_trace_context: Option<Json<Value>>,
    #[diesel(sql_type = Text)]
    status_before: String,
}

impl From<DueRow> for DueOrder {
    fn from(row: DueRow) -> Self {
        let attempt = Attempt::new(row.attempt);
        let reason = if row.status_before == OrderStatus::Processing.as_str() {
            DueReason::LeaseExpired
        } else if attempt == Attempt::NONE {
            DueReason::Lost
        } else {
            DueReason::Backoff
        };
        Self {
            id: row.id.into(),
            attempt,
            trace: read_context(row.trace_context),
            previous_attempt: row.attempt_trace_context.map(read_context),
            reason,
        }
    }
}

/// An unreadable context must not block the other orders of the batch: its order goes on without a trace.
fn read_context(Json(value): Json<Value>) -> TraceContext {
    serde_json::from_value(value).unwrap_or_default()
}
