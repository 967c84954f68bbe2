//! Inserts new orders.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Interval, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use domain::{Order, PaymentMethod, PaymentToken, TraceContext};
use uuid::Uuid;

use crate::error::StoreError;
use crate::pg::expressions::interval;
use crate::pg::json::Json;
use crate::pg::lane::{BatchStatement, LaneConnection};
use crate::row::ItemRow;

telemetry::statement! {
    pub(crate) InsertOrder: "INSERT" "orders", action "create_order", framework "actix-web";
}

/// An order to be created.
#[derive(Debug)]
pub(crate) struct NewOrder {
    pub(crate) order: Arc<Order>,
    pub(crate) grace: Duration,
}

pub(crate) struct InsertOrders;

impl BatchStatement for InsertOrders {
    type Statement = InsertOrder;
    type Item = NewOrder;
    /// The time of creation. All orders of a statement have the same.
    type Output = DateTime<Utc>;

    async fn run(
        connection: &mut LaneConnection,
        items: &[NewOrder],
    ) -> Result<Vec<DateTime<Utc>>, StoreError> {
        let insert = Insert(NewRows::new(items.iter()));
        connection.rows::<InsertOrder, _, _>(insert).await
    }
}

/// The columns of new orders, one array for each. The columns that it does not list have their defaults.
pub(crate) struct NewRows<'a> {
    ids: Vec<Uuid>,
    amounts: Vec<i64>,
    graces: Vec<PgInterval>,
    /// Customer, currency, status, payment method, payment token, payment status.
    texts: [Vec<Option<&'a str>>; 6],
    items: Vec<Json<Vec<ItemRow<'a>>>>,
    trace_contexts: Vec<Json<&'a TraceContext>>,
}

impl<'a> NewRows<'a> {
    pub(crate) fn new(new: impl Iterator<Item = &'a NewOrder>) -> Self {
        let mut rows = Self {
            ids: Vec::new(),
            amounts: Vec::new(),
            graces: Vec::new(),
            texts: Default::default(),
            items: Vec::new(),
            trace_contexts: Vec::new(),
        };
        for NewOrder { order, grace } in new {
            rows.ids.push(order.id.as_uuid());
            rows.amounts.push(order.amount.minor());
            rows.graces.push(interval(*grace));
            let texts = [
                Some(order.customer.as_str()),
                Some(order.amount.currency().code()),
                Some(order.status.as_str()),
                order.payment_method.map(PaymentMethod::as_str),
                order.payment_token.as_ref().map(PaymentToken::reveal),
                Some(order.payment_status.as_str()),
            ];
            for (column, text) in rows.texts.iter_mut().zip(texts) {
                column.push(text);
            }
            rows.items
                .push(Json(order.items.iter().map(ItemRow::from).collect()));
            rows.trace_contexts.push(Json(&order.trace));
        }
        rows
    }

    /// The arrays of the columns, for `unnest`, in the order of [`NEW_COLUMNS`].
    pub(crate) fn push_arrays<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<Array<SqlUuid>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.amounts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Interval>, _>(&self.graces)?;
        for texts in &self.texts {
            out.push_sql(", ");
            out.push_bind_param::<Array<Nullable<Text>>, _>(texts)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Array<Jsonb>, _>(&self.items)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Jsonb>, _>(&self.trace_contexts)
    }
}

/// The names of the arrays of [`NewRows`].
pub(crate) const NEW_COLUMNS: &str = "id, amount, grace, customer, currency, status, payment_method, \
    payment_token, payment_status, items, trace_context";

/// Inserts rows that have [`NEW_COLUMNS`]; the rest of the statement names them `new`.
pub(crate) const INSERT_NEW: &str = "INSERT INTO orders (id, amount, dispatch_after, \
      customer, currency, status, payment_method, payment_token, payment_status, items, trace_context) \
    SELECT id, amount, now() + grace, new.customer, currency, status, payment_method, payment_token, \
      payment_status, items, trace_context";

struct Insert<'a>(NewRows<'a>);

impl QueryFragment<Pg> for Insert<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(INSERT_NEW);
        out.push_sql(" FROM unnest(");
        self.0.push_arrays(&mut out)?;
        out.push_sql(") AS new (");
        out.push_sql(NEW_COLUMNS);
        out.push_sql(") RETURNING created_at");
        Ok(())
    }
}

impl QueryId for Insert<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Insert<'_> {
    type SqlType = Timestamptz;
}

impl<Connection> RunQueryDsl<Connection> for Insert<'_> {}
