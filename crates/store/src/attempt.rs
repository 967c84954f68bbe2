//! What a worker does to an order. A claim makes it the only one to process the order, for as long as its lease; every write after
//! that carries the attempt's number, so a worker that lost its lease changes nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{auto_type, now};
use diesel::prelude::*;
#[cfg(feature = "sabotage")]
use diesel::{dsl::AsExprOf, sql_types::Bool};
use domain::{Attempt, Failure, Order, OrderId, OrderStatus, PaymentStatus, ProcessOrder, TraceContext};
use uuid::Uuid;

use crate::expressions::{at_random_within, coalesce, from_now};
use crate::row::{Json, OrderRow, storable};
use crate::schema::orders;
use crate::{Store, StoreError};

telemetry::statement! {
    ClaimOrder: "UPDATE" "orders", action "claim_order", framework "apalis";
    RenewLease: "UPDATE" "orders", action "renew_lease", framework "apalis";
    CompleteOrder: "UPDATE" "orders", action "complete_order", framework "apalis";
    FailOrder: "UPDATE" "orders", action "fail_order", framework "apalis";
    RetryOrderLater: "UPDATE" "orders", action "retry_order_later", framework "apalis";
    ReleaseOrder: "UPDATE" "orders", action "release_order", framework "apalis";
    FailUnreadableOrder: "UPDATE" "orders", action "fail_unreadable_order", framework "apalis";
}

/// An order that this worker alone may process, until its lease ends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Claim {
    /// The order; its attempt is the number that every later write carries.
    pub order: Order,
}

/// Tells one delivery's claim from that of any other. Drawn once, and the same however often the claim is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimToken(Uuid);

impl ClaimToken {
    /// A new one.
    pub fn draw() -> Self {
        Self(Uuid::new_v4())
    }
}

/// The order, while this attempt holds it.
#[cfg(not(feature = "sabotage"))]
#[auto_type(no_type_alias)]
fn held(id: OrderId, attempt: Attempt) -> _ {
    let id: Uuid = id.as_uuid();
    let attempt: i32 = attempt.number();
    let processing: &'static str = OrderStatus::Processing.as_str();
    orders::table
        .filter(orders::id.eq(id))
        .filter(orders::attempt.eq(attempt))
        .filter(orders::status.eq(processing))
}

/// The same without fencing, where SABOTAGE says so: a test has to find out. No build of the product has this feature.
#[cfg(feature = "sabotage")]
#[auto_type(no_type_alias)]
fn held(id: OrderId, attempt: Attempt) -> _ {
    let id: Uuid = id.as_uuid();
    let attempt: i32 = attempt.number();
    let processing: &'static str = OrderStatus::Processing.as_str();
    let unfenced: bool = std::env::var("SABOTAGE").as_deref() == Ok("fencing");
    let unfenced: AsExprOf<bool, Bool> = unfenced.into_sql::<Bool>();
    orders::table.filter(orders::id.eq(id)).filter(
        orders::attempt
            .eq(attempt)
            .and(orders::status.eq(processing))
            .or(unfenced),
    )
}

impl Store {
    /// Claims the order for the attempt that the job asks for, until `lease` from now. `None`: another worker has it, it is final, or
    /// the job is of an attempt that there was already. Asked for again with the same token it gives the same claim, with a new lease:
    /// the first answer may have been lost. `attempt_trace` is kept for the next attempt to link to.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where the order is claimed by now, and cannot be read: see [`Store::fail_unreadable`].
    pub async fn claim(
        &self,
        job: &ProcessOrder,
        token: ClaimToken,
        attempt_trace: &TraceContext,
        lease: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        let this = job.attempt.number();
        let waits = orders::status.eq(OrderStatus::Pending.as_str());
        let lost_its_worker = orders::status
            .eq(OrderStatus::Processing.as_str())
            .and(orders::dispatch_after.le(now));
        let free = orders::attempt
            .eq(this.saturating_sub(1))
            .and(waits.or(lost_its_worker.assume_not_null()));
        let own = orders::attempt
            .eq(this)
            .and(orders::status.eq(OrderStatus::Processing.as_str()))
            .and(orders::claim_token.eq(token.0));
        let update = diesel::update(orders::table)
            .filter(orders::id.eq(job.order_id.as_uuid()))
            .filter(free.or(own.assume_not_null()))
            .set((
                orders::status.eq(OrderStatus::Processing.as_str()),
                orders::attempt.eq(this),
                orders::claim_token.eq(token.0),
                orders::attempt_trace_context.eq(Json(attempt_trace)),
                orders::dispatch_after.eq(from_now(lease)),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        let row: Option<OrderRow> = self.row::<ClaimOrder, _, _>(update).await?;
        let order = row.map(Order::try_from).transpose()?;
        Ok(order.map(|order| Claim { order }))
    }

    /// Extends the lease to `lease` from now; false where it was lost.
    pub async fn renew(&self, id: OrderId, attempt: Attempt, lease: Duration) -> Result<bool, StoreError> {
        let update = diesel::update(held(id, attempt)).set(orders::dispatch_after.eq(from_now(lease)));
        Ok(self.run::<RenewLease, _>(update).await? > 0)
    }

    /// The attempt succeeded; `payment` is the gateway's id of the charge, where there was one. `None`: the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Query`] for an order that asks for a payment and got none, or the other way round.
    pub async fn complete(
        &self,
        id: OrderId,
        attempt: Attempt,
        payment: Option<&str>,
    ) -> Result<Option<Order>, StoreError> {
        let charged = payment.map(|_| PaymentStatus::Charged.as_str());
        let update = diesel::update(held(id, attempt))
            .set((
                orders::status.eq(OrderStatus::Completed.as_str()),
                orders::payment_status.eq(coalesce(charged, orders::payment_status)),
                orders::payment_id.eq(payment.map(storable)),
                orders::failure_code.eq(None::<&str>),
                orders::failure_detail.eq(None::<&str>),
                orders::dispatch_after.eq(None::<DateTime<Utc>>),
                orders::completed_at.eq(now),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        let row: Option<OrderRow> = self.row::<CompleteOrder, _, _>(update).await?;
        row.map(Order::try_from).transpose()
    }

    /// The attempt failed, and no other is to follow. `None`: the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Query`] for a refused payment of an order that asks for none.
    pub async fn fail(
        &self,
        id: OrderId,
        attempt: Attempt,
        failure: &Failure,
        payment_refused: bool,
    ) -> Result<Option<Order>, StoreError> {
        let refused = payment_refused.then_some(PaymentStatus::Refused.as_str());
        let update = diesel::update(held(id, attempt))
            .set((
                orders::status.eq(OrderStatus::Failed.as_str()),
                orders::payment_status.eq(coalesce(refused, orders::payment_status)),
                orders::payments_refused.eq(orders::payments_refused + i32::from(payment_refused)),
                orders::failure_code.eq(failure.code.as_str()),
                orders::failure_detail.eq(storable(&failure.detail)),
                orders::dispatch_after.eq(None::<DateTime<Utc>>),
                orders::completed_at.eq(now),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        let row: Option<OrderRow> = self.row::<FailOrder, _, _>(update).await?;
        row.map(Order::try_from).transpose()
    }

    /// The attempt failed, and another is to follow: at a random moment within `backoff_cap`. `None`: the lease was lost.
    pub async fn retry_later(
        &self,
        id: OrderId,
        attempt: Attempt,
        failure: &Failure,
        backoff_cap: Duration,
    ) -> Result<Option<Order>, StoreError> {
        let update = diesel::update(held(id, attempt))
            .set((
                orders::status.eq(OrderStatus::Pending.as_str()),
                orders::failure_code.eq(failure.code.as_str()),
                orders::failure_detail.eq(storable(&failure.detail)),
                orders::dispatch_after.eq(at_random_within(backoff_cap)),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        let row: Option<OrderRow> = self.row::<RetryOrderLater, _, _>(update).await?;
        row.map(Order::try_from).transpose()
    }

    /// Gives the order up for another worker to take at once; the attempt stays counted. `None`: the lease was lost.
    pub async fn release(&self, id: OrderId, attempt: Attempt) -> Result<Option<Order>, StoreError> {
        let update = diesel::update(held(id, attempt))
            .set((
                orders::status.eq(OrderStatus::Pending.as_str()),
                orders::dispatch_after.eq(now),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        let row: Option<OrderRow> = self.row::<ReleaseOrder, _, _>(update).await?;
        row.map(Order::try_from).transpose()
    }

    /// Ends an order that was claimed and cannot be read: no worker of this version could do anything else with it. False where the
    /// lease was lost.
    pub async fn fail_unreadable(
        &self,
        id: OrderId,
        attempt: Attempt,
        failure: &Failure,
    ) -> Result<bool, StoreError> {
        let update = diesel::update(held(id, attempt)).set((
            orders::status.eq(OrderStatus::Failed.as_str()),
            orders::failure_code.eq(failure.code.as_str()),
            orders::failure_detail.eq(storable(&failure.detail)),
            orders::dispatch_after.eq(None::<DateTime<Utc>>),
            orders::completed_at.eq(now),
            orders::updated_at.eq(now),
        ));
        Ok(self.run::<FailUnreadableOrder, _>(update).await? > 0)
    }
}
