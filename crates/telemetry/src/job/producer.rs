//! The producer: `send orders` spans, and the trace context for the payload.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use super::system::with_system;
use crate::instruments::instruments;
use crate::intern::intern;
use crate::measures::{Measures, Series, SeriesByKey};
use crate::names;
use crate::operation::Operation;
use crate::propagation;

/// The producer of one queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Producer {
    span_name: &'static str,
    attributes: Arc<[KeyValue]>,
    /// By the address of their measures.
    series: Arc<SeriesByKey<usize>>,
}

impl Producer {
    /// Sends to the queue `destination` on the server `host`:`port`.
    pub fn new(destination: &str, host: &str, port: u16) -> Self {
        Self {
            span_name: intern(format!("send {destination}")),
            attributes: [
                KeyValue::new(names::MESSAGING_SYSTEM, names::APALIS),
                KeyValue::new(names::MESSAGING_OPERATION_NAME, "send"),
                KeyValue::new(names::MESSAGING_OPERATION_TYPE, "send"),
                KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::<str>::from(destination)),
                KeyValue::new(names::SERVER_ADDRESS, Arc::<str>::from(host)),
                KeyValue::new(names::SERVER_PORT, i64::from(port)),
            ]
            .into(),
            series: Arc::default(),
        }
    }

    /// `messaging.system`, if it is not `apalis`.
    #[must_use]
    pub fn system(mut self, system: &'static str) -> Self {
        self.attributes = with_system(&self.attributes, system);
        self.series = Arc::default();
        self
    }

    /// Sends one job in a child of the current span. `send` gets the trace context for the payload;
    /// `error_type` returns the `error.type` of its error, a word of a bounded set.
    ///
    /// # Errors
    /// Those of `send`.
    pub async fn send<T, E, F>(
        &self,
        message_id: &str,
        send: impl FnOnce(HashMap<String, String>) -> F,
        error_type: impl FnOnce(&E) -> &'static str,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.send_from(&Context::current(), message_id, send, error_type)
            .await
    }

    /// Sends one job in a child of `parent`, such as the stored context of an earlier request.
    ///
    /// # Errors
    /// Those of `send`.
    pub async fn send_from<T, E, F>(
        &self,
        parent: &Context,
        message_id: &str,
        send: impl FnOnce(HashMap<String, String>) -> F,
        error_type: impl FnOnce(&E) -> &'static str,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let span = self.start(parent, Some(message_id), &instruments().send);
        let context = span.context().clone();
        let result = send(span.trace_context()).with_context(context).await;
        span.end(1, result.as_ref().err().map(error_type));
        result
    }

    /// Starts the span of a job that is sent together with others, as a child of `parent`.
    /// [`send_shared`](Self::send_shared) sends them.
    pub fn shared_span(&self, parent: &Context, message_id: &str) -> SharedSpan {
        self.start(parent, Some(message_id), &instruments().send_one_of_batch)
    }

    /// Sends several jobs, each of which has a [`SharedSpan`], which counts it. The duration is measured
    /// once, and there is no further span.
    ///
    /// # Errors
    /// Those of `send`.
    pub async fn send_shared<T, E>(
        &self,
        send: impl Future<Output = Result<T, E>>,
        error_type: impl FnOnce(&E) -> &'static str,
    ) -> Result<T, E> {
        let operation = Operation::without_span(self.series(&instruments().send_batch));
        let result = send.with_context(operation.context().clone()).await;
        operation.end(result.as_ref().err().map(error_type).map(Cow::Borrowed));
        result
    }

    pub(super) fn start(
        &self,
        parent: &Context,
        message_id: Option<&str>,
        measures: &'static Measures,
    ) -> SharedSpan {
        let span = SpanBuilder::from_name(self.span_name).with_kind(SpanKind::Producer);
        let operation = Operation::start(span, parent, self.series(measures), || {
            let id = message_id.map(|id| KeyValue::new(names::MESSAGING_MESSAGE_ID, id.to_owned()));
            self.common().chain(id)
        });
        SharedSpan { operation }
    }

    fn series(&self, measures: &'static Measures) -> Option<Arc<Series>> {
        let key = std::ptr::from_ref(measures).addr();
        self.series.get(key, measures, || self.common())
    }

    /// The attributes of both the span and the metrics.
    fn common(&self) -> impl Iterator<Item = KeyValue> {
        self.attributes.iter().cloned()
    }
}

/// The span of one job that is sent, alone or together with others, from when it began to wait. Dropped
/// before [`end`](Self::end), it ends as cancelled.
#[derive(Debug)]
#[must_use = "dropped, it ends as cancelled"]
pub struct SharedSpan {
    operation: Operation,
}

impl SharedSpan {
    /// The context of the span.
    pub fn context(&self) -> &Context {
        self.operation.context()
    }

    /// The trace context for the job's payload.
    pub fn trace_context(&self) -> HashMap<String, String> {
        propagation::inject(self.context())
    }

    /// Ends the span of a job that was sent with `messages` jobs, itself included, which is
    /// `messaging.batch.message_count` from 2 on. `error_type` is a word of a bounded set.
    pub fn end(self, messages: usize, error_type: Option<&'static str>) {
        self.operation.set_attributes(|| {
            let batch = (messages > 1).then(|| i64::try_from(messages).unwrap_or(i64::MAX));
            batch.map(|count| KeyValue::new(names::MESSAGING_BATCH_MESSAGE_COUNT, count))
        });
        self.operation.end(error_type.map(Cow::Borrowed));
    }
}
