//! What the handlers share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dispatch::{Dispatcher, Publisher};
use domain::Threshold;
use queue::Queue;
use service::health::SharedCheck;
use store::{Schema, Store};

use crate::auth::Authenticator;
use crate::cache::Cache;
use crate::config::{Config, HttpConfig};
use crate::events::Hub;
use crate::single_flight::SingleFlight;

pub(crate) struct AppState {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) publisher: Publisher,
    pub(crate) hub: Hub,
    pub(crate) cache: Cache,
    pub(crate) totals_in_flight: SingleFlight,
    pub(crate) authenticator: Authenticator,
    pub(crate) dispatch_grace: Duration,
    pub(crate) high_value: Threshold,
    pub(crate) http: HttpConfig,
    pub(crate) servers: SharedCheck<Servers>,
    draining: AtomicBool,
}

/// The state of the servers that requests need.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Servers {
    /// `None` while PostgreSQL is unavailable.
    pub(crate) schema: Option<Schema>,
    /// Whether Redis responds.
    pub(crate) redis: bool,
}

impl AppState {
    /// Connects to PostgreSQL and Redis on first use.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let queue = Queue::connect_lazy(config.queue.clone())?;
        Ok(Self {
            store: Store::new(config.store.clone())?,
            publisher: Publisher::start(&queue),
            hub: Hub::new(),
            cache: Cache::new(&queue),
            totals_in_flight: SingleFlight::default(),
            dispatcher: Dispatcher::new(queue),
            authenticator: Authenticator::new(&config.auth)?,
            dispatch_grace: config.dispatch_grace,
            high_value: config.high_value,
            http: config.http.clone(),
            servers: SharedCheck::default(),
            draining: AtomicBool::new(false),
        })
    }

    /// Fails readiness, so that the load balancer sends no new clients, and ends the streams and waits of
    /// present ones.
    pub(crate) fn drain(&self) {
        self.hub.close();
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
