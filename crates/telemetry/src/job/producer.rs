//! The producer: `send orders` spans, and the trace context for the payload.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use crate::instruments::instruments;
use crate::intern::intern;
use crate::names;
use crate::operation::Operation;
use crate::propagation;

/// The producer of one queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Producer {
    span_name: &'static str,
    attributes: Arc<[KeyValue]>,
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
        }
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
        let common = || self.attributes.iter().cloned();
        let span = SpanBuilder::from_name(self.span_name).with_kind(SpanKind::Producer);
        let operation = Operation::start(span, parent, &instruments().send, common);
        operation.set_attributes(|| {
            let id = message_id.to_owned();
            common().chain([KeyValue::new(names::MESSAGING_MESSAGE_ID, id)])
        });
        let context = operation.context().clone();
        let result = send(propagation::inject(&context)).with_context(context).await;
        operation.end(result.as_ref().err().map(error_type).map(Cow::Borrowed));
        result
    }
}
