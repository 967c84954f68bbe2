//! `trace`: prints a trace as lens draws it for a terminal.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::api;

/// Upper bound of waiting for the trace; services export their spans in batches.
const TRACE_TIMEOUT: Duration = Duration::from_secs(10);
/// A trace that has not changed for this long is complete.
const UNCHANGED_FOR: Duration = Duration::from_millis(600);
const WORKER: &str = "throughline-worker";

/// Print a trace as a waterfall
#[derive(clap::Args)]
pub(crate) struct Trace {
    /// An order's id, or a trace id of 32 hexadecimal digits
    id: String,
}

impl Trace {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        if !self.id.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            bail!("{} is neither an order's id nor a trace id", self.id);
        }
        let lens = Lens {
            client: api::client()?,
            url: api::lens_url()?,
        };
        let end = Instant::now() + TRACE_TIMEOUT;
        let mut seen: Option<(String, Instant)> = None;
        loop {
            let now = lens.waterfall(&self.id).await?;
            match (now, &seen) {
                (Some(text), Some((last, since))) if text == *last => {
                    if since.elapsed() >= UNCHANGED_FOR || Instant::now() >= end {
                        print!("{text}");
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                (Some(text), _) => seen = Some((text, Instant::now())),
                (None, _) if Instant::now() >= end => {
                    bail!("lens at {} has no trace of {}", lens.url, self.id)
                }
                (None, _) => {}
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

struct Lens {
    client: Client,
    url: String,
}

impl Lens {
    /// The spans that lens has received so far, as text.
    async fn waterfall(&self, id: &str) -> anyhow::Result<Option<String>> {
        match self.trace_id(id).await? {
            Some(trace_id) => self.text(&trace_id).await,
            None => Ok(None),
        }
    }

    /// An order's id is a UUID, with hyphens; everything else is a trace id. The trace of an order is the one
    /// in which it was created, which continues in the worker.
    async fn trace_id(&self, id: &str) -> anyhow::Result<Option<String>> {
        if !id.contains('-') {
            return Ok(Some(id.to_ascii_lowercase()));
        }
        let in_worker = format!("service={WORKER}&order_id={id}");
        if let Some(created) = created(&self.traces(&in_worker).await?) {
            return Ok(Some(created));
        }
        let all = self.traces(&format!("order_id={id}")).await?;
        Ok(created(&all).or_else(|| all.last().and_then(trace_id)))
    }

    /// The newest 100, newest first. Reading an order makes a trace as well, but without the worker.
    async fn traces(&self, filter: &str) -> anyhow::Result<Vec<Value>> {
        let url = format!("{}/api/traces?{filter}&limit=100", self.url);
        let mut found = api::json(self.client.get(url)).await?;
        Ok(match found.get_mut("data").map(Value::take) {
            Some(Value::Array(traces)) => traces,
            _ => Vec::new(),
        })
    }

    async fn text(&self, trace_id: &str) -> anyhow::Result<Option<String>> {
        let response = api::send(self.client.get(format!("{}/traces/{trace_id}.txt", self.url))).await?;
        match response.status() {
            StatusCode::OK => Ok(Some(response.text().await?)),
            StatusCode::NOT_FOUND => Ok(None),
            status => bail!("lens responds {status}: {}", response.text().await?),
        }
    }
}

/// The oldest trace that begins with the creation of an order.
fn created(newest_first: &[Value]) -> Option<String> {
    let creates = |trace: &&Value| text(trace, "root_name") == Some("POST /api/orders");
    newest_first.iter().rev().find(creates).and_then(trace_id)
}

fn trace_id(trace: &Value) -> Option<String> {
    text(trace, "trace_id").map(str::to_owned)
}

fn text<'a>(trace: &'a Value, field: &str) -> Option<&'a str> {
    trace.get(field).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_trace_of_an_order_is_that_of_its_creation() {
        let trace = |id: &str, root: &str| json!({ "trace_id": id, "root_name": root });
        let mut newest_first = vec![
            trace("c", "POST /api/orders/{id}/retry"),
            trace("b", "GET /api/orders/{id}"),
        ];
        assert_eq!(created(&newest_first), None);
        newest_first.push(trace("a", "POST /api/orders"));
        assert_eq!(created(&newest_first).as_deref(), Some("a"));
    }
}
