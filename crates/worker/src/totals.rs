//! Keeps the totals of all orders up to date, in the leader: see `Store::fold_totals`.

use std::time::{Duration, Instant};

use service::{Next, every};
use store::{Store, StoreError, TotalsFold};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::leadership::IsLeader;

/// Interval between two counts. The api uses totals that are at most 3 s old.
const INTERVAL: Duration = Duration::from_secs(2);
/// Beside the interval, a count is followed by a pause ten times as long as it took, up to a minute: with
/// 2 million unfinished orders it takes 3.5 s. The api uses the totals for as long.
const REST_PER_COST: u32 = 10;
const MAX_REST: Duration = Duration::from_secs(60);
/// Orders that the watermark passes in one statement. A full batch is followed by the next one at once.
const BATCH: usize = 20_000;

/// Runs until `shutdown` is cancelled.
pub(crate) async fn keep_totals(store: &Store, is_leader: &IsLeader, shutdown: &CancellationToken) {
    let mut fold = TotalsFold::default();
    let mut took = Duration::ZERO;
    every(INTERVAL, shutdown, async || {
        if !is_leader.get() {
            fold = TotalsFold::default();
            return Next::AfterInterval;
        }
        match update(store, &mut fold, &mut took).await {
            Ok(Next::AfterInterval) => {
                shutdown.run_until_cancelled(sleep(rest(took))).await;
            }
            Ok(Next::AtOnce) => return Next::AtOnce,
            Err(error) => tracing::debug!(%error, "totals are not updated yet"),
        }
        Next::AfterInterval
    })
    .await;
}

/// While the watermark is far behind, as after the migration, counting what is beyond it would take long.
async fn update(store: &Store, fold: &mut TotalsFold, took: &mut Duration) -> Result<Next, StoreError> {
    if store.fold_totals(fold, BATCH).await? {
        return Ok(Next::AtOnce);
    }
    let began = Instant::now();
    store.store_totals(rest(*took)).await?;
    *took = began.elapsed();
    Ok(Next::AfterInterval)
}

fn rest(took: Duration) -> Duration {
    (took * REST_PER_COST).min(MAX_REST)
}
