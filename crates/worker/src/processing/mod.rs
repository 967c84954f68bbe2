//! The way of one order through the worker: claim, validate, charge, record.

mod attempt;
mod lease;
mod record;

use std::time::Duration;

use domain::{ProcessOrder, TraceContext};
use queue::Delivery;
use store::Store;
use telemetry::exception;
use tokio_util::sync::CancellationToken;

use self::attempt::Outcome;
use crate::config::ProcessingConfig;
use crate::payment::Gateway;

/// What every attempt needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Processor {
    pub(crate) store: Store,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) config: ProcessingConfig,
    /// Cancelled when attempts have to end at once: what they hold is released for another worker.
    pub(crate) abandon: CancellationToken,
}

impl Processor {
    /// Processes one delivery. Whatever happens is in PostgreSQL afterwards, or falls due again there; so the queue is always
    /// told that all is well.
    pub(crate) async fn process(&self, delivery: Delivery<ProcessOrder>) {
        let job = delivery.job;
        let attempt_trace = TraceContext(telemetry::propagation::inject_current());
        telemetry::span::set("order.id", job.order_id.to_string());
        let claim = self
            .store
            .claim(&job, &attempt_trace, self.config.lease)
            .await;
        let order = match claim {
            Ok(Some(claim)) => claim.order,
            Ok(None) => {
                tracing::debug!(order.id = %job.order_id, "not claimed: somebody else has it, or it is final");
                return;
            }
            Err(error) => {
                telemetry::job::fail("claim");
                tracing::warn!(order.id = %job.order_id, exception.type = exception::type_of(&error), error = exception::of(&error), "not claimed, will fall due again");
                return;
            }
        };
        let outcome = tokio::select! {
            outcome = lease::hold(&self.store, &order, self.config.lease, self.attempt(&order)) => outcome,
            () = self.abandon.cancelled() => Outcome::Abandoned,
        };
        self.record(&order, outcome).await;
    }
}

/// How long before the next attempt, at the most: 1 s after the first, doubled each time, up to 5 minutes. The store takes a
/// random part of it ("full jitter").
fn backoff(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1))
        .unwrap_or(0)
        .min(16);
    Duration::from_secs(1 << doublings).min(Duration::from_secs(300))
}
