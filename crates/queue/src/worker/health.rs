//! Whether a worker is running, for a readiness probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The state of one worker, shared by all clones. Reading it is one atomic load.
#[derive(Clone, Debug, Default)]
pub struct WorkerHealth {
    running: Arc<AtomicBool>,
}

impl WorkerHealth {
    /// True while the worker is registered in Redis and fetches jobs. False before that, while it restarts
    /// after an error, and from the start of shutdown.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }
}
