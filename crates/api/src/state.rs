//! What every handler can reach.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dispatch::{Dispatcher, Publisher};
use domain::Threshold;
use store::Store;

use crate::auth::Authenticator;
use crate::cache::Cache;
use crate::config::HttpConfig;
use crate::events::Hub;
use crate::rate_limit::RateLimit;

pub(crate) struct AppState {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) publisher: Publisher,
    pub(crate) hub: Hub,
    pub(crate) cache: Cache,
    pub(crate) authenticator: Authenticator,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) dispatch_grace: Duration,
    pub(crate) high_value: Threshold,
    pub(crate) http: HttpConfig,
    pub(crate) draining: AtomicBool,
}

impl AppState {
    /// From now on the service says that it is not ready, so that no new client is sent to it; and nobody is kept waiting here.
    pub(crate) fn drain(&self) {
        self.hub.close();
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
