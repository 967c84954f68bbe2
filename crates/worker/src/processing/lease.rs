//! Keeps a claim alive while its attempt works. An attempt whose lease was lost is dropped: another worker has the order.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{Attempt, Order, OrderId};
use store::{Store, StoreError};

use super::attempt::Outcome;

/// An attempt's right to its order. Its end is counted from before the statement that set it was sent, so PostgreSQL, whose clock
/// decides, never ends it earlier than is thought here.
pub(super) struct Lease {
    store: Store,
    id: OrderId,
    attempt: Attempt,
    length: Duration,
    end: Mutex<Instant>,
}

impl Lease {
    /// The lease of a claim that was asked for at `claimed`.
    pub(super) fn new(store: Store, order: &Order, length: Duration, claimed: Instant) -> Self {
        Self {
            store,
            id: order.id,
            attempt: order.attempt,
            length,
            end: Mutex::new(claimed + length),
        }
    }

    /// Runs `attempt`, and renews the lease three times in its length.
    pub(super) async fn hold(&self, attempt: impl Future<Output = Outcome>) -> Outcome {
        tokio::select! {
            outcome = attempt => outcome,
            () = self.until_lost() => Outcome::LeaseLost,
        }
    }

    /// Whether the lease holds for this long from now; renewed where it would not. False where it was lost.
    pub(super) async fn holds_for(&self, needed: Duration) -> Result<bool, StoreError> {
        let end = *self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.saturating_duration_since(Instant::now()) >= needed {
            return Ok(true);
        }
        self.renew().await
    }

    /// Until somebody else has the order. A store that does not answer is no proof of that: fencing decides in the end.
    async fn until_lost(&self) {
        loop {
            tokio::time::sleep(self.length / 3).await;
            match self.renew().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(order.id = %self.id, error = &error as &dyn std::error::Error, "the lease was not renewed");
                }
            }
        }
    }

    async fn renew(&self) -> Result<bool, StoreError> {
        let asked = Instant::now();
        let renewed = self.store.renew(self.id, self.attempt, self.length).await?;
        if renewed {
            *self.end.lock().unwrap_or_else(PoisonError::into_inner) = asked + self.length;
        }
        Ok(renewed)
    }
}
