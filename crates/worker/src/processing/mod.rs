//! The path of one order through the worker: claim, validate, charge, record.

mod attempt;
mod record;
#[cfg(test)]
mod settling_tests;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::time::{Duration, Instant};

use domain::{Order, ProcessOrder, TraceContext};
use queue::Delivery;
use store::{Claim, StoreError};

pub(crate) use self::attempt::Processor;
use crate::lease::Lease;
use crate::outcome::Stop;

/// Backoff before a claim is retried while PostgreSQL is unavailable. It doubles up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

impl Processor {
    /// Processes one delivery. Afterwards the outcome is in PostgreSQL, or the order is due again there. So
    /// the delivery is always acknowledged.
    pub(crate) async fn process(&self, delivery: Delivery<ProcessOrder>) {
        let job = delivery.job;
        telemetry::span::set("order.id", job.order_id.to_string());
        if self.pause.is_set() {
            return self.leave(&job).await;
        }
        let claim = Claim::of(&job);
        let (order, lease) = match self.claim(&job, claim, &delivery.worker).await {
            Ok(Some(claimed)) => claimed,
            Ok(None) => {
                tracing::debug!(order.id = %job.order_id, "not claimed: claimed by another worker, or final");
                return;
            }
            Err(error @ StoreError::Corrupt(_)) => {
                telemetry::log_error!(error, order.id = %job.order_id, "claimed, but this version cannot read it");
                self.leave_unreadable(claim).await;
                return;
            }
            Err(error) => {
                telemetry::job::fail("claim");
                telemetry::log_error!(error, order.id = %job.order_id, "not claimed, will be due again");
                return;
            }
        };
        self.publisher.publish(&order);
        let attempt = pin!(self.attempt(&order, &lease));
        let outcome = tokio::select! {
            outcome = lease.hold(attempt) => outcome.unwrap_or(Err(Stop::LeaseLost)),
            () = self.abandon.cancelled() => Err(Stop::Abandoned),
        };
        self.record(&order, claim, outcome).await;
    }

    /// The job was fetched before the queue was paused. Its order is due again at the end of the pause.
    async fn leave(&self, job: &ProcessOrder) {
        tracing::debug!(order.id = %job.order_id, "not claimed: the queue is paused");
        if let Err(error) = self.store.dispatch_now(job.order_id).await {
            telemetry::log_warn!(error, order.id = %job.order_id, "not claimed, will be due again later");
        }
    }

    /// Claims the job's order. While PostgreSQL is unavailable the job waits here and holds its slot:
    /// otherwise the worker would fetch and drop one job after another. If the process ends meanwhile, the
    /// queue puts the job back.
    async fn claim(
        &self,
        job: &ProcessOrder,
        claim: Claim,
        worker: &str,
    ) -> Result<Option<(Order, Lease<'_>)>, StoreError> {
        let trace = TraceContext(telemetry::propagation::inject_current());
        let length = self.config.lease;
        let mut backoff = MIN_BACKOFF;
        loop {
            let sent_at = Instant::now();
            match self.store.claim(job, claim, worker, &trace, length).await {
                Ok(claimed) => {
                    return Ok(claimed.map(|order| {
                        let lease = Lease::new(&self.store, claim, length, sent_at);
                        (order, lease)
                    }));
                }
                Err(error) if error.is_transient() => {
                    telemetry::log_warn!(error, order.id = %job.order_id, "not claimed yet");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }
}
