//! Records an attempt's outcome. Each write carries the attempt's claim, so a worker that lost its lease
//! writes nothing.

use std::time::{Duration, Instant};

use domain::Order;
use store::{Claim, Settlement, StoreError};

use super::attempt::Processor;
use crate::metrics;
use crate::outcome::{Outcome, Stop, is_recorded};

/// Backoff before a write is retried while PostgreSQL is unavailable. It doubles up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

impl Processor {
    pub(super) async fn record(&self, order: &Order, claim: Claim, outcome: Outcome) {
        if let Err(stop) = &outcome {
            if let Some(error_type) = stop.error_type(order) {
                telemetry::job::fail(error_type);
            }
            if let Some(failure) = stop.failure() {
                telemetry::span::set("order.failure.code", failure.code.label());
            }
        }
        // PostgreSQL may be back within the lease. After that, the order is due again anyway.
        let end = Instant::now() + self.config.lease;
        let mut backoff = MIN_BACKOFF;
        let mut response_lost = false;
        let written = loop {
            let written = match self.write(order, claim, &outcome).await {
                Ok(None) if response_lost => self.find_recorded(claim, &outcome).await,
                written => written,
            };
            match written {
                Err(error) if error.is_transient() && Instant::now() < end => {
                    response_lost |= matches!(error, StoreError::Unavailable(_));
                    tokio::time::sleep(with_jitter(backoff, order)).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
                result => break result,
            }
        };
        let attempt = order.attempt.number();
        match written {
            Ok(Some(order)) => {
                self.publisher.publish(&order);
                metrics::count_final(&order);
                telemetry::span::set("order.status", order.status.as_str());
                tracing::info!(
                    order.id = %order.id,
                    order.status = %order.status,
                    queue.attempt = attempt,
                    "attempt ended"
                );
            }
            Ok(None) => {
                tracing::warn!(
                    order.id = %order.id,
                    queue.attempt = attempt,
                    "the lease was lost, nothing was recorded"
                );
            }
            Err(error) => {
                telemetry::job::fail("record");
                telemetry::log_error!(error, order.id = %order.id, "outcome not recorded, will be due again");
            }
        }
    }

    /// Returns the order after the write; `None` if the lease was lost.
    async fn write(
        &self,
        order: &Order,
        claim: Claim,
        outcome: &Outcome,
    ) -> Result<Option<Order>, StoreError> {
        let stop = match outcome {
            Ok(payment_id) => return self.store.complete(claim, payment_id.as_deref()).await,
            Err(stop) => stop,
        };
        match stop {
            Stop::Declined(failure) => self.store.fail(claim, failure, Settlement::Refused).await,
            Stop::Failed(failure) => self.store.fail(claim, failure, Settlement::Cancelled).await,
            Stop::Retry(failure) => {
                let cap = backoff_cap(order.attempts_counted());
                self.store.back_off(claim, failure, cap).await
            }
            #[cfg(feature = "sabotage")]
            Stop::Waiting(failure, _) if crate::sabotage::is_off("waiting") => {
                let cap = backoff_cap(order.attempts_counted());
                self.store.back_off(claim, failure, cap).await
            }
            Stop::Waiting(failure, delay) => self.store.wait_for_gateway(claim, failure, *delay).await,
            Stop::Abandoned => self.store.release(claim).await,
            Stop::LeaseLost => Ok(None),
        }
    }

    /// The order, if an earlier write of this outcome succeeded and only its response was lost.
    async fn find_recorded(&self, claim: Claim, outcome: &Outcome) -> Result<Option<Order>, StoreError> {
        let found = self.store.find_claimed(claim).await?;
        Ok(found.filter(|found| is_recorded(outcome, found)))
    }

    /// Leaves an order whose row this version cannot read to another version, which may run beside it.
    pub(super) async fn leave_unreadable(&self, claim: Claim) {
        telemetry::job::fail("unreadable");
        metrics::count_unreadable();
        if let Err(error) = self.store.leave_unreadable(claim).await {
            telemetry::log_error!(error, order.id = %claim.order, "not released, will be due again");
        }
    }
}

/// The upper bound of the backoff before the next attempt: 1 s after the first attempt, doubling up to 5
/// minutes. The store takes a random part of it ("full jitter").
fn backoff_cap(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
    Duration::from_secs(1 << doublings).min(Duration::from_secs(300))
}

/// Jitter: from half of the backoff to all of it, by the random last byte of the order's id. So attempts that
/// failed together are not retried together.
fn with_jitter(backoff: Duration, order: &Order) -> Duration {
    let [.., random] = *order.id.as_uuid().as_bytes();
    backoff / 2 + backoff * u32::from(random) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_from_one_second_to_five_minutes() {
        let caps: Vec<u64> = (1..=11).map(|attempts| backoff_cap(attempts).as_secs()).collect();
        assert_eq!(caps, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff_cap(0).as_secs(), 1);
        assert_eq!(backoff_cap(i32::MAX).as_secs(), 300);
    }
}
