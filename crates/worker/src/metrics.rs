//! What the worker measures of its own: what became of orders, what was dispatched again, and how long the queue is.

use std::sync::LazyLock;
use std::time::Duration;

use domain::{FailureCode, Order, OrderStatus, ProcessOrder};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use queue::Queue;
use store::Store;
use telemetry::metrics::{counter, gauge, histogram};
use telemetry::names;
use tokio_util::sync::CancellationToken;

/// How often the queue is counted: one round trip to Redis, and one statement that an index answers.
const INTERVAL: Duration = Duration::from_secs(2);
/// Seconds; an order may take anything from one fast attempt to many that are minutes apart.
const PROCESSING: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

static COMPLETED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("orders.completed", "{order}", "Orders that were completed."));
static FAILED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("orders.failed", "{order}", "Orders that failed for good."));
static PROCESSING_DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    let what = "From an order's creation to its final state.";
    histogram("orders.processing.duration", "s", what, PROCESSING)
});
static RECONCILED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let what = "Jobs that were dispatched again because their orders fell due.";
    counter("queue.reconciled", "{message}", what)
});

/// Counts an attempt's end, where it was the order's.
pub(crate) fn ended(order: &Order) {
    match (order.status, &order.failure) {
        (OrderStatus::Completed, _) => COMPLETED.add(1, &[]),
        (OrderStatus::Failed, Some(failure)) => failed(failure.code),
        _ => return,
    }
    // Both moments are by PostgreSQL's clock.
    let took = order.completed_at.map(|end| end - order.created_at);
    if let Some(Ok(took)) = took.map(|took| took.to_std()) {
        PROCESSING_DURATION.record(took.as_secs_f64(), &[]);
    }
}

/// Counts an order that failed for good.
pub(crate) fn failed(code: FailureCode) {
    FAILED.add(1, &[KeyValue::new("order.failure.code", code.as_str())]);
}

/// Counts a job that was dispatched again for this reason.
pub(crate) fn reconciled(reason: &'static str) {
    RECONCILED.add(1, &[KeyValue::new(names::QUEUE_REASON, reason)]);
}

/// Counts the queue again and again until `shutdown` is cancelled. While Redis or PostgreSQL is away, the last count stands.
pub(crate) async fn watch(queue: &Queue<ProcessOrder>, store: &Store, shutdown: &CancellationToken) {
    let gauges = Gauges::new();
    while !shutdown.is_cancelled() {
        gauges.read(queue, store).await;
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

struct Gauges {
    depth: Gauge<f64>,
    in_flight: Gauge<f64>,
    /// The longer of two waits. The reconciler's lag is one of them: while no job waits, so while `queue.depth` is 0, it is that lag
    /// and nothing else.
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
                "How long the oldest waits: a job in Redis, or an order in PostgreSQL that is due without one.",
            ),
        }
    }

    async fn read(&self, queue: &Queue<ProcessOrder>, store: &Store) {
        let (stats, due) = tokio::join!(queue.stats(), store.oldest_due());
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

/// A queue is never so long that a float could not count it.
fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
