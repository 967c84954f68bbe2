//! One attempt at an order: what is done, and how it can end.

use domain::{Failure, FailureCode, Item, Order};

use super::Processor;
use super::lease::Lease;
use crate::payment::{self, ChargeError, Gateway};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All is done; with the charge's id where there was one.
    Completed(Option<String>),
    /// No other attempt would end differently.
    Failed { failure: Failure, payment_refused: bool },
    /// Another attempt may end differently.
    RetryLater(Failure),
    /// Another worker has the order now.
    LeaseLost,
    /// This worker cannot go on with it; another may take it at once.
    Abandoned,
}

impl Processor {
    pub(super) async fn attempt(&self, order: &Order, lease: &Lease) -> Outcome {
        if order.attempts_counted() > self.config.max_attempts {
            return Outcome::Failed {
                failure: last_failure(order),
                payment_refused: false,
            };
        }
        if order.amount.exceeds(self.config.high_value)
            && let Err(failure) = validate_high_value_order(order)
        {
            return Outcome::Failed {
                failure,
                payment_refused: false,
            };
        }
        let Some(method) = order.payment_method else {
            return Outcome::Completed(None);
        };
        if let Some(gateway) = &self.gateway
            && let Err(outcome) = self.may_charge(gateway, order, lease).await
        {
            return outcome;
        }
        match payment::process_payment(self.gateway.as_ref(), order, method).await {
            Ok(payment_id) => Outcome::Completed(Some(payment_id)),
            Err(ChargeError::Declined(failure)) => Outcome::Failed {
                failure,
                payment_refused: true,
            },
            Err(ChargeError::Final(failure)) => Outcome::Failed {
                failure,
                payment_refused: false,
            },
            Err(ChargeError::Passing(failure)) => self.retry_or_fail(order, failure),
        }
    }

    /// A charge starts only where the lease holds until its answer must have come: nobody else starts one meanwhile.
    async fn may_charge(&self, gateway: &Gateway, order: &Order, lease: &Lease) -> Result<(), Outcome> {
        match lease.holds_for(gateway.timeout().min(self.config.lease)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Outcome::LeaseLost),
            Err(error) => {
                telemetry::log_warn!(error, order.id = %order.id, "not charged: the lease ends too soon and was not renewed");
                Err(Outcome::Abandoned)
            }
        }
    }

    fn retry_or_fail(&self, order: &Order, failure: Failure) -> Outcome {
        if order.attempts_counted() < self.config.max_attempts {
            Outcome::RetryLater(failure)
        } else {
            Outcome::Failed {
                failure,
                payment_refused: false,
            }
        }
    }
}

/// Why the last attempt failed that said so; a worker that died said nothing.
fn last_failure(order: &Order) -> Failure {
    let detail = "The order's attempts ended without an outcome.";
    let exhausted = || Failure::new(FailureCode::AttemptsExhausted, detail);
    order.failure.clone().unwrap_or_else(exhausted)
}

/// A second look before much money moves: the amount has to be the sum of the items.
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
