//! What people do to an order: a customer cancels it, an operator reopens one that failed.

use chrono::{DateTime, Utc};
use diesel::dsl::{case_when, now};
use diesel::prelude::*;
use diesel::sql_types::Text;
use domain::{Attempt, CustomerId, ImpossibleTransition, Order, OrderId, OrderStatus, PaymentStatus};

use crate::expressions::coalesce;
use crate::row::OrderRow;
use crate::schema::orders;
use crate::{Store, StoreError};

telemetry::statement! {
    CancelOrder: "UPDATE" "orders", action "cancel_order", framework "actix-web";
    ReopenOrder: "UPDATE" "orders", action "reopen_order", framework "actix-web";
}

/// What came of a change that a person asked for.
#[derive(Debug, Clone)]
pub enum Changed {
    /// The order as it is now.
    Done(Box<Order>),
    /// There is no such order, or it is another customer's.
    NotFound,
    /// The order is not in a state for that.
    Refused(ImpossibleTransition),
}

/// What came of [`Store::cancel`].
pub type Cancelled = Changed;
/// What came of [`Store::reopen`].
pub type Reopened = Changed;

impl Store {
    /// Cancels a pending order. One that an attempt may have charged is refused even while it is pending again: the attempt's worker
    /// may have died between the charge and its record, and a charged order is never cancelled.
    pub async fn cancel(&self, id: OrderId, customer: Option<&CustomerId>) -> Result<Cancelled, StoreError> {
        let never_tried = orders::attempt.eq(Attempt::NONE.number());
        let nothing_to_charge = orders::payment_status.eq(PaymentStatus::NotRequired.as_str());
        let update = diesel::update(orders::table)
            .filter(orders::id.eq(id.as_uuid()))
            .filter(orders::customer.eq(coalesce(customer.map(CustomerId::as_str), orders::customer)))
            .filter(orders::status.eq(OrderStatus::Pending.as_str()))
            .filter(never_tried.or(nothing_to_charge))
            .set((
                orders::status.eq(OrderStatus::Cancelled.as_str()),
                orders::dispatch_after.eq(None::<DateTime<Utc>>),
                orders::completed_at.eq(now),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        let row: Option<OrderRow> = self.row::<CancelOrder, _, _>(update).await?;
        match row {
            Some(row) => Ok(Changed::Done(Box::new(row.try_into()?))),
            None => self.refused(id, customer, refuse_cancel).await,
        }
    }

    /// Takes a failed order up again: pending and due at once, with as many attempts before it as a new one. A payment that was
    /// refused is tried again.
    pub async fn reopen(&self, id: OrderId) -> Result<Reopened, StoreError> {
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
        let row: Option<OrderRow> = self.row::<ReopenOrder, _, _>(update).await?;
        match row {
            Some(row) => Ok(Changed::Done(Box::new(row.try_into()?))),
            None => self.refused(id, None, |order| order.status.reopen().err()).await,
        }
    }

    /// Why nothing was changed. An order that could be changed by now was in a worker's hands a moment ago.
    async fn refused(
        &self,
        id: OrderId,
        customer: Option<&CustomerId>,
        why: fn(&Order) -> Option<ImpossibleTransition>,
    ) -> Result<Changed, StoreError> {
        let Some(order) = self.find(id, customer).await? else {
            return Ok(Changed::NotFound);
        };
        let in_work = ImpossibleTransition {
            from: OrderStatus::Processing,
            change: "changed by anybody but its worker",
        };
        Ok(Changed::Refused(why(&order).unwrap_or(in_work)))
    }
}

fn refuse_cancel(order: &Order) -> Option<ImpossibleTransition> {
    if let Err(impossible) = order.status.cancel() {
        return Some(impossible);
    }
    let may_be_charged = order.attempt > Attempt::NONE && order.payment_status != PaymentStatus::NotRequired;
    may_be_charged.then_some(ImpossibleTransition {
        from: order.status,
        change: "cancelled once a payment was tried",
    })
}
