//! Every Redis key of a queue, in one place. apalis' own keys are asked of its `Config`, so the two cannot differ.

/// The keys of one queue; the table in the crate's documentation says what each holds.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Hash, id to payload: `{queue}:data`.
    pub(crate) data: String,
    /// Prefix of one hash a job, `{queue}:meta:{id}`.
    pub(crate) meta: String,
    /// List of the ids that wait: `{queue}:active`.
    pub(crate) active: String,
    /// Prefix of one set a worker, `{queue}:inflight:{worker}`.
    pub(crate) inflight: String,
    /// Sorted set of workers by last heartbeat: `{queue}:workers`.
    pub(crate) workers: String,
    /// Prefix of one hash a worker, `{queue}:workers:metadata:{worker}`.
    pub(crate) worker_metadata: String,
    /// Set of finished ids: `{queue}:done`.
    pub(crate) done: String,
    /// Set of ids whose payload nobody can read: `{queue}:dead`.
    pub(crate) dead: String,
    /// Pub/sub channel that wakes idle workers: `{queue}:wake`. Ours, not apalis'.
    pub(crate) wake: String,
    /// String, when this Redis was first seen: `{queue}:epoch`. Ours, not apalis'.
    pub(crate) epoch: String,
    /// String, that somebody was told of a missing epoch; for seconds: `{queue}:epoch:told`. Ours, not apalis'.
    pub(crate) epoch_told: String,
}

impl Keys {
    pub(crate) fn new(queue: &str) -> Self {
        let apalis = apalis_redis::Config::default().queue(queue);
        Self {
            data: apalis.job_data_hash(),
            meta: apalis.job_meta_hash(),
            active: apalis.active_jobs_list(),
            inflight: apalis.inflight_jobs_set(),
            workers: apalis.workers_set(),
            worker_metadata: format!("{queue}:workers:metadata"),
            done: apalis.done_jobs_set(),
            dead: apalis.dead_jobs_set(),
            wake: format!("{queue}:wake"),
            epoch: format!("{queue}:epoch"),
            epoch_told: format!("{queue}:epoch:told"),
        }
    }

    /// The set of ids that this worker holds.
    pub(crate) fn inflight_of(&self, worker: &str) -> String {
        format!("{}:{worker}", self.inflight)
    }

    /// What apalis notes of this worker.
    pub(crate) fn metadata_of(&self, worker: &str) -> String {
        format!("{}:{worker}", self.worker_metadata)
    }
}

#[cfg(test)]
mod tests {
    use apalis_core::worker::context::WorkerContext;

    use super::*;

    #[test]
    fn a_workers_keys_are_those_that_apalis_uses() {
        let (keys, apalis) = (Keys::new("q"), apalis_redis::Config::default().queue("q"));
        let worker = WorkerContext::new("w-1");
        assert_eq!(keys.inflight_of("w-1"), apalis.inflight_set_for(&worker));
        assert_eq!(keys.metadata_of("w-1"), apalis.worker_metadata_key(&worker));
    }
}
