//! How long the queue is, for gauges and the console. apalis-board's own calls fail against apalis-redis 1.0.0.

use std::time::Duration;

use crate::{
    error::QueueError,
    queue::{Job, Queue},
    scripts,
    worker::DEAD_AFTER,
};

/// A queue at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Jobs that wait.
    pub depth: u64,
    /// Jobs that a worker fetched and did not acknowledge yet.
    pub in_flight: u64,
    /// How long the oldest waiting job has waited, by Redis' clock. None: none waits.
    pub oldest_age: Option<Duration>,
    /// Workers whose last heartbeat is younger than [`DEAD_AFTER`](crate::DEAD_AFTER).
    pub workers: u64,
}

impl<J: Job> Queue<J> {
    /// Counts the queue. Cheap whatever its length: O(number of workers), one round trip.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn stats(&self) -> Result<QueueStats, QueueError> {
        let keys = &self.keys;
        let mut script = scripts::STATS.prepare_invoke();
        script.key(&[&keys.active, &keys.workers, &keys.inflight, &keys.meta]);
        script.arg(DEAD_AFTER.as_secs());
        let (depth, in_flight, age_ms, workers): (u64, u64, i64, u64) =
            self.connection.run("count the queue", &script).await?;
        let oldest_age = u64::try_from(age_ms).ok().map(Duration::from_millis);
        Ok(QueueStats {
            depth,
            in_flight,
            oldest_age,
            workers,
        })
    }
}
