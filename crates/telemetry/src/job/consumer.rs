//! The consumer: `process orders` spans, children of the span that sent the job, and linked to it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind, WithContext};
use opentelemetry::{Context, KeyValue};
use tower::{Layer, Service};

use super::system::with_system;
use crate::instruments::instruments;
use crate::intern::intern;
use crate::measures::{Measures, Series, SeriesByKey};
use crate::names;
use crate::operation::{ErrorType, Operation};
use crate::propagation;
use crate::scope::is_metering;

/// How a job's processing relates to the trace that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobTrace {
    /// It continues that trace: child of the send span, and linked to it.
    #[default]
    Parent,
    /// It starts a new trace that links to it.
    Link,
    /// The first attempt continues that trace, and each later one starts a new trace that links to it: a
    /// trace does not grow for as long as a job is retried.
    First,
}

impl std::str::FromStr for JobTrace {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "parent" => Ok(Self::Parent),
            "link" => Ok(Self::Link),
            "first" => Ok(Self::First),
            _ => Err(()),
        }
    }
}

/// A delivered job.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The job's id.
    pub message_id: &'a str,
    /// The trace context of the span that sent it, from the payload.
    pub sent_in: &'a HashMap<String, String>,
    /// The trace context of the attempt before this one.
    pub previous_attempt: Option<&'a HashMap<String, String>>,
    /// The number of this attempt, from 1.
    pub attempt: i64,
    /// The time it spent in the queue.
    pub waited: Duration,
    /// The unique name of the worker.
    pub client_id: &'a str,
}

/// A delivered job of any queue.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) message_id: Option<Cow<'a, str>>,
    pub(super) client_id: Option<Cow<'a, str>>,
    pub(super) sent_in: Context,
    pub(super) previous_attempt: Option<&'a HashMap<String, String>>,
    /// From 1.
    pub(super) attempt: i64,
    pub(super) waited: Option<Duration>,
}

impl<'a> From<Received<'a>> for Job<'a> {
    fn from(job: Received<'a>) -> Self {
        Self {
            message_id: Some(Cow::Borrowed(job.message_id)),
            client_id: Some(Cow::Borrowed(job.client_id)),
            sent_in: propagation::extract(job.sent_in),
            previous_attempt: job.previous_attempt,
            attempt: job.attempt,
            waited: Some(job.waited),
        }
    }
}

/// The consumer of one queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Consumer {
    span_name: &'static str,
    attributes: Arc<[KeyValue]>,
    /// By the address of their measures.
    series: Arc<SeriesByKey<usize>>,
    trace: JobTrace,
}

impl Consumer {
    /// Receives from the queue `destination`.
    pub fn new(destination: &str) -> Self {
        Self {
            span_name: intern(format!("process {destination}")),
            attributes: [
                KeyValue::new(names::MESSAGING_SYSTEM, names::APALIS),
                KeyValue::new(names::MESSAGING_OPERATION_NAME, "process"),
                KeyValue::new(names::MESSAGING_OPERATION_TYPE, "process"),
                KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::<str>::from(destination)),
            ]
            .into(),
            series: Arc::default(),
            trace: JobTrace::default(),
        }
    }

    /// How processing relates to the trace that sent the job.
    #[must_use]
    pub fn trace(mut self, trace: JobTrace) -> Self {
        self.trace = trace;
        self
    }

    /// `messaging.system`, if it is not `apalis`: the queue that a tower service of jobs belongs to.
    #[must_use]
    pub fn system(mut self, system: &'static str) -> Self {
        self.attributes = with_system(&self.attributes, system);
        self.series = Arc::default();
        self
    }

    /// A tower layer that makes a span for each delivery; `read` returns the job in the queue's delivery.
    pub fn layer<R>(&self, read: fn(&R) -> Received<'_>) -> ConsumerLayer<R> {
        ConsumerLayer {
            consumer: self.clone(),
            read: Read::Received(read),
        }
    }

    /// The layer for deliveries that are read as a [`Job`].
    #[cfg(feature = "apalis")]
    pub(super) fn job_layer<R>(&self, read: fn(&R) -> Job<'_>) -> ConsumerLayer<R> {
        ConsumerLayer {
            consumer: self.clone(),
            read: Read::Job(read),
        }
    }

    fn start(&self, job: Job<'_>) -> Operation {
        let sent_in = job.sent_in;
        let root = Context::new();
        let parent = match self.trace {
            JobTrace::Parent => &sent_in,
            JobTrace::First if job.attempt <= 1 => &sent_in,
            JobTrace::First | JobTrace::Link => &root,
        };
        let span = SpanBuilder::from_name(self.span_name).with_kind(SpanKind::Consumer);
        let series = self.series(&instruments().process);
        let operation = Operation::start(span, parent, series, || {
            let text = |name, text: Option<Cow<'_, str>>| text.map(|it| KeyValue::new(name, it.into_owned()));
            let waited = |waited: Duration| i64::try_from(waited.as_millis()).unwrap_or(i64::MAX);
            let own = [
                text(names::MESSAGING_MESSAGE_ID, job.message_id),
                text(names::MESSAGING_CLIENT_ID, job.client_id),
                Some(KeyValue::new(names::QUEUE_ATTEMPT, job.attempt)),
                job.waited
                    .map(|it| KeyValue::new(names::QUEUE_WAIT_MS, waited(it))),
            ];
            self.attributes.iter().cloned().chain(own.into_iter().flatten())
        });
        operation.add_links(|| {
            let previous = job.previous_attempt.map(propagation::extract);
            [Some(sent_in), previous].into_iter().flatten()
        });
        if let Some(deliveries) = self.series(&instruments().consume) {
            deliveries.record(0.0, &[]);
        }
        operation
    }

    fn series(&self, measures: &'static Measures) -> Option<Arc<Series>> {
        let key = std::ptr::from_ref(measures).addr();
        self.series.get(key, measures, || self.attributes.iter().cloned())
    }
}

/// Marks the job that is being processed as failed: its span and its metric get this `error.type`, a word of
/// a bounded set. For services that record failures themselves and return success to the queue.
pub fn fail(error_type: impl Into<Cow<'static, str>>) {
    if let Some(outcome) = Context::current().get::<Outcome>() {
        // Only the first call counts: it names the cause.
        let _ = outcome.0.set(error_type.into());
    }
}

/// The `error.type` that [`fail`] passes to the consumer layer, through the context.
#[derive(Debug, Clone, Default)]
struct Outcome(Arc<OnceLock<ErrorType>>);

/// How a delivery is read.
#[derive(Debug)]
enum Read<R> {
    Received(fn(&R) -> Received<'_>),
    #[cfg(feature = "apalis")]
    Job(fn(&R) -> Job<'_>),
}

impl<R> Clone for Read<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Read<R> {}

impl<R> Read<R> {
    fn job(self, delivery: &R) -> Job<'_> {
        match self {
            Self::Received(read) => read(delivery).into(),
            #[cfg(feature = "apalis")]
            Self::Job(read) => read(delivery),
        }
    }
}

/// The layer of [`Consumer::layer`].
#[derive(Debug)]
pub struct ConsumerLayer<R> {
    consumer: Consumer,
    read: Read<R>,
}

impl<R> Clone for ConsumerLayer<R> {
    fn clone(&self) -> Self {
        Self {
            consumer: self.consumer.clone(),
            read: self.read,
        }
    }
}

impl<S, R> Layer<S> for ConsumerLayer<R> {
    type Service = ConsumerService<S, R>;

    fn layer(&self, service: S) -> Self::Service {
        ConsumerService {
            service,
            layer: self.clone(),
        }
    }
}

/// The service of [`ConsumerLayer`].
#[derive(Debug)]
pub struct ConsumerService<S, R> {
    service: S,
    layer: ConsumerLayer<R>,
}

impl<S: Clone, R> Clone for ConsumerService<S, R> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S, R> Service<R> for ConsumerService<S, R>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Processing<S::Future>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(task)
    }

    fn call(&mut self, delivery: R) -> Self::Future {
        let operation = self.layer.consumer.start(self.layer.read.job(&delivery));
        let mut context = operation.context().clone();
        let is_recorded = operation.span().is_recording() || is_metering();
        let outcome = is_recorded.then(Outcome::default);
        if let Some(outcome) = &outcome {
            context = context.with_value(outcome.clone());
        }
        let entered = context.clone().attach();
        let work = self.service.call(delivery);
        drop(entered);
        Processing {
            work: work.with_context(context),
            operation: Some(operation),
            outcome,
        }
    }
}

pin_project_lite::pin_project! {
    /// The processing of a job inside its span.
    #[derive(Debug)]
    pub struct Processing<F> {
        #[pin]
        work: WithContext<F>,
        operation: Option<Operation>,
        outcome: Option<Outcome>,
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Future for Processing<F> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.work.poll(task));
        let failed = this.outcome.as_ref().and_then(|it| it.0.get().cloned());
        let error = failed.or_else(|| result.is_err().then_some(Cow::Borrowed("error")));
        if let Some(operation) = this.operation.take() {
            operation.end(error);
        }
        Poll::Ready(result)
    }
}
