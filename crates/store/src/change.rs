//! What people do to an order: a customer cancels it, an operator retries one that failed.

use chrono::{DateTime, Utc};
use diesel::dsl::{case_when, now};
use diesel::prelude::*;
use diesel::sql_types::Text;
use domain::{Attempt, CustomerId, ImpossibleTransition, Order, OrderId, OrderStatus, PaymentStatus};

use crate::columns::final_state;
use crate::error::StoreError;
use crate::pg::expressions::coalesce;
use crate::row::OrderRow;
use crate::schema::orders;
use crate::store::Store;

telemetry::statement! {
    CancelOrder: "UPDATE" "orders", action "cancel_order", framework "actix-web";
    RetryOrder: "UPDATE" "orders", action "retry_order", framework "actix-web";
}

/// The outcome of [`Store::cancel`] and [`Store::retry`].
#[derive(Debug, Clone)]
pub enum Changed {
    /// The order after the change.
    Done(Box<Order>),
    /// The order does not exist, or belongs to another customer.
    NotFound,
    /// The order's state does not allow the change.
    Impossible(ImpossibleTransition),
}

impl Store {
    /// Cancels a pending order; with a `customer`, only that customer's. An order that an attempt may have
    /// charged is not cancelled even while it is pending again: the worker may have died between the charge
    /// and recording it, and a charged order is never cancelled.
    pub async fn cancel(&self, id: OrderId, customer: Option<&CustomerId>) -> Result<Changed, StoreError> {
        let never_attempted = orders::attempt.eq(Attempt::NONE.number());
        let nothing_to_charge = orders::payment_status.eq(PaymentStatus::NotRequired.as_str());
        let update = diesel::update(orders::table)
            .filter(orders::id.eq(id.as_uuid()))
            .filter(orders::customer.eq(coalesce(customer.map(CustomerId::as_str), orders::customer)))
            .filter(orders::status.eq(OrderStatus::Pending.as_str()))
            .filter(never_attempted.or(nothing_to_charge))
            .set(final_state(OrderStatus::Cancelled))
            .returning(OrderRow::as_returning());
        match self.order::<CancelOrder, _>(update).await? {
            Some(order) => Ok(Changed::Done(Box::new(order))),
            None => self.why_unchanged(id, customer, cancel_is_impossible).await,
        }
    }

    /// An operator's retry of a failed order: it is pending and due at once, with as many attempts as a new
    /// order. A declined payment becomes pending again.
    pub async fn retry(&self, id: OrderId) -> Result<Changed, StoreError> {
        let refused = orders::payment_status.eq(PaymentStatus::Refused.as_str());
        let pending = PaymentStatus::Pending.as_str().into_sql::<Text>();
        let update = diesel::update(orders::table)
            .filter(orders::id.eq(id.as_uuid()))
            .filter(orders::status.eq(OrderStatus::Failed.as_str()))
            .set((
                orders::status.eq(OrderStatus::Pending.as_str()),
                orders::payment_status.eq(case_when(refused, pending).otherwise(orders::payment_status)),
                orders::attempts_forgiven.eq(orders::attempt),
                orders::dispatch_after.eq(now),
                orders::completed_at.eq(None::<DateTime<Utc>>),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        match self.order::<RetryOrder, _>(update).await? {
            Some(order) => Ok(Changed::Done(Box::new(order))),
            None => {
                self.why_unchanged(id, None, |order| order.status.retry().err())
                    .await
            }
        }
    }

    /// Why an update changed nothing. An order that allows the change by now was processing a moment ago.
    async fn why_unchanged(
        &self,
        id: OrderId,
        customer: Option<&CustomerId>,
        is_impossible: fn(&Order) -> Option<ImpossibleTransition>,
    ) -> Result<Changed, StoreError> {
        let Some(order) = self.find(id, customer).await? else {
            return Ok(Changed::NotFound);
        };
        let processing = ImpossibleTransition {
            from: OrderStatus::Processing,
            change: "changed by anybody but its worker",
        };
        Ok(Changed::Impossible(is_impossible(&order).unwrap_or(processing)))
    }
}

fn cancel_is_impossible(order: &Order) -> Option<ImpossibleTransition> {
    if let Err(impossible) = order.status.cancel() {
        return Some(impossible);
    }
    let may_be_charged = order.attempt > Attempt::NONE && order.payment_status != PaymentStatus::NotRequired;
    may_be_charged.then_some(ImpossibleTransition {
        from: order.status,
        change: "cancelled once a payment was tried",
    })
}
