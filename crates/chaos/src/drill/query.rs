//! Prometheus' HTTP API.

use anyhow::Context;
use reqwest::Url;
use serde_json::Value;

/// The series of the response to a query: `path` is `query` or `query_range`.
pub(super) async fn series(
    http: &reqwest::Client,
    prometheus: &str,
    path: &str,
    parameters: &[(&str, &str)],
) -> anyhow::Result<Vec<Value>> {
    let url = Url::parse_with_params(&format!("{prometheus}/api/v1/{path}"), parameters)?;
    let mut response: Value = http.get(url).send().await?.error_for_status()?.json().await?;
    match response.pointer_mut("/data/result").map(Value::take) {
        Some(Value::Array(series)) => Ok(series),
        _ => Err(anyhow::anyhow!("no series")).context("Prometheus responded in another form"),
    }
}
