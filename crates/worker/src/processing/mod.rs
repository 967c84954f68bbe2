//! The way of one order through the worker: claim, validate, charge, record.

mod attempt;
mod lease;
mod record;

use std::time::{Duration, Instant};

use dispatch::Publisher;
use domain::{Order, ProcessOrder, TraceContext};
use queue::Delivery;
use store::{ClaimToken, Store, StoreError};
use tokio_util::sync::CancellationToken;

use self::attempt::Outcome;
use self::lease::Lease;
use crate::config::ProcessingConfig;
use crate::payment::Gateway;

/// How long a job waits before it asks again for an order, while PostgreSQL is away: doubled each time, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What every attempt needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Processor {
    pub(crate) store: Store,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) config: ProcessingConfig,
    /// Tells those who wait for an order.
    pub(crate) publisher: Publisher,
    /// Cancelled when attempts have to end at once: what they hold is released for another worker.
    pub(crate) abandon: CancellationToken,
}

impl Processor {
    /// Processes one delivery. Whatever happens is in PostgreSQL afterwards, or falls due again there; so the queue is always
    /// told that all is well.
    pub(crate) async fn process(&self, delivery: Delivery<ProcessOrder>) {
        let job = delivery.job;
        telemetry::span::set("order.id", job.order_id.to_string());
        let (order, lease) = match self.claim(&job).await {
            Ok(Some(claimed)) => claimed,
            Ok(None) => {
                tracing::debug!(order.id = %job.order_id, "not claimed: somebody else has it, or it is final");
                return;
            }
            Err(error @ StoreError::Corrupt(_)) => {
                telemetry::log_error!(error, order.id = %job.order_id, "claimed, and cannot be read");
                self.end_unreadable(&job).await;
                return;
            }
            Err(error) => {
                telemetry::job::fail("claim");
                telemetry::log_error!(error, order.id = %job.order_id, "not claimed, will fall due again");
                return;
            }
        };
        self.publisher.publish(&order);
        let outcome = tokio::select! {
            outcome = lease.hold(self.attempt(&order, &lease)) => outcome,
            () = self.abandon.cancelled() => Outcome::Abandoned,
        };
        self.record(&order, outcome).await;
    }

    /// Claims the job's order. While PostgreSQL is away the job waits here, and with it the queue: a worker that went on would drop
    /// one job after another. Should this process have to end first, the queue puts the job back.
    async fn claim(&self, job: &ProcessOrder) -> Result<Option<(Order, Lease)>, StoreError> {
        let trace = TraceContext(telemetry::propagation::inject_current());
        let (token, length) = (ClaimToken::draw(), self.config.lease);
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = Instant::now();
            match self.store.claim(job, token, &trace, length).await {
                Ok(claim) => {
                    return Ok(claim.map(|claim| {
                        let lease = Lease::new(self.store.clone(), &claim.order, length, asked);
                        (claim.order, lease)
                    }));
                }
                Err(error) if error.is_transient() => {
                    telemetry::log_warn!(error, order.id = %job.order_id, "not claimed yet");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

/// How long before the next attempt, at the most: 1 s after the first, doubled each time, up to 5 minutes. The store takes a
/// random part of it ("full jitter").
fn backoff(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
    Duration::from_secs(1 << doublings).min(Duration::from_secs(300))
}
