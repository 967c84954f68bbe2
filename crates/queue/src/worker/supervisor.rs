//! Runs apalis workers one after another until told to stop: each ends at the first error, for instance when Redis is
//! away for longer than the response time-out, and the next starts under a new name.

use std::any::type_name_of_val;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use apalis::prelude::MonitorError;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tower::Service;
use uuid::Uuid;

use super::{
    WorkOptions, WorkerHealth,
    delivery::Delivery,
    incarnation::Incarnation,
    listener::listen,
    monitor::{self, Parts},
    upkeep::Upkeep,
};
use crate::{
    error::QueueError,
    queue::{Job, Queue},
};

/// Pauses before a worker starts again: doubling, and back to the first once a worker ran for longer than [`STABLE`]. The last is
/// how late work goes on at the most when Redis is back; trying is one refused connection.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(1);
const STABLE: Duration = Duration::from_secs(5);

/// How long to wait, at the end, for abandoned jobs to stop, and for Redis to be told.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct Supervisor<J, S> {
    queue: Queue<J>,
    options: WorkOptions,
    /// `options.concurrency`, as a semaphore takes it.
    concurrency: u32,
    parts: Parts<S>,
    upkeep: Upkeep,
}

/// Why a worker ended.
enum End {
    /// It was told to. Its jobs have until then.
    Shutdown(Instant),
    /// At an error, or, which apalis-redis has no reason for, by itself.
    Failure(Option<MonitorError>),
}

impl<J, S> Supervisor<J, S>
where
    J: Job,
    S: Service<Delivery<J>, Response = (), Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    pub(crate) fn new(queue: Queue<J>, options: WorkOptions, service: S) -> Result<Self, QueueError> {
        let invalid = || QueueError::InvalidConcurrency(options.concurrency);
        let concurrency = u32::try_from(options.concurrency).map_err(|_| invalid())?;
        if !(1..=10_000).contains(&concurrency) {
            return Err(invalid());
        }
        let parts = Parts {
            connection: queue.connection(),
            config: monitor::config(queue.name(), options.concurrency),
            service: Arc::new(Mutex::new(service)),
            slots: Arc::new(Semaphore::new(options.concurrency)),
            kill: CancellationToken::new(),
            wake: Arc::default(),
            roster: Arc::default(),
            health: options.health.clone(),
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
        // Should this future be dropped, all it started stops with it.
        let _kill_jobs = self.parts.kill.clone().drop_guard();
        let _not_running = NotRunningOnDrop(&self.parts.health);
        let mut helpers = JoinSet::new();
        helpers.spawn(self.upkeep.clone().run(Arc::clone(&self.parts.roster)));
        helpers.spawn(listen(
            self.queue.connection.client().clone(),
            self.queue.keys.wake.clone(),
            Arc::clone(&self.parts.wake),
        ));

        let deadline = self.live_until_shutdown(shutdown).await;
        self.wait_for_jobs(deadline).await;
        helpers.shutdown().await;
        self.upkeep.release_all(&self.parts.roster, LEAVE_TIMEOUT).await;
    }

    /// One worker after another. Returns until when running jobs may go on.
    async fn live_until_shutdown(&self, shutdown: &CancellationToken) -> Instant {
        let instance = Uuid::now_v7().simple();
        let mut pause = FIRST_PAUSE;
        for number in 1_u64.. {
            let name = format!("{}-{instance}-{number}", self.options.name_prefix);
            let incarnation = Arc::new(Incarnation::new(name, self.options.concurrency));
            let start = Instant::now();
            let end = self.live(&incarnation, shutdown).await;
            self.parts.health.set_running(false);
            incarnation.end();
            self.parts.roster.notify();
            let end = match end {
                End::Shutdown(deadline) => return deadline,
                End::Failure(end) => end,
            };

            if start.elapsed() > STABLE {
                pause = FIRST_PAUSE;
            }
            // What Redis said, in one line, rather than what apalis made of it.
            let error = incarnation
                .failure()
                .or_else(|| Some(end?.to_string()))
                .unwrap_or_default();
            let worker = &*incarnation.name;
            tracing::warn!(
                worker,
                exception.type = "worker_failure",
                exception.message = error,
                ?pause,
                "the worker ended; another one starts"
            );
            if shutdown.run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
            pause = (pause * 2).min(LAST_PAUSE);
            if incarnation.has_found_unfetchable_job()
                && let Err(error) = self.upkeep.repair().await
            {
                tracing::warn!(
                    exception.type = type_name_of_val(&error),
                    exception.message = %error,
                    "repair must wait"
                );
            }
        }
        Instant::now() + self.options.shutdown_timeout
    }

    /// One worker, until it fails or has shut down.
    async fn live(&self, incarnation: &Arc<Incarnation>, shutdown: &CancellationToken) -> End {
        let monitor = monitor::monitor::<J, S>(self.parts.clone(), Arc::clone(incarnation));
        let context = monitor.context();
        let mut life = std::pin::pin!(monitor.run());
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            end = &mut life => return End::Failure(end.err()),
        }

        // apalis now fetches no more, waits for its jobs, acknowledges them, and puts back what it has not started.
        self.parts.health.set_running(false);
        let deadline = Instant::now() + self.options.shutdown_timeout;
        if let Err(error) = context.shutdown() {
            tracing::warn!(
                exception.type = type_name_of_val(&error),
                exception.message = %error,
                "apalis did not accept the shutdown"
            );
        }
        if let Ok(Err(error)) = timeout_at(deadline, life).await {
            tracing::warn!(
                exception.type = type_name_of_val(&error),
                exception.message = %error,
                "the worker did not shut down cleanly"
            );
        }
        End::Shutdown(deadline)
    }

    /// Waits for the jobs of all incarnations; abandons those that do not end in time.
    async fn wait_for_jobs(&self, deadline: Instant) {
        let all_ended = || self.parts.slots.acquire_many(self.concurrency);
        if timeout_at(deadline, all_ended()).await.is_ok() {
            return;
        }
        self.parts.kill.cancel();
        if timeout(LEAVE_TIMEOUT, all_ended()).await.is_err() {
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
