//! Breaker and pacer together: whether an order may visit the gateway now, and when it comes back if not.
//! Pure, as they are.

use std::time::{Duration, Instant};

use super::breaker::{Breaker, Change, Health, Ticket};
use super::pacer::Pacer;

/// Requests that a visit usually sends: to create an intent, or read it, and to confirm it.
pub(super) const REQUESTS_PER_VISIT: u32 = 2;
/// An attempt waits so long for its permits.
const MAX_WAIT: Duration = Duration::from_millis(250);
/// Orders that wait come back within a time that grows with the time that they have waited already.
const MIN_SPREAD: Duration = Duration::from_secs(1);
const MAX_SPREAD: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Gate {
    breaker: Breaker,
    pacer: Pacer,
}

impl Gate {
    pub(super) fn new(max_per_second: Option<u32>, now: Instant) -> Self {
        Self {
            breaker: Breaker::new(),
            pacer: Pacer::new(max_per_second, now),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.breaker.is_open()
    }

    pub(super) fn rate(&self) -> Option<f64> {
        self.pacer.rate()
    }

    /// While the breaker is open: the time after which an order that has waited for `waited` comes back.
    pub(super) fn refuses(&self, waited: Duration, now: Instant) -> Option<Duration> {
        Some(self.breaker.refuses_for(now)? + spread(waited))
    }

    /// Admits a visit, which begins after the returned time. Otherwise the error is the time after which an
    /// order that has waited for `waited` comes back.
    pub(super) fn admit(&mut self, waited: Duration, now: Instant) -> Result<(Ticket, Duration), Duration> {
        let ticket = self
            .breaker
            .admit(now)
            .map_err(|closed_for| closed_for + spread(waited))?;
        match self.pacer.reserve(REQUESTS_PER_VISIT, MAX_WAIT, now) {
            Ok(wait) => Ok((ticket, wait)),
            Err(_) => {
                self.breaker.record(ticket, Health::Unknown, now);
                Err(self.pacer.backlog(REQUESTS_PER_VISIT, MAX_WAIT, waited, now))
            }
        }
    }

    /// The time until a request of an admitted visit may be sent, unless that is more than `max_wait`.
    pub(super) fn wait(&mut self, has_permit: bool, max_wait: Duration, now: Instant) -> Option<Duration> {
        if has_permit {
            Some(self.paused_for(now)).filter(|pause| *pause <= max_wait)
        } else {
            self.pacer.reserve(1, max_wait, now).ok()
        }
    }

    /// For how long no request may be sent, also none that has a permit.
    pub(super) fn paused_for(&self, now: Instant) -> Duration {
        self.pacer.paused_for(now)
    }

    /// The gateway accepted a request.
    pub(super) fn accepted(&mut self, now: Instant) {
        self.pacer.accepted(now);
    }

    /// The gateway responded 429 to a request that was sent at `sent_at`.
    pub(super) fn limited(&mut self, sent_at: Instant, retry_after: Option<Duration>, now: Instant) {
        self.pacer.limited(sent_at, retry_after, now);
    }

    /// Ends an admitted visit.
    pub(super) fn leave(&mut self, ticket: Ticket, health: Health, now: Instant) -> Option<Change> {
        #[cfg(feature = "sabotage")]
        let health = if crate::sabotage::is_off("breaker") {
            Health::Available
        } else {
            health
        };
        let change = self.breaker.record(ticket, health, now);
        if change == Some(Change::Closed) {
            self.pacer.restart(now);
        }
        change
    }

    /// When an order that has waited for `waited`, and whose visit was not successful, comes back.
    pub(super) fn delay(&mut self, waited: Duration, now: Instant) -> Duration {
        let closed_for = self.breaker.refuses_for(now).unwrap_or_default();
        let backlog = self.pacer.backlog(REQUESTS_PER_VISIT, MAX_WAIT, waited, now);
        backlog.max(closed_for + spread(waited))
    }
}

/// A random time: from half of the time that the order has waited to all of it, within the bounds above.
pub(super) fn spread(waited: Duration) -> Duration {
    waited
        .clamp(MIN_SPREAD, MAX_SPREAD)
        .mul_f64(0.5 + fastrand::f64() / 2.0)
}
