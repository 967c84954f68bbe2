//! Calls as reqwest's users write them: `client.get(url).send()`.

use std::borrow::Cow;

use reqwest::{IntoUrl, Method, RequestBuilder, Response};

use super::call::Call;
use super::traced::Client;

/// A call that is being built.
#[derive(Debug)]
#[must_use = "it is sent by `send`"]
pub struct CallBuilder {
    client: Client,
    request: RequestBuilder,
    call: Call,
}

impl Client {
    /// A `GET` of this URL.
    pub fn get(&self, url: impl IntoUrl) -> CallBuilder {
        self.request(Method::GET, url)
    }

    /// A `HEAD` of this URL.
    pub fn head(&self, url: impl IntoUrl) -> CallBuilder {
        self.request(Method::HEAD, url)
    }

    /// A `POST` to this URL.
    pub fn post(&self, url: impl IntoUrl) -> CallBuilder {
        self.request(Method::POST, url)
    }

    /// A `PUT` to this URL.
    pub fn put(&self, url: impl IntoUrl) -> CallBuilder {
        self.request(Method::PUT, url)
    }

    /// A `PATCH` of this URL.
    pub fn patch(&self, url: impl IntoUrl) -> CallBuilder {
        self.request(Method::PATCH, url)
    }

    /// A `DELETE` of this URL.
    pub fn delete(&self, url: impl IntoUrl) -> CallBuilder {
        self.request(Method::DELETE, url)
    }

    /// A call of this URL with any method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> CallBuilder {
        CallBuilder {
            client: self.clone(),
            request: self.client.request(method, url),
            call: Call::new(),
        }
    }
}

impl CallBuilder {
    /// Changes the request: headers, a body, a timeout, whatever reqwest's features here have.
    pub fn with(mut self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        self.request = change(self.request);
        self
    }

    /// See [`Call::url_template`].
    pub fn url_template(mut self, template: impl Into<Cow<'static, str>>) -> Self {
        self.call = self.call.url_template(template);
        self
    }

    /// See [`Call::span_name`].
    pub fn span_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.call = self.call.span_name(name);
        self
    }

    /// See [`Call::without_propagation`].
    pub fn without_propagation(mut self) -> Self {
        self.call = self.call.without_propagation();
        self
    }

    /// Sends the request; the span ends with the response's head.
    ///
    /// # Errors
    /// reqwest's own. A request that cannot be built makes no span.
    pub async fn send(self) -> Result<Response, reqwest::Error> {
        let request = self.request.build()?;
        self.client.execute_with(request, self.call).await
    }
}
