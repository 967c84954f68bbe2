//! What a worker does to an order. A claim makes it the only worker that processes the order, until its lease
//! ends. Every later write of the attempt is fenced: see `fencing`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::{AsExprOf, now, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::prelude::*;
use diesel::sql_types::Integer;
use domain::{Attempt, Failure, Order, OrderId, OrderStatus, PaymentStatus, ProcessOrder, TraceContext};
use uuid::Uuid;

use crate::columns::{failed_with, final_state, pending_again, storable, uncounted};
use crate::error::StoreError;
#[cfg(not(feature = "sabotage"))]
use crate::fencing::held;
use crate::pg::expressions::{at_random_within, coalesce, first_text, from_now, now_unless_set};
use crate::pg::json::Json;
use crate::row::OrderRow;
#[cfg(feature = "sabotage")]
use crate::sabotage::held;
use crate::schema::orders;
use crate::settlement::{Settlement, settled_as};
use crate::store::Store;

telemetry::statement! {
    ClaimOrder: "UPDATE" "orders", action "claim_order", framework "apalis";
    RenewLease: "UPDATE" "orders", action "renew_lease", framework "apalis";
    RecordIntent: "UPDATE" "orders", action "record_intent", framework "apalis";
    CompleteOrder: "UPDATE" "orders", action "complete_order", framework "apalis";
    FailOrder: "UPDATE" "orders", action "fail_order", framework "apalis";
    BackOffOrder: "UPDATE" "orders", action "back_off_order", framework "apalis";
    WaitForGateway: "UPDATE" "orders", action "wait_for_gateway", framework "apalis";
    ReleaseOrder: "UPDATE" "orders", action "release_order", framework "apalis";
    LeaveUnreadableOrder: "UPDATE" "orders", action "leave_unreadable_order", framework "apalis";
}

/// The lease ended because its worker died. An attempt of release 0.1 may end so too when the gateway rejects
/// its request, because the payment is made in two steps: it counts as an attempt.
const CRASHED: &str = "status = 'processing' AND attempts_two_step = attempt";

/// The longest backoff of an order that this version cannot read.
const MAX_UNREADABLE_BACKOFF: Duration = Duration::from_secs(600);

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
    /// Claims the order for the job's attempt, with a lease of at least `lease` from now. `None` if another
    /// worker holds the order, it is final, or the attempt's number was used before. Repeating the claim with
    /// the same token returns the same claim with a new lease, because the first response may have been lost.
    /// Taking the order over from a worker whose lease expired counts as a crash, as in [`Store::take_due`];
    /// as an attempt, if release 0.1 attempted the order.
    /// The next attempt links to `attempt_trace`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the claimed order cannot be read: see [`Store::leave_unreadable`].
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
                orders::attempts_two_step.eq(count_if("attempts_two_step", "true", this)),
                orders::attempts_forgiven.eq(count_if("attempts_forgiven", CRASHED, this)),
                orders::crashes.eq(count_if("crashes", CRASHED, this)),
                orders::claim_token.eq(token.0),
                orders::attempt_trace_context.eq(Json(attempt_trace)),
                orders::dispatch_after.eq(from_now(lease)),
                orders::updated_at.eq(now),
            ))
            .returning(OrderRow::as_returning());
        self.order::<ClaimOrder, _>(update).await
    }

    /// Lease renewal: the lease ends `lease` from now, or up to a quarter later. `false` if it was lost.
    pub async fn renew(&self, id: OrderId, attempt: Attempt, lease: Duration) -> Result<bool, StoreError> {
        let update = diesel::update(held(id, attempt)).set(orders::dispatch_after.eq(from_now(lease)));
        Ok(self.pg.execute::<RenewLease, _>(update).await? > 0)
    }

    /// Records the gateway's id of the order's payment, before money can move. An order whose row has another
    /// id keeps it. `false` in that case, and if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Query`] if the order has no payment method.
    pub async fn record_intent(
        &self,
        id: OrderId,
        attempt: Attempt,
        payment_id: &str,
    ) -> Result<bool, StoreError> {
        let payment_id = storable(payment_id);
        let same = orders::payment_id.eq(payment_id.clone()).assume_not_null();
        let update = diesel::update(held(id, attempt))
            .filter(orders::payment_id.is_null().or(same))
            .set(orders::payment_id.eq(payment_id));
        Ok(self.pg.execute::<RecordIntent, _>(update).await? > 0)
    }

    /// The attempt succeeded; `payment` is the gateway's id of the charge, if this attempt or an earlier one
    /// charged the order. `None` if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Query`] if only one of `payment` and the order's payment method is present, unless the
    /// payment was charged before.
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
                orders::payment_id.eq(first_text(payment.map(storable), orders::payment_id)),
                orders::failure_code.eq(None::<&str>),
                orders::failure_detail.eq(None::<&str>),
            ))
            .returning(OrderRow::as_returning());
        self.order::<CompleteOrder, _>(update).await
    }

    /// The attempt failed, and none follows. `None` if the lease was lost.
    ///
    /// The caller has made sure of the payment's end: an intent in the row is cancelled at the gateway
    /// before, and an order that [may have an unrecorded charge](Order::may_have_unrecorded_charge) is looked
    /// up there.
    ///
    /// # Errors
    /// [`StoreError::Query`] if the payment stays pending.
    pub async fn fail(
        &self,
        id: OrderId,
        attempt: Attempt,
        failure: &Failure,
        settlement: Settlement,
    ) -> Result<Option<Order>, StoreError> {
        let update = diesel::update(held(id, attempt))
            .set((
                final_state(OrderStatus::Failed),
                settled_as(settlement),
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
                pending_again(),
                failed_with(failure),
                orders::waiting_since.eq(None::<DateTime<Utc>>),
                orders::dispatch_after.eq(at_random_within(max_backoff)),
            ))
            .returning(OrderRow::as_returning());
        self.order::<BackOffOrder, _>(update).await
    }

    /// The gateway is unavailable: the order is redelivered after `delay`, or up to a quarter later. The
    /// attempt does not count; how long the order has waited does, see [`Order::waiting_since`]. `None` if
    /// the lease was lost.
    pub async fn wait_for_gateway(
        &self,
        id: OrderId,
        attempt: Attempt,
        failure: &Failure,
        delay: Duration,
    ) -> Result<Option<Order>, StoreError> {
        let update = diesel::update(held(id, attempt))
            .set((
                pending_again(),
                uncounted(),
                failed_with(failure),
                orders::waiting_since.eq(now_unless_set("waiting_since")),
                orders::dispatch_after.eq(from_now(delay)),
            ))
            .returning(OrderRow::as_returning());
        self.order::<WaitForGateway, _>(update).await
    }

    /// Abandons the attempt, for another worker to claim the order at once. The attempt does not count.
    /// `None` if the lease was lost.
    pub async fn release(&self, id: OrderId, attempt: Attempt) -> Result<Option<Order>, StoreError> {
        let update = diesel::update(held(id, attempt))
            .set((pending_again(), uncounted(), orders::dispatch_after.eq(now)))
            .returning(OrderRow::as_returning());
        self.order::<ReleaseOrder, _>(update).await
    }

    /// Leaves a claimed order that this version of the program cannot read to another version: it is
    /// redelivered after a random part of a backoff that doubles with each attempt, from 2 s up to 10 min.
    /// The attempt does not count. `false` if the lease was lost.
    pub async fn leave_unreadable(&self, id: OrderId, attempt: Attempt) -> Result<bool, StoreError> {
        let doublings = u32::try_from(attempt.number()).unwrap_or(0).min(16);
        let max_backoff = Duration::from_secs(1 << doublings).min(MAX_UNREADABLE_BACKOFF);
        let update = diesel::update(held(id, attempt)).set((
            pending_again(),
            uncounted(),
            orders::dispatch_after.eq(at_random_within(max_backoff)),
        ));
        Ok(self.pg.execute::<LeaveUnreadableOrder, _>(update).await? > 0)
    }
}

type CountIf = SqlLiteral<Integer, UncheckedBind<SqlLiteral<Integer>, AsExprOf<i32, Integer>>>;

/// `column`, plus 1 if the row satisfies `condition` and this claim is not a repeated one.
fn count_if(column: &str, condition: &str, attempt: i32) -> CountIf {
    sql(&format!("{column} + ({condition} AND attempt < "))
        .bind::<Integer, _>(attempt)
        .sql(")::int")
}
