//! Clients that wait for their orders' events, all on one api: how much memory they take, and how soon each
//! gets its event.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use testkit::{Service, Stack};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{self, Client};
use crate::environment::{self, Environment};
use crate::mode::Mode;
use crate::process;
use crate::size::Size;
use crate::stats::{median, quantile};

/// With [`WORKER_CONCURRENCY`] payments at a time, this makes somewhat less than 250 orders a second final.
const PAYMENT_LATENCY_MS: u32 = 200;
const WORKER_CONCURRENCY: &str = "50";
/// Connections that are opened at the same time.
const CONNECT_BATCH: usize = 100;
/// Batches that come from one loopback address: 20,000 connections.
const BATCHES_OF_ADDRESS: u32 = 200;
const CREATORS: usize = 16;
/// The api's settings that limit connections and event streams.
const CONNECTION_LIMITS: [&str; 3] = [
    "HTTP_MAX_CONNECTIONS",
    "EVENT_STREAMS_MAX",
    "EVENT_STREAMS_PER_CUSTOMER",
];
/// From the worker's start to the last event.
const EVENTS_TIMEOUT: Duration = Duration::from_secs(600);
/// Completions a second.
const COMPLETION_RATE: &str =
    "SELECT (count(*) / extract(epoch FROM max(completed_at) - min(completed_at)))::float8 FROM orders";

/// The fields of an event's data that are measured.
#[derive(Deserialize)]
struct Event {
    status: String,
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Created {
    id: String,
}

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let receiver = environment.receiver().await?;
    let otlp = receiver.ports().otlp_http_url();
    let database = environment.postgres.database().await?;
    let stack = |services: &[Service]| environment.stack(Mode::Full, database.url(), services, &otlp);
    // No order is redispatched before every client waits.
    let mut front = stack(&[Service::Gateway, Service::Api]).env(Service::Api, "ORDER_DISPATCH_GRACE", "1h");
    for limit in CONNECTION_LIMITS {
        front = front.env(Service::Api, limit, "1000000");
    }
    let front = front.start().await?;
    delay_payments(&front).await?;
    let memory = || process::memory(environment::pid(&front, Service::Api)?);
    let at_start = memory()?.now;

    let port = front.ports().api;
    let clients = size.waiting.min(process::max_connections());
    if clients < size.waiting {
        println!(
            "\nThe limit of open files permits {clients} of {} clients.",
            size.waiting
        );
    }
    let orders = create_orders(port, clients).await?;
    let with_orders = memory()?.now;
    let waiting = follow(port, &orders).await?;
    let with_clients = memory()?.now;

    let gateway = front.url(Service::Gateway);
    let worker = stack(&[Service::Worker])
        .env(Service::Worker, "WORKER_CONCURRENCY", WORKER_CONCURRENCY)
        .env(Service::Worker, "PAYMENT_GATEWAY_URL", &gateway);
    let worker = worker.start().await?;
    let lags = timeout(EVENTS_TIMEOUT, waiting.join_all()).await?;
    let lags = lags.into_iter().collect::<anyhow::Result<Vec<f64>>>()?;
    let row = database.connect().await?.query_one(COMPLETION_RATE, &[]).await?;
    let rate: f64 = row.get(0);
    let peak = memory()?.peak;
    drop(worker);

    println!(
        "\n{clients} clients wait for events of one api, every trace recorded: {} got their event, at {rate:.0} completions a second.\n\
         From an order's final state to its client: p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms.\n\
         Memory of the api: {at_start:.0} MB at the start, {with_orders:.0} MB with the orders created, {with_clients:.0} MB \
         with all clients waiting ({:.1} KB a client), {peak:.0} MB at the peak.",
        lags.len(),
        median(&lags),
        quantile(&lags, 990),
        quantile(&lags, 1000),
        (with_clients - with_orders) * 1e3 / f64::from(u32::try_from(clients)?),
    );
    Ok(())
}

async fn delay_payments(stack: &Stack) -> anyhow::Result<()> {
    let url = format!("{}/sandbox/faults", stack.url(Service::Gateway));
    let faults = serde_json::json!({ "latency_ms": PAYMENT_LATENCY_MS });
    let response = reqwest::Client::new().post(url).json(&faults).send();
    response.await?.error_for_status()?;
    Ok(())
}

/// Creates orders with a payment; returns their ids.
async fn create_orders(port: u16, count: usize) -> anyhow::Result<Vec<String>> {
    let mut clients = JoinSet::new();
    for client in 0..CREATORS {
        let share = (client..count).step_by(CREATORS);
        clients.spawn(async move {
            let request = client::create_order_request(true);
            let mut client = Client::connect(port).await?;
            let mut orders = Vec::with_capacity(share.len());
            for _ in share {
                let created: Created = serde_json::from_slice(client.create(&request).await?)?;
                orders.push(created.id);
            }
            anyhow::Ok(orders)
        });
    }
    let orders = clients
        .join_all()
        .await
        .into_iter()
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(orders.concat())
}

/// Opens an event stream for each order; each task ends with its lag in milliseconds.
async fn follow(port: u16, orders: &[String]) -> anyhow::Result<JoinSet<anyhow::Result<f64>>> {
    let mut waiting = JoinSet::new();
    for (number, batch) in (0..).zip(orders.chunks(CONNECT_BATCH)) {
        let address = address(number);
        let mut connecting = JoinSet::new();
        for order in batch {
            let order = order.clone();
            connecting.spawn(async move { Client::connect_from(address, port).await?.follow(&order).await });
        }
        while let Some(stream) = connecting.join_next().await {
            waiting.spawn(lag(stream??));
        }
    }
    Ok(waiting)
}

/// The loopback address of a batch.
fn address(batch: u32) -> Ipv4Addr {
    let host = batch / BATCHES_OF_ADDRESS + 1;
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 0, 0)) + host)
}

/// Milliseconds from the order's final state, by PostgreSQL's clock on this machine, to the event's arrival.
async fn lag(mut stream: BufReader<TcpStream>) -> anyhow::Result<f64> {
    let mut line = String::new();
    loop {
        line.clear();
        anyhow::ensure!(
            stream.read_line(&mut line).await? > 0,
            "the stream ended before its order was final"
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
