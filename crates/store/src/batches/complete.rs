//! Completes the orders of attempts that succeeded. A completed order needs no payment token any more.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, Integer, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use crate::error::StoreError;
use crate::fencing::LOCK_OR_SKIP;
#[cfg(not(feature = "sabotage"))]
use crate::fencing::held_by_job;
use crate::pg::lane::{BatchStatement, LaneConnection, of_each};
use crate::row::{OrderColumns, OrderColumnsType, OrderRow};
#[cfg(feature = "sabotage")]
use crate::sabotage::held_by_job;
use crate::transition::with_transition;

telemetry::statement! {
    pub(crate) CompleteOrder: "UPDATE" "orders", action "complete_order", framework "apalis";
}

/// One order to complete.
pub(crate) struct Completion {
    pub(crate) id: Uuid,
    pub(crate) attempt: i32,
    pub(crate) payment: Option<String>,
}

pub(crate) struct CompleteOrders;

impl BatchStatement for CompleteOrders {
    type Statement = CompleteOrder;
    type Item = Completion;
    /// `None` also if another transaction has locked the row.
    type Output = Option<OrderRow>;

    async fn run(
        connection: &mut LaneConnection,
        completions: &[Completion],
    ) -> Result<Vec<Option<OrderRow>>, StoreError> {
        let update = CompletionRows::new(completions, LOCK_OR_SKIP);
        let rows: Vec<OrderRow> = connection.rows::<CompleteOrder, _, _>(update).await?;
        Ok(of_each(
            completions,
            |completion| completion.id,
            rows,
            OrderRow::id,
        ))
    }
}

pub(crate) struct CompletionRows<'a> {
    ids: Vec<Uuid>,
    attempts: Vec<i32>,
    payments: Vec<Option<&'a str>>,
    lock: &'static str,
    columns: OrderColumns,
}

impl<'a> CompletionRows<'a> {
    pub(crate) fn new(completions: &'a [Completion], lock: &'static str) -> Self {
        Self {
            ids: completions.iter().map(|completion| completion.id).collect(),
            attempts: completions.iter().map(|completion| completion.attempt).collect(),
            payments: completions
                .iter()
                .map(|completion| completion.payment.as_deref())
                .collect(),
            lock,
            columns: OrderRow::columns(),
        }
    }
}

impl QueryFragment<Pg> for CompletionRows<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH held AS MATERIALIZED (SELECT job.payment, place FROM unnest(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, _>(&self.attempts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.payments)?;
        out.push_sql(
            ") AS job (id, attempt, payment), \
             LATERAL (SELECT orders.ctid AS place FROM orders WHERE ",
        );
        out.push_sql(held_by_job());
        out.push_sql(self.lock);
        out.push_sql(concat!(
            ") AS locked) \
             UPDATE orders SET \
               history = ",
            with_transition!("orders.attempt", r#"'"completed"]'"#),
            ", \
               status = 'completed', \
               dispatch_after = NULL, \
               waiting_since = NULL, \
               crashes = 0, \
               completed_at = now(), \
               updated_at = now(), \
               payment_status = CASE WHEN held.payment IS NULL THEN payment_status ELSE 'charged' END, \
               payment_id = coalesce(held.payment, payment_id), \
               final_payment_id = coalesce(held.payment, payment_id), \
               payment_token = NULL, \
               failure_code = NULL, \
               failure_detail = NULL \
             FROM held WHERE orders.ctid = held.place RETURNING ",
        ));
        self.columns.walk_ast(out.reborrow())
    }
}

impl QueryId for CompletionRows<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for CompletionRows<'_> {
    type SqlType = OrderColumnsType;
}

impl<Connection> RunQueryDsl<Connection> for CompletionRows<'_> {}
