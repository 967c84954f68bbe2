//! What is due again. [`Store::take_due`] covers a dispatch that failed, a job that Redis lost, a worker that died and a retry whose
//! time has come, all by `dispatch_after`. Any number of reconcilers may run: each takes other orders.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{min, now};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use domain::{Attempt, OrderId, OrderStatus, ProcessOrder, TraceContext};
use serde_json::Value;
use uuid::Uuid;

use crate::row::Json;
use crate::schema::orders;
use crate::{Store, StoreError};

telemetry::statement! {
    DispatchNow: "UPDATE" "orders", action "dispatch_now", framework "actix-web";
    GiveBackOrders: "UPDATE" "orders", action "give_back_orders", framework "apalis";
    DispatchAllNow: "UPDATE" "orders", action "dispatch_all_now", framework "apalis";
    TakeDueOrders: "UPDATE" "orders", action "take_due_orders", framework "apalis";
    SelectOldestDue: "SELECT" "orders", action "oldest_due", framework "apalis";
}

/// How many orders one statement of [`Store::dispatch_all_now`] changes, so that none holds its locks for long.
const BATCH: usize = 1000;

/// Why an order is dispatched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DueReason {
    /// Its job never came, or was lost before a worker claimed it.
    Lost,
    /// A worker claimed it and did not finish.
    LeaseExpired,
    /// An attempt was to be followed by another.
    Retry,
}

impl DueReason {
    /// The word for it in telemetry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::LeaseExpired => "lease_expired",
            Self::Retry => "retry",
        }
    }
}

/// An order that has to be dispatched again. It is pending; the caller has until its next `dispatch_after` to do so.
#[derive(Debug, Clone)]
pub struct DueOrder {
    /// Which one.
    pub id: OrderId,
    /// How many attempts there were.
    pub attempt: Attempt,
    /// The context of the request that created it.
    pub trace: TraceContext,
    /// The context of the latest attempt.
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

impl Store {
    /// Makes the order due at once, if it is pending: what a failed dispatch leaves to do.
    pub async fn dispatch_now(&self, id: OrderId) -> Result<(), StoreError> {
        let update = diesel::update(orders::table)
            .filter(orders::id.eq(id.as_uuid()))
            .filter(orders::status.eq(OrderStatus::Pending.as_str()))
            .set(orders::dispatch_after.eq(now));
        self.run::<DispatchNow, _>(update).await?;
        Ok(())
    }

    /// Makes orders due at once that were taken and could not be dispatched; those that a worker has by now stay with it.
    pub async fn give_back(&self, ids: &[OrderId]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let update = diesel::update(orders::table)
            .filter(orders::id.eq_any(ids))
            .filter(orders::status.eq(OrderStatus::Pending.as_str()))
            .set(orders::dispatch_after.eq(now));
        self.run::<GiveBackOrders, _>(update).await?;
        Ok(())
    }

    /// Makes all pending orders due at once, the longest due first: what to do when Redis lost its data. Orders that are processed
    /// keep their lease. How many there were.
    pub async fn dispatch_all_now(&self) -> Result<u64, StoreError> {
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let mut total = 0_u64;
        loop {
            let moved = self.run::<DispatchAllNow, _>(MakeDue { limit }).await?;
            total = total.saturating_add(u64::try_from(moved).unwrap_or(u64::MAX));
            if moved < BATCH {
                return Ok(total);
            }
        }
    }

    /// Takes up to `limit` due orders, for the caller to dispatch; no other caller gets them until they fall due again, after as long
    /// as they are old, within 30 s and 10 min. An order whose worker lost its lease becomes pending, so that worker cannot write
    /// any more.
    pub async fn take_due(&self, limit: i64) -> Result<Vec<DueOrder>, StoreError> {
        self.take(limit, false).await
    }

    /// As [`take_due`](Self::take_due), but only of the orders that were attempted: what goes on while the queue is too long for more
    /// new ones. Reads past all that are due and were not, so ask it seldom.
    pub async fn take_due_again(&self, limit: i64) -> Result<Vec<DueOrder>, StoreError> {
        self.take(limit, true).await
    }

    async fn take(&self, limit: i64, attempted_only: bool) -> Result<Vec<DueOrder>, StoreError> {
        let take = TakeDue {
            limit,
            attempted_only,
        };
        let rows: Vec<DueRow> = self.rows::<TakeDueOrders, _, _>(take).await?;
        Ok(rows.into_iter().map(DueOrder::from).collect())
    }

    /// How long the most overdue order has been due; `None` where none is. Makes no span: it is asked again and again.
    pub async fn oldest_due(&self) -> Result<Option<Duration>, StoreError> {
        let query = orders::table
            .filter(orders::dispatch_after.le(now))
            .select((min(orders::dispatch_after), now.into_sql::<Timestamptz>()));
        let asking = self.row::<SelectOldestDue, _, (Option<DateTime<Utc>>, DateTime<Utc>)>(query);
        let Some((Some(since), asked_at)) = telemetry::span::untraced(asking).await? else {
            return Ok(None);
        };
        Ok(Some((asked_at - since).to_std().unwrap_or_default()))
    }
}

/// A bounded part of the pending orders that are not due. The array makes it an index scan whatever the plan knows of the limit: a
/// join with the CTE alone may read the whole table.
#[derive(QueryId)]
struct MakeDue {
    limit: i64,
}

impl QueryFragment<Pg> for MakeDue {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH waiting AS MATERIALIZED (\
               SELECT id FROM orders \
               WHERE dispatch_after > now() AND status = 'pending' \
               ORDER BY dispatch_after LIMIT ",
        );
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(
            " FOR UPDATE SKIP LOCKED) \
             UPDATE orders SET dispatch_after = now() \
             WHERE id = ANY (ARRAY(SELECT id FROM waiting))",
        );
        Ok(())
    }
}

impl<Connection> RunQueryDsl<Connection> for MakeDue {}

/// The status that an order had is read in the CTE: RETURNING knows only the one that it got. A CTE that locks rows runs once,
/// whatever the plan; a sub-select in `IN` may run again for each row, and lock more than its limit. The array is as in [`MakeDue`].
#[derive(QueryId)]
struct TakeDue {
    limit: i64,
    attempted_only: bool,
}

impl QueryFragment<Pg> for TakeDue {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH due AS MATERIALIZED (\
               SELECT id, status FROM orders \
               WHERE dispatch_after <= now() AND (attempt > 0 OR NOT ",
        );
        out.push_bind_param::<Bool, _>(&self.attempted_only)?;
        out.push_sql(") ORDER BY dispatch_after LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(
            " FOR UPDATE SKIP LOCKED) \
             UPDATE orders SET \
               status = 'pending', \
               dispatch_after = now() + least(greatest(now() - created_at, interval '30 s'), interval '10 min'), \
               updated_at = CASE due.status WHEN 'pending' THEN updated_at ELSE now() END \
             FROM due WHERE orders.id = due.id AND orders.id = ANY (ARRAY(SELECT id FROM due)) \
             RETURNING orders.id, attempt, trace_context, attempt_trace_context, due.status",
        );
        Ok(())
    }
}

impl Query for TakeDue {
    type SqlType = (SqlUuid, Integer, Jsonb, Nullable<Jsonb>, Text);
}

impl<Connection> RunQueryDsl<Connection> for TakeDue {}

#[derive(Queryable)]
struct DueRow {
    id: Uuid,
    attempt: i32,
    trace: Json<Value>,
    attempt_trace: Option<Json<Value>>,
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
            DueReason::Retry
        };
        Self {
            id: row.id.into(),
            attempt,
            trace: read_context(row.trace),
            previous_attempt: row.attempt_trace.map(read_context),
            reason,
        }
    }
}

/// One that cannot be read must not hold up the others of its batch: that order goes on without its trace.
fn read_context(Json(value): Json<Value>) -> TraceContext {
    serde_json::from_value(value).unwrap_or_default()
}
