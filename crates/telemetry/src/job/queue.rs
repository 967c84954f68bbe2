//! A queue of `throughline-queue` whose jobs carry their trace: the producer, the consumer, and the trace
//! context in the payload.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::{self, Display};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use throughline_queue::{Delivery, Enqueued, Job, Queue, QueueConfig, QueueError, RetryPolicy, WorkOptions};
use tokio_util::sync::CancellationToken;
use tower::util::MapRequest;
use tower::{Layer, Service, service_fn};

use super::consumer::{Consumer, JobTrace, Received};
use super::producer::Producer;

/// A job with the trace context of the span that sent it: the payload in Redis.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Traced<J> {
    /// The job.
    pub job: J,
    trace: HashMap<String, String>,
}

/// A queue whose jobs are processed in the trace that sent them. Cheap to clone.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use throughline_queue::{Delivery, QueueConfig, QueueError};
/// use throughline_telemetry::job::TracedQueue;
///
/// async fn deliver(parcel: Delivery<u64>) -> Result<(), std::fmt::Error> {
///     println!("parcel {}", parcel.job);
///     Ok(())
/// }
///
/// let parcels = TracedQueue::connect(QueueConfig::new("redis://localhost", "parcels")).await?;
/// parcels.enqueue("parcel-7", 7).await?; // `send parcels`
/// let stopped = async { tokio::signal::ctrl_c().await };
/// parcels.work_while(stopped, deliver).await??; // `process parcels`, for each
/// # Ok(())
/// # }
/// ```
pub struct TracedQueue<J> {
    queue: Queue<Traced<J>>,
    producer: Producer,
    consumer: Consumer,
}

impl<J: Job> TracedQueue<J> {
    /// Connects, and fails if Redis does not respond.
    ///
    /// # Errors
    /// As [`Queue::connect`].
    pub async fn connect(config: QueueConfig) -> Result<Self, QueueError> {
        Ok(Self::new(Queue::connect(config).await?))
    }

    /// Traces the jobs of a queue.
    pub fn new(queue: Queue<Traced<J>>) -> Self {
        let (host, port) = queue.server();
        Self {
            producer: Producer::new(queue.name(), host, port),
            consumer: Consumer::new(queue.name()),
            queue,
        }
    }

    /// How processing relates to the trace that sent the job.
    #[must_use]
    pub fn trace(mut self, trace: JobTrace) -> Self {
        self.consumer = self.consumer.trace(trace);
        self
    }

    /// The queue, for what needs no trace: its statistics and its dead letters.
    pub fn queue(&self) -> &Queue<Traced<J>> {
        &self.queue
    }

    /// [`Queue::enqueue`], in a child of the current span.
    ///
    /// # Errors
    /// As [`Queue::enqueue`].
    pub async fn enqueue(&self, id: &str, job: J) -> Result<Enqueued, QueueError> {
        let enqueue = async |trace| self.queue.enqueue(id, &Traced { job, trace }).await;
        self.producer.send(id, enqueue, QueueError::error_type).await
    }

    /// [`Queue::enqueue_later`], in a child of the current span.
    ///
    /// # Errors
    /// As [`Queue::enqueue`].
    pub async fn enqueue_later(&self, id: &str, job: J, delay: Duration) -> Result<Enqueued, QueueError> {
        let enqueue = async |trace| self.queue.enqueue_later(id, &Traced { job, trace }, delay).await;
        self.producer.send(id, enqueue, QueueError::error_type).await
    }

    /// [`Queue::work`], with a span for each job around `service`.
    ///
    /// # Errors
    /// As [`Queue::work`].
    pub async fn work<S>(
        &self,
        options: WorkOptions,
        service: S,
        shutdown: CancellationToken,
    ) -> Result<(), QueueError>
    where
        S: Service<Delivery<J>, Response = (), Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        self.queue.work(options, self.traced(service), shutdown).await
    }

    /// [`Queue::work_with_retries`], with a span for each attempt around `service`. One that returns an error
    /// has `error.type` `error`, unless it called [`fail`](super::fail).
    ///
    /// # Errors
    /// As [`Queue::work`].
    pub async fn work_with_retries<S>(
        &self,
        options: WorkOptions,
        policy: RetryPolicy,
        service: S,
        shutdown: CancellationToken,
    ) -> Result<(), QueueError>
    where
        S: Service<Delivery<J>, Response = (), Error: Display, Future: Send> + Clone + Send + 'static,
    {
        let service = self.traced(service);
        self.queue
            .work_with_retries(options, policy, service, shutdown)
            .await
    }

    /// Processes jobs while `program` runs, such as a server until SIGTERM, and then stops as at a shutdown.
    /// Returns what `program` returned. The options and retries are the default ones.
    ///
    /// # Errors
    /// As [`Queue::work`], before `program` starts.
    pub async fn work_while<T, F, E>(
        &self,
        program: impl Future<Output = T>,
        handler: impl Fn(Delivery<J>) -> F + Clone + Send + 'static,
    ) -> Result<T, QueueError>
    where
        F: Future<Output = Result<(), E>> + Send,
        E: Display,
    {
        let shutdown = CancellationToken::new();
        let (options, policy) = (WorkOptions::default(), RetryPolicy::default());
        let working = self.work_with_retries(options, policy, service_fn(handler), shutdown.clone());
        let running = async {
            let _stopped = shutdown.drop_guard();
            Ok(program.await)
        };
        let (returned, ()) = tokio::try_join!(running, working)?;
        Ok(returned)
    }

    /// The service of the queue's jobs: a span around `service`, which gets the job alone.
    fn traced<S>(
        &self,
        service: S,
    ) -> impl Service<Delivery<Traced<J>>, Response = S::Response, Error = S::Error, Future: Send>
    + Clone
    + Send
    + 'static
    where
        S: Service<Delivery<J>, Future: Send> + Clone + Send + 'static,
    {
        let plain = |delivery: Delivery<Traced<J>>| delivery.map(|traced| traced.job);
        self.consumer
            .layer(received)
            .layer(MapRequest::new(service, plain))
    }
}

fn received<J>(delivery: &Delivery<Traced<J>>) -> Received<'_> {
    Received {
        message_id: &delivery.id,
        sent_in: &delivery.job.trace,
        previous_attempt: None,
        attempt: delivery.attempt.into(),
        waited: delivery.waited,
        client_id: &delivery.worker,
    }
}

// Not derived: that would require `J: Clone`.
impl<J> Clone for TracedQueue<J> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            producer: self.producer.clone(),
            consumer: self.consumer.clone(),
        }
    }
}

impl<J> fmt::Debug for TracedQueue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedQueue")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
