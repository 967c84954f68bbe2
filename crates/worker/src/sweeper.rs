//! Deletes finished jobs from Redis, which apalis never does, and expired idempotency keys from PostgreSQL.

use std::time::Duration;

use domain::ProcessOrder;
use queue::Queue;
use service::{Next, every};
use store::Store;
use tokio_util::sync::CancellationToken;

const JOBS_INTERVAL: Duration = Duration::from_secs(1);
/// Jobs per run; a few milliseconds of Redis' time.
const JOBS_BATCH: usize = 1000;
const KEYS_INTERVAL: Duration = Duration::from_secs(10);
const KEYS_BATCH: usize = 1000;

/// Deletes finished jobs until `shutdown` is cancelled.
pub(crate) async fn delete_finished_jobs(queue: &Queue<ProcessOrder>, shutdown: &CancellationToken) {
    every(JOBS_INTERVAL, shutdown, async || {
        let deleted = queue.clean_up(JOBS_BATCH).await;
        next(deleted.map(|deleted| deleted >= JOBS_BATCH))
    })
    .await;
}

/// Deletes idempotency keys whose retention ended, until `shutdown` is cancelled.
pub(crate) async fn delete_expired_keys(store: &Store, shutdown: &CancellationToken) {
    every(KEYS_INTERVAL, shutdown, async || {
        let deleted = telemetry::span::untraced(store.delete_expired_keys(KEYS_BATCH)).await;
        next(deleted.map(|deleted| deleted >= KEYS_BATCH))
    })
    .await;
}

/// A full batch is followed by the next one at once.
fn next<E: std::error::Error>(full: Result<bool, E>) -> Next {
    match full {
        Ok(true) => return Next::AtOnce,
        Ok(false) => {}
        Err(error) => tracing::debug!(%error, "clean-up failed and is retried"),
    }
    Next::AfterInterval
}
