//! One attempt at an order: validates and charges it.

use dispatch::Publisher;
use domain::{Failure, FailureCode, Item, Order};
use store::Store;
use tokio_util::sync::CancellationToken;

use super::lease::Lease;
use super::outcome::Outcome;
use crate::config::ProcessingConfig;
use crate::payment::{self, ChargeError, Gateway};

/// What an attempt needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Processor {
    pub(crate) store: Store,
    /// `None`: orders with a payment fail.
    pub(crate) gateway: Option<Gateway>,
    pub(crate) config: ProcessingConfig,
    pub(crate) publisher: Publisher,
    /// Cancelled to abandon the running attempts: their orders are released for another worker.
    pub(crate) abandon: CancellationToken,
}

impl Processor {
    pub(super) async fn attempt(&self, order: &Order, lease: &Lease) -> Outcome {
        if order.attempts_counted() > self.config.max_attempts {
            return Outcome::Failed(last_failure(order));
        }
        if order.amount.exceeds(self.config.high_value)
            && let Err(failure) = validate_high_value_order(order)
        {
            return Outcome::Failed(failure);
        }
        let Some(method) = order.payment_method else {
            return Outcome::Completed(None);
        };
        if let Some(gateway) = &self.gateway
            && let Err(outcome) = self.secure_lease(gateway, order, lease).await
        {
            return outcome;
        }
        match payment::process_payment(self.gateway.as_ref(), order, method).await {
            Ok(payment_id) => Outcome::Completed(Some(payment_id)),
            Err(ChargeError::Declined(failure)) => Outcome::Declined(failure),
            Err(ChargeError::Final(failure)) => Outcome::Failed(failure),
            Err(ChargeError::Transient(failure)) => self.retry_or_fail(order, failure),
        }
    }

    /// Makes sure that the lease outlasts the charge, so that no other worker starts one meanwhile.
    async fn secure_lease(&self, gateway: &Gateway, order: &Order, lease: &Lease) -> Result<(), Outcome> {
        match lease.holds_for(gateway.timeout().min(self.config.lease)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Outcome::LeaseLost),
            Err(error) => {
                telemetry::log_warn!(
                    error,
                    order.id = %order.id,
                    "not charged: the lease ends too soon and was not renewed"
                );
                Err(Outcome::Abandoned)
            }
        }
    }

    fn retry_or_fail(&self, order: &Order, failure: Failure) -> Outcome {
        if order.attempts_counted() < self.config.max_attempts {
            Outcome::RetryLater(failure)
        } else {
            Outcome::Failed(failure)
        }
    }
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
