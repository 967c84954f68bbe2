//! Deletes what finished jobs leave in Redis, which apalis never does.

use std::time::Duration;

use domain::ProcessOrder;
use queue::Queue;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_secs(1);
/// Jobs a round; a few milliseconds of Redis' time.
const BATCH: usize = 1000;

/// Runs until `shutdown` is cancelled.
pub(crate) async fn run(queue: &Queue<ProcessOrder>, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        match queue.clean_up(BATCH).await {
            Ok(deleted) if usize::try_from(deleted).is_ok_and(|deleted| deleted >= BATCH) => {
                continue;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "cannot clean up")
            }
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => {}
        }
    }
}
