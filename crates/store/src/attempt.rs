//! What a worker does to an order that it has claimed. Every write is fenced: see `fencing`.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use domain::{Attempt, Failure, Order, OrderId, OrderStatus};

use crate::batches::complete::{CompleteOrders, Completion, CompletionRows};
use crate::columns::{failed_with, final_state, pending_again, storable, uncounted};
use crate::error::StoreError;
use crate::fencing::LOCK_OR_WAIT;
#[cfg(not(feature = "sabotage"))]
use crate::fencing::held;
use crate::pg::expressions::{at_random_within, exactly_from_now, from_now, now_unless_set};
use crate::row::OrderRow;
#[cfg(feature = "sabotage")]
use crate::sabotage::held;
use crate::schema::orders;
use crate::settlement::{Settlement, settled_as};
use crate::store::Store;
use crate::transition::NewTransition;

telemetry::statement! {
    RenewLease: "UPDATE" "orders", action "renew_lease", framework "apalis";
    RecordIntent: "UPDATE" "orders", action "record_intent", framework "apalis";
    CompleteOrderAlone: "UPDATE" "orders", action "complete_order_alone", framework "apalis";
    FailOrder: "UPDATE" "orders", action "fail_order", framework "apalis";
    BackOffOrder: "UPDATE" "orders", action "back_off_order", framework "apalis";
    WaitForGateway: "UPDATE" "orders", action "wait_for_gateway", framework "apalis";
    ReleaseOrder: "UPDATE" "orders", action "release_order", framework "apalis";
    LeaveUnreadableOrder: "UPDATE" "orders", action "leave_unreadable_order", framework "apalis";
}

/// The longest backoff of an order that this version cannot read.
const MAX_UNREADABLE_BACKOFF: Duration = Duration::from_secs(600);

impl Store {
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
        let completion = || Completion {
            id: id.as_uuid(),
            attempt: attempt.number(),
            payment: payment.map(storable).map(Cow::into_owned),
        };
        let row = match self
            .batched::<CompleteOrders>(&self.calls.complete, completion())
            .await?
        {
            Some(row) => Some(row),
            // The lease was lost, or the row is locked for the moment.
            None => {
                let alone = [completion()];
                let completion = CompletionRows::new(&alone, LOCK_OR_WAIT);
                self.pg.row::<CompleteOrderAlone, _, _>(completion).await?
            }
        };
        Ok(row.map(Order::try_from).transpose()?)
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
                orders::history.eq(NewTransition::because(failure.code.as_str()).to(OrderStatus::Failed)),
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
                pending_again(failure.code.as_str()),
                failed_with(failure),
                orders::waiting_since.eq(None::<DateTime<Utc>>),
                orders::dispatch_after.eq(at_random_within(max_backoff)),
            ))
            .returning(OrderRow::as_returning());
        self.order::<BackOffOrder, _>(update).await
    }

    /// The gateway is unavailable: the order is redelivered after `delay`, which the caller spreads. The
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
                pending_again(failure.code.as_str()),
                uncounted(),
                failed_with(failure),
                orders::waiting_since.eq(now_unless_set("waiting_since")),
                orders::dispatch_after.eq(exactly_from_now(delay)),
            ))
            .returning(OrderRow::as_returning());
        self.order::<WaitForGateway, _>(update).await
    }

    /// Abandons the attempt, for another worker to claim the order at once. The attempt does not count.
    /// `None` if the lease was lost.
    pub async fn release(&self, id: OrderId, attempt: Attempt) -> Result<Option<Order>, StoreError> {
        let update = diesel::update(held(id, attempt))
            .set((
                pending_again("released"),
                uncounted(),
                orders::dispatch_after.eq(now),
            ))
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
            pending_again("unreadable"),
            uncounted(),
            orders::dispatch_after.eq(at_random_within(max_backoff)),
        ));
        Ok(self.pg.execute::<LeaveUnreadableOrder, _>(update).await? > 0)
    }
}
