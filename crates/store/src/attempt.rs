//! What a worker does to an order that it has claimed. Every write is fenced: see `fencing`.

use std::borrow::Cow;
use std::time::Duration;

use domain::{Failure, Order};

use crate::batches::complete::Completion;
use crate::batches::end::{Ending, Next, WaitingSince};
use crate::batches::record_intent::IntentRecord;
use crate::batches::renew::Renewal;
use crate::error::StoreError;
use crate::fencing::Claim;
use crate::pg::expressions::storable;
use crate::settlement::Settlement;
use crate::store::Store;

/// The longest backoff of an order that this version cannot read.
const MAX_UNREADABLE_BACKOFF: Duration = Duration::from_secs(600);

impl Store {
    /// Lease renewal: the lease ends `lease` from now, or up to a quarter later. `false` if it was lost.
    pub async fn renew(&self, claim: Claim, lease: Duration) -> Result<bool, StoreError> {
        let renewal = Renewal { claim, lease };
        Ok(self.update_alone(&renewal).await?.is_some())
    }

    /// Records the gateway's id of the order's payment, before money can move. An order whose row has another
    /// id keeps it. `false` in that case, and if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Query`] if the order has no payment method.
    pub async fn record_intent(&self, claim: Claim, payment_id: &str) -> Result<bool, StoreError> {
        let record = IntentRecord {
            claim,
            payment: storable(payment_id).into_owned(),
        };
        Ok(self.update(&self.calls.record_intent, record).await?.is_some())
    }

    /// The attempt succeeded; `payment` is the gateway's id of the charge, if this attempt or an earlier one
    /// charged the order. `None` if the lease was lost.
    ///
    /// # Errors
    /// [`StoreError::Query`] if only one of `payment` and the order's payment method is present, unless the
    /// payment was charged before.
    pub async fn complete(&self, claim: Claim, payment: Option<&str>) -> Result<Option<Order>, StoreError> {
        let completion = Completion {
            claim,
            payment: payment.map(storable).map(Cow::into_owned),
        };
        let row = self.update(&self.calls.complete, completion).await?;
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
        claim: Claim,
        failure: &Failure,
        settlement: Settlement,
    ) -> Result<Option<Order>, StoreError> {
        let ending = Ending::failed(claim, failure, Next::Failed(settlement.status()));
        self.end(ending).await
    }

    /// The attempt failed, and the order is redelivered after a random backoff of at most `max_backoff` (full
    /// jitter). `None` if the lease was lost.
    pub async fn back_off(
        &self,
        claim: Claim,
        failure: &Failure,
        max_backoff: Duration,
    ) -> Result<Option<Order>, StoreError> {
        let ending = Ending::failed(claim, failure, Next::Within(max_backoff));
        self.end(ending).await
    }

    /// The gateway is unavailable: the order is redelivered after `delay`, which the caller spreads. The
    /// attempt does not count; how long the order has waited does, see [`Order::waiting_since`]. `None` if
    /// the lease was lost.
    pub async fn wait_for_gateway(
        &self,
        claim: Claim,
        failure: &Failure,
        delay: Duration,
    ) -> Result<Option<Order>, StoreError> {
        let ending = Ending {
            counts: false,
            waiting_since: WaitingSince::Now,
            ..Ending::failed(claim, failure, Next::After(delay))
        };
        self.end(ending).await
    }

    /// Abandons the attempt, for another worker to claim the order at once. The attempt does not count.
    /// `None` if the lease was lost.
    pub async fn release(&self, claim: Claim) -> Result<Option<Order>, StoreError> {
        let ending = Ending::uncounted(claim, "released", Next::After(Duration::ZERO));
        self.end(ending).await
    }

    /// Leaves a claimed order that this version of the program cannot read to another version: it is
    /// redelivered after a random part of a backoff that doubles with each attempt, from 2 s up to 10 min.
    /// The attempt does not count. `false` if the lease was lost.
    pub async fn leave_unreadable(&self, claim: Claim) -> Result<bool, StoreError> {
        let doublings = u32::try_from(claim.attempt.number()).unwrap_or(0).min(16);
        let max_backoff = Duration::from_secs(1 << doublings).min(MAX_UNREADABLE_BACKOFF);
        let ending = Ending::uncounted(claim, "unreadable", Next::Within(max_backoff));
        Ok(self.update(&self.calls.end, ending).await?.is_some())
    }

    async fn end(&self, ending: Ending) -> Result<Option<Order>, StoreError> {
        let row = self.update(&self.calls.end, ending).await?;
        Ok(row.map(Order::try_from).transpose()?)
    }
}
