//! Deletes what is no longer needed: finished jobs in Redis, which apalis never does, and in PostgreSQL
//! expired idempotency keys and orders past their retention. The leader alone does so.

use std::time::Duration;

use domain::ProcessOrder;
use queue::Queue;
use service::{Next, every};
use store::{Prune, Store};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::leadership::IsLeader;

const JOBS_INTERVAL: Duration = Duration::from_secs(1);
/// Jobs per run; a few milliseconds of Redis' time.
const JOBS_BATCH: usize = 1000;
const KEYS_INTERVAL: Duration = Duration::from_secs(10);
const KEYS_BATCH: usize = 1000;
/// At most 2,000 orders per second: a batch takes some 50 ms of PostgreSQL's time.
const PRUNE_INTERVAL: Duration = Duration::from_millis(500);
const PRUNE_BATCH: usize = 1000;
/// Pause after a pass that found no more orders.
const PRUNE_PAUSE: Duration = Duration::from_secs(10);

/// Deletes finished jobs until `shutdown` is cancelled.
pub(crate) async fn delete_finished_jobs(
    queue: &Queue<ProcessOrder>,
    is_leader: &IsLeader,
    shutdown: &CancellationToken,
) {
    every(JOBS_INTERVAL, shutdown, async || {
        if !is_leader.get() {
            return Next::AfterInterval;
        }
        let deleted = queue.clean_up(JOBS_BATCH).await;
        next(deleted.map(|deleted| deleted >= JOBS_BATCH))
    })
    .await;
}

/// Deletes idempotency keys whose retention ended, until `shutdown` is cancelled.
pub(crate) async fn delete_expired_keys(store: &Store, is_leader: &IsLeader, shutdown: &CancellationToken) {
    every(KEYS_INTERVAL, shutdown, async || {
        if !is_leader.get() {
            return Next::AfterInterval;
        }
        let deleted = telemetry::span::untraced(store.delete_expired_keys(KEYS_BATCH)).await;
        next(deleted.map(|deleted| deleted >= KEYS_BATCH))
    })
    .await;
}

/// Deletes final orders that are older than `retention`, until `shutdown` is cancelled. Without one, it keeps
/// all.
pub(crate) async fn prune_orders(
    store: &Store,
    retention: Option<Duration>,
    is_leader: &IsLeader,
    shutdown: &CancellationToken,
) {
    let Some(retention) = retention else {
        return;
    };
    let mut pass = Prune::older_than(retention);
    let mut pruned = 0_usize;
    every(PRUNE_INTERVAL, shutdown, async || {
        if !is_leader.get() {
            return Next::AfterInterval;
        }
        match telemetry::span::untraced(store.prune(&mut pass, PRUNE_BATCH)).await {
            Ok(deleted) => {
                pruned += deleted;
                if deleted == PRUNE_BATCH {
                    return Next::AfterInterval;
                }
            }
            Err(error) => tracing::debug!(%error, "orders are not pruned yet"),
        }
        if pruned > 0 {
            tracing::info!("pruned {pruned} final orders past their retention");
        }
        pruned = 0;
        pass = Prune::older_than(retention);
        shutdown.run_until_cancelled(sleep(PRUNE_PAUSE)).await;
        Next::AtOnce
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::Shop;

    #[tokio::test]
    async fn only_the_leader_prunes_orders_past_their_retention() {
        let shop = Shop::open().await;
        let (old, new) = (shop.order().await, shop.order().await);
        let is_final = |age| {
            format!(
                "status = 'completed', payment_status = 'not_required', payment_method = NULL, \
                 dispatch_after = NULL, completed_at = now() - interval '{age}'"
            )
        };
        shop.update(&old, &is_final("91 d")).await;
        shop.update(&new, &is_final("89 d")).await;
        let retention = Some(Duration::from_secs(90 * 86_400));
        let is_leader = IsLeader::default();
        for (leads, left) in [(false, 2), (true, 1)] {
            is_leader.set(leads);
            let shutdown = CancellationToken::new();
            let prune = prune_orders(&shop.processor.store, retention, &is_leader, &shutdown);
            // The first run has begun by then; shutdown does not interrupt it.
            tokio::join!(prune, async { shutdown.cancel() });
            let count = shop.sql.query_one("SELECT count(*) FROM orders", &[]).await;
            assert_eq!(count.unwrap().get::<_, i64>(0), left, "leads: {leads}");
        }
        assert_eq!(shop.read(&new).await.id, new.id);
    }
}
