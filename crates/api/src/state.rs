//! What every handler can reach.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dispatch::Dispatcher;
use domain::Threshold;
use store::Store;

pub(crate) struct AppState {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) dispatch_grace: Duration,
    pub(crate) high_value: Threshold,
    draining: AtomicBool,
}

impl AppState {
    pub(crate) fn new(
        store: Store,
        dispatcher: Dispatcher,
        dispatch_grace: Duration,
        high_value: Threshold,
    ) -> Self {
        Self {
            store,
            dispatcher,
            dispatch_grace,
            high_value,
            draining: AtomicBool::new(false),
        }
    }

    /// From now on the service says that it is not ready, so that no new client is sent to it.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
