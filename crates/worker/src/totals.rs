//! Keeps the totals of all orders up to date, in the leader: see `Store::fold_totals`.

use std::time::Duration;

use service::{Next, every};
use store::{Store, StoreError, TotalsFold};
use tokio_util::sync::CancellationToken;

use crate::leadership::IsLeader;

/// Interval between two counts. The api uses totals that are at most 3 s old.
const INTERVAL: Duration = Duration::from_secs(2);
/// Orders that the watermark passes in one statement. A full batch is followed by the next one at once.
const BATCH: usize = 20_000;

/// Runs until `shutdown` is cancelled.
pub(crate) async fn keep_totals(store: &Store, is_leader: &IsLeader, shutdown: &CancellationToken) {
    let mut fold = TotalsFold::default();
    every(INTERVAL, shutdown, async || {
        if !is_leader.get() {
            fold = TotalsFold::default();
            return Next::AfterInterval;
        }
        match update(store, &mut fold).await {
            Ok(next) => next,
            Err(error) => {
                tracing::debug!(%error, "totals are not updated yet");
                Next::AfterInterval
            }
        }
    })
    .await;
}

/// While the watermark is far behind, as after the migration, counting what is beyond it would take long.
async fn update(store: &Store, fold: &mut TotalsFold) -> Result<Next, StoreError> {
    if store.fold_totals(fold, BATCH).await? {
        return Ok(Next::AtOnce);
    }
    store.store_totals().await?;
    Ok(Next::AfterInterval)
}
