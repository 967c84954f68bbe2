//! What people do to an order: a customer cancels it, an operator retries one that failed.

use chrono::{DateTime, Utc};
use diesel::dsl::{now, sql};
use diesel::expression::{SqlLiteral, TypedExpressionType};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Bool, Integer, Nullable, Text};
use domain::{Actor, CustomerId, ImpossibleTransition, Order, OrderId, OrderStatus};

use crate::erasure::is_pseudonym;
use crate::error::StoreError;
use crate::filter::NOTHING_AT_GATEWAY;
use crate::pg::expressions::coalesce;
use crate::row::OrderRow;
use crate::schema::orders;
use crate::settlement::{Settlement, settled_as};
use crate::store::Store;
use crate::transition::made_by;

telemetry::statement! {
    CancelOrder: "UPDATE" "orders", action "cancel_order", framework "actix-web";
    RetryOrder: "UPDATE" "orders", action "retry_order", framework "actix-web";
}

/// What an UPDATE assigns to columns of an order.
pub(crate) trait Assignments:
    AsChangeset<Target = orders::table, Changeset: QueryFragment<Pg> + Send + Sync + 'static>
{
}

impl<T> Assignments for T where
    T: AsChangeset<Target = orders::table, Changeset: QueryFragment<Pg> + Send + Sync + 'static>
{
}

/// The outcome of [`Store::cancel`] and [`Store::retry`].
#[derive(Debug, Clone)]
pub enum Changed {
    /// The order after the change.
    Done(Box<Order>),
    /// The order is changed, and this version of the program cannot read its row.
    DoneUnreadable,
    /// The order does not exist, or belongs to another customer.
    NotFound,
    /// The order's state does not allow the change.
    Impossible(ImpossibleTransition),
}

impl Store {
    /// Cancels a pending order, and its payment, whose token is deleted; with a `customer`, only that
    /// customer's. An order that has a
    /// payment at the gateway is not cancelled, because that may be charged; nor is one that release 0.1
    /// attempted, which charged before it stored the payment's id.
    pub async fn cancel(
        &self,
        id: OrderId,
        customer: Option<&CustomerId>,
        actor: &Actor,
    ) -> Result<Changed, StoreError> {
        let update = diesel::update(orders::table)
            .filter(orders::id.eq(id.as_uuid()))
            .filter(orders::customer.eq(coalesce(customer.map(CustomerId::as_str), orders::customer)))
            .filter(orders::status.eq(OrderStatus::Pending.as_str()))
            .filter(sql::<Bool>(NOTHING_AT_GATEWAY))
            .set(cancelled_by(actor))
            .returning(OrderRow::as_returning());
        match done(self.order::<CancelOrder, _>(update).await)? {
            Some(changed) => Ok(changed),
            None => self.why_unchanged(id, customer, cancel_is_impossible).await,
        }
    }

    /// An operator's retry of a failed order: it is pending and due at once, with as many attempts as a new
    /// order. A payment that was declined or cancelled is forgotten, and another one follows; one that was
    /// charged stays. An order whose customer was erased cannot be retried: its payment token is gone.
    pub async fn retry(&self, id: OrderId, actor: &Actor) -> Result<Changed, StoreError> {
        let update = diesel::update(orders::table)
            .filter(orders::id.eq(id.as_uuid()))
            .filter(orders::status.eq(OrderStatus::Failed.as_str()))
            .filter(orders::erased_at.is_null())
            .set(retried_by(actor))
            .returning(OrderRow::as_returning());
        match done(self.order::<RetryOrder, _>(update).await)? {
            Some(changed) => Ok(changed),
            None => self.why_unchanged(id, None, retry_is_impossible).await,
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

/// The assignments of a cancellation, for one order or many.
pub(crate) fn cancelled_by(actor: &Actor) -> impl Assignments + use<> {
    (
        orders::history.eq(made_by(actor, OrderStatus::Cancelled)),
        (
            orders::status.eq(OrderStatus::Cancelled.as_str()),
            orders::dispatch_after.eq(None::<DateTime<Utc>>),
            orders::waiting_since.eq(None::<DateTime<Utc>>),
            orders::crashes.eq(0_i32),
            orders::completed_at.eq(now),
            orders::final_payment_id.eq(orders::payment_id),
            orders::updated_at.eq(now),
        ),
        settled_as(Settlement::Cancelled),
        orders::payment_token.eq(None::<String>),
    )
}

/// The assignments of a retry, for one order or many.
pub(crate) fn retried_by(actor: &Actor) -> impl Assignments + use<> {
    (
        orders::history.eq(made_by(actor, OrderStatus::Pending)),
        orders::status.eq(OrderStatus::Pending.as_str()),
        orders::payment_status.eq(if_ended::<Text>("'pending'", "payment_status")),
        orders::payment_id.eq(if_ended::<Nullable<Text>>("NULL", "payment_id")),
        orders::attempts_two_step.eq(if_ended::<Integer>("attempt", "attempts_two_step")),
        orders::attempts_forgiven.eq(orders::attempt),
        orders::crashes.eq(0),
        orders::waiting_since.eq(None::<DateTime<Utc>>),
        orders::dispatch_after.eq(now),
        orders::completed_at.eq(None::<DateTime<Utc>>),
        orders::final_payment_id.eq(None::<String>),
        orders::updated_at.eq(now),
    )
}

/// The statement has committed before its row is read.
fn done(changed: Result<Option<Order>, StoreError>) -> Result<Option<Changed>, StoreError> {
    match changed {
        Ok(order) => Ok(order.map(|order| Changed::Done(Box::new(order)))),
        Err(StoreError::Corrupt(_)) => Ok(Some(Changed::DoneUnreadable)),
        Err(error) => Err(error),
    }
}

/// `ended` if the payment ended without a charge, `otherwise` if not.
fn if_ended<T: TypedExpressionType>(ended: &str, otherwise: &str) -> SqlLiteral<T> {
    sql(&format!(
        "CASE WHEN payment_status IN ('refused', 'cancelled') THEN {ended} ELSE {otherwise} END"
    ))
}

fn retry_is_impossible(order: &Order) -> Option<ImpossibleTransition> {
    let erased = ImpossibleTransition {
        from: order.status,
        change: "retried once its customer was erased",
    };
    let erased = is_pseudonym(order.customer.as_str()).then_some(erased);
    order.status.retry().err().or(erased)
}

fn cancel_is_impossible(order: &Order) -> Option<ImpossibleTransition> {
    if let Err(impossible) = order.status.cancel() {
        return Some(impossible);
    }
    let at_gateway = order.payment_id.is_some() || order.may_have_unrecorded_charge();
    at_gateway.then_some(ImpossibleTransition {
        from: order.status,
        change: "cancelled once a payment was tried",
    })
}
