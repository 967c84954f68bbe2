//! Writes an attempt's outcome. Each write carries the attempt's number, so a worker that lost its lease writes nothing.

use std::time::{Duration, Instant};

use domain::{Failure, Order, OrderStatus};
use store::StoreError;

use super::attempt::Outcome;
use super::{Processor, backoff};
use crate::metrics;

/// Before an outcome is written again to a store that was away.
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

impl Processor {
    pub(super) async fn record(&self, order: &Order, outcome: Outcome) {
        if let Some(code) = outcome.error_type() {
            telemetry::job::fail(code);
        }
        if let Some(failure) = outcome.failure() {
            telemetry::span::set("order.failure.code", failure.code.as_str());
        }
        // A store that is away may come back within the lease. After that, the order falls due again.
        let end = Instant::now() + self.config.lease;
        let written = loop {
            match self.write(order, &outcome).await {
                Err(error) if error.is_transient() && Instant::now() < end => {
                    tokio::time::sleep(BETWEEN_TRIES).await;
                }
                result => break result,
            }
        };
        match written {
            Ok(Some(status)) => {
                telemetry::span::set("order.status", status.as_str());
                tracing::info!(order.id = %order.id, order.status = %status, queue.attempt = order.attempt.number(), "attempt ended");
            }
            Ok(None) => {
                tracing::warn!(order.id = %order.id, queue.attempt = order.attempt.number(), "the lease was lost, nothing was written");
            }
            Err(error) => {
                telemetry::job::fail("record");
                telemetry::log_error!(error, order.id = %order.id, "the outcome was not written, the order falls due again");
            }
        }
    }

    /// The order's status afterwards; `None` where the lease was lost.
    async fn write(
        &self,
        order: &Order,
        outcome: &Outcome,
    ) -> Result<Option<OrderStatus>, StoreError> {
        let (id, attempt) = (order.id, order.attempt);
        let written = match outcome {
            Outcome::Completed(payment_id) => {
                self.store
                    .complete(id, attempt, payment_id.as_deref())
                    .await?
            }
            Outcome::Failed {
                failure,
                payment_refused,
            } => {
                self.store
                    .fail(id, attempt, failure, *payment_refused)
                    .await?
            }
            Outcome::RetryLater(failure) => {
                let cap = backoff(order.attempts_counted());
                self.store.retry_later(id, attempt, failure, cap).await?
            }
            Outcome::Abandoned => {
                let released = self.store.release(id, attempt).await?;
                return Ok(released.then_some(OrderStatus::Pending));
            }
            Outcome::LeaseLost => None,
        };
        if let Some(order) = &written {
            self.announcer.announce(order);
            metrics::ended(order);
        }
        Ok(written.map(|order| order.status))
    }
}

impl Outcome {
    fn error_type(&self) -> Option<&'static str> {
        match self {
            Self::Completed(_) => None,
            Self::Failed { failure, .. } | Self::RetryLater(failure) => Some(failure.code.as_str()),
            Self::LeaseLost => Some("lease_lost"),
            Self::Abandoned => Some("abandoned"),
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } | Self::RetryLater(failure) => Some(failure),
            Self::Completed(_) | Self::LeaseLost | Self::Abandoned => None,
        }
    }
}
