//! Creating an order: one INSERT, and the order is safe. Its `dispatch_after` is in the future, so that the
//! caller dispatches it before the reconciler does.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Interval, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use domain::{Order, PaymentMethod, PaymentToken, TraceContext};
use uuid::Uuid;

use crate::error::StoreError;
use crate::pg::expressions::interval;
use crate::pg::json::Json;
use crate::row::ItemRow;
use crate::store::Store;

telemetry::statement! {
    InsertOrder: "INSERT" "orders", action "create_order", framework "actix-web";
}

impl Store {
    /// Stores a [new](Order::new) order. The reconciler dispatches it after `grace`, if no worker has claimed
    /// it until then.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`] the order may or may not be stored.
    pub async fn create(&self, order: Order, grace: Duration) -> Result<Order, StoreError> {
        let insert = NewRow::new(&order, grace, "");
        let created_at: Option<DateTime<Utc>> = self.pg.row::<InsertOrder, _, _>(insert).await?;
        // An INSERT without ON CONFLICT returns its row, or an error.
        let created_at = created_at.ok_or(diesel::result::Error::NotFound)?;
        Ok(order.as_created(created_at))
    }
}

/// The INSERT of a new order. The columns that it does not list have their defaults.
pub(crate) struct NewRow<'a> {
    id: Uuid,
    amount: i64,
    grace: PgInterval,
    /// Customer, currency, status, payment method, payment token, payment status.
    texts: [Option<&'a str>; 6],
    items: Json<Vec<ItemRow<'a>>>,
    trace_context: Json<&'a TraceContext>,
    from: &'static str,
}

impl<'a> NewRow<'a> {
    /// `from`: nothing, or the FROM clause of a condition for the INSERT.
    pub(crate) fn new(order: &'a Order, grace: Duration, from: &'static str) -> Self {
        Self {
            id: order.id.as_uuid(),
            amount: order.amount.minor(),
            grace: interval(grace),
            texts: [
                Some(order.customer.as_str()),
                Some(order.amount.currency().code()),
                Some(order.status.as_str()),
                order.payment_method.map(PaymentMethod::as_str),
                order.payment_token.as_ref().map(PaymentToken::reveal),
                Some(order.payment_status.as_str()),
            ],
            items: Json(order.items.iter().map(ItemRow::from).collect()),
            trace_context: Json(&order.trace),
            from,
        }
    }
}

impl QueryFragment<Pg> for NewRow<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO orders (id, amount, dispatch_after, \
               customer, currency, status, payment_method, payment_token, payment_status, \
               items, trace_context) SELECT ",
        );
        out.push_bind_param::<SqlUuid, _>(&self.id)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.amount)?;
        out.push_sql(", now() + ");
        out.push_bind_param::<Interval, _>(&self.grace)?;
        for text in &self.texts {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Jsonb, _>(&self.items)?;
        out.push_sql(", ");
        out.push_bind_param::<Jsonb, _>(&self.trace_context)?;
        out.push_sql(self.from);
        out.push_sql(" RETURNING created_at");
        Ok(())
    }
}

impl QueryId for NewRow<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for NewRow<'_> {
    type SqlType = Timestamptz;
}

impl<Connection> RunQueryDsl<Connection> for NewRow<'_> {}
