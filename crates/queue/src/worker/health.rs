//! Whether a worker works at this moment, for a readiness probe.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A shared view of one worker's state. Clones see the same; asking costs one atomic load.
#[derive(Clone, Debug, Default)]
pub struct WorkerHealth {
    running: Arc<AtomicBool>,
}

impl WorkerHealth {
    /// True while the worker is registered in Redis and fetches. False before, while it starts again after an error,
    /// and from the beginning of shutdown.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }
}
