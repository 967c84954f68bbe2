//! A job as the service receives it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A job taken from the queue, with its timing.
#[derive(Clone, Debug)]
pub struct Delivery<J> {
    /// The id it was enqueued under.
    pub id: String,
    /// The job.
    pub job: J,
    /// The number of this attempt, from 1. Only failures that
    /// [`work_with_retries`](crate::Queue::work_with_retries) recorded count: an attempt whose worker died is
    /// delivered again under its number.
    pub attempt: u32,
    /// When it was enqueued, or its time had come, by Redis' clock.
    pub enqueued_at: SystemTime,
    /// Time from then until the fetch, by this machine's clock; zero if that clock is behind Redis'.
    pub waited: Duration,
    /// The name of the worker that fetched it.
    pub worker: Arc<str>,
}

impl<J> Delivery<J> {
    /// The same delivery of what `change` makes of the job.
    pub fn map<T>(self, change: impl FnOnce(J) -> T) -> Delivery<T> {
        Delivery {
            id: self.id,
            job: change(self.job),
            attempt: self.attempt,
            enqueued_at: self.enqueued_at,
            waited: self.waited,
            worker: self.worker,
        }
    }

    /// `enqueued_at` is in ms since 1970, as the enqueue script writes it. Without it, as from another
    /// producer, the job counts as enqueued now.
    pub(crate) fn new(id: String, job: J, attempt: u32, enqueued_at: Option<&str>, worker: Arc<str>) -> Self {
        let now = SystemTime::now();
        let enqueued_at = enqueued_at
            .and_then(|ms| ms.parse().ok())
            .and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)))
            .unwrap_or(now);
        let waited = now.duration_since(enqueued_at).unwrap_or_default();
        Self {
            id,
            job,
            attempt,
            enqueued_at,
            waited,
            worker,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_measured_from_the_time_that_redis_wrote() {
        let delivery = Delivery::new("1".into(), (), 1, Some("1000"), "w".into());
        assert_eq!(delivery.enqueued_at, UNIX_EPOCH + Duration::from_secs(1));
        assert!(delivery.waited > Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn a_clock_behind_redis_gives_no_wait_rather_than_a_panic() {
        let delivery = Delivery::new("1".into(), (), 1, Some("99999999999999"), "w".into());
        assert_eq!(delivery.waited, Duration::ZERO);
    }
}
