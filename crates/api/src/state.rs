//! What every handler can reach.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dispatch::Dispatcher;
use domain::Threshold;
use store::Store;

use crate::auth::Authenticator;
use crate::config::HttpConfig;
use crate::orders::AnalyticsCache;

pub(crate) struct AppState {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) analytics: AnalyticsCache,
    pub(crate) authenticator: Authenticator,
    pub(crate) dispatch_grace: Duration,
    pub(crate) high_value: Threshold,
    pub(crate) http: HttpConfig,
    pub(crate) draining: AtomicBool,
}

impl AppState {
    /// From now on the service says that it is not ready, so that no new client is sent to it.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
