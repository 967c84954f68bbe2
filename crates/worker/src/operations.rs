//! Executes the bulk operations of operators, in the leader: see `store::operations`. The reconciler
//! dispatches the orders that are retried.

use std::time::Duration;

use dispatch::Publisher;
use service::{Next, every};
use store::{Change, OperationBatch, Store, StoreError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::leadership::IsLeader;
use crate::metrics;

/// Interval between two looks for an operation.
const INTERVAL: Duration = Duration::from_secs(1);
/// Orders per batch, and the pause after a batch: at most 500 orders a second, a quarter of what one worker
/// processes.
const BATCH: usize = 100;
const BATCH_PAUSE: Duration = Duration::from_millis(200);
/// How long finished operations are stored.
const RETENTION: Duration = Duration::from_secs(90 * 86_400);
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// Name of the event.
const OPERATION_FINISHED: &str = "operation.finished";

/// Executes operations until `shutdown` is cancelled.
pub(crate) async fn execute_operations(
    store: &Store,
    publisher: &Publisher,
    is_leader: &IsLeader,
    shutdown: &CancellationToken,
) {
    every(INTERVAL, shutdown, async || {
        if !is_leader.get() {
            return Next::AfterInterval;
        }
        match store.execute_operation(BATCH).await {
            Ok(None) => Next::AfterInterval,
            Ok(Some(batch)) => {
                report(batch, publisher);
                shutdown.run_until_cancelled(sleep(BATCH_PAUSE)).await;
                Next::AtOnce
            }
            Err(error) => {
                log(&error);
                Next::AfterInterval
            }
        }
    })
    .await;
}

/// Deletes operations whose retention ended, until `shutdown` is cancelled.
pub(crate) async fn prune_operations(store: &Store, is_leader: &IsLeader, shutdown: &CancellationToken) {
    every(PRUNE_INTERVAL, shutdown, async || {
        if is_leader.get()
            && let Err(error) = telemetry::span::untraced(store.prune_operations(RETENTION)).await
        {
            tracing::debug!(%error, "operations are not pruned yet");
        }
        Next::AfterInterval
    })
    .await;
}

fn report(batch: OperationBatch, publisher: &Publisher) {
    for order in batch.orders {
        if batch.change == Change::Cancel {
            metrics::count_cancelled();
        }
        match order {
            Ok(order) => publisher.publish(&order),
            Err(error) => {
                metrics::count_unreadable();
                tracing::warn!(order.id = %error.id, "changed by an operation; this version cannot read its row");
            }
        }
    }
    if batch.finished {
        let operation = batch.operation;
        tracing::info!(
            name: OPERATION_FINISHED,
            {
                order.operation.id = %operation.id,
                order.operation.kind = operation.kind,
                order.actor = operation.actor,
            },
            "operation finished"
        );
    }
}

fn log(error: &StoreError) {
    if error.is_transient() {
        tracing::debug!(%error, "an operation is not executed yet");
    } else {
        telemetry::log_error!(*error, "cannot execute an operation");
    }
}

#[cfg(test)]
mod tests {
    use domain::{Actor, OrderStatus};
    use store::OrderFilter;

    use super::*;
    use crate::pause::follow_pause;
    use crate::shop::{MINUTE, Shop};

    #[tokio::test]
    async fn the_leader_executes_operations_and_another_worker_none() {
        let shop = Shop::open().await;
        let order = shop.order().await;
        let store = &shop.processor.store;
        let filter = OrderFilter {
            customer: Some(order.customer.clone()),
            ..OrderFilter::default()
        };
        let actor = Actor::Operator("ada".to_owned());
        let operation = store
            .start_operation(Change::Cancel, &filter, &actor)
            .await
            .unwrap();
        for leads in [false, true] {
            let (is_leader, shutdown) = (IsLeader::default(), CancellationToken::new());
            is_leader.set(leads);
            let execute = execute_operations(store, &shop.processor.publisher, &is_leader, &shutdown);
            // The first run has begun by then; shutdown does not interrupt it.
            tokio::join!(execute, async { shutdown.cancel() });
            let is_cancelled = shop.read(&order).await.status == OrderStatus::Cancelled;
            assert_eq!(is_cancelled, leads);
        }
        assert!(
            store
                .operation(operation.id)
                .await
                .unwrap()
                .unwrap()
                .finished_at
                .is_some()
        );
    }

    #[tokio::test]
    async fn a_pause_is_followed_and_its_state_holds_while_it_cannot_be_read() {
        let shop = Shop::open().await;
        let (store, shutdown) = (&shop.processor.store, CancellationToken::new());
        let pause = queue::Pause::default();
        store.pause(&Actor::System).await.unwrap();
        let follow = follow_pause(store, &pause, &shutdown);
        let check = async {
            testkit::eventually("the pause", MINUTE, async || pause.is_set().then_some(())).await;
            shop.sql
                .batch_execute("ALTER TABLE queue_state RENAME TO gone")
                .await
                .unwrap();
            assert!(store.queue_state().await.is_err());
            assert!(pause.is_set());
            shop.sql
                .batch_execute("ALTER TABLE gone RENAME TO queue_state")
                .await
                .unwrap();
            store.resume(&Actor::System).await.unwrap();
            testkit::eventually("its end", MINUTE, async || (!pause.is_set()).then_some(())).await;
            shutdown.cancel();
        };
        tokio::join!(follow, check);
    }
}
