//! Updates of orders that exist, each named by its id. One statement carries many of them. It leaves out rows
//! that another transaction has locked: it never waits while it holds other rows, so there are no deadlocks,
//! and one locked order does not hold up the others. The update of such an order then runs alone.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use diesel::dsl::SqlTypeOf;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Integer, Uuid as SqlUuid};
use diesel_async::methods::LoadQuery;
use telemetry::db::{Commented, Statement};
use uuid::Uuid;

use crate::error::StoreError;
use crate::fencing::held_by_job;
use crate::pg::connection::Connection;
use crate::pg::lane::{BatchStatement, LaneConnection};
use crate::pg::written::{Rows, Written};

/// An update of one order. In its SQL, `job` is the row of its parameters.
pub(crate) trait OrderUpdate: Send + Sync + Sized + 'static {
    /// Carries many updates.
    type Statement: Statement + Send;
    /// Carries one update, and waits for the lock of its row.
    type Alone: Statement + Send;
    /// What it returns of a changed order.
    type Row: Selectable<Pg, SelectExpression: QueryFragment<Pg> + Expression + Send> + Send + 'static;

    const IS_DURABLE: bool = true;

    /// The assignments.
    const SET: &'static str;

    /// Which order it is, in parts. Only the primary key may serve the condition: `IS TRUE` keeps the
    /// planner from the indexes on other columns.
    fn condition() -> [&'static str; 2] {
        [held_by_job(), ""]
    }

    /// The order's id and the number of the attempt, which are the columns `id` and `attempt` of `job`.
    fn attempt(&self) -> (Uuid, i32);
    /// The further columns of `job`.
    fn parameters<'a>(job: Rows<'a>, updates: &[&'a Self]) -> Rows<'a>;
    /// Of a changed order. Two jobs of one order may share a statement, and only one of their attempts
    /// writes.
    fn attempt_of(row: &Self::Row) -> (Uuid, i32);
}

fn job<'a, U: OrderUpdate>(updates: &[&'a U]) -> Rows<'a> {
    let attempts = || updates.iter().map(|update| update.attempt());
    let job = Rows::default()
        .column::<SqlUuid, _>("id", attempts().map(|(id, _)| id))
        .column::<Integer, _>("attempt", attempts().map(|(_, attempt)| attempt));
    U::parameters(job, updates)
}

pub(crate) type UpdateOf<'a, U> =
    Written<'a, SqlTypeOf<<<U as OrderUpdate>::Row as Selectable<Pg>>::SelectExpression>>;

/// The statement for any number of updates.
fn update_many<'a, U: OrderUpdate>(updates: &[&'a U]) -> UpdateOf<'a, U> {
    let [condition, further] = U::condition();
    Written::new()
        .sql("WITH held AS MATERIALIZED (SELECT job.*, place FROM ")
        .table(job(updates), "job")
        .sql(", LATERAL (SELECT orders.ctid AS place FROM orders WHERE ")
        .sql(condition)
        .sql(further)
        .sql(" FOR UPDATE OF orders SKIP LOCKED) AS locked) UPDATE orders SET ")
        .sql(U::SET)
        .sql(" FROM held AS job WHERE orders.ctid = job.place RETURNING ")
        .columns_of::<U::Row>()
}

/// The statement for one update. If it waits for the row's lock, PostgreSQL then evaluates the condition for
/// the row as it has become.
pub(crate) fn update_one<U: OrderUpdate>(update: &U) -> UpdateOf<'_, U> {
    let [condition, further] = U::condition();
    Written::new()
        .sql("UPDATE orders SET ")
        .sql(U::SET)
        .sql(" FROM ")
        .one_row(job(&[update]), "job")
        .sql(" WHERE ")
        .sql(condition)
        .sql(further)
        .sql(" RETURNING ")
        .columns_of::<U::Row>()
}

/// The [`BatchStatement`] of an update.
pub(crate) struct Each<U>(PhantomData<fn() -> U>);

impl<U: OrderUpdate> BatchStatement for Each<U>
where
    for<'a> Commented<UpdateOf<'a, U>, U::Statement>: LoadQuery<'a, Connection, U::Row>,
{
    type Statement = U::Statement;
    type Item = Arc<U>;
    /// `None` also if another transaction has locked the row, or an earlier update of the batch is of the
    /// same attempt.
    type Output = Option<U::Row>;

    const IS_DURABLE: bool = U::IS_DURABLE;

    async fn run(
        connection: &mut LaneConnection,
        updates: &[Arc<U>],
    ) -> Result<Vec<Option<U::Row>>, StoreError> {
        let updates: Vec<&U> = updates.iter().map(|update| &**update).collect();
        let rows: Vec<U::Row> = connection
            .rows::<U::Statement, _, _>(update_many(&updates))
            .await?;
        let rows = rows.into_iter().map(|row| (U::attempt_of(&row), row));
        let mut rows: HashMap<(Uuid, i32), U::Row> = rows.collect();
        let of = |update: &&U| rows.remove(&update.attempt());
        Ok(updates.iter().map(of).collect())
    }
}
