//! Puts jobs into a queue. apalis' `push` is not used: it goes through `:scheduled`, whose fetch fails
//! permanently above about 8,000 due jobs, and it does not report whether the job is new.

use apalis_core::task::task_id::TaskId;

use crate::error::QueueError;
use crate::queue::{Job, Queue};
use crate::scripts;

/// Jobs per call of the script, so that Redis is not blocked for longer than about 2 ms.
const CHUNK: usize = 500;

/// The result of enqueueing one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// The job was unknown, finished or lost, and waits now.
    New,
    /// The job already waits or is in flight: nothing was changed. Also returned for a job that this call
    /// enqueued, when the connection broke before the response and the call was repeated.
    AlreadyQueued,
    /// The queue is full (see [`Queue::enqueue_within`]): nothing was changed.
    Full,
}

impl<J: Job> Queue<J> {
    /// Enqueues one job, unless a job with this id already waits or is in flight. One round trip. Safe to
    /// repeat, for instance after a timeout.
    ///
    /// # Errors
    /// The id or the job is not valid, or Redis is unavailable.
    pub async fn enqueue(&self, id: &str, job: &J) -> Result<Enqueued, QueueError> {
        self.enqueue_one(id, job, None).await
    }

    /// Like [`enqueue`](Self::enqueue), but returns [`Enqueued::Full`] for a new job while `limit` jobs wait.
    /// For callers that keep the job elsewhere. Without a limit a queue that is filled faster than it is
    /// processed fills its Redis.
    ///
    /// # Errors
    /// As for [`enqueue`](Self::enqueue).
    pub async fn enqueue_within(&self, limit: u32, id: &str, job: &J) -> Result<Enqueued, QueueError> {
        self.enqueue_one(id, job, Some(limit)).await
    }

    /// Enqueues many jobs, with one round trip per 500; the results are in the order of the jobs.
    ///
    /// # Errors
    /// As for [`enqueue`](Self::enqueue). Jobs of earlier chunks are then enqueued: calling it again is safe.
    pub async fn enqueue_many(&self, jobs: &[(String, J)]) -> Result<Vec<Enqueued>, QueueError> {
        let mut outcome = Vec::with_capacity(jobs.len());
        for chunk in jobs.chunks(CHUNK) {
            let chunk = chunk.iter().map(|(id, job)| (id.as_str(), job));
            outcome.extend(self.enqueue_chunk(chunk, None).await?);
        }
        Ok(outcome)
    }

    /// Whether each of these jobs waits or is in flight, in their order; one round trip per 500.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn queued(&self, ids: &[String]) -> Result<Vec<bool>, QueueError> {
        let mut queued = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let mut script = scripts::QUEUED.prepare_invoke();
            script.key(&[&self.keys.data, &self.keys.meta]).arg(chunk);
            let response: Vec<bool> = self.connection.run("look up jobs", &script).await?;
            queued.extend(response);
        }
        Ok(queued)
    }

    async fn enqueue_one(&self, id: &str, job: &J, limit: Option<u32>) -> Result<Enqueued, QueueError> {
        let outcome = self.enqueue_chunk(std::iter::once((id, job)), limit).await?;
        Ok(outcome.first().copied().unwrap_or(Enqueued::AlreadyQueued))
    }

    async fn enqueue_chunk(
        &self,
        jobs: impl Iterator<Item = (&str, &J)>,
        limit: Option<u32>,
    ) -> Result<Vec<Enqueued>, QueueError> {
        let keys = &self.keys;
        let mut script = scripts::ENQUEUE.prepare_invoke();
        script.key(&[&keys.data, &keys.meta, &keys.active, &keys.done, &keys.dead]);
        script.key(&[&keys.workers, &keys.inflight, &keys.wake]);
        script.arg(limit.map_or(-1, i64::from));
        for (id, job) in jobs {
            check_id(id)?;
            let payload = serde_json::to_vec(job).map_err(|source| QueueError::Encode {
                id: id.to_owned(),
                source,
            })?;
            script.arg(id).arg(payload);
        }
        let outcome: Vec<u8> = self.connection.run("enqueue", &script).await?;
        let enqueued = |number| match number {
            1 => Enqueued::New,
            2 => Enqueued::Full,
            _ => Enqueued::AlreadyQueued,
        };
        Ok(outcome.into_iter().map(enqueued).collect())
    }
}

/// apalis parses an id as a number or a ULID where it can, and writes it back in its own format: `007` would
/// become `7`, and its acknowledgement would not find the job.
fn check_id(id: &str) -> Result<(), QueueError> {
    match id.parse::<TaskId>() {
        Ok(parsed) if parsed.to_string() == id => Ok(()),
        _ => Err(QueueError::InvalidId(id.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_apalis_would_reformat_is_invalid() {
        for id in ["", "007", "+1", "01arz3ndektsv4rrffq69g5fav"] {
            assert!(check_id(id).is_err(), "{id:?}");
        }
        for id in [
            "7",
            "order 7",
            "0198c1f0-93a4-7d6e-8f00-000000000000:1",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        ] {
            assert!(check_id(id).is_ok(), "{id:?}");
        }
    }
}
