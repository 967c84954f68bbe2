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
                    telemetry::log_warn!(error, order.id = %self.id, "the lease was not renewed");
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

#[cfg(test)]
mod tests {
    use domain::{CustomerId, OrderDraft, TraceContext};
    use store::{Claim, ClaimToken, StoreConfig};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A claimed order, and a connection of the test's own.
    async fn claimed(database: &testkit::Database) -> (Store, Order) {
        store::migrate(database.url()).await.unwrap();
        let store = Store::new(StoreConfig::new(database.url(), "worker-test")).unwrap();
        let draft = r#"{"product_name":"Widget","amount":"10","payment_method":"credit_card"}"#;
        let draft: OrderDraft = serde_json::from_str(draft).unwrap();
        let (id, trace) = (OrderId::generate(), TraceContext::default());
        let new = draft.validate().unwrap();
        let customer = CustomerId::anonymous();
        let created = store.create(id, &customer, &new, &trace, MINUTE).await;
        let job = created.unwrap().next_job();
        let Claim { order, .. } = store
            .claim(&job, ClaimToken::draw(), &trace, MINUTE)
            .await
            .unwrap()
            .unwrap();
        (store, order)
    }

    #[tokio::test]
    async fn a_lease_that_ends_too_soon_for_a_charge_is_renewed_first() {
        let database = testkit::database().await.unwrap();
        let (store, order) = claimed(&database).await;
        let sql = database.connect().await.unwrap();
        let ends_in = async || -> f64 {
            const ENDS: &str = "SELECT extract(epoch FROM dispatch_after - now())::float8 FROM orders";
            sql.query_one(ENDS, &[]).await.unwrap().get(0)
        };
        sql.execute("UPDATE orders SET dispatch_after = now() + interval '5 s'", &[])
            .await
            .unwrap();

        let fresh = Lease::new(store.clone(), &order, MINUTE, Instant::now());
        assert!(fresh.holds_for(MINUTE / 2).await.unwrap());
        assert!(ends_in().await < 6.0, "renewed without need");

        let old = Instant::now() - MINUTE * 11 / 12;
        let ending = Lease::new(store, &order, MINUTE, old);
        assert!(ending.holds_for(MINUTE / 6).await.unwrap());
        assert!(ends_in().await > 6.0, "not renewed");
    }

    #[tokio::test]
    async fn a_worker_that_was_paused_past_its_lease_does_not_charge() {
        let database = testkit::database().await.unwrap();
        let (store, order) = claimed(&database).await;
        let sql = database.connect().await.unwrap();
        sql.execute("UPDATE orders SET dispatch_after = now()", &[])
            .await
            .unwrap();
        assert_eq!(store.take_due(10).await.unwrap().len(), 1);
        let paused = Instant::now() - MINUTE * 2;
        let lost = Lease::new(store, &order, MINUTE, paused);
        assert!(!lost.holds_for(MINUTE / 6).await.unwrap());
    }
}
