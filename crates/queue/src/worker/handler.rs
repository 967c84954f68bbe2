//! Between apalis and the caller's service: at most `concurrency` jobs at once, each a task of its own, panics caught,
//! and an answer for apalis that always acknowledges.

use std::any::type_name_of_val;
use std::{
    convert::Infallible,
    future::pending,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll, ready},
};

use apalis_core::{
    error::{AbortError, BoxDynError},
    task::Task,
};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, PollSemaphore};
use tower::{Service, ServiceExt};

use super::{
    delivery::Delivery,
    incarnation::{Fate, Finished, Incarnation},
    payload::Payload,
};

pub(crate) struct Handler<S> {
    service: S,
    incarnation: Arc<Incarnation>,
    /// Shared by all incarnations of one `work`: jobs of an ended one still count.
    slots: PollSemaphore,
    slot: Option<OwnedSemaphorePermit>,
    /// Cancelled to abandon running jobs.
    kill: CancellationToken,
}

impl<S> Handler<S> {
    pub(crate) fn new(
        service: S,
        incarnation: Arc<Incarnation>,
        slots: Arc<Semaphore>,
        kill: CancellationToken,
    ) -> Self {
        let slots = PollSemaphore::new(slots);
        Self {
            service,
            incarnation,
            slots,
            slot: None,
            kill,
        }
    }
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
                    job.id = id,
                    exception.type = type_name_of_val(&error),
                    exception.message = %error,
                    "a job's payload cannot be read; the job is dropped"
                );
                let enqueued_at = enqueued_at.unwrap_or_default();
                let fate = Fate::Unreadable;
                self.incarnation.job_finished(Finished {
                    id: id.into(),
                    enqueued_at,
                    fate,
                });
                // Anything else than "abort" apalis would put into `:scheduled`, for 25 more attempts.
                return Box::pin(async move { Err(AbortError::new(error).into()) });
            }
        };

        let worker = Arc::clone(&self.incarnation.name);
        let delivery = Delivery::new(id, job, enqueued_at.as_deref(), worker);
        let job = Running {
            id: delivery.id.as_str().into(),
            enqueued_at: enqueued_at.unwrap_or_default(),
            incarnation: Arc::clone(&self.incarnation),
            slot,
        };
        self.incarnation.job_started(&job.id);
        let task = tokio::spawn(job.run(self.service.clone(), delivery, self.kill.clone()));
        Box::pin(async move {
            match task.await {
                Ok(Ended::Finished) => Ok(()),
                // Abandoned: no answer, so that it is not acknowledged.
                Ok(Ended::Abandoned) | Err(_) => pending().await,
            }
        })
    }
}

enum Ended {
    Finished,
    Abandoned,
}

/// A job that runs. Its slot is free when the task ends, not when apalis drops its side of it.
struct Running {
    id: Arc<str>,
    enqueued_at: String,
    incarnation: Arc<Incarnation>,
    slot: Option<OwnedSemaphorePermit>,
}

impl Running {
    async fn run<S, J>(self, service: S, delivery: Delivery<J>, kill: CancellationToken) -> Ended
    where
        S: Service<Delivery<J>, Response = (), Error = Infallible>,
    {
        let answer = AssertUnwindSafe(service.oneshot(delivery)).catch_unwind();
        let Some(answer) = kill.run_until_cancelled_owned(answer).await else {
            tracing::warn!(
                job.id = &*self.id,
                "a running job is abandoned; it will be delivered again"
            );
            self.incarnation.job_abandoned(&self.id);
            return Ended::Abandoned;
        };
        if let Err(panic) = answer {
            let message = panic_message(&*panic);
            tracing::error!(
                job.id = &*self.id,
                exception.type = "panic",
                exception.message = message,
                "a job's handler panicked"
            );
        }
        let Self {
            id,
            enqueued_at,
            incarnation,
            slot,
        } = self;
        incarnation.job_finished(Finished {
            id,
            enqueued_at,
            fate: Fate::Done,
        });
        drop(slot);
        Ended::Finished
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
