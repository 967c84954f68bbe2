//! Jobs that wait for their time: those of `enqueue_later`, and those that failed and have attempts left.

use std::any::type_name_of_val;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::enqueue::{Enqueued, IN_FLIGHT_LIMIT, encode};
use crate::error::QueueError;
use crate::queue::{Job, Queue};
use crate::scripts;

/// Jobs per call of the script, so that Redis is not blocked for longer than about 2 ms.
const CHUNK: u64 = 200;

/// Shortest and longest interval between two looks for due jobs. The longest is how late a job can be that
/// another process stored.
const MIN_INTERVAL: Duration = Duration::from_millis(20);
const MAX_INTERVAL: Duration = Duration::from_secs(1);

impl<J: Job> Queue<J> {
    /// Enqueues one job after `delay`, by Redis' clock, unless a job with this id already waits or is in
    /// flight. Workers of [`work_with_retries`](Self::work_with_retries) deliver it, up to a second late.
    /// Safe to repeat; the first delay counts.
    ///
    /// # Errors
    /// As for [`enqueue`](Self::enqueue).
    pub async fn enqueue_later(&self, id: &str, job: &J, delay: Duration) -> Result<Enqueued, QueueError> {
        let keys = &self.keys;
        let mut script = scripts::ENQUEUE_LATER.prepare_invoke();
        script.key(&[&keys.data, &keys.meta, &keys.later, &keys.later]);
        script.arg(id).arg(encode(id, job)?).arg(milliseconds(delay));
        let is_new: bool = self.connection.run("enqueue for later", &script).await?;
        Ok(if is_new {
            Enqueued::New
        } else {
            Enqueued::AlreadyQueued
        })
    }

    /// Moves due jobs into the list of waiting jobs, until it is dropped. `earlier` is notified when this
    /// process stored a job.
    pub(crate) async fn move_due_jobs(&self, earlier: &Notify) {
        loop {
            let next = self.move_due().await.unwrap_or_else(|error| {
                tracing::debug!(
                    exception.type = type_name_of_val(&error),
                    exception.message = %error,
                    "due jobs could not be moved, which is retried"
                );
                MAX_INTERVAL
            });
            if !next.is_zero() {
                sleep(MIN_INTERVAL).await;
                let _ = timeout(
                    next.min(MAX_INTERVAL).saturating_sub(MIN_INTERVAL),
                    earlier.notified(),
                )
                .await;
            }
        }
    }

    /// One batch. Returns the time until the next is due.
    async fn move_due(&self) -> Result<Duration, QueueError> {
        let keys = &self.keys;
        let mut script = scripts::MOVE_DUE.prepare_invoke();
        script.key(&[&keys.data, &keys.meta, &keys.active, &keys.done, &keys.dead]);
        script.key(&[&keys.wake, &keys.idle, &keys.later, &keys.later]);
        script.arg(CHUNK).arg(milliseconds(IN_FLIGHT_LIMIT));
        let (due, moved, lost, next_ms): (u64, u64, u64, i64) =
            self.connection.run("move due jobs", &script).await?;
        if lost > 0 {
            tracing::error!("Redis lost the payloads of {lost} jobs, which were dropped");
        }
        let next = u64::try_from(next_ms).map_or(MAX_INTERVAL, Duration::from_millis);
        // A full batch of which nothing moved waits for acknowledgements.
        let is_full = due == CHUNK && moved > 0;
        Ok(if is_full {
            Duration::ZERO
        } else {
            next.max(MIN_INTERVAL)
        })
    }
}

pub(crate) fn milliseconds(duration: Duration) -> i64 {
    // Redis' sorted sets count exactly up to 2^53; this is 30,000 years.
    const MAX: i64 = 1_000_000_000_000_000;
    i64::try_from(duration.as_millis()).unwrap_or(MAX).min(MAX)
}
