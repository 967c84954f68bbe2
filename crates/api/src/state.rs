//! What the handlers share. Each thread has a clone whose statements and commands stay on the thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::{HttpMessage, HttpRequest};
use dispatch::{Dispatcher, Publisher};
use domain::{CustomerId, Threshold};
use queue::Queue;
use service::health::{SharedCheck, checked, passes};
use store::{Schema, Store};

use crate::auth::Authenticator;
use crate::cache::Cache;
use crate::config::{Config, HttpConfig, PageSettings};
use crate::events::Hub;
use crate::problem::Problem;
use crate::reservation::Limit;
use crate::samples::Samples;
use crate::single_flight::SingleFlight;

/// Bytes of a body that is not counted.
const SMALL_BODY: usize = 16 * 1024;
/// Bytes of large bodies, of requests and of responses, that all customers and that one may hold. A pod has
/// 256 MiB.
const BODIES: usize = 64 * 1024 * 1024;
const BODIES_PER_CUSTOMER: usize = 16 * 1024 * 1024;

#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) publisher: Publisher,
    pub(crate) hub: Hub,
    pub(crate) cache: Arc<Cache>,
    pub(crate) totals_in_flight: Arc<SingleFlight>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) dispatch_grace: Duration,
    pub(crate) high_value: Threshold,
    pub(crate) http: HttpConfig,
    pub(crate) console: PageSettings,
    pub(crate) samples: Samples,
    pub(crate) bodies: Limit,
    /// Open event streams and waits.
    pub(crate) streams: Limit,
    checks: SharedCheck<Servers>,
    draining: Arc<AtomicBool>,
}

/// The state of the servers that requests need.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Servers {
    /// `None` while PostgreSQL is unavailable.
    pub(crate) schema: Option<Schema>,
    /// Whether Redis responds.
    pub(crate) redis: bool,
    /// Whether the queue is paused; `false` while that is unknown.
    pub(crate) paused: bool,
}

impl AppState {
    /// Connects to PostgreSQL and Redis on first use.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let queue = Queue::connect_lazy(config.queue.clone())?;
        let store = Store::new(config.store.clone())?;
        Ok(Self {
            samples: Samples::new(store.clone()),
            store,
            publisher: Publisher::start(&queue),
            hub: Hub::new(),
            cache: Arc::new(Cache::new(&queue)),
            totals_in_flight: Arc::default(),
            dispatcher: Dispatcher::new(queue),
            authenticator: Arc::new(Authenticator::new(&config.auth)?),
            dispatch_grace: config.dispatch_grace,
            high_value: config.high_value,
            http: config.http.clone(),
            console: config.pages.clone(),
            bodies: Limit::new(BODIES, BODIES_PER_CUSTOMER),
            streams: Limit::new(config.http.event_streams, config.http.event_streams_per_customer),
            checks: SharedCheck::default(),
            draining: Arc::default(),
        })
    }

    /// For the handlers of the calling thread. Its runtime drives their connections, so that a statement does
    /// not wake another thread.
    pub(crate) fn on_this_thread(&self) -> Self {
        Self {
            store: self.store.on_this_thread(),
            dispatcher: self.dispatcher.on_this_thread(),
            ..self.clone()
        }
    }

    /// The state of the servers, at most half a second old.
    pub(crate) async fn servers(&self) -> Servers {
        let (store, queue) = (self.store.clone(), self.dispatcher.queue().clone());
        let check = async move {
            let (store, redis) = tokio::join!(checked(store.readiness()), passes(queue.ping()));
            Servers {
                schema: store.map(|(schema, _)| schema),
                redis,
                paused: store.is_some_and(|(_, paused)| paused),
            }
        };
        self.checks.latest_or(check).await
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

    /// Reserves memory for a large body, until the response is sent.
    pub(crate) fn hold(
        &self,
        request: &HttpRequest,
        customer: Option<&CustomerId>,
        bytes: usize,
    ) -> Result<(), Problem> {
        if bytes > SMALL_BODY {
            let reserved = self.bodies.reserve(customer, bytes);
            let reservation = reserved.map_err(|exceeded| exceeded.problem("bytes in large bodies"))?;
            request.extensions_mut().insert(reservation);
        }
        Ok(())
    }
}
