//! The worker side: apalis' monitor and worker on apalis-redis' fetch and acknowledge scripts, with those
//! parts replaced that failed in tests. Start reading at `supervisor.rs`.

mod delivery;
mod handler;
mod health;
mod listener;
mod monitor;
mod options;
mod pause;
mod payload;
mod poll;
mod registration;
mod registry;
mod supervisor;
mod upkeep;

use std::convert::Infallible;

use tokio_util::sync::CancellationToken;
use tower::Service;

use self::supervisor::Supervisor;
use crate::error::QueueError;
use crate::queue::{Job, Queue};

pub use self::delivery::Delivery;
pub use self::health::WorkerHealth;
pub use self::options::WorkOptions;
pub use self::pause::Pause;
pub(crate) use self::upkeep::Upkeep;
pub use self::upkeep::{DEAD_AFTER, HEARTBEAT};

impl<J: Job> Queue<J> {
    /// Processes jobs until `shutdown` is cancelled. Then it stops fetching, waits for its running jobs or
    /// abandons them after the shutdown timeout, acknowledges the finished ones, puts back the rest, and
    /// returns.
    ///
    /// Each job runs as a task. A job is acknowledged once `service` returned or panicked: to retry it, the
    /// caller enqueues it again. A payload that does not deserialize is logged and its id moved to the dead
    /// set. While Redis is unavailable the worker retries at least once a second. Dropping the returned
    /// future stops everything; the jobs in flight are redelivered after [`DEAD_AFTER`].
    ///
    /// # Errors
    /// The options are not valid. An unavailable Redis is not an error.
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
