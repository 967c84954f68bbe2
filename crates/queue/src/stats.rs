//! The length of the queue, for gauges and the console. apalis-board's own calls fail against apalis-redis
//! 1.0.0.

use std::time::Duration;

use crate::error::QueueError;
use crate::queue::{Job, Queue};
use crate::scripts;
use crate::worker::DEAD_AFTER;

/// A snapshot of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Waiting jobs.
    pub depth: u64,
    /// Jobs that were fetched and not acknowledged yet. Includes jobs that Redis lost from its lists, until
    /// they are enqueued again.
    pub in_flight: u64,
    /// Age of the oldest waiting job, by Redis' clock; `None` if no job waits.
    pub oldest_age: Option<Duration>,
    /// Workers whose last heartbeat is younger than [`DEAD_AFTER`](crate::DEAD_AFTER).
    pub workers: u64,
    /// Jobs that wait for their time: of [`Queue::enqueue_later`], or for their next attempt.
    pub later: u64,
    /// Dead letters.
    pub dead_letters: u64,
}

impl<J: Job> Queue<J> {
    /// The number of waiting jobs: a part of [`stats`](Self::stats), for one command.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn depth(&self) -> Result<u64, QueueError> {
        redis::cmd("LLEN")
            .arg(&self.keys.active)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(|source| self.connection.error("measure the queue", source))
    }

    /// Measures the queue. O(1): independent of its length and of the number of workers; one round trip.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn stats(&self) -> Result<QueueStats, QueueError> {
        let keys = &self.keys;
        let mut script = scripts::STATS.prepare_invoke();
        script.key(&[
            &keys.active,
            &keys.data,
            &keys.done,
            &keys.dead,
            &keys.workers,
            &keys.meta,
            &keys.later,
            &keys.dead_letters,
        ]);
        script.arg(DEAD_AFTER.as_secs());
        let (depth, in_flight, age_ms, workers, later, dead_letters): (u64, u64, i64, u64, u64, u64) =
            self.connection.run("measure the queue", &script).await?;
        let oldest_age = u64::try_from(age_ms).ok().map(Duration::from_millis);
        Ok(QueueStats {
            depth,
            in_flight,
            oldest_age,
            workers,
            later,
            dead_letters,
        })
    }
}
