//! One attempt at an order: validates and charges it.

use std::time::Duration;

use dispatch::Publisher;
use domain::{Failure, FailureCode, Item, Order, PaymentStatus};
use queue::Pause;
use store::Store;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::config::ProcessingConfig;
use crate::lease::Lease;
use crate::outcome::{Outcome, Stop};
use crate::payment::{Gateway, Payment};

/// What an attempt needs.
pub(crate) struct Processor {
    pub(crate) store: Store,
    /// `None`: orders with a payment fail.
    pub(crate) gateway: Option<Gateway>,
    pub(crate) config: ProcessingConfig,
    pub(crate) publisher: Publisher,
    /// Held by every attempt, and alone by one whose order may have killed its workers.
    pub(crate) alone: RwLock<()>,
    /// Cancelled to abandon the running attempts: their orders are released for another worker.
    pub(crate) abandon: CancellationToken,
    /// While it is set, no order is claimed.
    pub(crate) pause: Pause,
}

impl Processor {
    pub(super) async fn attempt(&self, order: &Order, lease: &Lease<'_>) -> Outcome {
        let payment = Payment::new(self.gateway.as_ref(), &self.store, order, lease);
        match self.validate_and_charge(order, &payment).await {
            Err(Stop::Retry(failure)) if order.attempts_counted() >= self.config.max_attempts => {
                settle(&payment, failure).await
            }
            outcome => outcome,
        }
    }

    async fn validate_and_charge(&self, order: &Order, payment: &Payment<'_>) -> Outcome {
        let config = &self.config;
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_off("attempts") {
            return Err(Stop::Failed(last_failure(order)));
        }
        if order.crashes >= config.max_crashes {
            return settle(payment, worker_crashed()).await;
        }
        // The workers that processed this order before may have died because of it: no other order is to be
        // lost with this one.
        let _alone_or_shared = if is_suspect(order, config.max_crashes) {
            (Some(self.alone.write().await), None)
        } else {
            (None, Some(self.alone.read().await))
        };
        if has_waited_too_long(order, config.payment_deadline) {
            return settle(payment, payment_deadline()).await;
        }
        if order.attempts_counted() > config.max_attempts {
            return settle(payment, last_failure(order)).await;
        }
        if order.amount.exceeds(config.high_value)
            && let Err(failure) = validate_high_value_order(order)
        {
            return settle(payment, failure).await;
        }
        match order.payment_method {
            None => Ok(None),
            // A failed order of release 0.1 was charged, and an operator retries it.
            Some(_) if order.payment_status == PaymentStatus::Charged => Ok(order.payment_id.clone()),
            Some(method) => payment.process(method).await.map(Some),
        }
    }
}

/// Fails the order, unless it was charged. While that is unknown, it waits.
async fn settle(payment: &Payment<'_>, failure: Failure) -> Outcome {
    payment.settle(failure).await.map(Some)
}

/// Whether the order gets its last attempt before it fails with `worker_crashed`.
fn is_suspect(order: &Order, max_crashes: i32) -> bool {
    order.crashes > 0 && order.crashes + 1 >= max_crashes
}

/// Both times are by PostgreSQL's clock.
fn has_waited_too_long(order: &Order, deadline: Duration) -> bool {
    let waited = order
        .waiting_since
        .and_then(|since| (order.updated_at - since).to_std().ok());
    waited.is_some_and(|waited| waited > deadline)
}

fn worker_crashed() -> Failure {
    let detail = "The workers that processed the order ended without an outcome.";
    Failure::new(FailureCode::WorkerCrashed, detail)
}

fn payment_deadline() -> Failure {
    let detail = "The payment gateway was unavailable for too long.";
    Failure::new(FailureCode::PaymentDeadline, detail)
}

/// The failure of the last attempt that recorded one; a worker that died records none.
fn last_failure(order: &Order) -> Failure {
    let detail = "The order's attempts ended without an outcome.";
    let exhausted = || Failure::new(FailureCode::AttemptsExhausted, detail);
    order.failure.clone().unwrap_or_else(exhausted)
}

/// An additional check for large amounts: the amount must be the sum of the items.
#[tracing::instrument(
    name = "validate_high_value_order",
    skip_all,
    fields(
        order.id = %order.id,
        order.amount = order.amount.to_f64_for_telemetry(),
        order.high_value = true,
        error.type,
        otel.status_code,
    )
)]
fn validate_high_value_order(order: &Order) -> Result<(), Failure> {
    if matches!(Item::sum(&order.items), Some(Ok(sum)) if sum == order.amount) {
        return Ok(());
    }
    let span = tracing::Span::current();
    span.record("error.type", FailureCode::AmountMismatch.as_str());
    span.record("otel.status_code", "ERROR");
    let detail = "The order's amount is not the sum of its items.";
    Err(Failure::new(FailureCode::AmountMismatch, detail))
}
