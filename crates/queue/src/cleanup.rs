//! Deletes finished jobs: apalis-redis deletes nothing, and its `vacuum` deletes jobs that wait for a retry.

use crate::error::QueueError;
use crate::queue::{Job, Queue};
use crate::scripts;
use crate::worker::Upkeep;

/// Jobs per call of the script, so that Redis is not blocked for longer than about 1 ms.
const CHUNK: usize = 500;

impl<J: Job> Queue<J> {
    /// Deletes up to `max` finished jobs, puts the jobs of dead workers back into the queue, and deletes
    /// those workers' keys. Returns the number of deleted jobs: fewer than `max` means that none is left.
    /// Safe to run in many processes at once.
    ///
    /// # Errors
    /// Redis is unavailable. Jobs that were deleted before the error stay deleted.
    pub async fn clean_up(&self, max: usize) -> Result<usize, QueueError> {
        Upkeep::new(self).heartbeat_and_recover(&[]).await?;
        let mut deleted = 0;
        while deleted < max {
            let chunk = CHUNK.min(max - deleted);
            let taken = self.delete_finished(chunk).await?;
            deleted += taken;
            if taken < chunk {
                break;
            }
        }
        Ok(deleted)
    }

    async fn delete_finished(&self, max: usize) -> Result<usize, QueueError> {
        let keys = &self.keys;
        let mut script = scripts::CLEAN_UP.prepare_invoke();
        script
            .key(&[&keys.done, &keys.dead, &keys.data, &keys.meta])
            .arg(max);
        self.connection.run("clean up", &script).await
    }
}
