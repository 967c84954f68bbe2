//! Inserts new orders.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Interval, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use domain::{Order, PaymentMethod, PaymentToken};

use crate::error::StoreError;
use crate::pg::expressions::interval;
use crate::pg::json::Json;
use crate::pg::lane::{BatchStatement, LaneConnection};
use crate::pg::written::{Rows, Written};
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
        let items: Vec<&NewOrder> = items.iter().collect();
        let insert = Written::<Timestamptz>::new()
            .sql(INSERT_NEW)
            .sql(" FROM ")
            .table(new_rows(&items), "new")
            .sql(" RETURNING created_at");
        connection.rows::<InsertOrder, _, _>(insert).await
    }
}

/// The columns of new orders. The columns of the table that are not among them have their defaults.
pub(crate) fn new_rows<'a>(new: &[&'a NewOrder]) -> Rows<'a> {
    let orders = || new.iter().map(|new| &new.order);
    let methods = orders().map(|order| order.payment_method.map(PaymentMethod::as_str));
    let tokens = orders().map(|order| order.payment_token.as_ref().map(PaymentToken::reveal));
    let items = orders().map(|order| Json(order.items.iter().map(ItemRow::from).collect::<Vec<_>>()));
    Rows::default()
        .column::<SqlUuid, _>("id", orders().map(|order| order.id.as_uuid()))
        .column::<BigInt, _>("amount", orders().map(|order| order.amount.minor()))
        .column::<Interval, _>("grace", new.iter().map(|new| interval(new.grace)))
        .column::<Text, _>("customer", orders().map(|order| order.customer.as_str()))
        .column::<Text, _>("currency", orders().map(|order| order.amount.currency().code()))
        .column::<Text, _>("status", orders().map(|order| order.status.as_str()))
        .column::<Nullable<Text>, _>("payment_method", methods)
        .column::<Nullable<Text>, _>("payment_token", tokens)
        .column::<Text, _>(
            "payment_status",
            orders().map(|order| order.payment_status.as_str()),
        )
        .column::<Jsonb, _>("items", items)
        .column::<Jsonb, _>("trace_context", orders().map(|order| Json(&order.trace)))
}

/// Inserts [`new_rows`]; the rest of the statement names them `new`.
pub(crate) const INSERT_NEW: &str = "INSERT INTO orders (id, amount, dispatch_after, \
      customer, currency, status, payment_method, payment_token, payment_status, items, trace_context) \
    SELECT id, amount, now() + grace, new.customer, currency, status, payment_method, payment_token, \
      payment_status, items, trace_context";
