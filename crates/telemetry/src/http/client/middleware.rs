//! [`CallTracing`] as a middleware of the reqwest-middleware crate.

use async_trait::async_trait;
use opentelemetry::trace::FutureExt;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::call::Call;
use super::tracing::{CallTracing, error_type};

/// How often the middleware has sent a request: a middleware outside of it that retries calls it again.
#[derive(Debug, Clone, Copy)]
struct Sent(u32);

#[async_trait]
impl Middleware for CallTracing {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let mut call = extensions.get::<Call>().cloned().unwrap_or_default();
        let Sent(sent) = extensions.get().copied().unwrap_or(Sent(0));
        extensions.insert(Sent(sent.saturating_add(1)));
        call.resends = call.resends.saturating_add(sent);
        let operation = self.start(&mut request, call);
        let context = operation.context().clone();
        let result = next.run(request, extensions).with_context(context).await;
        self.end(
            operation,
            result.as_ref().map_err(|error| match error {
                Error::Reqwest(error) => error_type(error),
                Error::Middleware(_) => "middleware",
            }),
        );
        result
    }
}
