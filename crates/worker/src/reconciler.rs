//! Dispatches every order that is due again: new ones whose job Redis lost, retries whose time has come, and orders whose worker
//! died. Many reconcilers may run; each takes other orders.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dispatch::{Announcer, Dispatcher};
use domain::OrderId;
use futures_util::{StreamExt, stream};
use queue::Epoch;
use store::{DueOrder, DueReason, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::sabotage;

/// How often it looks. Retries and recoveries are late by this at the most.
const INTERVAL: Duration = Duration::from_millis(500);
/// How many orders it takes with one statement.
const BATCH: i64 = 200;
/// How many jobs may wait before no more are put behind them: what is due keeps better in PostgreSQL, where it is not dispatched
/// twice.
const ENOUGH: u64 = 10_000;
/// How many dispatches are under way at the same time; they share one connection.
const PARALLEL: usize = 32;

pub(crate) struct Reconciler {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) announcer: Announcer,
    pub(crate) health: ReconcilerHealth,
}

/// Whether the last look succeeded, for readiness. Clones see the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReconcilerHealth(Arc<AtomicBool>);

impl ReconcilerHealth {
    pub(crate) fn is_working(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] queue::QueueError),
}

impl Reconciler {
    /// Runs until `shutdown` is cancelled.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) {
        let mut failing = false;
        let mut redis_lost_all = false;
        while !shutdown.is_cancelled() {
            let looked = self.look(&mut redis_lost_all).await;
            self.health.0.store(looked.is_ok(), Ordering::Relaxed);
            match looked {
                Ok(true) => continue,
                Ok(false) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    telemetry::log_warn!(error, "cannot reconcile");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Dispatches one batch; true where there may be more. While Redis is away nothing is taken, so nothing has to be given back.
    /// Redis tells only once that it lost everything, so `redis_lost_all` stays until PostgreSQL knows it too.
    async fn look(&self, redis_lost_all: &mut bool) -> Result<bool, ReconcileError> {
        *redis_lost_all |= self.dispatcher.queue().ensure_epoch().await? == Epoch::Created;
        if *redis_lost_all {
            let due = telemetry::span::untraced(self.store.dispatch_all_now()).await?;
            *redis_lost_all = false;
            tracing::warn!(
                orders = due,
                "Redis is empty: every pending order is due now"
            );
        }
        if sabotage::is_off("reconciler") {
            return Ok(false);
        }
        if self.dispatcher.queue().stats().await?.depth >= ENOUGH {
            return Ok(false);
        }
        // A look that finds nothing leaves no trace.
        let due = telemetry::span::untraced(self.store.take_due(BATCH)).await?;
        if due.is_empty() {
            return Ok(false);
        }
        let full = i64::try_from(due.len()).is_ok_and(|taken| taken == BATCH);
        self.dispatch_all(due).await;
        Ok(full)
    }

    #[tracing::instrument(name = "reconcile_orders", skip_all)]
    async fn dispatch_all(&self, due: Vec<DueOrder>) {
        let failed: usize = stream::iter(due)
            .map(|order| self.dispatch(order))
            .buffer_unordered(PARALLEL)
            .filter(|dispatched| std::future::ready(!dispatched))
            .count()
            .await;
        if failed > 0 {
            tracing::warn!(orders = failed, "not dispatched, due again now");
        }
    }

    /// Dispatches one order in the trace of the request that created it; false where that failed.
    async fn dispatch(&self, order: DueOrder) -> bool {
        if order.reason == DueReason::LeaseExpired {
            self.announce(order.id).await;
        }
        let parent = telemetry::propagation::extract(&order.trace.0);
        let (id, reason) = (order.id, order.reason.as_str());
        let dispatched = self
            .dispatcher
            .dispatch_again(&parent, order.into_job(), reason)
            .await;
        if dispatched.is_ok() {
            metrics::reconciled(reason);
        } else if let Err(error) = self.store.dispatch_now(id).await {
            telemetry::log_warn!(error, order.id = %id, "due only later");
        }
        dispatched.is_ok()
    }

    /// Tells whoever waits that the order is pending again. Should that fail, they are told at its next step.
    async fn announce(&self, id: OrderId) {
        match telemetry::span::untraced(self.store.find(id, None)).await {
            Ok(Some(order)) => self.announcer.announce(&order),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, order.id = %id, "not announced"),
        }
    }
}
