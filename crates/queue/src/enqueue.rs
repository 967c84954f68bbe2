//! Puts jobs into a queue. apalis' `push` is not used: it goes through `:scheduled`, whose fetch fails
//! permanently above about 8,000 due jobs, and it does not report whether the job is new.

use std::collections::HashSet;
use std::time::Duration;

use apalis_core::task::task_id::TaskId;

use crate::error::QueueError;
use crate::queue::{Job, Queue};
use crate::scripts;

/// Jobs per call of the script, so that Redis is not blocked for longer than about 2 ms.
const CHUNK: usize = 500;

/// Ids per call of the script that looks them up in the active list, for the same reason: in a list of 10,000
/// ids each takes up to 0.1 ms.
const LOOKUP_CHUNK: usize = 20;

/// Workers per round trip when jobs are looked up in their inflight sets.
const WORKERS_CHUNK: usize = 100;

/// A job that was enqueued longer ago, and does not wait, is not taken for one in flight, whatever the
/// workers' sets say. It bounds how long a wrong entry in Redis can hold back a job.
pub(crate) const IN_FLIGHT_LIMIT: Duration = Duration::from_secs(600);

/// The result of enqueueing one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// The job was unknown, finished or lost, and waits now.
    New,
    /// The job already waits, also for its time, or is in flight: nothing was changed. Also returned for a
    /// job that this call enqueued, when the connection broke before the response and the call was repeated.
    AlreadyQueued,
    /// The queue is full, or older jobs go first (see [`Queue::enqueue_within`]): nothing was changed.
    Full,
}

/// What proves that a job is queued.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Its payload and meta: O(1).
    Record,
    /// Its place in the list of waiting jobs: O(number of waiting jobs).
    List,
}

impl<J: Job> Queue<J> {
    /// Enqueues one job, unless a job with this id already waits or is in flight, as its payload and meta
    /// say. One round trip, O(1). Safe to repeat, for instance after a timeout.
    ///
    /// # Errors
    /// The id or the job is not valid, or Redis is unavailable.
    pub async fn enqueue(&self, id: &str, job: &J) -> Result<Enqueued, QueueError> {
        self.enqueue_one(id, job, Trust::Record).await
    }

    /// Enqueues one job, unless the list of waiting jobs has it: for a job that is overdue, and that
    /// [`queued`](Self::queued) did not find. A payload and a meta whose id Redis lost from its lists do not
    /// keep it from being enqueued. O(number of waiting jobs) if Redis knows the job.
    ///
    /// # Errors
    /// As for [`enqueue`](Self::enqueue).
    pub async fn enqueue_again(&self, id: &str, job: &J) -> Result<Enqueued, QueueError> {
        self.enqueue_one(id, job, Trust::List).await
    }

    /// Like [`enqueue_many`](Self::enqueue_many), but gives [`Enqueued::Full`] for each new job that finds
    /// `limit` jobs waiting, or older jobs waiting elsewhere
    /// ([`set_older_jobs_wait`](Self::set_older_jobs_wait)). For callers that keep the jobs elsewhere.
    /// Without a limit a queue that is filled faster than it is processed fills its Redis.
    ///
    /// # Errors
    /// As for [`enqueue_many`](Self::enqueue_many).
    pub async fn enqueue_within(
        &self,
        limit: u32,
        jobs: &[(String, J)],
    ) -> Result<Vec<Enqueued>, QueueError> {
        self.enqueue_chunks(jobs, Some(limit)).await
    }

    /// Says that older jobs wait where their caller keeps them, for the next `ttl`, or with `None` that none
    /// do. While they wait, [`enqueue_within`](Self::enqueue_within) enqueues no new job, so that those go
    /// first.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn set_older_jobs_wait(&self, ttl: Option<Duration>) -> Result<(), QueueError> {
        let command = match ttl {
            Some(ttl) => {
                let mut set = redis::cmd("SET");
                let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                set.arg(&self.keys.older).arg("").arg("PX").arg(ttl);
                set
            }
            None => {
                let mut delete = redis::cmd("DEL");
                delete.arg(&self.keys.older);
                delete
            }
        };
        command
            .exec_async(&mut self.connection.clone())
            .await
            .map_err(|source| self.connection.error("say whether older jobs wait", source))
    }

    /// Enqueues many jobs, with one round trip per 500; the results are in the order of the jobs.
    ///
    /// # Errors
    /// As for [`enqueue`](Self::enqueue). Jobs of earlier chunks are then enqueued: calling it again is safe.
    pub async fn enqueue_many(&self, jobs: &[(String, J)]) -> Result<Vec<Enqueued>, QueueError> {
        self.enqueue_chunks(jobs, None).await
    }

    async fn enqueue_chunks(
        &self,
        jobs: &[(String, J)],
        limit: Option<u32>,
    ) -> Result<Vec<Enqueued>, QueueError> {
        let mut outcome = Vec::with_capacity(jobs.len());
        for chunk in jobs.chunks(CHUNK) {
            let chunk = chunk.iter().map(|(id, job)| (id.as_str(), job));
            outcome.extend(self.enqueue_chunk(chunk, limit, Trust::Record).await?);
        }
        Ok(outcome)
    }

    /// Whether each of these jobs waits, also for its time, or is in flight, in their order. Reads the lists
    /// themselves, so it costs O(number of waiting jobs) for each job that Redis knows and that is not
    /// finished, and one command per worker if any of those does not wait.
    ///
    /// A job counts as in flight only within 10 min after it was enqueued.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn queued(&self, ids: &[String]) -> Result<Vec<bool>, QueueError> {
        const WAITING: u8 = 1;
        const IN_FLIGHT_OR_LOST: u8 = 2;
        let keys = &self.keys;
        let mut places: Vec<u8> = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(LOOKUP_CHUNK) {
            let mut script = scripts::QUEUED.prepare_invoke();
            script.key(&[&keys.data, &keys.meta, &keys.active, &keys.later]);
            script.arg(IN_FLIGHT_LIMIT.as_secs() * 1000).arg(chunk);
            let response: Vec<u8> = self.connection.run("look up jobs", &script).await?;
            places.extend(response);
        }
        let found = || ids.iter().map(String::as_str).zip(places.iter().copied());
        let uncertain: Vec<&str> = found()
            .filter_map(|(id, place)| (place == IN_FLIGHT_OR_LOST).then_some(id))
            .collect();
        let in_flight = self.in_flight(&uncertain).await?;
        Ok(found()
            .map(|(id, place)| place == WAITING || in_flight.contains(id))
            .collect())
    }

    /// Which of these jobs are in the inflight set of a registered worker. The set of a worker that died
    /// counts until its jobs are put back; one whose worker is not registered does not count.
    async fn in_flight<'a>(&self, ids: &[&'a str]) -> Result<HashSet<&'a str>, QueueError> {
        let mut in_flight = HashSet::new();
        if ids.is_empty() {
            return Ok(in_flight);
        }
        let failed = |source| self.connection.error("look up jobs", source);
        let mut connection = self.connection.clone();
        let workers: Vec<String> = redis::cmd("ZRANGE")
            .arg(&self.keys.workers)
            .arg(&[0, -1])
            .query_async(&mut connection)
            .await
            .map_err(failed)?;
        for chunk in workers.chunks(WORKERS_CHUNK) {
            let mut pipeline = redis::pipe();
            for worker in chunk {
                pipeline
                    .cmd("SMISMEMBER")
                    .arg(self.keys.inflight_of(worker))
                    .arg(ids);
            }
            let sets: Vec<Vec<bool>> = pipeline.query_async(&mut connection).await.map_err(failed)?;
            for set in sets {
                in_flight.extend(
                    ids.iter()
                        .zip(set)
                        .filter_map(|(id, is_member)| is_member.then_some(*id)),
                );
            }
        }
        Ok(in_flight)
    }

    async fn enqueue_one(&self, id: &str, job: &J, trust: Trust) -> Result<Enqueued, QueueError> {
        let job = std::iter::once((id, job));
        let outcome = self.enqueue_chunk(job, None, trust).await?;
        Ok(outcome.first().copied().unwrap_or(Enqueued::AlreadyQueued))
    }

    async fn enqueue_chunk(
        &self,
        jobs: impl Iterator<Item = (&str, &J)>,
        limit: Option<u32>,
        trust: Trust,
    ) -> Result<Vec<Enqueued>, QueueError> {
        let keys = &self.keys;
        let mut script = scripts::ENQUEUE.prepare_invoke();
        script.key(&[&keys.data, &keys.meta, &keys.active, &keys.done, &keys.dead]);
        script.key(&[&keys.wake, &keys.older, &keys.idle, &keys.epoch, &keys.jobs_since]);
        script.key(&keys.later);
        script
            .arg(limit.map_or(-1, i64::from))
            .arg(u8::from(trust == Trust::List));
        for (id, job) in jobs {
            script.arg(id).arg(encode(id, job)?);
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

/// The payload of a job, whose id is valid.
pub(crate) fn encode<J: Job>(id: &str, job: &J) -> Result<Vec<u8>, QueueError> {
    check_id(id)?;
    serde_json::to_vec(job).map_err(|source| QueueError::Encode {
        id: id.to_owned(),
        source,
    })
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
