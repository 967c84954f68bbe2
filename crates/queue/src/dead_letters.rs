//! Dead letters: jobs whose last attempt failed, or whose payload cannot be read. They stay until they are
//! redriven or deleted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::QueueError;
use crate::queue::{Job, Queue};
use crate::scripts;

/// Dead letters per call of a script, so that Redis is not blocked for longer than about 2 ms.
const CHUNK: usize = 200;

/// A job that will not be attempted again by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The id that the job was enqueued under.
    pub id: String,
    /// The job as it was enqueued: JSON, unless something else wrote it.
    pub payload: Vec<u8>,
    /// How many attempts failed.
    pub attempts: u32,
    /// The type of the last error; `panic` if the handler panicked.
    pub error_type: String,
    /// The last error's text, of at most 1,000 characters: as the handler's errors say it, unmasked.
    pub error_message: String,
    /// When the last attempt failed, by Redis' clock.
    pub failed_at: SystemTime,
}

/// A dead letter as the script returns it.
type Row = (String, Vec<u8>, String, String, String, u64);

impl<J: Job> Queue<J> {
    /// Up to `limit` dead letters, oldest first, without the first `skip`.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn dead_letters(&self, skip: usize, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut letters = Vec::new();
        while letters.len() < limit {
            let chunk = CHUNK.min(limit - letters.len());
            let mut script = scripts::DEAD_LETTERS.prepare_invoke();
            script.key(&[&self.keys.dead_letters, &self.keys.dead_letters]);
            script.arg(skip + letters.len()).arg(chunk);
            let page: Vec<Row> = self.connection.run("list dead letters", &script).await?;
            let is_last = page.len() < chunk;
            letters.extend(page.into_iter().map(DeadLetter::from));
            if is_last {
                break;
            }
        }
        Ok(letters)
    }

    /// Enqueues these dead letters, as new jobs that have all attempts. Returns how many it found. Leaves
    /// those whose id is queued already, or was a few milliseconds ago.
    ///
    /// # Errors
    /// Redis is unavailable. Some may be enqueued then; it is safe to repeat.
    pub async fn redrive(&self, ids: &[String]) -> Result<usize, QueueError> {
        let mut redriven = 0;
        for chunk in ids.chunks(CHUNK) {
            redriven += self.redrive_chunk(0, 0, chunk).await?.0;
        }
        Ok(redriven)
    }

    /// Like [`redrive`](Self::redrive), of up to `max` dead letters, oldest first.
    ///
    /// # Errors
    /// As for [`redrive`](Self::redrive).
    pub async fn redrive_oldest(&self, max: usize) -> Result<usize, QueueError> {
        let (mut redriven, mut skip) = (0, 0);
        while redriven < max {
            let chunk = CHUNK.min(max - redriven);
            let (moved, left) = self.redrive_chunk(skip, chunk, &[]).await?;
            redriven += moved;
            skip += left;
            if moved + left < chunk {
                break;
            }
        }
        Ok(redriven)
    }

    /// Returns how many it enqueued, and how many it left.
    async fn redrive_chunk(
        &self,
        skip: usize,
        limit: usize,
        ids: &[String],
    ) -> Result<(usize, usize), QueueError> {
        let keys = &self.keys;
        let mut script = scripts::REDRIVE.prepare_invoke();
        script.key(&[&keys.data, &keys.meta, &keys.active, &keys.done, &keys.dead]);
        script.key(&[&keys.wake, &keys.idle, &keys.dead_letters, &keys.dead_letters]);
        script.arg(skip).arg(limit).arg(ids);
        self.connection.run("redrive dead letters", &script).await
    }

    /// Deletes these dead letters. Returns how many it found.
    ///
    /// # Errors
    /// Redis is unavailable. Some may be deleted then; it is safe to repeat.
    pub async fn delete_dead_letters(&self, ids: &[String]) -> Result<usize, QueueError> {
        let mut deleted = 0;
        for chunk in ids.chunks(CHUNK) {
            let mut script = scripts::DELETE_DEAD_LETTERS.prepare_invoke();
            script.key(&[&self.keys.dead_letters, &self.keys.dead_letters]);
            script.arg(chunk);
            let found: usize = self.connection.run("delete dead letters", &script).await?;
            deleted += found;
        }
        Ok(deleted)
    }
}

impl From<Row> for DeadLetter {
    fn from((id, payload, attempts, error_type, error_message, failed_at_ms): Row) -> Self {
        let failed_at = UNIX_EPOCH.checked_add(Duration::from_millis(failed_at_ms));
        Self {
            id,
            payload,
            attempts: attempts.parse().unwrap_or_default(),
            error_type,
            error_message,
            failed_at: failed_at.unwrap_or(UNIX_EPOCH),
        }
    }
}
