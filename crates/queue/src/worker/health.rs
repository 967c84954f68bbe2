//! Whether a worker is running, and what it does, for a readiness probe and a console.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The state of one worker, shared by all clones. Reading it is one atomic load.
#[derive(Clone, Debug, Default)]
pub struct WorkerHealth {
    running: Arc<AtomicBool>,
    started: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    name: Arc<OnceLock<String>>,
}

impl WorkerHealth {
    /// True while the worker is registered in Redis and fetches jobs. False before that, while it restarts
    /// after an error, and from the start of shutdown.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Jobs that run now.
    pub fn busy(&self) -> u64 {
        // In this order: a job that ends in between is not counted twice.
        let ended = self.ended.load(Ordering::Relaxed);
        self.started.load(Ordering::Relaxed).saturating_sub(ended)
    }

    /// Jobs that have ended since the process started: finished, panicked or abandoned.
    pub fn processed(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// The name of this process in Redis, which begins the name of each of its registrations; `None` before
    /// the worker starts.
    pub fn name(&self) -> Option<&str> {
        self.name.get().map(String::as_str)
    }

    /// Only the first name counts.
    pub(crate) fn set_name(&self, name: String) {
        self.name.get_or_init(|| name);
    }

    /// Counts a job until the guard is dropped.
    pub(crate) fn job_started(&self) -> JobGuard {
        self.started.fetch_add(1, Ordering::Relaxed);
        JobGuard(Arc::clone(&self.ended))
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }
}

/// A job that runs.
pub(crate) struct JobGuard(Arc<AtomicU64>);

impl Drop for JobGuard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
