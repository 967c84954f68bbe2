//! Between apalis and the caller's service: runs at most `concurrency` jobs at once, each as a task, catches
//! panics, and returns a result to apalis that always acknowledges the job.

use std::any::{Any, type_name_of_val};
use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apalis_core::error::{AbortError, BoxDynError};
use apalis_core::task::Task;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, PollSemaphore};
use tower::{Service, ServiceExt};

use super::delivery::Delivery;
use super::health::{JobGuard, WorkerHealth};
use super::pause::Gate;
use super::payload::Payload;
use super::registration::{Finished, JobOutcome, Registration};

pub(crate) struct Handler<S> {
    pub(crate) service: S,
    pub(crate) registration: Arc<Registration>,
    /// Shared by all registrations of one `work` call: jobs of a previous one still count.
    pub(crate) slots: PollSemaphore,
    /// The slot of the next call.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
    /// Cancelled to abandon running jobs.
    pub(crate) abandon: CancellationToken,
    pub(crate) health: WorkerHealth,
    pub(crate) gate: Gate,
}

impl<S, J> Service<Task<Payload<J>>> for Handler<S>
where
    S: Service<Delivery<J>, Response = (), Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    J: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        // At shutdown the jobs that were fetched before a pause are started, because apalis waits for them.
        if self.health.is_running() {
            ready!(self.gate.poll_open(cx));
        }
        if self.slot.is_none() {
            self.slot = ready!(self.slots.poll_acquire(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Payload<J>>) -> Self::Future {
        let slot = self.slot.take();
        let id = task.task_id().map(ToString::to_string).unwrap_or_default();
        let enqueued_at = task.metadata().get("enqueued_at").map(str::to_owned);
        let (Payload(payload), _) = task.take();

        let job = match payload {
            Ok(job) => job,
            Err(error) => {
                tracing::error!(
                    messaging.message.id = id,
                    exception.type = type_name_of_val(&error),
                    exception.message = %error,
                    "a job's payload cannot be read; the job is dropped"
                );
                self.registration.job_finished(Finished {
                    id: id.into(),
                    enqueued_at: enqueued_at.unwrap_or_default(),
                    outcome: JobOutcome::Unreadable,
                });
                // After any other error apalis would put the job into `:scheduled`, for 25 more attempts.
                return Box::pin(async move { Err(AbortError::new(error).into()) });
            }
        };

        let worker = Arc::clone(&self.registration.name);
        let delivery = Delivery::new(id, job, enqueued_at.as_deref(), worker);
        let job = Running {
            id: delivery.id.as_str().into(),
            enqueued_at: enqueued_at.unwrap_or_default(),
            registration: Arc::clone(&self.registration),
            slot,
            _counted: self.health.job_started(),
        };
        self.registration.job_started(&job.id);
        let task = tokio::spawn(job.run(self.service.clone(), delivery, self.abandon.clone()));
        Box::pin(async move {
            match task.await {
                Ok(Ended::Finished) => Ok(()),
                // An abandoned job never completes, so that apalis does not acknowledge it.
                Ok(Ended::Abandoned) | Err(_) => pending().await,
            }
        })
    }
}

enum Ended {
    Finished,
    Abandoned,
}

/// A running job. It holds its slot until its task ends, also if apalis drops the future that waits for the
/// task.
struct Running {
    id: Arc<str>,
    enqueued_at: String,
    registration: Arc<Registration>,
    slot: Option<OwnedSemaphorePermit>,
    _counted: JobGuard,
}

impl Running {
    async fn run<S, J>(self, service: S, delivery: Delivery<J>, abandon: CancellationToken) -> Ended
    where
        S: Service<Delivery<J>, Response = (), Error = Infallible>,
    {
        let mut run = pin!(AssertUnwindSafe(service.oneshot(delivery)).catch_unwind());
        let Some(result) = abandon.run_until_cancelled(run.as_mut()).await else {
            tracing::warn!(
                messaging.message.id = &*self.id,
                "a running job is abandoned; it will be redelivered"
            );
            self.registration.job_abandoned(&self.id);
            return Ended::Abandoned;
        };
        if let Err(panic) = result {
            let message = panic_message(&*panic);
            tracing::error!(
                messaging.message.id = &*self.id,
                exception.type = "panic",
                exception.message = message,
                "a job's handler panicked"
            );
        }
        self.registration.job_finished(Finished {
            id: self.id,
            enqueued_at: self.enqueued_at,
            outcome: JobOutcome::Done,
        });
        drop(self.slot);
        Ended::Finished
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
