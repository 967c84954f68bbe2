//! Lease renewal: extends a claim while its attempt runs. An attempt that lost its lease is dropped, because
//! another worker may have claimed the order.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use store::{Claim, Store, StoreError};

/// An attempt's exclusive right to its order. Its end is computed from the time before the statement was
/// sent, so it never ends earlier in PostgreSQL, whose clock decides, than it does here.
pub(crate) struct Lease<'a> {
    store: &'a Store,
    claim: Claim,
    length: Duration,
    end: Mutex<Instant>,
}

impl<'a> Lease<'a> {
    /// The lease of a claim whose statement was sent at `claimed_at`.
    pub(crate) fn new(store: &'a Store, claim: Claim, length: Duration, claimed_at: Instant) -> Self {
        Self {
            store,
            claim,
            length,
            end: Mutex::new(claimed_at + length),
        }
    }

    /// The claim, under which the attempt writes.
    pub(crate) fn claim(&self) -> Claim {
        self.claim
    }

    /// Runs `attempt`, and renews the lease every third of its length. `None`: the lease was lost.
    pub(crate) async fn hold<T>(&self, attempt: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            outcome = attempt => Some(outcome),
            () = self.renew_until_lost() => None,
        }
    }

    /// Makes sure that the lease does not end within `needed`, and renews it if it would. False: it was lost.
    /// A lease that is shorter than `needed` is renewed unless it has just begun.
    pub(crate) async fn holds_for(&self, needed: Duration) -> Result<bool, StoreError> {
        let end = *self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.saturating_duration_since(Instant::now()) >= needed.min(self.length) {
            return Ok(true);
        }
        self.renew().await
    }

    /// Returns when the lease is lost. An unavailable store does not prove that: in the end the fencing token
    /// decides.
    async fn renew_until_lost(&self) {
        loop {
            tokio::time::sleep(self.length / 3).await;
            match self.renew().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    telemetry::log_warn!(error, order.id = %self.claim.order, "the lease was not renewed");
                }
            }
        }
    }

    async fn renew(&self) -> Result<bool, StoreError> {
        let sent_at = Instant::now();
        let renewed = self.store.renew(self.claim, self.length).await?;
        if renewed {
            *self.end.lock().unwrap_or_else(PoisonError::into_inner) = sent_at + self.length;
        }
        Ok(renewed)
    }
}

#[cfg(test)]
mod tests {
    use domain::{CustomerId, Order, OrderDraft, OrderId, TraceContext};
    use store::StoreConfig;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A claimed order in a new database.
    async fn claimed(database: &testkit::Database) -> (Store, Claim) {
        store::migrate(database.url()).await.unwrap();
        let store = Store::new(StoreConfig::new(database.url(), "worker-test")).unwrap();
        let draft = r#"{"product_name":"Widget","amount":"10","payment_method":"credit_card"}"#;
        let draft: OrderDraft = serde_json::from_str(draft).unwrap();
        let (id, trace) = (OrderId::generate(), TraceContext::default());
        let new = draft.validate().unwrap();
        let order = Order::new(id, CustomerId::anonymous(), new, trace.clone());
        let job = store.create(order, MINUTE).await.unwrap().next_job();
        let claim = Claim::of(&job);
        let claimed = store.claim(&job, claim, "worker-1", &trace, MINUTE).await;
        claimed.unwrap().unwrap();
        (store, claim)
    }

    #[tokio::test]
    async fn a_lease_that_ends_too_soon_for_a_charge_is_renewed_first() {
        let database = testkit::database().await.unwrap();
        let (store, claim) = claimed(&database).await;
        let sql = database.connect().await.unwrap();
        let ends_in = async || -> f64 {
            const ENDS: &str = "SELECT extract(epoch FROM dispatch_after - now())::float8 FROM orders";
            sql.query_one(ENDS, &[]).await.unwrap().get(0)
        };
        sql.execute("UPDATE orders SET dispatch_after = now() + interval '5 s'", &[])
            .await
            .unwrap();

        let fresh = Lease::new(&store, claim, MINUTE, Instant::now());
        assert!(fresh.holds_for(MINUTE / 2).await.unwrap());
        assert!(ends_in().await < 6.0, "renewed without need");

        let old = Instant::now() - MINUTE * 11 / 12;
        let ending = Lease::new(&store, claim, MINUTE, old);
        assert!(ending.holds_for(MINUTE / 6).await.unwrap());
        assert!(ends_in().await > 6.0, "not renewed");
    }

    #[tokio::test]
    async fn a_worker_that_was_paused_past_its_lease_does_not_charge() {
        let database = testkit::database().await.unwrap();
        let (store, claim) = claimed(&database).await;
        let sql = database.connect().await.unwrap();
        sql.execute("UPDATE orders SET dispatch_after = now()", &[])
            .await
            .unwrap();
        assert_eq!(store.take_due(10).await.unwrap().len(), 1);
        let paused = Instant::now() - MINUTE * 2;
        let lost = Lease::new(&store, claim, MINUTE, paused);
        assert!(!lost.holds_for(MINUTE / 6).await.unwrap());
    }
}
