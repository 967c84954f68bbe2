//! One job, as it is handed to the service.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A job and what is known of its way here.
#[derive(Clone, Debug)]
pub struct Delivery<J> {
    /// The id it was enqueued under.
    pub id: String,
    /// The job.
    pub job: J,
    /// When it was enqueued, by Redis' clock.
    pub enqueued_at: SystemTime,
    /// From then until now, by this machine's clock; zero should that be behind Redis'.
    pub waited: Duration,
    /// The name of the worker that fetched it.
    pub worker: Arc<str>,
}

impl<J> Delivery<J> {
    /// `enqueued_at` is as the enqueue script wrote it: ms since 1970. Without it, as from a foreign producer, the job
    /// counts as enqueued just now.
    pub(crate) fn new(id: String, job: J, enqueued_at: Option<&str>, worker: Arc<str>) -> Self {
        let now = SystemTime::now();
        let enqueued_at = enqueued_at
            .and_then(|ms| ms.parse().ok())
            .and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)))
            .unwrap_or(now);
        let waited = now.duration_since(enqueued_at).unwrap_or_default();
        Self {
            id,
            job,
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
        let delivery = Delivery::new("1".into(), (), Some("1000"), "w".into());
        assert_eq!(delivery.enqueued_at, UNIX_EPOCH + Duration::from_secs(1));
        assert!(delivery.waited > Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn a_clock_behind_redis_gives_no_wait_rather_than_a_panic() {
        let delivery = Delivery::new("1".into(), (), Some("99999999999999"), "w".into());
        assert_eq!(delivery.waited, Duration::ZERO);
    }
}
