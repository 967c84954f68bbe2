//! Keeps a claim alive while its attempt works. An attempt whose lease was lost is dropped: another worker has the order.

use std::time::Duration;

use domain::Order;
use store::Store;
use telemetry::exception;

use super::attempt::Outcome;

/// Runs `attempt`, and renews the lease three times in its length.
pub(super) async fn hold(
    store: &Store,
    order: &Order,
    lease: Duration,
    attempt: impl Future<Output = Outcome>,
) -> Outcome {
    tokio::select! {
        outcome = attempt => outcome,
        () = until_lost(store, order, lease) => Outcome::LeaseLost,
    }
}

/// Until somebody else has the order. A store that does not answer is no proof of that: fencing decides in the end.
async fn until_lost(store: &Store, order: &Order, lease: Duration) {
    loop {
        tokio::time::sleep(lease / 3).await;
        match store.renew(order.id, order.attempt, lease).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(order.id = %order.id, exception.type = exception::type_of(&error), error = exception::of(&error), "the lease was not renewed");
            }
        }
    }
}
