//! Requests to the services of a running stack.

use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use crate::state::State;
use crate::token;

/// The api's URL: THROUGHLINE_API_URL, that of the running stack, or the documented default.
pub(crate) fn api_url() -> anyhow::Result<String> {
    address("THROUGHLINE_API_URL", |state| state.api, "http://127.0.0.1:8080")
}

/// Lens' URL: THROUGHLINE_LENS_URL, that of the running stack, or the documented default.
pub(crate) fn lens_url() -> anyhow::Result<String> {
    address(
        "THROUGHLINE_LENS_URL",
        |state| state.lens,
        "http://127.0.0.1:8100",
    )
}

fn address(variable: &str, of_stack: impl FnOnce(State) -> String, default: &str) -> anyhow::Result<String> {
    if let Some(url) = std::env::var(variable).ok().filter(|url| !url.is_empty()) {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    Ok(State::running()?.map_or_else(|| default.to_owned(), of_stack))
}

/// A client for services without authentication.
pub(crate) fn client() -> anyhow::Result<Client> {
    client_with(HeaderMap::new())
}

/// A client for the api. It sends a token if JWT_SECRET is set.
pub(crate) fn api_client() -> anyhow::Result<Client> {
    let mut headers = HeaderMap::new();
    if let Some(secret) = token::secret_if_set()? {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token::local(&secret)?))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    client_with(headers)
}

fn client_with(headers: HeaderMap) -> anyhow::Result<Client> {
    // The services run on this machine, not behind a proxy.
    Ok(Client::builder()
        .no_proxy()
        .default_headers(headers)
        .timeout(std::time::Duration::from_secs(10))
        .build()?)
}

/// Sends a request. If the service is unreachable, the error says what to do.
pub(crate) async fn send(request: RequestBuilder) -> anyhow::Result<Response> {
    match request.send().await {
        Err(error) if error.is_connect() => {
            let address = error
                .url()
                .map(|url| url.origin().ascii_serialization())
                .unwrap_or_default();
            bail!("nothing listens at {address}: start the stack with `cargo xtask up`")
        }
        response => Ok(response?),
    }
}

/// The JSON of a successful response; the body of another one is an error.
pub(crate) async fn json(request: RequestBuilder) -> anyhow::Result<Value> {
    let response = send(request).await?;
    let status = response.status();
    let text = response.text().await?;
    if status.is_success() {
        return serde_json::from_str(&text).with_context(|| format!("the response is no JSON: {text}"));
    }
    bail!("{status}: {text}")
}
