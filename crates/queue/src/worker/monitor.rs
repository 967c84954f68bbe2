//! Builds an apalis worker: its settings, and the parts that this crate replaces.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apalis::prelude::{BackendExt, Event, Monitor, WorkerBuilder};
use apalis_redis::{Config, RedisStorage};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, PollSemaphore};
use tower::Service;

use super::delivery::Delivery;
use super::failures::Failures;
use super::fetch::FetchWhenDue;
use super::handler::Handler;
use super::health::WorkerHealth;
use super::pause::{Gate, Pause};
use super::payload::{Payload, PayloadCodec};
use super::poll::{Wake, WakeOrTick};
use super::registration::Registration;
use super::registry::Registry;
use crate::queue::Job;

/// Long enough to switch off apalis' heartbeat and its search for dead workers: `upkeep.rs` does both.
const APALIS_HEARTBEAT: Duration = Duration::from_secs(24 * 60 * 60);

/// The state that all registrations of one `work` call share.
#[derive(Clone)]
pub(crate) struct Parts<S> {
    pub(crate) connection: FetchWhenDue,
    pub(crate) config: Config,
    /// In a mutex because apalis requires `Sync`; locked once per registration.
    pub(crate) service: Arc<Mutex<S>>,
    /// One permit per running job.
    pub(crate) slots: Arc<Semaphore>,
    /// Cancelled to abandon running jobs.
    pub(crate) abandon: CancellationToken,
    pub(crate) wake: Arc<Wake>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) health: WorkerHealth,
    pub(crate) pause: Pause,
    pub(crate) failures: Option<Failures>,
}

/// The settings of apalis-redis. `tests/it/apalis_settings.rs` shows how its defaults fail.
pub(crate) fn config(queue: &str, concurrency: usize) -> Config {
    Config::default()
        .queue(queue)
        // apalis' acknowledgement channel holds four batches, and shutdown hangs when more jobs than that
        // run: the batch must be at least a quarter of the concurrency. With a half, a backlog drains 1.5
        // times as fast.
        .batch_size((concurrency / 2).max(1))
        .heartbeat_interval(APALIS_HEARTBEAT)
        // A lock costs a search through the backlog per job.
        .lock_tasks(false)
        .emit_events(false)
        // Without results nothing is acknowledged.
        .persist_results(true)
}

/// A monitor of one worker. It ends when the worker does: apalis' own restarts have no backoff.
pub(crate) fn monitor<J, S>(parts: Parts<S>, registration: Arc<Registration>) -> Monitor
where
    J: Job,
    S: Service<Delivery<J>, Response = (), Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let (registry, health) = (Arc::clone(&parts.registry), parts.health.clone());
    let registered = Arc::clone(&registration);
    Monitor::new()
        .on_event(move |_, event| {
            // apalis' first heartbeat: the worker is registered, and fetches from now on.
            if matches!(event, Event::HeartBeat) {
                registry.add(&registered);
                health.set_running(true);
            }
        })
        .register(move |_| {
            let failing = Arc::clone(&registration);
            let backend = RedisStorage::<Payload<J>, FetchWhenDue>::new(parts.connection.clone())
                .with_config(parts.config.clone())
                .inspect_err(move |error| failing.record_failure(error))
                .with_codec(PayloadCodec)
                .poll_with_strategy(WakeOrTick::new(Arc::clone(&parts.wake)));
            let service = parts.service.lock().unwrap_or_else(PoisonError::into_inner);
            let handler = Handler {
                service: service.clone(),
                registration: Arc::clone(&registration),
                slots: PollSemaphore::new(Arc::clone(&parts.slots)),
                slot: None,
                abandon: parts.abandon.clone(),
                health: parts.health.clone(),
                gate: Gate::new(parts.pause.clone()),
                failures: parts.failures.clone(),
            };
            WorkerBuilder::new(&*registration.name)
                .backend(backend)
                .build(handler)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Below a quarter shutdown hangs; above a half fetched jobs wait here while another worker is idle.
    #[test]
    fn at_every_concurrency_a_batch_is_between_a_quarter_and_a_half_of_it() {
        for concurrency in 1..=1024 {
            let batch = config("orders", concurrency).batch_size;
            assert!(4 * batch >= concurrency, "{batch} of {concurrency}");
            assert!(2 * batch <= concurrency || batch == 1, "{batch} of {concurrency}");
        }
    }

    #[test]
    fn the_defaults_that_fail_are_overridden() {
        let config = config("orders", 64);
        assert!(!config.lock_tasks);
        assert!(!config.emit_events);
        assert!(config.persist_results);
        assert_eq!(config.heartbeat_interval, APALIS_HEARTBEAT);
    }
}
