//! Enqueues the job that processes an order. The API does so once for each order that it creates, the
//! worker's reconciler again for each order that is due. Either way the job's `send` span belongs to the
//! order's trace.
//!
//! A failure loses nothing: PostgreSQL has the order, and it becomes due again.

use std::time::Duration;

use domain::{ProcessOrder, TraceContext};
use opentelemetry::Context;
use queue::{Enqueued, Queue, QueueError};
use telemetry::job::Producer;
use telemetry::names;

/// A hanging Redis must not hold up the request that creates the order.
const ENQUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// Jobs in the queue beyond which a new order's job is left to the reconciler. At about 700 bytes a job this
/// is 35 MB of Redis. An unbounded queue would fill Redis, and a full Redis cannot be drained.
const QUEUE_CAPACITY: u32 = 50_000;

/// Why an order was not dispatched.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// Redis rejected the command or is unreachable.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Redis did not respond in time; the job may be enqueued or not.
    #[error("Redis did not respond within {ENQUEUE_TIMEOUT:?}")]
    Timeout,
    /// The queue is at its capacity, or older orders wait in PostgreSQL and go first. The order becomes due
    /// after its grace; making it due sooner would not help.
    #[error("the queue is full ({QUEUE_CAPACITY} jobs), or older orders wait for it")]
    Full,
}

impl DispatchError {
    /// The value of the attribute `error.type`.
    fn kind(&self) -> &'static str {
        match self {
            Self::Queue(QueueError::Redis { .. }) => "redis",
            Self::Queue(_) => "invalid_job",
            Self::Timeout => "timeout",
            Self::Full => "queue_full",
        }
    }
}

/// Enqueues orders' jobs into one queue. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    queue: Queue<ProcessOrder>,
    producer: Producer,
}

impl Dispatcher {
    /// Enqueues into `queue`.
    pub fn new(queue: Queue<ProcessOrder>) -> Self {
        let (host, port) = queue.server();
        let producer = Producer::new(queue.name(), host, port);
        Self { queue, producer }
    }

    /// The queue that jobs are enqueued into.
    pub fn queue(&self) -> &Queue<ProcessOrder> {
        &self.queue
    }

    /// Enqueues a new order's job, unless the queue is full, as a child of the current span. Sets the job's
    /// trace context.
    pub async fn dispatch(&self, job: ProcessOrder) -> Result<Enqueued, DispatchError> {
        self.send(&Context::current(), job, None).await
    }

    /// Enqueues the job of an order that is due again, as a child of `parent`: the stored context of the
    /// request that created the order. Does not check the queue's capacity; the caller has. Enqueues the job
    /// unless the list of waiting jobs has it, whatever else Redis says of it. `reason` is why the order is
    /// due, one of a few words; it becomes the span's `queue.reason`.
    pub async fn dispatch_again(
        &self,
        parent: &Context,
        job: ProcessOrder,
        reason: &'static str,
    ) -> Result<Enqueued, DispatchError> {
        self.send(parent, job, Some(reason)).await
    }

    async fn send(
        &self,
        parent: &Context,
        mut job: ProcessOrder,
        reason: Option<&'static str>,
    ) -> Result<Enqueued, DispatchError> {
        let id = job.job_id();
        let enqueue = async |trace| {
            if let Some(reason) = reason {
                telemetry::span::set(names::QUEUE_REASON, reason);
            }
            job.trace = TraceContext(trace);
            let enqueue = async {
                match reason {
                    None => self.queue.enqueue_within(QUEUE_CAPACITY, &id, &job).await,
                    Some(_) => self.queue.enqueue_again(&id, &job).await,
                }
            };
            match tokio::time::timeout(ENQUEUE_TIMEOUT, enqueue).await {
                Ok(Ok(Enqueued::Full)) => Err(DispatchError::Full),
                Ok(result) => Ok(result?),
                Err(_) => Err(DispatchError::Timeout),
            }
        };
        self.producer
            .send_from(parent, &id, enqueue, DispatchError::kind)
            .await
    }
}
