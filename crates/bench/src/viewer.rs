//! lens with its memory full: how many spans it receives in a second of one core, and how long it takes for
//! each page and search.

use std::time::Instant;

use anyhow::ensure;
use reqwest::{Client, StatusCode};
use testkit::{Service, Stack};

use crate::environment::{self, Environment};
use crate::exports::{self, ITEMS, METRIC};
use crate::size::Size;
use crate::stats::median;
use crate::{pages, process};

/// `ORDER`, `TRACE` and `OTHER` stand for ids of the last traces.
const PAGES: [(&str, &str); 15] = [
    ("traces", "/"),
    ("failed traces", "/?q=error"),
    ("traces of an order", "/?q=order.id%3DORDER"),
    ("traces with an attribute", "/?q=http.response.status_code%3D500"),
    (
        "traces with two attributes",
        "/?q=url.path%3D/api/orders+customer%3Dcustomer-5",
    ),
    (
        "traces by one span",
        "/?q=%7B+name%3DPOST+customer%3Dcustomer-5+%7D",
    ),
    ("slow traces", "/?q=duration%3E1s"),
    ("a text that no trace has", "/?q=nothing-has-this-text"),
    ("one trace", "/traces/TRACE"),
    ("two traces", "/compare?a=TRACE&b=OTHER"),
    ("logs", "/logs"),
    ("a text that no record has", "/logs?q=nothing-has-this-text"),
    ("metrics", "/metrics"),
    ("one metric", "/metrics?name=METRIC"),
    ("map", "/map"),
];

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let stack = environment.lens(size.lens_memory).await?;
    let http = Client::new();
    let target = Target {
        http: &http,
        stack: &stack,
    };
    let pid = environment::pid(&stack, Service::Lens)?;
    let empty = process::memory(pid)?;
    for number in 1..=size.lens_metrics {
        target
            .send("metrics", exports::metrics(number, size.lens_metrics))
            .await?;
    }
    let stored = target.fill().await?;

    let mut rates = Vec::new();
    for _ in 0..size.rounds {
        let (mut spans, cpu, begun) = (0, process::cpu_time(pid)?, Instant::now());
        while begun.elapsed() < size.measure {
            target.send("traces", exports::spans().body).await?;
            spans += ITEMS;
        }
        let cpu = (process::cpu_time(pid)? - cpu).as_secs_f64();
        rates.push(f64::from(spans) / cpu);
    }
    let memory = process::memory(pid)?;

    let (first, last) = (exports::spans(), exports::spans());
    let pages = PAGES.map(|(name, path)| {
        let path = path
            .replace("TRACE", &last.trace_id)
            .replace("OTHER", &first.trace_id);
        (
            name,
            path.replace("ORDER", &last.order_id).replace("METRIC", METRIC),
        )
    });
    target.send("traces", first.body).await?;
    target.send("traces", last.body).await?;
    let table = pages::measured(&stack.url(Service::Lens), pages, size.page_requests).await?;
    println!(
        "\nlens receives {:.0} spans in a second of one core: OTLP over HTTP, {ITEMS} spans a request, 8 attributes \
         each,\nmemory full ({} of traces, logs and metrics, about {stored} spans). It takes {:.0} MB ({:.0} MB at \
         the start, {:.0} MB at the peak).\n\n{table}",
        median(&rates),
        size.lens_memory,
        memory.now,
        empty.now,
        memory.peak,
    );
    Ok(())
}

/// A lens, and the client that sends to it.
struct Target<'a> {
    http: &'a Client,
    stack: &'a Stack,
}

impl Target<'_> {
    async fn send(&self, signal: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let request = self
            .http
            .post(format!("{}/v1/{signal}", self.stack.ports().otlp_http_url()))
            .header("content-type", "application/x-protobuf")
            .body(body);
        request.send().await?.error_for_status()?.bytes().await?;
        Ok(())
    }

    /// Sends spans and log records until the first trace is evicted, which is when the memory of each is
    /// full: traces have six times as much, and a span takes twice as much as a record. Returns how many
    /// spans.
    async fn fill(&self) -> anyhow::Result<u32> {
        let first = exports::spans();
        let url = format!("{}/traces/{}", self.stack.url(Service::Lens), first.trace_id);
        self.send("traces", first.body).await?;
        let mut spans = ITEMS;
        loop {
            for _ in 0..10 {
                self.send("traces", exports::spans().body).await?;
                self.send("logs", exports::logs()).await?;
                spans += ITEMS;
            }
            match self.http.get(&url).send().await?.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(spans),
                status => ensure!(false, "{url}: {status}"),
            }
        }
    }
}
