//! To dispatch an order is to put a job for it into Redis. The API does it once for each order that it creates, the worker's
//! reconciler again for each that is due; both do it here, so that every job's `send` span stands in its order's trace.
//!
//! Nothing is lost where it fails: PostgreSQL knows the order, and it falls due again.

mod transitions;

use std::time::Duration;

use domain::{ProcessOrder, TraceContext};
use opentelemetry::Context;
use queue::{Enqueued, Queue, QueueError};
use telemetry::job::Producer;
use telemetry::names;

pub use transitions::{Announcer, Heard, Listener, Transition, TransitionFailure};

/// How long a dispatch may take. A Redis that hangs must not hold the request that created the order.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How many jobs may wait before a new order's is left to the reconciler. At about 700 bytes a job they take 35 MB of Redis. A queue
/// that went on growing would fill Redis, and a full Redis cannot be drained.
const LIMIT: u32 = 50_000;

/// Why an order was not dispatched.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// Redis refused, or could not be reached.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Redis did not answer; the job may be there or not.
    #[error("Redis did not answer within {TIMEOUT:?}")]
    Timeout,
    /// So many jobs wait that no more are put behind them. The order falls due by itself; making it due sooner helps nobody.
    #[error("{LIMIT} jobs wait already")]
    Full,
}

impl DispatchError {
    /// The kind of error, in the words of `error.type`.
    fn kind(&self) -> &'static str {
        match self {
            Self::Queue(QueueError::Redis { .. }) => "redis",
            Self::Queue(_) => "invalid_job",
            Self::Timeout => "timeout",
            Self::Full => "queue_full",
        }
    }
}

/// Puts jobs for orders into one queue. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    queue: Queue<ProcessOrder>,
    producer: Producer,
}

impl Dispatcher {
    /// Dispatches into `queue`.
    pub fn new(queue: Queue<ProcessOrder>) -> Self {
        let (host, port) = queue.server();
        let producer = Producer::new(queue.name(), host, port);
        Self { queue, producer }
    }

    /// The queue that is dispatched into.
    pub fn queue(&self) -> &Queue<ProcessOrder> {
        &self.queue
    }

    /// Puts a new order's job into the queue, unless that is full, as a child of the span that is current. The job's own trace context
    /// is written here.
    pub async fn dispatch(&self, job: ProcessOrder) -> Result<Enqueued, DispatchError> {
        self.send(&Context::current(), job, None).await
    }

    /// Puts the job into the queue once more, as a child of `parent`: the stored context of the request that created the order. Who
    /// asks for that has seen whether there is room. `reason` is why it fell due, one of a few words; the span says it as `queue.reason`.
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
                    None => self.queue.enqueue_within(LIMIT, &id, &job).await,
                    Some(_) => self.queue.enqueue(&id, &job).await,
                }
            };
            match tokio::time::timeout(TIMEOUT, enqueue).await {
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
