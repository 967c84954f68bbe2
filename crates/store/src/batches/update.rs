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
use diesel::sql_types::{Integer, Nullable, Uuid as SqlUuid};
use diesel_async::methods::LoadQuery;
use telemetry::db::{Commented, Statement};
use uuid::Uuid;

use crate::error::StoreError;
use crate::fencing::{Claim, held_by_job};
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

    /// See [`BatchStatement::IS_DURABLE`].
    const IS_DURABLE: bool = true;

    /// The assignments.
    const SET: &'static str;

    /// Which order it is, in parts. Only the primary key may serve the condition: `IS TRUE` keeps the
    /// planner from the indexes on other columns.
    fn condition() -> [&'static str; 2] {
        [held_by_job(), ""]
    }

    /// The claim that writes. Its order, attempt and token are the columns `id`, `attempt` and `token` of
    /// `job`.
    fn claim(&self) -> Claim;
    /// The further columns of `job`.
    fn parameters<'a>(job: Rows<'a>, updates: &[&'a Self]) -> Rows<'a>;
}

fn job<'a, U: OrderUpdate>(updates: &[&'a U]) -> Rows<'a> {
    let claims = || updates.iter().map(|update| update.claim());
    let job = Rows::default()
        .column::<SqlUuid, _>("id", claims().map(|claim| claim.order.as_uuid()))
        .column::<Integer, _>("attempt", claims().map(|claim| claim.attempt.number()))
        .column::<SqlUuid, _>("token", claims().map(|claim| claim.token));
    U::parameters(job, updates)
}

/// It returns changed orders, each with the token of the claim that wrote: two claims of one order may share
/// a statement, of which one writes.
pub(crate) type UpdateOf<'a, U> = Written<
    'a,
    (
        Nullable<SqlUuid>,
        SqlTypeOf<<<U as OrderUpdate>::Row as Selectable<Pg>>::SelectExpression>,
    ),
>;

/// The row of an [`UpdateOf`].
pub(crate) type Updated<U> = (Option<Uuid>, <U as OrderUpdate>::Row);

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
        .sql(" FROM held AS job WHERE orders.ctid = job.place RETURNING orders.claim_token, ")
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
        .sql(" RETURNING orders.claim_token, ")
        .columns_of::<U::Row>()
}

/// The [`BatchStatement`] of an update.
pub(crate) struct Each<U>(PhantomData<fn() -> U>);

impl<U: OrderUpdate> BatchStatement for Each<U>
where
    for<'a> Commented<UpdateOf<'a, U>, U::Statement>: LoadQuery<'a, Connection, Updated<U>>,
{
    type Statement = U::Statement;
    type Item = Arc<U>;
    /// `None` also if another transaction has locked the row, or an earlier update of the batch is of the
    /// same claim.
    type Output = Option<U::Row>;

    const IS_DURABLE: bool = U::IS_DURABLE;

    async fn run(
        connection: &mut LaneConnection,
        updates: &[Arc<U>],
    ) -> Result<Vec<Option<U::Row>>, StoreError> {
        let updates: Vec<&U> = updates.iter().map(|update| &**update).collect();
        let rows: Vec<Updated<U>> = connection
            .rows::<U::Statement, _, _>(update_many(&updates))
            .await?;
        let mut rows: HashMap<Option<Uuid>, U::Row> = rows.into_iter().collect();
        let of = |update: &&U| rows.remove(&Some(update.claim().token));
        Ok(updates.iter().map(of).collect())
    }
}
