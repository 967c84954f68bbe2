//! `trace`: prints a trace as lens draws it for a terminal.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::api;

/// Services export their spans in batches, a moment after they ended.
const PATIENCE: Duration = Duration::from_secs(10);
/// A trace that has not grown for so long is taken to be complete.
const QUIET: Duration = Duration::from_millis(600);

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
        let end = Instant::now() + PATIENCE;
        let mut seen: Option<(String, Instant)> = None;
        loop {
            let now = lens.waterfall(&self.id).await?;
            match (now, &seen) {
                (Some(text), Some((last, since))) if text == *last => {
                    if since.elapsed() >= QUIET || Instant::now() >= end {
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
    /// What lens has of it so far.
    async fn waterfall(&self, id: &str) -> anyhow::Result<Option<String>> {
        match self.trace_id(id).await? {
            Some(trace_id) => self.text(&trace_id).await,
            None => Ok(None),
        }
    }

    /// An order's id is a UUID, with hyphens; everything else is taken for a trace id.
    async fn trace_id(&self, id: &str) -> anyhow::Result<Option<String>> {
        if !id.contains('-') {
            return Ok(Some(id.to_ascii_lowercase()));
        }
        let found = api::json(
            self.client
                .get(format!("{}/api/traces?order_id={id}&limit=100", self.url)),
        )
        .await?;
        let traces = found
            .get("data")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        // Newest first. Reading an order makes a trace as well; the one wanted is of the request that created it.
        let created = traces
            .iter()
            .rev()
            .find(|trace| text(trace, "root_name").is_some_and(|name| name.starts_with("POST ")));
        Ok(created
            .or(traces.last())
            .and_then(|trace| text(trace, "trace_id"))
            .map(str::to_owned))
    }

    async fn text(&self, trace_id: &str) -> anyhow::Result<Option<String>> {
        let answer = api::send(
            self.client
                .get(format!("{}/traces/{trace_id}.txt", self.url)),
        )
        .await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(answer.text().await?)),
            StatusCode::NOT_FOUND => Ok(None),
            status => bail!("lens answers {status}: {}", answer.text().await?),
        }
    }
}

fn text<'a>(trace: &'a Value, field: &str) -> Option<&'a str> {
    trace.get(field).and_then(Value::as_str)
}
