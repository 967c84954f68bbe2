//! Retention: deletes final orders by age, in batches, the oldest first. Each batch commits by itself, so a
//! run that is interrupted is continued by the next one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Interval, Nullable, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::error::StoreError;
use crate::pg::expressions::{interval, limit_of};
use crate::store::Store;
use crate::totals::Position;

telemetry::statement! {
    PruneOrders: "DELETE" "orders", action "prune_orders", framework "apalis";
    CountPrunable: "SELECT" "orders", action "count_prunable_orders", framework "apalis";
}

/// A pass over the final orders that are older than a retention, from the oldest on.
#[derive(Debug)]
pub struct Prune {
    older_than: Duration,
    after: Position,
}

impl Prune {
    /// By PostgreSQL's clock and the time when an order became final.
    pub fn older_than(older_than: Duration) -> Self {
        Self {
            older_than,
            after: Position::START,
        }
    }

    /// When the last order of the pass so far became final.
    pub fn reached(&self) -> DateTime<Utc> {
        self.after.completed_at
    }
}

#[derive(QueryableByName)]
struct Batch {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    completed_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    id: Option<Uuid>,
}

/// The next orders of a pass. An order of release 0.1 whose payment is not settled stays.
macro_rules! prunable {
    ($lock:literal) => {
        concat!(
            "WITH old AS MATERIALIZED (\
               SELECT id, created_at, completed_at FROM orders \
               WHERE completed_at IS NOT NULL AND completed_at < now() - $1 AND (completed_at, id) > ($2, $3) \
               AND payment_status <> 'pending' ORDER BY completed_at, id LIMIT $4",
            $lock,
            "), last AS (SELECT completed_at, id FROM old ORDER BY completed_at DESC, id DESC LIMIT 1)"
        )
    };
}

impl Store {
    /// Deletes the next `limit` orders of the pass, with their idempotency keys. Gives the number of deleted
    /// orders; fewer than `limit` at the end of the pass. An order that another statement is changing stays.
    ///
    /// # Errors
    /// PostgreSQL is unavailable; the batch is deleted as a whole or not at all.
    pub async fn prune(&self, pass: &mut Prune, limit: usize) -> Result<usize, StoreError> {
        // A key has the creation time of its order, which has an index. Arrays, so that both deletions use
        // their index under every plan.
        let delete = diesel::sql_query(concat!(
            prunable!(" FOR UPDATE SKIP LOCKED"),
            ", keys AS (DELETE FROM idempotency_keys \
                WHERE created_at = ANY (ARRAY(SELECT created_at FROM old)) \
                AND order_id = ANY (ARRAY(SELECT id FROM old))), \
             gone AS (DELETE FROM orders WHERE id = ANY (ARRAY(SELECT id FROM old))) \
             SELECT (SELECT count(*) FROM old) AS count, completed_at, id \
             FROM (SELECT) AS one LEFT JOIN last ON true"
        ));
        self.batch::<PruneOrders>(delete, pass, limit).await
    }

    /// Counts the next `limit` orders of the pass, as [`Store::prune`] would delete them.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn count_prunable(&self, pass: &mut Prune, limit: usize) -> Result<usize, StoreError> {
        let count = diesel::sql_query(concat!(
            prunable!(""),
            " SELECT (SELECT count(*) FROM old) AS count, completed_at, id \
             FROM (SELECT) AS one LEFT JOIN last ON true"
        ));
        self.batch::<CountPrunable>(count, pass, limit).await
    }

    async fn batch<S: telemetry::db::Statement + Send>(
        &self,
        query: diesel::query_builder::SqlQuery,
        pass: &mut Prune,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let query = query
            .bind::<Interval, _>(interval(pass.older_than))
            .bind::<Timestamptz, _>(pass.after.completed_at)
            .bind::<SqlUuid, _>(pass.after.id)
            .bind::<BigInt, _>(limit_of(limit));
        let Some(batch) = self.pg.row::<S, _, Batch>(query).await? else {
            return Ok(0);
        };
        if let (Some(completed_at), Some(id)) = (batch.completed_at, batch.id) {
            pass.after = Position { completed_at, id };
        }
        Ok(usize::try_from(batch.count).unwrap_or(0))
    }
}
