//! Bulk operations: an operator retries or cancels all orders of a filter. The operation is a row, and a
//! worker executes it in batches, from the newest order to the oldest. One statement changes a batch and
//! moves the operation's position past it, so that a restart, or two leaders at once, count each order once.
//! An order that changed after the operation was created is skipped.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Array, BigInt, Bool, Interval, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use domain::{Actor, CustomerId, Order, OrderId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change::{cancelled_by, retried_by};
use crate::error::StoreError;
use crate::filter::{Change, NOTHING_AT_GATEWAY, OrderFilter, Sort};
use crate::pg::expressions::{interval, limit_of};
use crate::pg::json::Json;
use crate::pg::written::Written;
use crate::row::{OrderColumns, OrderRow, UnreadableOrder};
use crate::store::Store;

telemetry::statement! {
    InsertOperation: "INSERT" "operations", action "start_operation", framework "actix-web";
    SelectOperation: "SELECT" "operations", action "find_operation", framework "actix-web";
    SelectOperations: "SELECT" "operations", action "list_operations", framework "actix-web";
    SelectUnfinishedOperation: "SELECT" "operations", action "next_operation", framework "apalis";
    RetryOrders: "UPDATE" "orders", action "retry_orders", framework "apalis";
    CancelOrders: "UPDATE" "orders", action "cancel_orders", framework "apalis";
    PruneOperations: "DELETE" "operations", action "prune_operations", framework "apalis";
}

/// What an operator did to many orders, or to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// A UUIDv7.
    pub id: Uuid,
    /// `retry`, `cancel`, `pause` or `resume`; a newer version may have others.
    pub kind: String,
    /// Whose it is, as [`Actor`] is displayed.
    pub actor: String,
    /// The orders that it is for.
    pub filter: OrderFilter,
    /// Orders that matched when it was created.
    pub matched: i64,
    /// Orders that it has changed.
    pub done: i64,
    /// Orders that matched, and changed otherwise before it came to them. Known at the end.
    pub skipped: i64,
    /// When it was created. It changes no order that has changed since.
    pub created_at: DateTime<Utc>,
    /// `None` while orders are left.
    pub finished_at: Option<DateTime<Utc>>,
}

/// A batch of an operation.
#[derive(Debug)]
pub struct OperationBatch {
    /// The operation, as of the start of the batch.
    pub operation: Operation,
    /// The change.
    pub change: Change,
    /// The orders that were changed.
    pub orders: Vec<Result<Order, UnreadableOrder>>,
    /// Whether it was the last one.
    pub finished: bool,
}

/// The filter as it is stored: words of a newer version do not hide the operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct FilterRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_after: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_before: Option<DateTime<Utc>>,
}

impl From<&OrderFilter> for FilterRow {
    fn from(filter: &OrderFilter) -> Self {
        let filter = filter.clone();
        Self {
            customer: filter.customer.map(|customer| customer.as_str().to_owned()),
            status: filter.status.map(|status| status.to_string()),
            payment_status: filter.payment_status.map(|status| status.to_string()),
            failure_code: filter.failure_code.map(String::from),
            created_after: filter.created_after,
            created_before: filter.created_before,
        }
    }
}

impl From<FilterRow> for OrderFilter {
    fn from(row: FilterRow) -> Self {
        Self {
            customer: row.customer.and_then(|customer| CustomerId::new(customer).ok()),
            status: row.status.and_then(|word| word.parse().ok()),
            payment_status: row.payment_status.and_then(|word| word.parse().ok()),
            failure_code: row.failure_code.map(Into::into),
            created_after: row.created_after,
            created_before: row.created_before,
        }
    }
}

#[derive(QueryableByName)]
struct OperationRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    actor: String,
    #[diesel(sql_type = Jsonb)]
    filter: Json<FilterRow>,
    #[diesel(sql_type = BigInt)]
    matched: i64,
    #[diesel(sql_type = BigInt)]
    done: i64,
    #[diesel(sql_type = SqlUuid)]
    position: Uuid,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    finished_at: Option<DateTime<Utc>>,
}

impl From<OperationRow> for Operation {
    fn from(row: OperationRow) -> Self {
        let matched = row.matched.max(row.done);
        Self {
            id: row.id,
            kind: row.kind,
            actor: row.actor,
            filter: row.filter.0.into(),
            matched,
            done: row.done,
            skipped: row.finished_at.map_or(0, |_| matched - row.done),
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

impl Store {
    /// The number of orders of the filter that `change` may change now.
    ///
    /// # Errors
    /// [`StoreError::Aborted`] if they cannot be counted within the timeout.
    pub async fn count_changeable(&self, change: Change, filter: &OrderFilter) -> Result<i64, StoreError> {
        self.number(&of_change(change, filter), Some(change)).await
    }

    /// Creates an operation that changes the orders of the filter; a worker executes it. Its filter's status
    /// is replaced by that of the orders that the change is for.
    ///
    /// # Errors
    /// As [`count_changeable`](Self::count_changeable); there is no operation then.
    pub async fn start_operation(
        &self,
        change: Change,
        filter: &OrderFilter,
        actor: &Actor,
    ) -> Result<Operation, StoreError> {
        let filter = of_change(change, filter);
        let matched = self.number(&filter, Some(change)).await?;
        let insert = diesel::sql_query(
            "INSERT INTO operations (id, kind, actor, filter, matched) VALUES ($1, $2, $3, $4, $5) RETURNING *",
        );
        let insert = insert
            .bind::<SqlUuid, _>(Uuid::now_v7())
            .bind::<Text, _>(change.as_str())
            .bind::<Text, _>(actor.to_string())
            .bind::<Jsonb, _>(Json(FilterRow::from(&filter)))
            .bind::<BigInt, _>(matched);
        let row = self.pg.row::<InsertOperation, _, OperationRow>(insert).await?;
        row.map(Operation::from).ok_or_else(StoreError::no_row)
    }

    /// The operation, if it exists.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn operation(&self, id: Uuid) -> Result<Option<Operation>, StoreError> {
        let query = diesel::sql_query("SELECT * FROM operations WHERE id = $1").bind::<SqlUuid, _>(id);
        let row = self.pg.row::<SelectOperation, _, OperationRow>(query).await?;
        Ok(row.map(Operation::from))
    }

    /// At most `limit` operations, newest first.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn operations(&self, limit: usize) -> Result<Vec<Operation>, StoreError> {
        let query = diesel::sql_query("SELECT * FROM operations ORDER BY id DESC LIMIT $1");
        let query = query.bind::<BigInt, _>(limit_of(limit));
        let rows: Vec<OperationRow> = self.reporting.rows::<SelectOperations, _, _>(query).await?;
        Ok(rows.into_iter().map(Operation::from).collect())
    }

    /// Executes a batch of the oldest operation that is not finished: changes at most `limit` orders. `None`
    /// if there is none, or another process executed the batch.
    ///
    /// # Errors
    /// PostgreSQL is unavailable. The batch is then executed as a whole or not at all.
    pub async fn execute_operation(&self, limit: usize) -> Result<Option<OperationBatch>, StoreError> {
        let query = "SELECT * FROM operations WHERE finished_at IS NULL ORDER BY id LIMIT 1";
        let next = self
            .pg
            .row::<SelectUnfinishedOperation, _, OperationRow>(diesel::sql_query(query));
        let Some(row) = telemetry::span::untraced(next).await? else {
            return Ok(None);
        };
        let position = row.position;
        let change = [Change::Retry, Change::Cancel]
            .into_iter()
            .find(|change| change.as_str() == row.kind);
        let stored = row.filter.0.clone();
        let operation = Operation::from(row);
        // One of a newer version is left to that: without a word that this version does not know, the filter
        // would match more orders.
        let Some(change) = change.filter(|_| stored == FilterRow::from(&operation.filter)) else {
            return Ok(None);
        };
        telemetry::span::within("execute_operation", || [], async {
            let (after, filter) = (Some(position.into()), &operation.filter);
            let found = self
                .list_changeable(filter, Sort::NewestFirst, after, limit, Some(change))
                .await?;
            let ids: Vec<OrderId> = found.iter().map(id_of).collect();
            let finished = ids.len() < limit;
            let batch = BatchUpdate {
                change,
                operation: operation.id,
                position,
                next: ids.last().map_or(position, |id| id.as_uuid()),
                finished,
                assignments: assignments(change, &operation.actor),
                ids: ids.iter().map(|id| id.as_uuid()).collect(),
            };
            let batch = batch.into_statement();
            let rows: Vec<OrderRow> = match change {
                Change::Retry => self.pg.rows::<RetryOrders, _, _>(batch).await?,
                Change::Cancel => self.pg.rows::<CancelOrders, _, _>(batch).await?,
            };
            Ok(Some(OperationBatch {
                operation,
                change,
                orders: rows.into_iter().map(Order::try_from).collect(),
                finished,
            }))
        })
        .await
    }

    /// Deletes operations that finished so long ago. Gives their number.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn prune_operations(&self, older_than: Duration) -> Result<usize, StoreError> {
        let delete = diesel::sql_query("DELETE FROM operations WHERE finished_at < now() - $1");
        let delete = delete.bind::<Interval, _>(interval(older_than));
        self.pg.execute::<PruneOperations, _>(delete).await
    }
}

fn of_change(change: Change, filter: &OrderFilter) -> OrderFilter {
    OrderFilter {
        status: Some(change.from_status()),
        ..filter.clone()
    }
}

fn id_of(order: &Result<Order, UnreadableOrder>) -> OrderId {
    order.as_ref().map_or_else(|row| row.id, |order| order.id)
}

/// What the operator's change assigns to each order, in the batch's trace.
fn assignments(change: Change, actor: &str) -> Box<dyn QueryFragment<Pg> + Send + Sync> {
    let actor = actor_of(actor);
    match change {
        Change::Retry => Box::new(retried_by(&actor).as_changeset()),
        Change::Cancel => Box::new(cancelled_by(&actor).as_changeset()),
    }
}

fn actor_of(displayed: &str) -> Actor {
    let operator = displayed.strip_prefix("operator:");
    operator.map_or(Actor::System, |sub| Actor::Operator(sub.to_owned()))
}

/// Changes the orders of a batch, and moves the operation past them.
struct BatchUpdate {
    change: Change,
    operation: Uuid,
    position: Uuid,
    next: Uuid,
    finished: bool,
    assignments: Box<dyn QueryFragment<Pg> + Send + Sync>,
    ids: Vec<Uuid>,
}

impl BatchUpdate {
    fn into_statement(self) -> Written<'static, OrderColumns> {
        let statement = Written::new()
            // A second process waits for the row, and then finds the position moved.
            .sql("WITH operation AS MATERIALIZED (SELECT created_at FROM operations WHERE id = ")
            .bind::<SqlUuid, _>(self.operation)
            .sql(" AND position = ")
            .bind::<SqlUuid, _>(self.position)
            .sql(" AND finished_at IS NULL FOR UPDATE), changed AS (UPDATE orders SET ")
            .part(self.assignments)
            .sql(" WHERE id = ANY (")
            .bind::<Array<SqlUuid>, _>(self.ids)
            .sql(") AND updated_at <= (SELECT created_at FROM operation) AND ");
        let statement = match self.change {
            Change::Retry => statement.sql("(status = 'failed' AND erased_at IS NULL) IS TRUE"),
            Change::Cancel => statement
                .sql("(status = 'pending' AND ")
                .sql(NOTHING_AT_GATEWAY)
                .sql(") IS TRUE"),
        };
        statement
            .sql(" RETURNING ")
            .columns_of::<OrderRow>()
            .sql("), moved AS (UPDATE operations SET position = ")
            .bind::<SqlUuid, _>(self.next)
            .sql(", done = done + (SELECT count(*) FROM changed), finished_at = CASE WHEN ")
            .bind::<Bool, _>(self.finished)
            .sql(" THEN now() END WHERE id = ")
            .bind::<SqlUuid, _>(self.operation)
            .sql(" AND EXISTS (SELECT FROM operation)) SELECT * FROM changed")
    }
}
