//! Runs commands inside their spans.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use super::failure::{Failed, Failure};
use crate::instruments::instruments;
use crate::measures::SeriesByKey;
use crate::names;
use crate::operation::Operation;

/// The Redis server as its commands' spans name it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    attributes: Arc<[KeyValue]>,
    /// By the command's name.
    series: Arc<SeriesByKey<&'static str>>,
}

impl Server {
    /// A server by its host, port and database number.
    pub fn new(host: &str, port: u16, database: i64) -> Self {
        let attributes = [
            KeyValue::new(names::DB_SYSTEM_NAME, names::REDIS),
            KeyValue::new(names::DB_NAMESPACE, Arc::<str>::from(database.to_string())),
            KeyValue::new(names::SERVER_ADDRESS, Arc::<str>::from(host)),
            KeyValue::new(names::SERVER_PORT, i64::from(port)),
        ];
        Self {
            attributes: attributes.into(),
            series: Arc::default(),
        }
    }

    /// Runs a command inside its span. `operation` is the command's name, `text` the command with its key's
    /// pattern.
    ///
    /// # Errors
    /// The command's own.
    pub async fn run<T, E: Failure>(
        &self,
        operation: &'static str,
        text: &'static str,
        command: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let command_text = Cow::Borrowed(text);
        let failed = |result: &Result<T, E>| result.as_ref().err().map(Failed::of);
        self.run_batch(operation, command_text, 1, command, failed).await
    }

    /// Runs commands that are sent together, which is `db.operation.batch.size` from 2 on.
    /// `failed` finds a failure in their result.
    pub(super) async fn run_batch<T>(
        &self,
        operation: &'static str,
        text: Cow<'static, str>,
        size: usize,
        commands: impl Future<Output = T>,
        failed: impl FnOnce(&T) -> Option<Failed>,
    ) -> T {
        let common = || {
            let name = KeyValue::new(names::DB_OPERATION_NAME, operation);
            self.attributes.iter().cloned().chain([name])
        };
        let span = SpanBuilder::from_name(operation).with_kind(SpanKind::Client);
        let parent = Context::current();
        let series = self.series.get(operation, &instruments().database, common);
        let attributes = || {
            let batch = (size > 1).then(|| i64::try_from(size).unwrap_or(i64::MAX));
            let batch = batch.map(|size| KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size));
            let text = KeyValue::new(names::DB_QUERY_TEXT, text);
            common().chain([text]).chain(batch)
        };
        let mut operation = Operation::start(span, &parent, series, attributes);
        let context = operation.context().clone();

        let result = commands.with_context(context).await;
        let failed = failed(&result);
        if let Some(code) = failed.and_then(|failed| failed.code) {
            operation.set_shared_attribute(KeyValue::new(names::DB_RESPONSE_STATUS_CODE, code));
        }
        operation.end(failed.map(|failed| Cow::Borrowed(failed.error_type)));
        result
    }
}
