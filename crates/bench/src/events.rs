//! Clients that wait for their orders' events, all on one api: how much memory that takes, and how soon they are told.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use testkit::{Binaries, Service, Stack};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{self, Client};
use crate::mode::{self, Mode};
use crate::stats::{median, quantile};
use crate::{Servers, Size, process};

/// A payment takes 200 ms and 50 are made at a time: that makes a little more than 200 orders a second final.
const PAYMENT: u32 = 200;
const CONCURRENCY: &str = "50";
/// How many connections are opened at the same time.
const OPENING: usize = 100;
/// How long the last event may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Completions a second.
const RATE: &str =
    "SELECT (count(*) / extract(epoch FROM max(completed_at) - min(completed_at)))::float8 FROM orders";

/// An event's data: what is looked at of it.
#[derive(Deserialize)]
struct Event {
    status: String,
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Created {
    id: String,
}

pub(crate) async fn run(servers: &Servers, size: Size, binaries: &Binaries) -> anyhow::Result<()> {
    let receiver = mode::receiver(servers, binaries).await?;
    let otlp = receiver.ports().otlp_http_url();
    let database = servers.postgres.database().await?;
    let stack = |services: &[Service]| Mode::Full.stack(servers, database.url(), services, &otlp, binaries);
    // Nothing works on the orders until everybody waits.
    let grace = stack(&[Service::Gateway, Service::Api]);
    let shop = grace
        .env(Service::Api, "ORDER_DISPATCH_GRACE", "1h")
        .start()
        .await?;
    slow_payments(&shop).await?;
    let api = mode::pid(&shop, Service::Api)?;
    let idle = process::memory(api)?.now;

    let port = shop.ports().api;
    let mut client = Client::connect(port).await?;
    let mut orders = Vec::with_capacity(size.waiting);
    for _ in 0..size.waiting {
        let created: Created = serde_json::from_slice(client.create(&client::order(true)).await?)?;
        orders.push(created.id);
    }
    let created = process::memory(api)?.now;

    let mut waiting = JoinSet::new();
    for some in orders.chunks(OPENING) {
        let mut opening = JoinSet::new();
        for order in some {
            let order = order.clone();
            opening.spawn(async move { Client::connect(port).await?.follow(&order).await });
        }
        while let Some(stream) = opening.join_next().await {
            waiting.spawn(lag(stream??));
        }
    }
    let all_waiting = process::memory(api)?.now;

    let worker = stack(&[Service::Worker])
        .env(Service::Worker, "WORKER_CONCURRENCY", CONCURRENCY)
        .env(
            Service::Worker,
            "PAYMENT_GATEWAY_URL",
            &shop.url(Service::Gateway),
        )
        .start()
        .await?;
    let mut lags = Vec::with_capacity(size.waiting);
    let told = async {
        while let Some(lag) = waiting.join_next().await {
            lags.push(lag??);
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, told).await??;
    let rate: f64 = database.connect().await?.query_one(RATE, &[]).await?.get(0);
    let memory = process::memory(api)?;
    drop(worker);

    println!(
        "\n{} clients wait for events of one api, every trace recorded: {} were told, at {rate:.0} completions a second.\n\
         From an order's end to its client: p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms.\n\
         Memory of the api: {idle:.0} MB at the start, {created:.0} MB with the orders created, {all_waiting:.0} MB with all \
         waiting, {:.0} MB at the peak.",
        size.waiting,
        lags.len(),
        median(&lags),
        quantile(&lags, 990),
        quantile(&lags, 1000),
        memory.peak,
    );
    Ok(())
}

async fn slow_payments(shop: &Stack) -> anyhow::Result<()> {
    let url = format!("{}/sandbox/faults", shop.url(Service::Gateway));
    let faults = serde_json::json!({ "latency_ms": PAYMENT });
    let answer = reqwest::Client::new().post(url).json(&faults).send();
    answer.await?.error_for_status()?;
    Ok(())
}

/// Milliseconds from the order's end, by PostgreSQL's clock, which is this machine's, until its client was told.
async fn lag(mut stream: BufReader<TcpStream>) -> anyhow::Result<f64> {
    let mut line = String::new();
    loop {
        line.clear();
        anyhow::ensure!(
            stream.read_line(&mut line).await? > 0,
            "the stream ended before its order did"
        );
        let Some(data) = line.strip_prefix("data: ") else {
            continue;
        };
        let event: Event = serde_json::from_str(data)?;
        if matches!(event.status.as_str(), "completed" | "failed") {
            let now = DateTime::<Utc>::from(SystemTime::now());
            let lag = now.signed_duration_since(event.updated_at);
            return Ok(lag.to_std().unwrap_or_default().as_secs_f64() * 1e3);
        }
    }
}
