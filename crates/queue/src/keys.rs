//! The names of all Redis keys of a queue. apalis' keys come from its `Config`, so the two cannot differ.

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
            scheduled: apalis.scheduled_jobs_set(),
            wake: format!("{queue}:wake"),
            idle: format!("{queue}:idle"),
            older: format!("{queue}:older"),
            epoch: format!("{queue}:epoch"),
            epoch_reported: format!("{queue}:epoch:told"),
            jobs_since: format!("{queue}:epoch:jobs_since"),
            reports: format!("{queue}:reports"),
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
