//! Runs apalis workers one after another until shutdown: each ends at the first error, for instance when
//! Redis is unavailable for longer than the response timeout, and the next one starts under a new name.

use std::any::type_name_of_val;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apalis::prelude::MonitorError;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tower::Service;
use uuid::Uuid;

use super::delivery::Delivery;
use super::failures::Failures;
use super::fetch::FetchWhenDue;
use super::health::WorkerHealth;
use super::listener::Listener;
use super::monitor::{self, Parts};
use super::options::WorkOptions;
use super::poll::Wake;
use super::registration::Registration;
use super::upkeep::Upkeep;
use crate::error::QueueError;
use crate::queue::{Job, Queue};

/// Backoff before a worker restarts. It doubles up to the maximum, and starts over after a worker ran for
/// longer than `BACKOFF_RESET_AFTER`. The maximum is how late the worker continues after an outage of Redis;
/// an attempt during the outage costs one refused connection.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(5);

/// Timeout of each of the last two steps of shutdown: abandoned jobs stop, and the worker is deregistered.
const CLEAN_STOP_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct Supervisor<J, S> {
    queue: Queue<J>,
    options: WorkOptions,
    /// `options.concurrency`, in the type that `Semaphore::acquire_many` takes.
    concurrency: u32,
    parts: Parts<S>,
    upkeep: Upkeep,
}

/// Why a worker ended.
enum End {
    /// `shutdown` was cancelled. Its jobs are abandoned at this deadline.
    Shutdown(Instant),
    /// An error, or, which is not expected of apalis-redis, a return without one.
    Failure(Option<MonitorError>),
}

impl<J, S> Supervisor<J, S>
where
    J: Job,
    S: Service<Delivery<J>, Response = (), Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    /// With `failures`, a job with an unreadable payload becomes a dead letter.
    pub(crate) fn new(
        queue: Queue<J>,
        options: WorkOptions,
        service: S,
        failures: Option<Failures>,
    ) -> Result<Self, QueueError> {
        let invalid = || QueueError::InvalidConcurrency(options.concurrency);
        let concurrency = u32::try_from(options.concurrency).map_err(|_| invalid())?;
        if !(1..=10_000).contains(&concurrency) {
            return Err(invalid());
        }
        let config = monitor::config(queue.name(), options.concurrency);
        let slots = Arc::new(Semaphore::new(options.concurrency));
        let wake = Arc::<Wake>::default();
        let parts = Parts {
            connection: FetchWhenDue {
                connection: queue.connection(),
                keys: Arc::clone(&queue.keys),
                wake: Arc::clone(&wake),
                instance: Uuid::now_v7().simple().to_string().into(),
                batch_size: config.batch_size,
                slots: Arc::clone(&slots),
            },
            config,
            service: Arc::new(Mutex::new(service)),
            slots,
            abandon: CancellationToken::new(),
            wake,
            registry: Arc::default(),
            health: options.health.clone(),
            pause: options.pause.clone(),
            failures,
        };
        let upkeep = Upkeep::new(&queue);
        Ok(Self {
            queue,
            options,
            concurrency,
            parts,
            upkeep,
        })
    }

    pub(crate) async fn run(self, shutdown: &CancellationToken) {
        // When this future is dropped, everything that it started stops.
        let _abandon_jobs = self.parts.abandon.clone().drop_guard();
        let _not_running = NotRunningOnDrop(&self.parts.health);
        let mut helpers = JoinSet::new();
        helpers.spawn(self.upkeep.clone().run(Arc::clone(&self.parts.registry)));
        let instance = &self.parts.connection.instance;
        let name = format!("{}-{instance}", self.options.name_prefix);
        self.parts.health.set_name(name);
        let listener = Listener {
            client: self.queue.connection.client().clone(),
            keys: Arc::clone(&self.queue.keys),
            instance: Arc::clone(instance),
            wake: Arc::clone(&self.parts.wake),
        };
        let listening = helpers.spawn(listener.run());

        let deadline = self.run_until_shutdown(instance, shutdown).await;
        listening.abort();
        // While Redis is unavailable the entry stays; an enqueue removes it when it finds no receiver.
        let leave_set = timeout(CLEAN_STOP_TIMEOUT, self.parts.connection.leave_set());
        let ((), _) = tokio::join!(self.wait_for_jobs(deadline), leave_set);
        helpers.shutdown().await;
        self.upkeep
            .deregister_all(&self.parts.registry, CLEAN_STOP_TIMEOUT)
            .await;
    }

    /// Runs one worker after another. Returns the deadline of the running jobs.
    async fn run_until_shutdown(&self, instance: &str, shutdown: &CancellationToken) -> Instant {
        let mut backoff = MIN_BACKOFF;
        for number in 1_u64.. {
            let name = format!("{}-{instance}-{number}", self.options.name_prefix);
            let registration = Arc::new(Registration::new(name, self.options.concurrency));
            let start = Instant::now();
            let end = self.run_worker(&registration, shutdown).await;
            self.parts.health.set_running(false);
            registration.end();
            self.parts.registry.notify();
            let end = match end {
                End::Shutdown(deadline) => return deadline,
                End::Failure(end) => end,
            };

            if start.elapsed() > BACKOFF_RESET_AFTER {
                backoff = MIN_BACKOFF;
            }
            // The error of Redis itself, in one line, instead of apalis' message about it.
            let error = registration
                .failure()
                .or_else(|| Some(end?.to_string()))
                .unwrap_or_default();
            tracing::warn!(
                messaging.client.id = &*registration.name,
                exception.type = "worker_failure",
                exception.message = error,
                "the worker failed and restarts after {backoff:?}"
            );
            if shutdown.run_until_cancelled(sleep(backoff)).await.is_none() {
                break;
            }
            backoff = (backoff * 2).min(MAX_BACKOFF);
            if registration.has_found_unfetchable_job()
                && let Err(error) = self.upkeep.repair().await
            {
                tracing::warn!(
                    exception.type = type_name_of_val(&error),
                    exception.message = %error,
                    "the queue could not be repaired yet"
                );
            }
        }
        Instant::now() + self.options.shutdown_timeout
    }

    /// Runs one worker until it fails or has shut down.
    async fn run_worker(&self, registration: &Arc<Registration>, shutdown: &CancellationToken) -> End {
        let monitor = monitor::monitor::<J, S>(self.parts.clone(), Arc::clone(registration));
        let context = monitor.context();
        let mut run = std::pin::pin!(monitor.run());
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            end = &mut run => return End::Failure(end.err()),
        }

        // apalis now stops fetching, waits for its jobs, acknowledges them, and puts back those that it has
        // not started.
        self.parts.health.set_running(false);
        let deadline = Instant::now() + self.options.shutdown_timeout;
        if let Err(error) = context.shutdown() {
            tracing::warn!(
                exception.type = type_name_of_val(&error),
                exception.message = %error,
                "apalis did not accept the shutdown"
            );
        }
        if let Ok(Err(error)) = timeout_at(deadline, run).await {
            tracing::warn!(
                exception.type = type_name_of_val(&error),
                exception.message = %error,
                "the worker did not shut down cleanly"
            );
        }
        End::Shutdown(deadline)
    }

    /// Waits for the jobs of all registrations, and abandons those that do not finish before the deadline.
    async fn wait_for_jobs(&self, deadline: Instant) {
        let all_ended = || self.parts.slots.acquire_many(self.concurrency);
        if timeout_at(deadline, all_ended()).await.is_ok() {
            return;
        }
        self.parts.abandon.cancel();
        if timeout(CLEAN_STOP_TIMEOUT, all_ended()).await.is_err() {
            tracing::error!("a job blocks its thread and cannot be abandoned");
        }
    }
}

struct NotRunningOnDrop<'a>(&'a WorkerHealth);

impl Drop for NotRunningOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set_running(false);
    }
}
