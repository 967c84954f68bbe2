//! Follows whether an operator paused the queue. While PostgreSQL is unavailable, the last known state holds.

use std::time::Duration;

use queue::Pause;
use service::{Next, every};
use store::Store;
use tokio_util::sync::CancellationToken;

/// Interval of the reads: an index lookup, which makes no span. A pause takes effect within 2 s.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs until `shutdown` is cancelled.
pub(crate) async fn follow_pause(store: &Store, pause: &Pause, shutdown: &CancellationToken) {
    let mut reported = false;
    every(INTERVAL, shutdown, async || {
        match store.queue_state().await {
            Ok(state) => {
                let paused = state.is_paused();
                pause.set(paused);
                if paused != reported {
                    tracing::info!("the queue is {}", if paused { "paused" } else { "resumed" });
                    reported = paused;
                }
            }
            Err(error) => tracing::debug!(%error, "cannot read whether the queue is paused"),
        }
        Next::AfterInterval
    })
    .await;
}
