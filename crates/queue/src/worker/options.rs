//! The settings of one worker.

use std::time::Duration;

use super::health::WorkerHealth;
use super::pause::Pause;

/// The settings of one call of [`Queue::work`](crate::Queue::work).
#[derive(Clone, Debug)]
pub struct WorkOptions {
    /// Maximum number of jobs that run at the same time, 1 to 10,000; default 64.
    pub concurrency: usize,
    /// At shutdown, running jobs are abandoned after this time; default 30 s. They are then delivered to
    /// another worker.
    pub shutdown_timeout: Duration,
    /// Prefix of the worker's name; default `worker`. A unique suffix is added: apalis rejects a name that
    /// was used within the last 30 s.
    pub name_prefix: String,
    /// Keep a clone to read the worker's state.
    pub health: WorkerHealth,
    /// Keep a clone to pause the worker.
    pub pause: Pause,
}

impl Default for WorkOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            shutdown_timeout: Duration::from_secs(30),
            name_prefix: "worker".to_owned(),
            health: WorkerHealth::default(),
            pause: Pause::default(),
        }
    }
}
