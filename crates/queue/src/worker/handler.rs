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
use super::failures::{FailedAttempt, Failures};
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
    /// Where jobs with an unreadable payload go; without it they are dropped.
    pub(crate) failures: Option<Failures>,
}

/// A job as it was fetched.
struct Fetched {
    id: String,
    attempt: u32,
    enqueued_at: Option<String>,
    slot: Option<OwnedSemaphorePermit>,
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
        let metadata = |name| task.metadata().get(name);
        let fetched = Fetched {
            id: task.task_id().map(ToString::to_string).unwrap_or_default(),
            attempt: metadata("attempt")
                .and_then(|number| number.parse().ok())
                .unwrap_or(1),
            enqueued_at: metadata("enqueued_at").map(str::to_owned),
            slot: self.slot.take(),
        };
        let (Payload(payload), _) = task.take();
        match payload {
            Ok(job) => self.start(fetched, job),
            Err(error) => self.reject(fetched, error),
        }
    }
}

impl<S> Handler<S> {
    fn start<J>(&self, fetched: Fetched, job: J) -> BoxFuture<'static, Result<(), BoxDynError>>
    where
        S: Service<Delivery<J>, Response = (), Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        J: Send + 'static,
    {
        let Fetched {
            id,
            attempt,
            enqueued_at,
            slot,
        } = fetched;
        let worker = Arc::clone(&self.registration.name);
        let delivery = Delivery::new(id, job, attempt, enqueued_at.as_deref(), worker);
        let job = Running {
            id: delivery.id.as_str().into(),
            enqueued_at: enqueued_at.unwrap_or_default(),
            registration: Arc::clone(&self.registration),
            slot,
            _counted: self.health.job_started(),
        };
        self.registration.job_started(&job.id);
        // A box, because tokio moves what it spawns several times, and this is large.
        let running = Box::pin(job.run(self.service.clone(), delivery, self.abandon.clone()));
        let task = tokio::spawn(running);
        Box::pin(async move {
            match task.await {
                Ok(Ended::Finished) => Ok(()),
                // An abandoned job never completes, so that apalis does not acknowledge it.
                Ok(Ended::Abandoned) | Err(_) => pending().await,
            }
        })
    }

    /// A job with an unreadable payload ends as a dead letter, if failures are recorded.
    fn reject(
        &self,
        fetched: Fetched,
        error: serde_json::Error,
    ) -> BoxFuture<'static, Result<(), BoxDynError>> {
        let kind = type_name_of_val(&error);
        let fate = match self.failures {
            Some(_) => "is a dead letter",
            None => "is dropped",
        };
        tracing::error!(
            messaging.message.id = fetched.id,
            exception.type = kind,
            exception.message = %error,
            "a job's payload cannot be read; the job {fate}"
        );
        let (failures, registration) = (self.failures.clone(), Arc::clone(&self.registration));
        Box::pin(async move {
            if let Some(failures) = failures {
                let failed = FailedAttempt {
                    id: &fetched.id,
                    worker: &registration.name,
                    number: fetched.attempt,
                    error_type: kind,
                    error_message: &error.to_string(),
                };
                failures.record(&failed, None).await;
            }
            registration.job_finished(Finished {
                id: fetched.id.into(),
                enqueued_at: fetched.enqueued_at.unwrap_or_default(),
                outcome: JobOutcome::Unreadable,
            });
            drop(fetched.slot);
            // After any other error apalis would put the job into `:scheduled`, for 25 more attempts.
            Err(AbortError::new(error).into())
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

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
