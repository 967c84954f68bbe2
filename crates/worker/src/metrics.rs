//! The worker's metrics: final orders, jobs dispatched again, and the length of the queue.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{FailureCode, Order, OrderStatus, ProcessOrder};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use queue::{Pause, Queue};
use service::{Next, every};
use store::{Store, Unfinished};
use telemetry::metrics::{counter, gauge, histogram, observe};
use telemetry::names;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::leadership::IsLeader;
use crate::payment::Gateway;

/// Interval of the queue gauges. Each time costs one round trip to Redis and, on the leader, one statement
/// that an index serves.
const INTERVAL: Duration = Duration::from_secs(2);
/// Interval at which the leader reads the orders that are not final. Up to 0.2 s of PostgreSQL's time with
/// 100,000 of them.
const ORDERS_INTERVAL: Duration = Duration::from_secs(5);
/// Beside the interval, a read of the orders is followed by a pause ten times as long as it took.
const REST_PER_COST: u32 = 10;
/// Seconds: from one fast attempt to many attempts that are minutes apart.
const PROCESSING_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

static COMPLETED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("orders.completed", "{order}", "Orders that were completed."));
static CANCELLED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("orders.cancelled", "{order}", "Orders that were cancelled."));
static FAILED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("orders.failed", "{order}", "Orders that failed for good."));
static PROCESSING_DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    let what = "From an order's creation to its final state.";
    histogram("orders.processing.duration", "s", what, PROCESSING_BUCKETS)
});
static UNREADABLE: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let what = "Orders that were left for another version of the program, which can read them.";
    counter("orders.unreadable", "{order}", what)
});
static RECONCILED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let what = "Jobs that were dispatched again because their orders fell due.";
    counter("queue.reconciled", "{message}", what)
});

/// Counts an order that its attempt brought into a final state.
pub(crate) fn count_final(order: &Order) {
    match (order.status, &order.failure) {
        (OrderStatus::Completed, _) => COMPLETED.add(1, &[]),
        (OrderStatus::Failed, Some(failure)) => count_failed(&failure.code),
        _ => return,
    }
    // Both times are by PostgreSQL's clock.
    let took = order.completed_at.map(|end| end - order.created_at);
    if let Some(Ok(took)) = took.map(|took| took.to_std()) {
        PROCESSING_DURATION.record(took.as_secs_f64(), &[]);
    }
}

fn count_failed(code: &FailureCode) {
    FAILED.add(1, &[KeyValue::new("order.failure.code", code.label())]);
}

/// Counts an order that an operation cancelled.
pub(crate) fn count_cancelled() {
    CANCELLED.add(1, &[]);
}

/// Counts an order whose row this version cannot read.
pub(crate) fn count_unreadable() {
    UNREADABLE.add(1, &[]);
}

/// Counts a job that the reconciler dispatched, by the reason why its order was due.
pub(crate) fn count_reconciled(reason: &'static str) {
    RECONCILED.add(1, &[KeyValue::new(names::QUEUE_REASON, reason)]);
}

/// Updates the queue gauges until `shutdown` is cancelled. While Redis or PostgreSQL is unavailable they keep
/// their last values.
pub(crate) async fn watch_queue(
    queue: &Queue<ProcessOrder>,
    store: &Store,
    is_leader: &IsLeader,
    shutdown: &CancellationToken,
) {
    let gauges = Gauges::new();
    every(INTERVAL, shutdown, async || {
        let store = is_leader.get().then_some(store);
        gauges.update(queue, store).await;
        Next::AfterInterval
    })
    .await;
}

/// Updates the gauges of the payment gateway until `shutdown` is cancelled.
pub(crate) async fn watch_gateway(gateway: Option<&Gateway>, shutdown: &CancellationToken) {
    let Some(gateway) = gateway else {
        return;
    };
    let what = "1 if orders are charged, 0 while the circuit breaker is open.";
    let available = gauge("payment.gateway.available", "1", what);
    let what = "Requests to the payment gateway that this worker allows itself; absent while unlimited.";
    let rate = gauge("payment.gateway.rate", "{request}/s", what);
    every(INTERVAL, shutdown, async || {
        available.record(f64::from(u8::from(gateway.is_available())), &[]);
        if let Some(allowed) = gateway.rate() {
            rate.record(allowed, &[]);
        }
        Next::AfterInterval
    })
    .await;
}

/// The leader's latest count, and whether the queue was paused then; `None` of another worker. Shared by all
/// clones.
#[derive(Clone, Default)]
pub(crate) struct LatestUnfinished(Arc<Mutex<Option<(Unfinished, bool)>>>);

impl LatestUnfinished {
    pub(crate) fn get(&self) -> Option<(Unfinished, bool)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, latest: Option<(Unfinished, bool)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = latest;
    }
}

type ReadUnfinished = fn(&(Unfinished, bool)) -> f64;

/// Updates the gauges of orders that are not final, until `shutdown` is cancelled. Only the leader exports
/// them, so that the fleet reads them once.
pub(crate) async fn watch_orders(
    store: &Store,
    is_leader: &IsLeader,
    pause: &Pause,
    latest: &LatestUnfinished,
    shutdown: &CancellationToken,
) {
    observe_unfinished(latest);
    every(ORDERS_INTERVAL, shutdown, async || {
        let began = Instant::now();
        let unfinished = if is_leader.get() {
            store.unfinished().await.ok()
        } else {
            None
        };
        latest.set(unfinished.map(|unfinished| (unfinished, pause.is_set())));
        let rest = sleep(began.elapsed() * REST_PER_COST);
        shutdown.run_until_cancelled(rest).await;
        Next::AfterInterval
    })
    .await;
}

fn observe_unfinished(latest: &LatestUnfinished) {
    let read = |value: ReadUnfinished| {
        let latest = latest.clone();
        move || latest.get().as_ref().map(value)
    };
    let age = "Age of the oldest order that is not final, in PostgreSQL.";
    let oldest_age = read(|(unfinished, _)| unfinished.oldest_age().as_secs_f64());
    observe("orders.unfinished.age", "s", age, Vec::new(), oldest_age);
    let waiting: [(&str, ReadUnfinished); 4] = [
        ("gateway", |(unfinished, _)| {
            number(unfinished.waiting_for_gateway)
        }),
        ("backoff", |(unfinished, _)| number(unfinished.in_backoff)),
        ("dispatch", |(unfinished, paused)| {
            if *paused {
                0.0
            } else {
                number(unfinished.waiting_for_dispatch)
            }
        }),
        ("paused", |(unfinished, paused)| {
            if *paused {
                number(unfinished.waiting_for_dispatch)
            } else {
                0.0
            }
        }),
    ];
    for (reason, count) in waiting {
        let description = "Pending orders, by what they wait for. At 100,000 in all: at least that many.";
        let reason = vec![KeyValue::new("order.waiting.reason", reason)];
        observe("orders.waiting", "{order}", description, reason, read(count));
    }
}

struct Gauges {
    depth: Gauge<f64>,
    in_flight: Gauge<f64>,
    /// The maximum of the oldest job's age in Redis and of the time since the oldest due order was due in
    /// PostgreSQL (the reconciler's lag, from the worker that reconciles). While `queue.depth` is 0 it is the
    /// lag alone.
    oldest_age: Gauge<f64>,
}

impl Gauges {
    fn new() -> Self {
        Self {
            depth: gauge("queue.depth", "{message}", "Jobs that wait."),
            in_flight: gauge(
                "queue.in_flight",
                "{message}",
                "Jobs that a worker has and did not finish yet.",
            ),
            oldest_age: gauge(
                "queue.oldest_age",
                "s",
                "Age of the oldest job in Redis, or lag of the oldest due order in PostgreSQL that has none.",
            ),
        }
    }

    /// Only the leader passes its store: it alone can shorten PostgreSQL's lag.
    async fn update(&self, queue: &Queue<ProcessOrder>, store: Option<&Store>) {
        let oldest_due = async {
            match store {
                Some(store) => store.oldest_due().await,
                None => Ok(None),
            }
        };
        let (stats, due) = tokio::join!(queue.stats(), oldest_due);
        if let Ok(stats) = &stats {
            self.depth.record(number(stats.depth), &[]);
            self.in_flight.record(number(stats.in_flight), &[]);
        }
        if stats.is_ok() || due.is_ok() {
            let waits = stats.ok().and_then(|stats| stats.oldest_age);
            let oldest = waits.max(due.ok().flatten()).unwrap_or_default();
            self.oldest_age.record(oldest.as_secs_f64(), &[]);
        }
    }
}

/// Saturates at 2^32 - 1, more jobs than Redis can hold.
fn number(count: impl TryInto<u32>) -> f64 {
    count.try_into().map_or(f64::from(u32::MAX), f64::from)
}
