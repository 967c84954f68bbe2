//! Noticing that Redis lost its data: a key that is always there, until everything is gone.
//!
//! The key is set only once the loss was made up for. Were it set first, a caller that died in between would leave the loss to be
//! noticed by nobody.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::AsyncCommands;

use crate::{
    error::QueueError,
    queue::{Job, Queue},
};

/// For how long one caller alone is told of a loss. Should it end before the loss is made up for, another one is told after that.
const TOLD: Duration = Duration::from_secs(10);

/// Whether this Redis still has what was put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// It does, or another caller was just told that it does not.
    Present,
    /// It does not, or is new: the caller makes all it has pending due at once, and then calls [`Queue::begin_epoch`]. Told to one
    /// caller every ten seconds until one did.
    Missing,
}

impl<J: Job> Queue<J> {
    /// Looks for the epoch key. Cheap; call it every few seconds.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn epoch(&self) -> Result<Epoch, QueueError> {
        let failed = |source| self.connection.error("look for the epoch", source);
        let mut connection = self.connection.clone();
        if connection.exists(&self.keys.epoch).await.map_err(failed)? {
            return Ok(Epoch::Present);
        }
        let only_here: Option<String> = redis::cmd("SET")
            .arg(&self.keys.epoch_told)
            .arg("")
            .arg("NX")
            .arg("EX")
            .arg(TOLD.as_secs())
            .query_async(&mut connection)
            .await
            .map_err(failed)?;
        Ok(only_here.map_or(Epoch::Present, |_| Epoch::Missing))
    }

    /// Sets the epoch key: from now on Redis has all that it should. It holds the time, for whoever looks.
    ///
    /// # Errors
    /// Redis is away. The loss is told again.
    pub async fn begin_epoch(&self) -> Result<(), QueueError> {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        redis::pipe()
            .atomic()
            .set_nx(&self.keys.epoch, since)
            .del(&self.keys.epoch_told)
            .exec_async(&mut self.connection.clone())
            .await
            .map_err(|source| self.connection.error("begin an epoch", source))
    }
}
