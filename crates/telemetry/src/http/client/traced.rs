//! The client: a span for each request that it executes.

use opentelemetry::trace::FutureExt;
use reqwest::{Request, Response};

use super::call::Call;
use super::tracing::{CallTracing, error_type};

/// A traced [`reqwest::Client`]. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Client {
    pub(super) client: reqwest::Client,
    tracing: CallTracing,
}

impl Client {
    /// Traces the calls of `client`. They carry `traceparent` alone.
    pub fn new(client: reqwest::Client) -> Self {
        Self {
            client,
            tracing: CallTracing::new(),
        }
    }

    /// How the calls are traced.
    #[must_use]
    pub fn with_tracing(mut self, tracing: CallTracing) -> Self {
        self.tracing = tracing;
        self
    }

    /// Also sends `tracestate` and baggage, including the caller's. Only for servers that may see what
    /// callers send.
    #[must_use]
    pub fn with_caller_data(mut self) -> Self {
        self.tracing = self.tracing.with_caller_data();
        self
    }

    /// The client without tracing, to build requests.
    pub fn plain(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends the request; the span ends with the response's head.
    ///
    /// # Errors
    /// reqwest's own.
    pub async fn execute(&self, request: Request) -> Result<Response, reqwest::Error> {
        self.execute_with(request, Call::new()).await
    }

    /// Sends the request for the `resends`-th time after the first.
    ///
    /// # Errors
    /// reqwest's own.
    pub async fn execute_again(&self, request: Request, resends: u32) -> Result<Response, reqwest::Error> {
        self.execute_with(request, Call::new().resends(resends)).await
    }

    /// Sends the request with options.
    ///
    /// # Errors
    /// reqwest's own.
    pub async fn execute_with(&self, mut request: Request, call: Call) -> Result<Response, reqwest::Error> {
        let operation = self.tracing.start(&mut request, call);
        let context = operation.context().clone();
        let result = self.client.execute(request).with_context(context).await;
        self.tracing.end(operation, result.as_ref().map_err(error_type));
        result
    }
}
