//! The worker side: apalis' Monitor and worker on apalis-redis' fetch and acknowledge scripts, with the parts replaced
//! that were measured not to hold. `supervisor.rs` is where to start reading.

mod delivery;
mod handler;
mod health;
mod incarnation;
mod listener;
mod monitor;
mod payload;
mod poll;
mod roster;
mod supervisor;
mod upkeep;

use std::{convert::Infallible, time::Duration};

use tokio_util::sync::CancellationToken;
use tower::Service;

use self::supervisor::Supervisor;
pub(crate) use self::upkeep::Upkeep;
pub use self::{delivery::Delivery, health::WorkerHealth};
use crate::{
    error::QueueError,
    queue::{Job, Queue},
};

/// How often a worker tells Redis that it is alive.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long after its last heartbeat a worker is taken for dead, and its jobs are delivered to others: six heartbeats.
pub const DEAD_AFTER: Duration = Duration::from_secs(30);

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkOptions {
    /// The most jobs that run at the same time, 1 to 10,000; default 64.
    pub concurrency: usize,
    /// How long to wait for running jobs at shutdown before abandoning them; default 30 s. They are then delivered to
    /// another worker.
    pub shutdown_timeout: Duration,
    /// What the worker's name begins with; default `worker`. The rest makes it unique: apalis refuses a name that was
    /// used within the last 30 s.
    pub name_prefix: String,
    /// Keep a clone to ask whether the worker runs.
    pub health: WorkerHealth,
}

impl Default for WorkOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            shutdown_timeout: Duration::from_secs(30),
            name_prefix: "worker".to_owned(),
            health: WorkerHealth::default(),
        }
    }
}

impl<J: Job> Queue<J> {
    /// Works on the queue until `shutdown` is cancelled. Then it fetches no more, finishes what it holds or, after the
    /// time-out, drops it, acknowledges what is finished, puts back the rest, and returns.
    ///
    /// Each job runs as a task of its own. A job is acknowledged once `service` answered or panicked: a retry is the
    /// caller's to enqueue. A payload that does not deserialize is logged and counted as dead. While Redis is away the
    /// worker tries again, at least once a second. When the returned future is dropped all of it stops, and what it
    /// held is delivered again after [`DEAD_AFTER`].
    ///
    /// # Errors
    /// The options are not valid. Never because Redis is away.
    pub async fn work<S>(
        &self,
        options: WorkOptions,
        service: S,
        shutdown: CancellationToken,
    ) -> Result<(), QueueError>
    where
        S: Service<Delivery<J>, Response = (), Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        Supervisor::new(self.clone(), options, service)?
            .run(&shutdown)
            .await;
        Ok(())
    }
}
