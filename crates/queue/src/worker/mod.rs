//! The worker side: apalis' monitor and worker on apalis-redis' fetch and acknowledge scripts, with those
//! parts replaced that failed in tests. Start reading at `supervisor.rs`.

mod delivery;
mod failures;
mod fetch;
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
mod retry;
mod supervisor;
mod upkeep;

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tower::Service;

use self::failures::Failures;
use self::retry::Retrying;
use self::supervisor::Supervisor;
use crate::error::QueueError;
use crate::queue::{Job, Queue};

pub use self::delivery::Delivery;
pub use self::health::WorkerHealth;
pub use self::options::WorkOptions;
pub use self::pause::Pause;
pub use self::retry::RetryPolicy;
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
        Supervisor::new(self.clone(), options, service, None)?
            .run(&shutdown)
            .await;
        Ok(())
    }

    /// Like [`work`](Self::work), for a service that may fail: a job whose attempt returned an error or
    /// panicked is attempted again after a backoff, or becomes a [dead letter](crate::DeadLetter) after its
    /// last attempt. So does one whose payload does not deserialize, at once. Also delivers the jobs of
    /// [`enqueue_later`](Self::enqueue_later).
    ///
    /// A failure is recorded before the job is acknowledged, by one script. While Redis is unavailable the
    /// job keeps its slot and the worker tries again.
    ///
    /// # Errors
    /// As for [`work`](Self::work).
    pub async fn work_with_retries<S>(
        &self,
        options: WorkOptions,
        policy: RetryPolicy,
        service: S,
        shutdown: CancellationToken,
    ) -> Result<(), QueueError>
    where
        S: Service<Delivery<J>, Response = ()> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Display,
    {
        let failures = Failures::new(self);
        let scheduled = Arc::clone(&failures.scheduled);
        let service = Retrying {
            service,
            policy: Arc::new(policy),
            failures: failures.clone(),
        };
        let work = Supervisor::new(self.clone(), options, service, Some(failures))?;
        tokio::select! {
            () = work.run(&shutdown) => {}
            () = self.move_due_jobs(&scheduled) => {}
        }
        Ok(())
    }
}
