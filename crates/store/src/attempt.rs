//! What a worker does to an order. A claim makes it the only worker that processes the order, until its lease
//! ends. Every later write of the attempt is fenced: see `fencing`.

use std::time::Duration;

use diesel::dsl::now;
use diesel::prelude::*;
use domain::{Attempt, Failure, Order, OrderId, OrderStatus, PaymentStatus, ProcessOrder, TraceContext};
use uuid::Uuid;

use crate::columns::{failed_with, final_state, storable};
use crate::error::StoreError;
#[cfg(not(feature = "sabotage"))]
use crate::fencing::held;
use crate::pg::expressions::{at_random_within, coalesce, from_now};
use crate::pg::json::Json;
use crate::row::OrderRow;
#[cfg(feature = "sabotage")]
use crate::sabotage::held;
use crate::schema::orders;
use crate::store::Store;

telemetry::statement! {
    ClaimOrder: "UPDATE" "orders", action "claim_order", framework "apalis";
    RenewLease: "UPDATE" "orders", action "renew_lease", framework "apalis";
    CompleteOrder: "UPDATE" "orders", action "complete_order", framework "apalis";
    FailOrder: "UPDATE" "orders", action "fail_order", framework "apalis";
    BackOffOrder: "UPDATE" "orders", action "back_off_order", framework "apalis";
    ReleaseOrder: "UPDATE" "orders", action "release_order", framework "apalis";
    FailUnreadableOrder: "UPDATE" "orders", action "fail_unreadable_order", framework "apalis";
}

/// Identifies one delivery's claim, so that repeating the claim after a lost response returns the same claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimToken(Uuid);

impl ClaimToken {
    /// A new random token.
    pub fn draw() -> Self {
        Self(Uuid::new_v4())
    }
}

impl Store {
    /// Claims the order for the job's attempt, with a lease of `lease` from now. `None` if another worker
    /// holds the order, it is final, or the attempt's number was used before. Repeating the claim with the
    /// same token returns the same claim with a new lease, because the first response may have been lost. The
    /// next attempt links to `attempt_trace`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the claimed order cannot be read: see [`Store::fail_unreadable`].
    pub async fn claim(
        &self,
        job: &ProcessOrder,
        token: ClaimToken,
        attempt_trace: &TraceContext,
        lease: Duration,
    ) -> Result<Option<Order>, StoreError> {
        let this = job.attempt.number();
        let pending = orders::status.eq(OrderStatus::Pending.as_str());
        let lease_expired = orders::status
            .eq(OrderStatus::Processing.as_str())
            .and(orders::dispatch_after.le(now));
        let free = orders::attempt
            .eq(this.saturating_sub(1))
            .and(pending.or(lease_expired.assume_not_null()));
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
        self.order::<ClaimOrder, _>(update).await
    }

    /// Lease renewal: the lease ends `lease` from now. `false` if it was lost.
    pub async fn renew(&self, id: OrderId, attempt: Attempt, lease: Duration) -> Result<bool, StoreError> {
        let update = diesel::update(held(id, attempt)).set(orders::dispatch_after.eq(from_now(lease)));
        Ok(self.pg.execute::<RenewLease, _>(update).await? > 0)
    }

    /// The attempt succeeded; `payment` is the gateway's id of the charge, if there was one. `None` if the
    /// lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Query`] if only one of `payment` and the order's payment method is present.
    pub async fn complete(
        &self,
        id: OrderId,
        attempt: Attempt,
        payment: Option<&str>,
    ) -> Result<Option<Order>, StoreError> {
        let charged = payment.map(|_| PaymentStatus::Charged.as_str());
        let update = diesel::update(held(id, attempt))
            .set((
                final_state(OrderStatus::Completed),
                orders::payment_status.eq(coalesce(charged, orders::payment_status)),
                orders::payment_id.eq(payment.map(storable)),
                orders::failure_code.eq(None::<&str>),
                orders::failure_detail.eq(None::<&str>),
            ))
            .returning(OrderRow::as_returning());
        self.order::<CompleteOrder, _>(update).await
    }

    /// The attempt failed, and none follows. `declined`: the bank declined the charge. `None` if the lease
    /// was lost.
    ///
    /// # Errors
    /// [`StoreError::Query`] if `declined` and the order has no payment method.
    pub async fn fail(
        &self,
        id: OrderId,
        attempt: Attempt,
        failure: &Failure,
        declined: bool,
    ) -> Result<Option<Order>, StoreError> {
        let refused = declined.then_some(PaymentStatus::Refused.as_str());
        let update = diesel::update(held(id, attempt))
            .set((
                final_state(OrderStatus::Failed),
                orders::payment_status.eq(coalesce(refused, orders::payment_status)),
                orders::payments_refused.eq(orders::payments_refused + i32::from(declined)),
                failed_with(failure),
            ))
            .returning(OrderRow::as_returning());
        self.order::<FailOrder, _>(update).await
    }

    /// The attempt failed, and the order is redelivered after a random backoff of at most `max_backoff` (full
    /// jitter). `None` if the lease was lost.
    pub async fn back_off(
        &self,
        id: OrderId,
        attempt: Attempt,
        failure: &Failure,
        max_backoff: Duration,
    ) -> Result<Option<Order>, StoreError> {
        let update = diesel::update(held(id, attempt))
            .set((
                orders::status.eq(OrderStatus::Pending.as_str()),
                failed_with(failure),
                orders::dispatch_after.eq(at_random_within(max_backoff)),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        self.order::<BackOffOrder, _>(update).await
    }

    /// Abandons the attempt, for another worker to claim the order at once; the attempt still counts. `None`
    /// if the lease was lost.
    pub async fn release(&self, id: OrderId, attempt: Attempt) -> Result<Option<Order>, StoreError> {
        let update = diesel::update(held(id, attempt))
            .set((
                orders::status.eq(OrderStatus::Pending.as_str()),
                orders::dispatch_after.eq(now),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        self.order::<ReleaseOrder, _>(update).await
    }

    /// Fails a claimed order that this version of the program cannot read. `false` if the lease was lost.
    pub async fn fail_unreadable(
        &self,
        id: OrderId,
        attempt: Attempt,
        failure: &Failure,
    ) -> Result<bool, StoreError> {
        let columns = (final_state(OrderStatus::Failed), failed_with(failure));
        let update = diesel::update(held(id, attempt)).set(columns);
        Ok(self.pg.execute::<FailUnreadableOrder, _>(update).await? > 0)
    }
}
