//! Dispatches every due order again: new orders whose job Redis lost, retries whose backoff has ended, and
//! orders whose worker died. One worker at a time does so. If two do for a moment, as when the leader was
//! paused, no two take the same order.

mod looks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dispatch::{Dispatcher, Publisher};
use domain::{OrderId, ProcessOrder};
use futures_util::{StreamExt, stream};
use queue::{Enqueued, Epoch, Pause, Queue};
use service::{Next, every};
use store::{DueOrder, DueReason, Store, StoreError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::leadership::{IsLeader, Leadership};
use crate::metrics;
use looks::Looks;

/// Interval between polls of PostgreSQL: the maximum delay of a due retry or recovery.
const INTERVAL: Duration = Duration::from_millis(500);
/// Maximum number of orders per statement. A full batch is followed by the next poll at once.
const BATCH: usize = 200;
/// From this queue depth on, only orders that were attempted before are dispatched. New ones wait in
/// PostgreSQL, where they cannot be dispatched twice. No worker processes so many jobs within an interval.
const MAX_DEPTH_FOR_NEW_ORDERS: u64 = 10_000;
/// From this lag on, the api must not dispatch new orders: those that are due in PostgreSQL go first.
const MAX_LAG: Duration = Duration::from_secs(2);
/// How long the api obeys without a confirmation, as when the reconciler dies.
const OLDER_JOBS_TTL: Duration = Duration::from_secs(10);
/// Between the clocks of PostgreSQL and Redis, for orders whose jobs Redis lost. Those of a larger difference
/// wait for ORDER_DISPATCH_GRACE.
const MAX_CLOCK_SKEW: Duration = Duration::from_millis(100);
/// Maximum number of concurrent dispatches; they share one connection.
const CONCURRENCY: usize = 32;

pub(crate) struct Reconciler {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) publisher: Publisher,
    pub(crate) health: ReconcilerHealth,
    pub(crate) is_leader: IsLeader,
    /// While it is set, no order is dispatched.
    pub(crate) pause: Pause,
}

/// Whether the last poll of the leader, or the last check of a worker that stands by, succeeded: for
/// readiness. Shared by all clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReconcilerHealth(Arc<AtomicBool>);

impl ReconcilerHealth {
    pub(crate) fn is_working(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set_working(&self, working: bool) {
        self.0.store(working, Ordering::Relaxed);
    }
}

#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] queue::QueueError),
}

/// The state that a reconciler carries from one poll to the next.
#[derive(Default)]
struct State {
    /// Redis lost the jobs of orders that were created before this time, and PostgreSQL does not know it yet.
    /// Kept here because the queue reports a loss to one process only.
    lost_before: Option<DateTime<Utc>>,
    attempted: Looks,
    others: Looks,
}

/// Why an order is due, and its next job.
type Due = (DueReason, ProcessOrder);

impl Reconciler {
    /// Runs until `shutdown` is cancelled. A failed poll is followed by a pause as long as it took, besides
    /// the interval: a statement that ran into its timeout is not repeated at once.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) {
        let mut failing = false;
        let mut state = State::default();
        let mut leadership = Leadership::new(self.store.clone(), self.is_leader.clone());
        every(INTERVAL, shutdown, async || {
            let begun_at = Instant::now();
            let polled = self.poll_as_leader(&mut leadership, &mut state).await;
            self.health.set_working(polled.is_ok());
            if let Err(error) = &polled {
                if !failing {
                    telemetry::log_warn!(error, "cannot reconcile");
                }
                let pause = sleep(begun_at.elapsed());
                shutdown.run_until_cancelled(pause).await;
            }
            failing = polled.is_err();
            polled.unwrap_or(Next::AfterInterval)
        })
        .await;
        leadership.resign().await;
    }

    async fn poll_as_leader(
        &self,
        leadership: &mut Leadership,
        state: &mut State,
    ) -> Result<Next, ReconcileError> {
        if leadership.check().await? {
            self.poll(state).await
        } else {
            Ok(Next::AfterInterval)
        }
    }

    /// Dispatches a batch of attempted orders, and one of others while the queue has room for them. Takes no
    /// orders while Redis is unavailable, so that none have to be given back.
    async fn poll(&self, state: &mut State) -> Result<Next, ReconcileError> {
        self.recover_from_data_loss(&mut state.lost_before).await?;
        if self.pause.is_set() {
            // Everything that became due meanwhile is read at the end of the pause.
            (state.attempted, state.others) = Default::default();
            return Ok(Next::AfterInterval);
        }
        let has_room = self.queue().depth().await? < MAX_DEPTH_FOR_NEW_ORDERS;
        let take_attempted = async |age| self.store.take_due_attempted(age, BATCH).await;
        let attempted = self.look(&mut state.attempted, take_attempted).await?;
        let others = if has_room {
            let take = async |age| self.store.take_due_within(age, BATCH).await;
            self.look(&mut state.others, take).await?
        } else {
            Next::AfterInterval
        };
        let may_lag = !has_room || others == Next::AtOnce;
        let lags = may_lag && self.store.oldest_due().await?.is_some_and(|lag| lag > MAX_LAG);
        self.queue()
            .set_older_jobs_wait(lags.then_some(OLDER_JOBS_TTL))
            .await?;
        Ok(if attempted == Next::AtOnce {
            attempted
        } else {
            others
        })
    }

    /// Dispatches the orders that `take` takes; its argument is how long they may have been due. Untraced as
    /// long as it finds none, as in most polls.
    async fn look(
        &self,
        looks: &mut Looks,
        take: impl AsyncFnOnce(Duration) -> Result<Vec<DueOrder>, StoreError>,
    ) -> Result<Next, ReconcileError> {
        let began = Instant::now();
        let (reach, age) = looks.next(began);
        let taken = telemetry::span::untraced(take(age)).await?;
        let full = taken.len() == BATCH;
        let due = taken
            .into_iter()
            .map(|order| (order.reason, order.into_job()))
            .collect();
        let due = self.without_job(due).await;
        if !due.is_empty() {
            self.dispatch_all(due).await;
        }
        if full {
            return Ok(Next::AtOnce);
        }
        looks.took_all(began, reach);
        Ok(Next::AfterInterval)
    }

    /// Makes pending orders due if Redis lost their jobs. Begins the new epoch only afterwards: if this
    /// worker dies before, another one recovers.
    async fn recover_from_data_loss(
        &self,
        lost_before: &mut Option<DateTime<Utc>>,
    ) -> Result<(), ReconcileError> {
        if let Epoch::Missing { jobs_since } = self.queue().epoch().await? {
            // A time that is too early leaves an order to its grace; one that is too late costs a look-up.
            let before = jobs_since.map_or(DateTime::<Utc>::MAX_UTC, |since| (since + MAX_CLOCK_SKEW).into());
            *lost_before = Some(before);
        }
        if let Some(before) = *lost_before {
            let due = telemetry::span::untraced(self.store.dispatch_all_now(before)).await?;
            self.queue().begin_epoch().await?;
            *lost_before = None;
            tracing::warn!("Redis lost its data: {due} orders whose job it may have had are due now");
        }
        Ok(())
    }

    /// Removes orders whose job already waits, so that they are neither traced nor counted as dispatched
    /// again. If Redis does not respond, none is removed: then the dispatch fails too, and gives them back.
    async fn without_job(&self, due: Vec<Due>) -> Vec<Due> {
        let ids: Vec<String> = due.iter().map(|(_, job)| job.job_id()).collect();
        let queued = self.queue().queued(&ids).await.unwrap_or_default();
        let mut queued = queued.into_iter();
        due.into_iter().filter(|_| queued.next() != Some(true)).collect()
    }

    #[tracing::instrument(name = "reconcile_orders", skip_all)]
    async fn dispatch_all(&self, due: Vec<Due>) {
        let failed: Vec<OrderId> = stream::iter(due)
            .map(|(reason, job)| self.dispatch(job, reason))
            .buffer_unordered(CONCURRENCY)
            .filter_map(std::future::ready)
            .collect()
            .await;
        if failed.is_empty() {
            return;
        }
        let orders = failed.len();
        match self.store.give_back(&failed).await {
            Ok(()) => tracing::warn!("{orders} orders not dispatched, due again now"),
            Err(error) => telemetry::log_warn!(error, "{orders} orders not dispatched, due only later"),
        }
    }

    /// Dispatches one order in the trace of the request that created it. Returns the order's id if that
    /// failed.
    async fn dispatch(&self, job: ProcessOrder, reason: DueReason) -> Option<OrderId> {
        let (id, parent) = (job.order_id, telemetry::propagation::extract(&job.trace.0));
        if reason == DueReason::LeaseExpired {
            self.publish(id).await;
        }
        let reason = reason.as_str();
        match self.dispatcher.dispatch_again(&parent, job, reason).await {
            Ok(Enqueued::New) => metrics::count_reconciled(reason),
            Ok(_) => {}
            Err(_) => return Some(id),
        }
        None
    }

    /// Publishes that the order is pending again. If that fails, subscribers learn of it with the next event.
    async fn publish(&self, id: OrderId) {
        match telemetry::span::untraced(self.store.find(id, None)).await {
            Ok(Some(order)) => self.publisher.publish(&order),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, order.id = %id, "event not published"),
        }
    }

    fn queue(&self) -> &Queue<ProcessOrder> {
        self.dispatcher.queue()
    }
}

#[cfg(test)]
mod tests;
