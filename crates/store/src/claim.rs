//! A worker claims orders: it is then the only one that processes them, until its leases end.

use std::time::Duration;

use domain::{Actor, Order, OrderStatus, ProcessOrder, TraceContext};
use uuid::Uuid;

use crate::batches::claim::Claim;
use crate::error::StoreError;
use crate::store::Store;
use crate::transition::NewTransition;

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
    /// Claims the order for the job's attempt by `worker`, with a lease of at least `lease` from now. `None`
    /// if another worker holds the order, it is final, or the attempt's number was used before. Repeating the
    /// claim with the same token returns the same claim with a new lease, because the first response may have
    /// been lost. Taking the order over from a worker whose lease expired counts as a crash, as in
    /// [`Store::take_due`]; as an attempt, if release 0.1 attempted the order. The next attempt links to
    /// `attempt_trace`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the claimed order cannot be read: see [`Store::leave_unreadable`].
    pub async fn claim(
        &self,
        job: &ProcessOrder,
        token: ClaimToken,
        worker: &str,
        attempt_trace: &TraceContext,
        lease: Duration,
    ) -> Result<Option<Order>, StoreError> {
        let actor = Actor::Worker(worker.to_owned());
        let trace_id = attempt_trace.trace_id();
        let transition = NewTransition {
            actor: Some(&actor),
            trace_id: trace_id.filter(|id| job.trace.trace_id() != Some(id)),
            ..NewTransition::default()
        };
        let claim = Claim {
            id: job.order_id.as_uuid(),
            attempt: job.attempt.number(),
            token: token.0,
            trace: attempt_trace.clone(),
            lease,
            transition: transition.rest_of_line(OrderStatus::Processing),
        };
        let row = self.update(&self.calls.claim, claim).await?;
        Ok(row.map(Order::try_from).transpose()?)
    }
}
