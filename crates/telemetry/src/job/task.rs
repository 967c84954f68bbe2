//! apalis' tasks: their trace context is in the task's metadata, where apalis' own `opentelemetry` feature
//! has it too. So no payload needs a field for it, and each end may be of either kind.

use std::borrow::Cow;
use std::collections::HashMap;

use apalis_core::task::Task;
use apalis_core::task::metadata::{Metadata, MetadataStore, TracingContext};
use apalis_core::worker::context::WorkerContext;
use opentelemetry::Context;
use opentelemetry::trace::FutureExt;

use super::consumer::{Consumer, ConsumerLayer, Job};
use super::producer::Producer;
use crate::instruments::instruments;
use crate::propagation;

impl Producer {
    /// Sends one task in a child of the current span, with the trace context in the task's metadata. A task
    /// that has one already keeps it. `error_type` returns the `error.type` of an error of `push`, a word of
    /// a bounded set.
    ///
    /// ```
    /// use apalis_core::backend::TaskSink;
    /// use apalis_core::backend::memory::MemoryStorage;
    /// use apalis_core::task::Task;
    /// use throughline_telemetry::job::Producer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut parcels = MemoryStorage::new();
    /// let producer = Producer::new("parcels", "localhost", 6379);
    /// let push = async |task| parcels.push_task(task).await;
    /// producer.push(Task::new(7_u32), push, |_| "connection").await.unwrap();
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `push`.
    pub async fn push<A, T, E>(
        &self,
        mut task: Task<A>,
        push: impl AsyncFnOnce(Task<A>) -> Result<T, E>,
        error_type: impl FnOnce(&E) -> &'static str,
    ) -> Result<T, E> {
        let id = task.task_id().map(ToString::to_string);
        let span = self.start(&Context::current(), id.as_deref(), &instruments().send);
        // It fails if the task has a context, which is one of an earlier time that it was sent.
        let _ = task.inject_metadata(&tracing_context(span.context()));
        let context = span.context().clone();
        let result = push(task).with_context(context).await;
        span.end(1, result.as_ref().err().map(error_type));
        result
    }
}

impl Consumer {
    /// A tower layer for a worker of apalis: a span for each attempt at a task. The trace context is that of
    /// the task's metadata. Add it after `retry`, so that each attempt has a span.
    ///
    /// ```
    /// # use apalis_core::backend::memory::MemoryStorage;
    /// use apalis_core::worker::builder::WorkerBuilder;
    /// use throughline_telemetry::job::Consumer;
    ///
    /// async fn deliver(parcel: u32) {}
    ///
    /// let worker = WorkerBuilder::new("parcels")
    ///     .backend(MemoryStorage::<u32>::new())
    ///     .layer(Consumer::new("parcels").task_layer::<u32>())
    ///     .build(deliver);
    /// ```
    pub fn task_layer<A>(&self) -> ConsumerLayer<Task<A>> {
        self.job_layer(read)
    }
}

fn read<A>(task: &Task<A>) -> Job<'_> {
    let worker = task.data().get::<WorkerContext>();
    let worker = worker.map(|worker| Cow::Owned(worker.name().to_owned()));
    // apalis counts an attempt when it is first polled, inside of this layer.
    let attempt = task.attempt().saturating_add(1);
    Job {
        message_id: task.task_id().map(|id| Cow::Owned(id.to_string())),
        client_id: worker.or_else(|| task.lock_by().map(Cow::Borrowed)),
        sent_in: context_of(task.metadata()),
        previous_attempt: None,
        attempt: i64::try_from(attempt).unwrap_or(i64::MAX),
        waited: None,
    }
}

/// The trace context for a task's metadata, such as [`TaskBuilder::metadata`]; empty outside a trace.
///
/// [`TaskBuilder::metadata`]: apalis_core::task::builder::TaskBuilder::metadata
pub fn tracing_context(context: &Context) -> TracingContext {
    let carrier = propagation::inject(context);
    let parent = carrier.get("traceparent").map(String::as_str).unwrap_or_default();
    let mut fields = parent.split('-').skip(1);
    let (Some(trace_id), Some(span_id), Some(flags)) = (fields.next(), fields.next(), fields.next()) else {
        return TracingContext::new();
    };
    let tracing_context = TracingContext::new()
        .with_trace_id(trace_id)
        .with_span_id(span_id)
        .with_trace_flags(u8::from_str_radix(flags, 16).unwrap_or_default());
    match carrier.get("tracestate") {
        Some(state) => tracing_context.with_trace_state(state),
        None => tracing_context,
    }
}

/// The context of a task's metadata. If it has none, or a malformed one, the context has no span.
pub fn context_of(metadata: &MetadataStore) -> Context {
    let Ok(context) = TracingContext::extract(metadata) else {
        return Context::new();
    };
    let (Some(trace_id), Some(span_id)) = (context.trace_id(), context.span_id()) else {
        return Context::new();
    };
    let flags = context.trace_flags().unwrap_or_default();
    let parent = format!("00-{trace_id}-{span_id}-{flags:02x}");
    let mut carrier = HashMap::from([("traceparent".to_owned(), parent)]);
    if let Some(state) = context.trace_state() {
        carrier.insert("tracestate".to_owned(), state.clone());
    }
    propagation::extract(&carrier)
}
