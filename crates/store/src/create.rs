//! Taking an order: one INSERT, which alone makes it safe. Its `dispatch_after` is in the future, so that the caller can dispatch it
//! before the reconciler would.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::{
    Attempt, CustomerId, NewOrder, Order, OrderId, OrderStatus, PaymentMethod, PaymentStatus, PaymentToken,
    TraceContext,
};

use crate::expressions::from_now;
use crate::row::{ItemRow, Json};
use crate::schema::orders;
use crate::{Store, StoreError};

telemetry::statement! {
    InsertOrder: "INSERT" "orders", action "create_order", framework "actix-web";
}

impl Store {
    /// Stores a new order. It falls due for the reconciler after `grace`, if no worker has claimed it until then. `trace` is the
    /// context that all its later processing belongs to.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`] the order may or may not be stored.
    pub async fn create(
        &self,
        id: OrderId,
        customer: &CustomerId,
        order: &NewOrder,
        trace: &TraceContext,
        grace: Duration,
    ) -> Result<Order, StoreError> {
        let payment_status = first_payment_status(order.payment_method);
        let items: Vec<ItemRow<'_>> = order.items.iter().map(ItemRow::from).collect();
        let insert = diesel::insert_into(orders::table)
            .values((
                orders::id.eq(id.as_uuid()),
                orders::amount.eq(order.amount.minor()),
                orders::dispatch_after.eq(from_now(grace)),
                orders::customer.eq(customer.as_str()),
                orders::currency.eq(order.amount.currency().code()),
                orders::status.eq(OrderStatus::Pending.as_str()),
                orders::payment_method.eq(order.payment_method.map(PaymentMethod::as_str)),
                orders::payment_token.eq(order.payment_token.as_ref().map(PaymentToken::reveal)),
                orders::payment_status.eq(payment_status.as_str()),
                orders::items.eq(Json(items)),
                orders::trace_context.eq(Json(trace)),
            ))
            .returning(orders::created_at);
        let created_at: Option<DateTime<Utc>> = self.row::<InsertOrder, _, _>(insert).await?;
        // An INSERT without ON CONFLICT gives its row, or an error.
        let created_at = created_at.ok_or(diesel::result::Error::NotFound)?;

        Ok(created(id, customer, order, trace, created_at))
    }
}

/// The payment status that an order starts with.
pub(crate) fn first_payment_status(method: Option<PaymentMethod>) -> PaymentStatus {
    match method {
        Some(_) => PaymentStatus::Pending,
        None => PaymentStatus::NotRequired,
    }
}

/// What was stored a moment ago, without reading it back.
pub(crate) fn created(
    id: OrderId,
    customer: &CustomerId,
    order: &NewOrder,
    trace: &TraceContext,
    created_at: DateTime<Utc>,
) -> Order {
    Order {
        id,
        customer: customer.clone(),
        items: order.items.clone(),
        amount: order.amount,
        status: OrderStatus::Pending,
        payment_method: order.payment_method,
        payment_token: order.payment_token.clone(),
        payment_status: first_payment_status(order.payment_method),
        payment_id: None,
        attempt: Attempt::NONE,
        attempts_forgiven: Attempt::NONE,
        payments_refused: 0,
        failure: None,
        trace: trace.clone(),
        attempt_trace: None,
        created_at,
        updated_at: created_at,
        completed_at: None,
    }
}
