//! Noticing that Redis lost its data: a key that is always there, until everything is gone.

use std::time::{SystemTime, UNIX_EPOCH};

use redis::AsyncCommands;

use crate::{
    error::QueueError,
    queue::{Job, Queue},
};

/// Whether this Redis still has what was put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// It does.
    Present,
    /// It does not, or is new: the caller makes all it has pending due at once. Told to one caller only.
    Created,
}

impl<J: Job> Queue<J> {
    /// Sets the epoch key if it is missing, and says whether it was. Cheap; call it every few seconds.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn ensure_epoch(&self) -> Result<Epoch, QueueError> {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let created: bool = self
            .connection
            .clone()
            .set_nx(&self.keys.epoch, since)
            .await
            .map_err(|source| self.connection.error("look for the epoch", source))?;
        Ok(if created {
            Epoch::Created
        } else {
            Epoch::Present
        })
    }
}
