//! Counts and sums of orders by status and currency. A customer's are counted at each call. Those of all
//! orders are exact and cost the same however many orders there are: final orders up to a watermark are
//! counted once, in `order_totals`, and each call counts only what became final since, and what is not final.
//!
//! The watermark is a position in (completed_at, id). It must never pass an order that commits later. So the
//! leader notes a time and the transactions that are writing to orders then, and moves the watermark to that
//! time once all of them have ended. No transaction that begins afterwards completes an order at an earlier
//! time. Triggers record what else happens to final orders: see the migration `create_order_totals`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Interval, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use domain::CustomerId;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::StoreError;
use crate::pg::expressions::{interval, limit_of, to_bigint};
use crate::pg::json::Json;
use crate::schema::orders;
use crate::store::Store;

telemetry::statement! {
    SelectOwnTotals: "SELECT" "orders", action "total_own_orders", framework "actix-web";
    SelectLatestTotals: "SELECT" "order_totals_state", action "latest_totals", framework "actix-web";
    SelectWatermark: "SELECT" "order_totals_state", action "totals_watermark", framework "actix-web";
    SelectTotals: "SELECT" "orders", action "total_orders", framework "actix-web";
    SelectFoldState: "SELECT" "order_totals_state", action "totals_fold_state", framework "apalis";
    SelectFoldEnd: "SELECT" "orders", action "totals_fold_end", framework "apalis";
    FoldTotals: "INSERT" "order_totals", action "fold_totals", framework "apalis";
    StoreTotals: "UPDATE" "order_totals_state", action "store_totals", framework "apalis";
}

/// How far the watermark is behind the clock, at least. Longer than the time between the start of a statement
/// and its lock on orders, and than the clocks of a PostgreSQL primary and its successor differ.
const MARGIN: Duration = Duration::from_secs(10);
/// The age up to which stored totals are used, beside the pause that follows them.
const MAX_AGE: Duration = Duration::from_secs(3);
/// How often totals are counted again because the watermark moved meanwhile.
const ATTEMPTS: usize = 5;

/// The number and sum of the orders of one status and currency. Both are as they are stored: a newer version
/// may have others than this one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StatusTotal {
    /// The orders' status.
    pub status: String,
    /// ISO 4217 code.
    pub currency: String,
    /// The number of orders.
    pub count: i64,
    /// The sum of their amounts, in minor units of the currency.
    pub sum: i64,
}

/// A position in the order of `orders_completed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, QueryableByName)]
pub(crate) struct Position {
    #[diesel(sql_type = Timestamptz)]
    pub(crate) completed_at: DateTime<Utc>,
    #[diesel(sql_type = SqlUuid)]
    pub(crate) id: Uuid,
}

impl Position {
    /// Before every order.
    pub(crate) const START: Self = Self {
        completed_at: DateTime::<Utc>::UNIX_EPOCH,
        id: Uuid::nil(),
    };
}

/// What a leader carries from one call of [`Store::fold_totals`] to the next.
#[derive(Debug)]
pub struct TotalsFold {
    margin: Duration,
    /// No order that commits from now on becomes final up to this time.
    closed: Option<DateTime<Utc>>,
    /// The next such time, once these transactions have ended.
    closing: Option<(DateTime<Utc>, Vec<String>)>,
}

impl Default for TotalsFold {
    fn default() -> Self {
        Self::with_margin(MARGIN)
    }
}

impl TotalsFold {
    /// The watermark stays at least `margin` behind PostgreSQL's clock; 10 s by default.
    pub fn with_margin(margin: Duration) -> Self {
        Self {
            margin,
            closed: None,
            closing: None,
        }
    }

    /// `writers` are the transactions that write to orders, a moment after `until`, which is earlier than the
    /// start of all others by more than the margin.
    fn observe(&mut self, until: DateTime<Utc>, writers: Vec<String>) {
        if let Some((closing, earlier)) = &self.closing {
            if earlier.iter().any(|writer| writers.contains(writer)) {
                return;
            }
            self.closed = Some(*closing);
        }
        self.closing = Some((until, writers));
    }
}

#[derive(QueryableByName)]
struct FoldState {
    #[diesel(embed)]
    watermark: Position,
    #[diesel(sql_type = Timestamptz)]
    until: DateTime<Utc>,
    #[diesel(sql_type = Array<Text>)]
    writers: Vec<String>,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Totals {
    #[diesel(sql_type = Jsonb)]
    totals: Json<Vec<StatusTotal>>,
}

/// The totals of all orders as JSON. `$1`, `$2` are the watermark, bound so that the plan is for the few
/// orders beyond it.
macro_rules! totals {
    () => {
        "(SELECT coalesce(jsonb_agg(to_jsonb(total) ORDER BY status, currency), jsonb_build_array()) FROM (\
           SELECT status, currency, sum(count) AS count, sum(sum) AS sum FROM (\
             SELECT status, currency, count, sum FROM order_totals \
             UNION ALL \
             SELECT status, currency, count, sum FROM order_totals_changes \
             WHERE (completed_at, order_id) <= ($1, $2) \
             UNION ALL \
             SELECT status, currency, count(*), sum(amount) FROM orders \
             WHERE completed_at >= $1 AND (completed_at, id) > ($1, $2) GROUP BY status, currency \
             UNION ALL \
             SELECT status, currency, count(*), sum(amount) FROM orders \
             WHERE dispatch_after IS NOT NULL GROUP BY status, currency) AS parts \
           GROUP BY status, currency HAVING sum(count) > 0) AS total)"
    };
}

impl Store {
    /// Counts and sums by status and currency. Of a customer: reads every order that it counts. Of all
    /// orders: at most 3 s old while a worker stores them and that takes less than 0.1 s, counted by this
    /// call while none does.
    ///
    /// # Errors
    /// [`StoreError::Query`] or [`StoreError::Corrupt`] if a sum exceeds a bigint.
    pub async fn totals(&self, customer: Option<&CustomerId>) -> Result<Vec<StatusTotal>, StoreError> {
        if let Some(customer) = customer {
            return self.totals_of(customer).await;
        }
        let latest =
            diesel::sql_query("SELECT totals FROM order_totals_state WHERE taken_at > now() - $1 - rest");
        let latest = latest.bind::<Interval, _>(interval(MAX_AGE));
        if let Some(Totals { totals }) = self.reporting.row::<SelectLatestTotals, _, _>(latest).await? {
            return Ok(totals.0);
        }
        for _ in 0..ATTEMPTS {
            let watermark = self.totals_watermark().await?;
            let query = diesel::sql_query(concat!(
                "SELECT ",
                totals!(),
                " AS totals FROM order_totals_state WHERE (watermark, watermark_id) = ($1, $2)"
            ));
            let query = query
                .bind::<Timestamptz, _>(watermark.completed_at)
                .bind::<SqlUuid, _>(watermark.id);
            if let Some(Totals { totals }) = self.reporting.row::<SelectTotals, _, _>(query).await? {
                return Ok(totals.0);
            }
        }
        Err(StoreError::Busy)
    }

    async fn totals_of(&self, customer: &CustomerId) -> Result<Vec<StatusTotal>, StoreError> {
        let query = orders::table
            .filter(orders::customer.eq(customer.as_str()))
            .group_by((orders::status, orders::currency))
            .order((orders::status, orders::currency))
            .select((
                orders::status,
                orders::currency,
                diesel::dsl::count_star(),
                to_bigint(diesel::dsl::sum(orders::amount)),
            ));
        let rows: Vec<(String, String, i64, i64)> =
            self.reporting.rows::<SelectOwnTotals, _, _>(query).await?;
        let total = |(status, currency, count, sum)| StatusTotal {
            status,
            currency,
            count,
            sum,
        };
        Ok(rows.into_iter().map(total).collect())
    }

    async fn totals_watermark(&self) -> Result<Position, StoreError> {
        let query = "SELECT watermark AS completed_at, watermark_id AS id FROM order_totals_state";
        let row = self
            .reporting
            .row::<SelectWatermark, _, _>(diesel::sql_query(query));
        // The migration inserts the row.
        Ok(row.await?.unwrap_or(Position::START))
    }

    /// Moves the watermark, past at most `limit` orders, and counts them in `order_totals`. Gives whether
    /// more are left. Two leaders do no harm: the second one finds the watermark moved, and changes nothing.
    /// Polled, so it makes no span.
    ///
    /// # Errors
    /// PostgreSQL is unavailable; nothing is counted then.
    pub async fn fold_totals(&self, fold: &mut TotalsFold, limit: usize) -> Result<bool, StoreError> {
        telemetry::span::untraced(async {
            // A transaction that writes to orders holds one of these locks until it ends.
            let query = diesel::sql_query(
                "SELECT watermark AS completed_at, watermark_id AS id, now() - $1 AS until, \
                   ARRAY(SELECT DISTINCT virtualtransaction FROM pg_locks \
                     WHERE relation = 'orders'::regclass AND mode IN ('RowExclusiveLock', \
                       'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') \
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS writers \
                 FROM order_totals_state",
            );
            let query = query.bind::<Interval, _>(interval(fold.margin));
            let Some(state) = self.reporting.row::<SelectFoldState, _, FoldState>(query).await? else {
                return Ok(false);
            };
            fold.observe(state.until, state.writers);
            match fold.closed {
                Some(closed) => self.fold(state.watermark, closed, limit).await,
                None => Ok(false),
            }
        })
        .await
    }

    async fn fold(&self, from: Position, closed: DateTime<Utc>, limit: usize) -> Result<bool, StoreError> {
        let query = diesel::sql_query(
            "SELECT completed_at, id FROM orders \
             WHERE (completed_at, id) > ($1, $2) AND completed_at BETWEEN $1 AND $3 \
             ORDER BY completed_at, id OFFSET $4 LIMIT 1",
        );
        let query = query
            .bind::<Timestamptz, _>(from.completed_at)
            .bind::<SqlUuid, _>(from.id)
            .bind::<Timestamptz, _>(closed)
            .bind::<BigInt, _>(limit_of(limit));
        let full: Option<Position> = self.reporting.row::<SelectFoldEnd, _, _>(query).await?;
        let end = Position {
            completed_at: closed,
            id: Uuid::max(),
        };
        let to = full.unwrap_or(end).max(from);
        // A change of an order that the watermark passes now is in the order's row, which is counted. One
        // snapshot sees either both, or neither and the order as it was. BETWEEN repeats a part of the
        // condition, because the planner estimates no range of pairs.
        let fold = diesel::sql_query(
            "WITH moved AS (\
               UPDATE order_totals_state SET watermark = $3, watermark_id = $4 \
               WHERE (watermark, watermark_id) = ($1, $2) RETURNING 1), \
             changes AS (\
               DELETE FROM order_totals_changes WHERE EXISTS (SELECT FROM moved) AND (\
                 (completed_at, order_id) > ($1, $2) AND (completed_at, order_id) <= ($3, $4) \
                 OR ctid = ANY (ARRAY(SELECT ctid FROM order_totals_changes \
                   WHERE (completed_at, order_id) <= ($1, $2) LIMIT $5))) \
               RETURNING *), \
             parts AS (\
               SELECT status, currency, count, sum FROM changes WHERE (completed_at, order_id) <= ($1, $2) \
               UNION ALL \
               SELECT status, currency, count(*), sum(amount) FROM orders \
               WHERE completed_at BETWEEN $1 AND $3 \
               AND (completed_at, id) > ($1, $2) AND (completed_at, id) <= ($3, $4) GROUP BY status, currency), \
             counted AS (\
               INSERT INTO order_totals AS total (status, currency, count, sum) \
               SELECT status, currency, sum(count), sum(sum) FROM parts WHERE EXISTS (SELECT FROM moved) \
               GROUP BY status, currency \
               ON CONFLICT (status, currency) DO UPDATE \
               SET count = total.count + excluded.count, sum = total.sum + excluded.sum) \
             SELECT count(*) FROM changes",
        );
        let fold = fold
            .bind::<Timestamptz, _>(from.completed_at)
            .bind::<SqlUuid, _>(from.id)
            .bind::<Timestamptz, _>(to.completed_at)
            .bind::<SqlUuid, _>(to.id)
            .bind::<BigInt, _>(limit_of(limit));
        let changes = self.reporting.row::<FoldTotals, _, Count>(fold).await?;
        let changes = changes.map_or(0, |changes| changes.count);
        Ok(full.is_some() || changes >= limit_of(limit))
    }

    /// Counts all orders, and stores the result for [`Store::totals`], which uses it for `rest` longer than
    /// usual. Polled, so it makes no span.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn store_totals(&self, rest: Duration) -> Result<(), StoreError> {
        telemetry::span::untraced(async {
            let watermark = self.totals_watermark().await?;
            let update = diesel::sql_query(concat!(
                "UPDATE order_totals_state SET taken_at = now(), rest = $3, totals = ",
                totals!(),
                " WHERE (watermark, watermark_id) = ($1, $2)"
            ));
            let update = update
                .bind::<Timestamptz, _>(watermark.completed_at)
                .bind::<SqlUuid, _>(watermark.id)
                .bind::<Interval, _>(interval(rest));
            self.reporting.execute::<StoreTotals, _>(update).await?;
            Ok(())
        })
        .await
    }
}
