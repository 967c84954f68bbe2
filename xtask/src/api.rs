//! Asking the services of a running stack.

use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use crate::state::State;
use crate::token;

/// Where the api is: THROUGHLINE_API_URL, the stack that is up, or the documented default.
pub(crate) fn api_url() -> anyhow::Result<String> {
    address("THROUGHLINE_API_URL", |state| state.api, "http://127.0.0.1:8080")
}

/// Where lens is: THROUGHLINE_LENS_URL, the stack that is up, or the documented default.
pub(crate) fn lens_url() -> anyhow::Result<String> {
    address(
        "THROUGHLINE_LENS_URL",
        |state| state.lens,
        "http://127.0.0.1:8100",
    )
}

fn address(variable: &str, of_stack: impl FnOnce(State) -> String, default: &str) -> anyhow::Result<String> {
    if let Ok(url) = std::env::var(variable) {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    Ok(State::running()?.map_or_else(|| default.to_owned(), of_stack))
}

/// For whoever asks no token.
pub(crate) fn client() -> anyhow::Result<Client> {
    client_with(HeaderMap::new())
}

/// For the api: with a token, where JWT_SECRET says how to sign one.
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
    // What runs on this machine is not behind a proxy.
    Ok(Client::builder()
        .no_proxy()
        .default_headers(headers)
        .timeout(std::time::Duration::from_secs(10))
        .build()?)
}

/// Sends a request; nobody answering is an error that says what to do.
pub(crate) async fn send(request: RequestBuilder) -> anyhow::Result<Response> {
    match request.send().await {
        Err(error) if error.is_connect() => {
            let address = error
                .url()
                .map(|url| url.origin().ascii_serialization())
                .unwrap_or_default();
            bail!("nothing answers at {address}: start the stack with `cargo xtask up`")
        }
        answer => Ok(answer?),
    }
}

/// The JSON of a good answer; of another, its problem as an error.
pub(crate) async fn json(request: RequestBuilder) -> anyhow::Result<Value> {
    let answer = send(request).await?;
    let status = answer.status();
    let text = answer.text().await?;
    if status.is_success() {
        return serde_json::from_str(&text).with_context(|| format!("the answer is no JSON: {text}"));
    }
    bail!("{status}: {text}")
}
