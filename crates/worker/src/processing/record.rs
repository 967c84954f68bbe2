//! Writes an attempt's outcome. Each write carries the attempt's number, so a worker that lost its lease writes nothing.

use std::time::{Duration, Instant};

use domain::{Failure, FailureCode, Order, OrderStatus, ProcessOrder};
use store::StoreError;

use super::attempt::Outcome;
use super::{Processor, backoff};
use crate::metrics;

/// Before an outcome is written again to a store that was away: doubled each time, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(5);

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
        let mut pause = FIRST_PAUSE;
        let mut answer_lost = false;
        let written = loop {
            let written = match self.write(order, &outcome).await {
                Ok(None) if answer_lost => self.find_written(order, &outcome).await,
                written => written,
            };
            match written {
                Err(error) if error.is_transient() && Instant::now() < end => {
                    answer_lost |= matches!(error, StoreError::Unavailable(_));
                    tokio::time::sleep(spread(pause, order)).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
                result => break result,
            }
        };
        if let Ok(Some(order)) = &written {
            self.publisher.publish(order);
            metrics::ended(order);
        }
        match written.map(|order| order.map(|order| order.status)) {
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

    /// The order afterwards; `None` where the lease was lost.
    async fn write(&self, order: &Order, outcome: &Outcome) -> Result<Option<Order>, StoreError> {
        let (id, attempt) = (order.id, order.attempt);
        match outcome {
            Outcome::Completed(payment_id) => self.store.complete(id, attempt, payment_id.as_deref()).await,
            Outcome::Failed {
                failure,
                payment_refused,
            } => self.store.fail(id, attempt, failure, *payment_refused).await,
            Outcome::RetryLater(failure) => {
                let cap = backoff(order.attempts_counted());
                self.store.retry_later(id, attempt, failure, cap).await
            }
            Outcome::Abandoned => self.store.release(id, attempt).await,
            Outcome::LeaseLost => Ok(None),
        }
    }

    /// The order, where this outcome was written before and only the answer was lost. Nobody else writes a final state under this
    /// attempt's number.
    async fn find_written(&self, order: &Order, outcome: &Outcome) -> Result<Option<Order>, StoreError> {
        let found = self.store.find(order.id, None).await?;
        Ok(found.filter(|found| found.attempt == order.attempt && outcome.is_of(found)))
    }

    /// Ends an order whose row this version cannot read: claimed again and again, it would never end.
    pub(super) async fn end_unreadable(&self, job: &ProcessOrder) {
        let code = FailureCode::InternalError;
        telemetry::job::fail(code.as_str());
        telemetry::span::set("order.failure.code", code.as_str());
        let failure = Failure::new(code, "What is stored of the order cannot be read.");
        let ended = self
            .store
            .fail_unreadable(job.order_id, job.attempt, &failure)
            .await;
        match ended {
            Ok(true) => metrics::failed(code),
            Ok(false) => {}
            Err(error) => {
                telemetry::log_error!(error, order.id = %job.order_id, "not ended, will fall due again");
            }
        }
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

    /// Whether the order's row says this.
    fn is_of(&self, order: &Order) -> bool {
        match self {
            Self::Completed(payment_id) => {
                order.status == OrderStatus::Completed && order.payment_id == *payment_id
            }
            Self::Failed { failure, .. } => {
                order.status == OrderStatus::Failed && order.failure.as_ref() == Some(failure)
            }
            Self::RetryLater(failure) => {
                order.status == OrderStatus::Pending && order.failure.as_ref() == Some(failure)
            }
            Self::Abandoned => order.status == OrderStatus::Pending,
            Self::LeaseLost => false,
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } | Self::RetryLater(failure) => Some(failure),
            Self::Completed(_) | Self::LeaseLost | Self::Abandoned => None,
        }
    }
}

/// Half of the pause to all of it, by the random end of the order's id: attempts that failed together do not come back together.
fn spread(pause: Duration, order: &Order) -> Duration {
    let [.., random] = *order.id.as_uuid().as_bytes();
    pause / 2 + pause * u32::from(random) / 512
}
