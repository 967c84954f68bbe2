//! The names of all Redis keys of a queue. Those of apalis are compared with its own at start: jobs that an
//! earlier release enqueued must be found, and the scripts here must find what apalis' scripts write.

use apalis_core::worker::context::WorkerContext;

use crate::error::QueueError;

/// The keys of one queue; the table in the crate's documentation describes their contents.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Hash, id to payload: `{queue}:data`.
    pub(crate) data: String,
    /// Prefix of one hash per job, `{queue}:meta:{id}`.
    pub(crate) meta: String,
    /// List of waiting ids: `{queue}:active`.
    pub(crate) active: String,
    /// Prefix of one set per worker, `{queue}:inflight:{worker}`.
    pub(crate) inflight: String,
    /// Sorted set of workers by last heartbeat: `{queue}:workers`.
    pub(crate) workers: String,
    /// Prefix of one hash per worker, `{queue}:workers:metadata:{worker}`.
    pub(crate) worker_metadata: String,
    /// Set of finished ids: `{queue}:done`.
    pub(crate) done: String,
    /// Set of ids whose payload cannot be read: `{queue}:dead`.
    pub(crate) dead: String,
    /// Sorted set of ids that apalis would move into the active list: `{queue}:scheduled`. Always empty here.
    pub(crate) scheduled: String,
    /// Prefix of one pub/sub channel per process that works, `{queue}:wake:{instance}`; the channel
    /// `{queue}:wake` wakes all workers of release 0.1. Not used by apalis.
    pub(crate) wake: String,
    /// Set of the instances that wait for jobs: `{queue}:idle`. Not used by apalis.
    pub(crate) idle: String,
    /// Empty string with a TTL while older jobs wait elsewhere: `{queue}:older`. Not used by apalis.
    pub(crate) older: String,
    /// String, the time of [`Queue::begin_epoch`](crate::Queue::begin_epoch): `{queue}:epoch`. Not used by
    /// apalis.
    pub(crate) epoch: String,
    /// Empty string with a TTL, set when a missing epoch is reported: `{queue}:epoch:told`. Not used by
    /// apalis.
    pub(crate) epoch_reported: String,
    /// String, the time of the first enqueue while the epoch is missing, in ms since 1970:
    /// `{queue}:epoch:jobs_since`. Not used by apalis.
    pub(crate) jobs_since: String,
    /// Hash, process to the time and the text of its latest report: `{queue}:reports`. Not used by apalis.
    pub(crate) reports: String,
    /// Sorted set of ids that wait for their time, by that time in ms since 1970: `{queue}:later`. Also the
    /// prefix of one hash per such job, `{queue}:later:{id}`. Not used by apalis.
    pub(crate) later: String,
    /// Sorted set of ids of dead letters, by the time of their failure in ms since 1970:
    /// `{queue}:dead_letters`. Also the prefix of one hash per dead letter. Not used by apalis.
    pub(crate) dead_letters: String,
}

impl Keys {
    /// The keys, if the release of apalis-redis in this build uses the same.
    ///
    /// # Errors
    /// [`QueueError::Layout`].
    pub(crate) fn of_apalis(queue: &str) -> Result<Self, QueueError> {
        let keys = Self::new(queue);
        keys.compare(&apalis_redis::Config::default().queue(queue))?;
        Ok(keys)
    }

    fn compare(&self, apalis: &apalis_redis::Config) -> Result<(), QueueError> {
        let worker = WorkerContext::new("worker");
        for (expected, found) in [
            (self.data.clone(), apalis.job_data_hash()),
            (self.meta.clone(), apalis.job_meta_hash()),
            (self.active.clone(), apalis.active_jobs_list()),
            (self.inflight_of("worker"), apalis.inflight_set_for(&worker)),
            (self.workers.clone(), apalis.workers_set()),
            (self.metadata_of("worker"), apalis.worker_metadata_key(&worker)),
            (self.done.clone(), apalis.done_jobs_set()),
            (self.dead.clone(), apalis.dead_jobs_set()),
            (self.scheduled.clone(), apalis.scheduled_jobs_set()),
        ] {
            if expected != found {
                return Err(QueueError::Layout { expected, found });
            }
        }
        Ok(())
    }

    pub(crate) fn new(queue: &str) -> Self {
        Self {
            data: format!("{queue}:data"),
            meta: format!("{queue}:meta"),
            active: format!("{queue}:active"),
            inflight: format!("{queue}:inflight"),
            workers: format!("{queue}:workers"),
            worker_metadata: format!("{queue}:workers:metadata"),
            done: format!("{queue}:done"),
            dead: format!("{queue}:dead"),
            scheduled: format!("{queue}:scheduled"),
            wake: format!("{queue}:wake"),
            idle: format!("{queue}:idle"),
            older: format!("{queue}:older"),
            epoch: format!("{queue}:epoch"),
            epoch_reported: format!("{queue}:epoch:told"),
            jobs_since: format!("{queue}:epoch:jobs_since"),
            reports: format!("{queue}:reports"),
            later: format!("{queue}:later"),
            dead_letters: format!("{queue}:dead_letters"),
        }
    }

    /// The set of ids that this worker has in flight.
    pub(crate) fn inflight_of(&self, worker: &str) -> String {
        format!("{}:{worker}", self.inflight)
    }

    /// What apalis stores about this worker.
    pub(crate) fn metadata_of(&self, worker: &str) -> String {
        format!("{}:{worker}", self.worker_metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_of_apalis_that_stores_queues_elsewhere_is_refused() {
        assert!(Keys::of_apalis("q").is_ok());
        let elsewhere = apalis_redis::Config::default().queue("q:v2");
        let error = Keys::new("q").compare(&elsewhere).unwrap_err().to_string();
        assert!(error.contains("the key \"q:v2:data\" where"), "{error}");
    }
}
