//! A worker claims orders: it is then the only one that processes them, until its leases end.

use std::time::Duration;

use diesel::prelude::*;
use domain::{Actor, Order, OrderStatus, ProcessOrder, TraceContext};

use crate::batches::claim::NewClaim;
use crate::error::StoreError;
use crate::fencing::Claim;
use crate::row::OrderRow;
use crate::schema::orders;
use crate::store::Store;
use crate::transition::NewTransition;

telemetry::statement! {
    SelectClaimed: "SELECT" "orders", action "find_claimed_order", framework "apalis";
}

impl Store {
    /// Claims the order for the job's attempt by `worker`, with a lease of at least `lease` from now. `None`
    /// if another worker holds the order, it is final, or the attempt's number was used before. Repeating the
    /// same claim gives it a new lease, because the first response may have been lost. Taking the order over
    /// from a worker whose lease expired counts as a crash, as in [`Store::take_due`]; as an attempt, if
    /// release 0.1 attempted the order. The next attempt links to `attempt_trace`.
    ///
    /// It does not wait until its commit is on disk, unless it is behind PgBouncer: what it leads to is
    /// durable only together with it. A crash of PostgreSQL may undo it, as if the worker had died before.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the claimed order cannot be read: see [`Store::leave_unreadable`].
    pub async fn claim(
        &self,
        job: &ProcessOrder,
        claim: Claim,
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
        let claim = NewClaim {
            claim,
            trace: attempt_trace.clone(),
            lease,
            transition: transition.rest_of_line(OrderStatus::Processing),
        };
        let row = self.update(&self.calls.claim, claim).await?;
        Ok(row.map(Order::try_from).transpose()?)
    }

    /// The order, if this is its last claim.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the order cannot be read.
    pub async fn find_claimed(&self, claim: Claim) -> Result<Option<Order>, StoreError> {
        let query = orders::table
            .find(claim.order.as_uuid())
            .filter(orders::attempt.eq(claim.attempt.number()))
            .filter(orders::claim_token.eq(claim.token))
            .select(OrderRow::as_select());
        self.order::<SelectClaimed, _>(query).await
    }
}
