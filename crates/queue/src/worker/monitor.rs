//! Puts an apalis worker together: which of its settings hold, and which parts are ours.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use apalis::prelude::{BackendExt, Event, Monitor, WorkerBuilder};
use apalis_redis::{Config, RedisStorage};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    WorkerHealth,
    delivery::Delivery,
    handler::Handler,
    incarnation::Incarnation,
    payload::{Payload, PayloadCodec},
    poll::{Wake, WakeOrTick},
    roster::Roster,
};
use crate::{connection::Connection, queue::Job};

/// apalis' heartbeat, and with it its search for orphans: in effect never. `Upkeep` does both, see there.
const APALIS_HEARTBEAT: Duration = Duration::from_secs(24 * 60 * 60);

/// What all incarnations of one `work` share.
#[derive(Clone)]
pub(crate) struct Parts<S> {
    pub(crate) connection: Connection,
    pub(crate) config: Config,
    /// In a mutex only because apalis wants to share what holds it; it is locked once a worker.
    pub(crate) service: Arc<Mutex<S>>,
    /// One permit a running job.
    pub(crate) slots: Arc<Semaphore>,
    /// Cancelled to abandon running jobs.
    pub(crate) kill: CancellationToken,
    pub(crate) wake: Arc<Wake>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) health: WorkerHealth,
}

/// The settings of apalis-redis that were measured to hold.
pub(crate) fn config(queue: &str, concurrency: usize) -> Config {
    Config::default()
        .queue(queue)
        // apalis' channel of acknowledgements holds four batches, and shutdown hangs when more jobs than that run: so a
        // quarter of the concurrency is the least. A half drains a backlog half as fast again.
        .batch_size((concurrency / 2).max(1))
        .heartbeat_interval(APALIS_HEARTBEAT)
        // A lock costs a search through the backlog for each job.
        .lock_tasks(false)
        .emit_events(false)
        // Without results nothing is acknowledged.
        .persist_results(true)
}

/// A monitor of one worker, that ends when the worker does: its own restarts know no pause.
pub(crate) fn monitor<J, S>(parts: Parts<S>, incarnation: Arc<Incarnation>) -> Monitor
where
    J: Job,
    S: Service<Delivery<J>, Response = (), Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let (roster, health) = (Arc::clone(&parts.roster), parts.health.clone());
    let registered = Arc::clone(&incarnation);
    Monitor::new()
        .on_event(move |_, event| {
            // apalis' first heartbeat: it is registered, and fetches from now on.
            if matches!(event, Event::HeartBeat) {
                roster.add(&registered);
                health.set_running(true);
            }
        })
        .register(move |_| {
            let failing = Arc::clone(&incarnation);
            let backend = RedisStorage::<Payload<J>, Connection>::new(parts.connection.clone())
                .with_config(parts.config.clone())
                .inspect_err(move |error| failing.failed(error))
                .with_codec(PayloadCodec)
                .poll_with_strategy(WakeOrTick::new(Arc::clone(&parts.wake)));
            let service = parts.service.lock().unwrap_or_else(PoisonError::into_inner);
            let handler = Handler::new(
                service.clone(),
                Arc::clone(&incarnation),
                Arc::clone(&parts.slots),
                parts.kill.clone(),
            );
            WorkerBuilder::new(&*incarnation.name)
                .backend(backend)
                .build(handler)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fewer than a quarter, and shutdown hangs; more than a half, and fetched jobs wait here while another worker is idle.
    #[test]
    fn at_every_concurrency_a_batch_is_between_a_quarter_and_a_half_of_it() {
        for concurrency in 1..=1024 {
            let batch = config("orders", concurrency).batch_size;
            assert!(4 * batch >= concurrency, "{batch} of {concurrency}");
            assert!(2 * batch <= concurrency || batch == 1, "{batch} of {concurrency}");
        }
    }

    #[test]
    fn the_defaults_that_do_not_hold_are_set_otherwise() {
        let config = config("orders", 64);
        assert!(!config.lock_tasks);
        assert!(!config.emit_events);
        assert!(config.persist_results);
        assert_eq!(config.heartbeat_interval, APALIS_HEARTBEAT);
    }
}
