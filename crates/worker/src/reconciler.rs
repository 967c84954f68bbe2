//! Dispatches every order that is due again: new ones whose job Redis lost, retries whose time has come, and orders whose worker
//! died. Many reconcilers may run; each takes other orders.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dispatch::{Dispatcher, Publisher};
use domain::{OrderId, ProcessOrder};
use futures_util::{StreamExt, stream};
use queue::{Enqueued, Epoch, Queue};
use store::{DueOrder, DueReason, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::sabotage;

/// How often it looks. Retries and recoveries are late by this at the most.
const INTERVAL: Duration = Duration::from_millis(500);
/// How many orders it takes with one statement. A look that took so many is followed by the next at once.
const BATCH: i64 = 200;
/// How many jobs may wait before no new orders are put behind them: what is due keeps better in PostgreSQL, where it is not
/// dispatched twice. No worker is idle for it: within an interval none processes so many.
const ENOUGH: u64 = 10_000;
/// How often orders that were attempted go past new ones, while so many wait: they are few, and finding them reads past all others.
const BETWEEN_PASSES: Duration = Duration::from_secs(5);
/// How many dispatches are under way at the same time; they share one connection.
const PARALLEL: usize = 32;

pub(crate) struct Reconciler {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) publisher: Publisher,
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

/// What a reconciler knows from one look to the next.
#[derive(Default)]
struct Memory {
    /// Redis tells one process alone that it lost everything, so this stays until PostgreSQL knows it too.
    redis_lost_all: bool,
    /// When the queue was too long for new orders and no others were left.
    passed_at: Option<Instant>,
}

/// A job that is to be put into the queue, and why.
type Due = (ProcessOrder, DueReason);

impl Reconciler {
    /// Runs until `shutdown` is cancelled.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) {
        let mut failing = false;
        let mut memory = Memory::default();
        while !shutdown.is_cancelled() {
            let looked = self.look(&mut memory).await;
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
    async fn look(&self, memory: &mut Memory) -> Result<bool, ReconcileError> {
        self.make_up_for_a_loss(&mut memory.redis_lost_all).await?;
        if sabotage::is_off("reconciler") {
            return Ok(false);
        }
        let crowded = self.queue().stats().await?.depth >= ENOUGH;
        let passed = memory.passed_at.map(|at| at.elapsed());
        if crowded && passed.is_some_and(|since| since < BETWEEN_PASSES) {
            return Ok(false);
        }
        let due = self.take(crowded).await?;
        let full = i64::try_from(due.len()).is_ok_and(|taken| taken == BATCH);
        memory.passed_at = (crowded && !full).then(Instant::now);
        let due = self.without_job(due).await;
        if !due.is_empty() {
            self.dispatch_all(due).await;
        }
        Ok(full)
    }

    /// Makes every pending order due where Redis lost its data. Redis is told only afterwards: a worker that dies before leaves it to
    /// the next one.
    async fn make_up_for_a_loss(&self, redis_lost_all: &mut bool) -> Result<(), ReconcileError> {
        *redis_lost_all |= self.queue().epoch().await? == Epoch::Missing;
        if *redis_lost_all {
            let due = telemetry::span::untraced(self.store.dispatch_all_now()).await?;
            self.queue().begin_epoch().await?;
            *redis_lost_all = false;
            tracing::warn!(orders = due, "Redis is empty: every pending order is due now");
        }
        Ok(())
    }

    /// A batch of what is due. A look that finds nothing leaves no trace.
    async fn take(&self, crowded: bool) -> Result<Vec<Due>, StoreError> {
        let taken = match crowded {
            false => telemetry::span::untraced(self.store.take_due(BATCH)).await?,
            true => telemetry::span::untraced(self.store.take_due_again(BATCH)).await?,
        };
        let due = |order: DueOrder| {
            let reason = order.reason;
            (order.into_job(), reason)
        };
        Ok(taken.into_iter().map(due).collect())
    }

    /// Leaves out those whose job waits already, so that no span and no count says that it was sent again. Where Redis does not
    /// answer, none is left out: dispatching them fails too, and gives them back.
    async fn without_job(&self, due: Vec<Due>) -> Vec<Due> {
        let ids: Vec<String> = due.iter().map(|(job, _)| job.job_id()).collect();
        let queued = self.queue().queued(&ids).await.unwrap_or_default();
        let mut queued = queued.into_iter();
        due.into_iter().filter(|_| queued.next() != Some(true)).collect()
    }

    #[tracing::instrument(name = "reconcile_orders", skip_all)]
    async fn dispatch_all(&self, due: Vec<Due>) {
        let undone: Vec<OrderId> = stream::iter(due)
            .map(|(job, reason)| self.dispatch(job, reason))
            .buffer_unordered(PARALLEL)
            .filter_map(std::future::ready)
            .collect()
            .await;
        if undone.is_empty() {
            return;
        }
        let orders = undone.len();
        match self.store.give_back(&undone).await {
            Ok(()) => tracing::warn!(orders, "not dispatched, due again now"),
            Err(error) => telemetry::log_warn!(error, orders, "not dispatched, due only later"),
        }
    }

    /// Dispatches one order in the trace of the request that created it; the order's id where that failed.
    async fn dispatch(&self, job: ProcessOrder, reason: DueReason) -> Option<OrderId> {
        let (id, parent) = (job.order_id, telemetry::propagation::extract(&job.trace.0));
        if reason == DueReason::LeaseExpired {
            self.publish(id).await;
        }
        let reason = reason.as_str();
        match self.dispatcher.dispatch_again(&parent, job, reason).await {
            Ok(Enqueued::New) => metrics::reconciled(reason),
            Ok(_) => {}
            Err(_) => return Some(id),
        }
        None
    }

    /// Tells whoever waits that the order is pending again. Should that fail, they are told at its next step.
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
mod tests {
    use domain::{CustomerId, NewOrder, Order, OrderDraft, TraceContext};
    use queue::QueueConfig;
    use store::{ClaimToken, StoreConfig};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A reconciler on an empty database and a queue of its own, and connections of the test's own.
    struct Shop {
        reconciler: Reconciler,
        sql: tokio_postgres::Client,
        _database: testkit::Database,
    }

    impl Shop {
        async fn open() -> Self {
            let database = testkit::database().await.unwrap();
            store::migrate(database.url()).await.unwrap();
            let redis = testkit::redis().await.unwrap();
            // A name that no other test has.
            let config = QueueConfig::new(redis.url(), OrderId::generate().to_string());
            let queue = Queue::connect(config).await.unwrap();
            Self {
                sql: database.connect().await.unwrap(),
                reconciler: Reconciler {
                    store: Store::new(StoreConfig::new(database.url(), "worker-test")).unwrap(),
                    publisher: Publisher::start(&queue),
                    dispatcher: Dispatcher::new(queue),
                    health: ReconcilerHealth::default(),
                },
                _database: database,
            }
        }

        /// As another worker does.
        async fn look_anew(&self) -> Result<bool, ReconcileError> {
            self.reconciler.look(&mut Memory::default()).await
        }

        /// An order that falls due in a minute.
        async fn order(&self) -> Order {
            let draft = r#"{"product_name":"Widget","amount":"10"}"#;
            let draft: OrderDraft = serde_json::from_str(draft).unwrap();
            let new: NewOrder = draft.validate().unwrap();
            let (id, trace) = (OrderId::generate(), TraceContext::default());
            let customer = CustomerId::anonymous();
            let created = self.reconciler.store.create(id, &customer, &new, &trace, MINUTE);
            created.await.unwrap()
        }

        async fn make_all_due(&self) {
            let due = "UPDATE orders SET dispatch_after = now() - interval '1 s'";
            self.sql.execute(due, &[]).await.unwrap();
        }

        async fn depth(&self) -> u64 {
            self.reconciler.queue().stats().await.unwrap().depth
        }

        /// Seconds until the order falls due.
        async fn due_in(&self, id: OrderId) -> f64 {
            let ask = "SELECT extract(epoch FROM dispatch_after - now())::float8 FROM orders WHERE id =";
            let ask = format!("{ask} '{id}'");
            let row = self.sql.query_one(&ask, &[]).await.unwrap();
            row.get(0)
        }

        fn key(&self, part: &str) -> String {
            format!("{}:{part}", self.reconciler.queue().name())
        }

        async fn redis(&self, command: &str, arguments: &[String]) {
            let mut command = redis::cmd(command);
            command.arg(arguments);
            let mut connection = self.reconciler.queue().connection();
            command.exec_async(&mut connection).await.unwrap();
        }
    }

    /// The order waits for its grace; only the loss of Redis' data makes it due. Who noticed that could not say so to PostgreSQL.
    #[tokio::test]
    async fn a_loss_that_was_noticed_in_vain_is_made_up_for_by_the_next_worker() {
        let shop = Shop::open().await;
        shop.order().await;
        let rename = async |from: &str, to: &str| {
            let rename = format!("ALTER TABLE {from} RENAME TO {to}");
            shop.sql.batch_execute(&rename).await.unwrap();
        };
        rename("orders", "orders_away").await;
        assert!(shop.look_anew().await.is_err());
        rename("orders_away", "orders").await;

        // For a while the loss is left to the worker that noticed it; here that one is gone.
        shop.look_anew().await.unwrap();
        assert_eq!(shop.depth().await, 0);
        shop.redis("DEL", &[shop.key("epoch:told")]).await;
        shop.look_anew().await.unwrap();
        assert_eq!(shop.depth().await, 1);
    }

    #[tokio::test]
    async fn a_worker_that_noticed_a_loss_goes_on_until_postgresql_knows_it() {
        let shop = Shop::open().await;
        shop.order().await;
        let mut memory = Memory::default();
        let broken = "ALTER TABLE orders RENAME TO orders_away";
        shop.sql.batch_execute(broken).await.unwrap();
        assert!(shop.reconciler.look(&mut memory).await.is_err());
        let mended = "ALTER TABLE orders_away RENAME TO orders";
        shop.sql.batch_execute(mended).await.unwrap();
        shop.reconciler.look(&mut memory).await.unwrap();
        assert_eq!(shop.depth().await, 1);
    }

    #[tokio::test]
    async fn past_a_queue_that_is_long_enough_go_only_orders_that_were_attempted() {
        let shop = Shop::open().await;
        shop.look_anew().await.unwrap();
        let (new, crashed) = (shop.order().await, shop.order().await);
        let (job, trace) = (crashed.next_job(), TraceContext::default());
        let token = ClaimToken::draw();
        let claim = shop.reconciler.store.claim(&job, token, &trace, MINUTE);
        let claim = claim.await;
        assert!(claim.unwrap().is_some());
        shop.make_all_due().await;
        let crowd = (0..ENOUGH).map(|n| format!("crowd-{n}"));
        let crowd: Vec<String> = std::iter::once(shop.key("active")).chain(crowd).collect();
        shop.redis("RPUSH", &crowd).await;

        shop.look_anew().await.unwrap();
        assert_eq!(shop.depth().await, ENOUGH + 1);
        assert!(shop.due_in(new.id).await < 0.0, "it was taken");
        assert!(shop.due_in(crashed.id).await > 0.0, "it was not taken");

        shop.redis("DEL", &crowd[..1]).await;
        shop.look_anew().await.unwrap();
        assert_eq!(shop.depth().await, 1);
        assert!(shop.due_in(new.id).await > 0.0, "it was not taken");
    }

    #[tokio::test]
    async fn an_order_whose_job_waits_is_not_sent_again() {
        let shop = Shop::open().await;
        shop.look_anew().await.unwrap();
        let (waits, lost) = (shop.order().await, shop.order().await);
        let job = waits.next_job();
        let enqueued = shop.reconciler.queue().enqueue(&job.job_id(), &job).await;
        assert_eq!(enqueued.unwrap(), Enqueued::New);
        shop.make_all_due().await;
        let due = shop.reconciler.take(false).await.unwrap();
        assert_eq!(due.len(), 2);
        let sent = shop.reconciler.without_job(due).await;
        let sent: Vec<OrderId> = sent.iter().map(|(job, _)| job.order_id).collect();
        assert_eq!(sent, [lost.id]);
    }

    #[tokio::test]
    async fn more_due_orders_than_a_batch_are_all_dispatched_once() {
        let shop = Shop::open().await;
        shop.look_anew().await.unwrap();
        let many = "INSERT INTO orders (id, amount, dispatch_after, customer, currency, payment_status, items) \
            SELECT gen_random_uuid(), 1, now(), 'ada', 'USD', 'not_required', '[]' FROM generate_series(1, 1050)";
        shop.sql.execute(many, &[]).await.unwrap();
        let mut looks = 1;
        while shop.look_anew().await.unwrap() {
            looks += 1;
        }
        assert_eq!((looks, shop.depth().await), (6, 1050));
    }
}
