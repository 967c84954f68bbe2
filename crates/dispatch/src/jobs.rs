//! Enqueues the job that processes an order. The API does so once for each order that it creates, the
//! worker's reconciler again for each order that is due. Either way the job's `send` span belongs to the
//! order's trace.
//!
//! A failure loses nothing: PostgreSQL has the order, and it becomes due again.

use std::sync::Arc;
use std::time::Duration;

use batch::{Batcher, Lane, Limits};
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
/// The jobs that a command carries, and those that may wait for one.
const LIMITS: Limits = Limits {
    batch_size: 64,
    waiting: 1024,
    stall_timeout: ENQUEUE_TIMEOUT,
};

/// Why an order was not dispatched.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DispatchError {
    /// Redis rejected the command or is unreachable.
    #[error(transparent)]
    Queue(Arc<QueueError>),
    /// Redis did not respond in time; the job may be enqueued or not.
    #[error("Redis did not respond within {ENQUEUE_TIMEOUT:?}")]
    Timeout,
    /// The queue is at its capacity, or older orders wait in PostgreSQL and go first. The order becomes due
    /// after its grace; making it due sooner would not help.
    #[error("the queue is full ({QUEUE_CAPACITY} jobs), or older orders wait for it")]
    Full,
}

impl From<QueueError> for DispatchError {
    fn from(error: QueueError) -> Self {
        Self::Queue(Arc::new(error))
    }
}

impl DispatchError {
    /// The value of the attribute `error.type`.
    fn kind(&self) -> &'static str {
        match self {
            Self::Queue(error) => error.error_type(),
            Self::Timeout => "timeout",
            Self::Full => "queue_full",
        }
    }
}

/// Enqueues orders' jobs into one queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    queue: Queue<ProcessOrder>,
    producer: Producer,
    new_jobs: Batcher<(String, ProcessOrder), Sent>,
}

/// The result of a job that was sent with others, and how many they were.
type Sent = (usize, Result<Enqueued, DispatchError>);

impl Dispatcher {
    /// Enqueues into `queue`. Must be called within a tokio runtime, on which new jobs are then sent.
    pub fn new(queue: Queue<ProcessOrder>) -> Self {
        let (host, port) = queue.server();
        let producer = Producer::new(queue.name(), host, port);
        let sender = Sender {
            queue: queue.clone(),
            producer: producer.clone(),
        };
        Self {
            queue,
            producer,
            new_jobs: Batcher::start([sender], LIMITS),
        }
    }

    /// This dispatcher with a connection and a task on the calling thread's runtime, for an HTTP server,
    /// whose threads each have a runtime.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        Self::new(self.queue.on_this_thread())
    }

    /// The queue that jobs are enqueued into.
    pub fn queue(&self) -> &Queue<ProcessOrder> {
        &self.queue
    }

    /// Enqueues a new order's job, unless the queue is full, as a child of the current span. Sets the job's
    /// trace context. Jobs that are dispatched at the same time share one command.
    pub async fn dispatch(&self, mut job: ProcessOrder) -> Result<Enqueued, DispatchError> {
        let id = job.job_id();
        let span = self.producer.shared_span(&Context::current(), &id);
        job.trace = TraceContext(span.trace_context());
        let sending = tokio::time::timeout(ENQUEUE_TIMEOUT, self.new_jobs.call((id, job)));
        let (messages, result) = match sending.await {
            Ok(Ok(sent)) => sent,
            Ok(Err(_)) | Err(_) => (1, Err(DispatchError::Timeout)),
        };
        let result = match result {
            Ok(Enqueued::Full) => Err(DispatchError::Full),
            result => result,
        };
        span.end(messages, result.as_ref().err().map(DispatchError::kind));
        result
    }

    /// Enqueues the job of an order that is due again, as a child of `parent`: the stored context of the
    /// request that created the order. Does not check the queue's capacity; the caller has. Enqueues the job
    /// unless the list of waiting jobs has it, whatever else Redis says of it. `reason` is why the order is
    /// due, one of a few words; it becomes the span's `queue.reason`.
    pub async fn dispatch_again(
        &self,
        parent: &Context,
        mut job: ProcessOrder,
        reason: &'static str,
    ) -> Result<Enqueued, DispatchError> {
        let id = job.job_id();
        let enqueue = async |trace| {
            telemetry::span::set(names::QUEUE_REASON, reason);
            job.trace = TraceContext(trace);
            let enqueue = self.queue.enqueue_again(&id, &job);
            match tokio::time::timeout(ENQUEUE_TIMEOUT, enqueue).await {
                Ok(result) => Ok(result?),
                Err(_) => Err(DispatchError::Timeout),
            }
        };
        self.producer
            .send_from(parent, &id, enqueue, DispatchError::kind)
            .await
    }
}

/// Sends new jobs, as many as wait, with one command.
struct Sender {
    queue: Queue<ProcessOrder>,
    producer: Producer,
}

impl Lane for Sender {
    type Item = (String, ProcessOrder);
    type Output = Sent;

    async fn run(&mut self, jobs: Vec<(String, ProcessOrder)>) -> Vec<Sent> {
        let enqueue = async { Ok(self.queue.enqueue_within(QUEUE_CAPACITY, &jobs).await?) };
        let sent = self.producer.send_shared(enqueue, DispatchError::kind).await;
        let messages = jobs.len();
        match sent {
            Ok(outcome) => outcome
                .into_iter()
                .map(|enqueued| (messages, Ok(enqueued)))
                .collect(),
            Err(error) => jobs.iter().map(|_| (messages, Err(error.clone()))).collect(),
        }
    }
}
