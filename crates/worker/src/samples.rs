//! Writes the samples for the console's charts, in the leader: see `store::samples`.

use std::time::Duration;

use domain::ProcessOrder;
use queue::Queue;
use service::{Next, every};
use store::{SampledState, Store};
use tokio_util::sync::CancellationToken;

use crate::leadership::IsLeader;
use crate::metrics::LatestUnfinished;
use crate::payment::Gateway;

/// A sample is written at most so long after its time. Each look costs an index lookup, and a sample of
/// 10,000 orders some 30 ms.
const INTERVAL: Duration = Duration::from_secs(2);

/// Runs until `shutdown` is cancelled.
pub(crate) async fn write_samples(
    store: &Store,
    queue: &Queue<ProcessOrder>,
    gateway: Option<&Gateway>,
    unfinished: &LatestUnfinished,
    is_leader: &IsLeader,
    shutdown: &CancellationToken,
) {
    every(INTERVAL, shutdown, async || {
        if !is_leader.get() {
            return Next::AfterInterval;
        }
        let state = state(queue, gateway, unfinished).await;
        match store.write_sample(state.as_ref()).await {
            Ok(true) => Next::AtOnce,
            Ok(false) => Next::AfterInterval,
            Err(error) => {
                tracing::debug!(%error, "a sample is not written yet");
                Next::AfterInterval
            }
        }
    })
    .await;
}

/// The state of the system now; `None` before the first count of unfinished orders.
async fn state(
    queue: &Queue<ProcessOrder>,
    gateway: Option<&Gateway>,
    unfinished: &LatestUnfinished,
) -> Option<SampledState> {
    let (unfinished, paused) = unfinished.get()?;
    let stats = queue.stats().await.ok();
    Some(SampledState {
        waiting_for_gateway: unfinished.waiting_for_gateway,
        waiting_for_backoff: unfinished.in_backoff,
        waiting_for_dispatch: unfinished.waiting_for_dispatch,
        paused,
        oldest_age: unfinished.oldest_age().as_secs_f64(),
        waiting_jobs: stats.and_then(|stats| stats.depth.try_into().ok()),
        gateway_available: gateway.map(Gateway::is_available),
    })
}
