//! Deleting what is finished: apalis-redis deletes nothing, and its `vacuum` deletes jobs that wait for a retry.

use crate::{
    error::QueueError,
    queue::{Job, Queue},
    scripts,
    worker::Upkeep,
};

/// Jobs in one call of the script, so that Redis is not blocked for longer than about 1 ms.
const CHUNK: usize = 500;

impl<J: Job> Queue<J> {
    /// Deletes up to `max` finished jobs, and what workers that died left behind (their jobs are put back). Returns how
    /// many jobs it deleted: fewer than `max` means that none is left. Safe to run in many processes at once.
    ///
    /// # Errors
    /// Redis is away. What was deleted so far stays deleted.
    pub async fn clean_up(&self, max: usize) -> Result<u64, QueueError> {
        Upkeep::new(self).recover(&[]).await?;

        let mut deleted = 0;
        while deleted < max {
            let chunk = CHUNK.min(max - deleted);
            let taken = self.delete_finished(chunk).await?;
            deleted += taken;
            if taken < chunk {
                break;
            }
        }
        Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
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
