//! Detects that Redis lost its data: the epoch key exists unless all keys are gone.
//!
//! The caller sets the key only after it recovered from the loss. If the key were set first and the caller
//! died before recovering, the loss would stay undetected.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::AsyncCommands;

use crate::error::QueueError;
use crate::queue::{Job, Queue};

/// A loss is reported to one caller at a time. If that caller does not recover within this time, it is
/// reported again.
const LOSS_REPORT_HOLD: Duration = Duration::from_secs(10);

/// Whether Redis still has the data that was put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// It has, or the loss was reported to another caller within the last 10 s.
    Present,
    /// Redis lost its data, or is new. The caller makes its pending work from before `jobs_since` due at
    /// once, and then calls [`Queue::begin_epoch`]. Reported to one caller every 10 s until then.
    Missing {
        /// When the first job since then was enqueued, by Redis' clock: Redis has what was enqueued later.
        /// `None` if there is no such job.
        jobs_since: Option<SystemTime>,
    },
}

impl<J: Job> Queue<J> {
    /// Checks the epoch key. One round trip unless it is missing; call it every few seconds.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn epoch(&self) -> Result<Epoch, QueueError> {
        let failed = |source| self.connection.error("check the epoch", source);
        let mut connection = self.connection.clone();
        if connection.exists(&self.keys.epoch).await.map_err(failed)? {
            return Ok(Epoch::Present);
        }
        let reported_here: Option<String> = redis::cmd("SET")
            .arg(&self.keys.epoch_reported)
            .arg("")
            .arg("NX")
            .arg("EX")
            .arg(LOSS_REPORT_HOLD.as_secs())
            .query_async(&mut connection)
            .await
            .map_err(failed)?;
        if reported_here.is_none() {
            return Ok(Epoch::Present);
        }
        let jobs_since: Option<u64> = connection.get(&self.keys.jobs_since).await.map_err(failed)?;
        let jobs_since = jobs_since.and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
        Ok(Epoch::Missing { jobs_since })
    }

    /// Sets the epoch key, after recovering from a loss. Its value is the time, in seconds since 1970.
    ///
    /// # Errors
    /// Redis is unavailable. The loss is reported again.
    pub async fn begin_epoch(&self) -> Result<(), QueueError> {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        redis::pipe()
            .atomic()
            .set_nx(&self.keys.epoch, since)
            .del(&self.keys.epoch_reported)
            .del(&self.keys.jobs_since)
            .exec_async(&mut self.connection.clone())
            .await
            .map_err(|source| self.connection.error("begin an epoch", source))
    }
}
