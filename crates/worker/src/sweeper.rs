//! Deletes what is of no more use: what finished jobs leave in Redis, which apalis never does, and idempotency keys that are past
//! their time.

use std::time::Duration;

use domain::ProcessOrder;
use queue::Queue;
use store::Store;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_secs(1);
/// Jobs a round; a few milliseconds of Redis' time.
const BATCH: usize = 1000;

/// How often old keys are looked for, and how many go at a time.
const KEYS_INTERVAL: Duration = Duration::from_secs(10);
const KEYS_BATCH: i64 = 1000;

/// Forgets old idempotency keys until `shutdown` is cancelled.
pub(crate) async fn forget_keys(store: &Store, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        match telemetry::span::untraced(store.forget_keys(KEYS_BATCH)).await {
            Ok(forgotten) if i64::try_from(forgotten).is_ok_and(|keys| keys >= KEYS_BATCH) => {
                continue;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "cannot forget keys"
                );
            }
        }
        tokio::select! {
            () = tokio::time::sleep(KEYS_INTERVAL) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Cleans Redis up until `shutdown` is cancelled.
pub(crate) async fn run(queue: &Queue<ProcessOrder>, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        match queue.clean_up(BATCH).await {
            Ok(deleted) if usize::try_from(deleted).is_ok_and(|deleted| deleted >= BATCH) => {
                continue;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "cannot clean up");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => {}
        }
    }
}
