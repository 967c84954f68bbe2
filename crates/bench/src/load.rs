//! The load. A closed loop sends the next request when the last one is answered: it finds out how many there can be. An open loop
//! sends at its rate whatever becomes of the answers, and counts a latency from when the request was due: a server that stalls
//! cannot hide the requests that it kept from being sent.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::client::Client;

/// How many connections the load comes over.
pub(crate) const CLIENTS: u32 = 32;

/// Answers per second of a closed loop.
pub(crate) async fn closed(port: u16, request: &[u8], measure: Duration) -> anyhow::Result<f64> {
    let start = Instant::now();
    let end = start + measure;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let request = request.to_vec();
        clients.spawn(async move {
            let mut client = Client::connect(port).await?;
            let mut answers = 0_u32;
            while Instant::now() < end {
                client.create(&request).await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0.0;
    while let Some(client) = clients.join_next().await {
        answers += f64::from(client??);
    }
    Ok(answers / start.elapsed().as_secs_f64())
}

/// Latencies in milliseconds at `rate` requests a second, evenly spread over all clients.
pub(crate) async fn open(
    port: u16,
    request: &[u8],
    rate: f64,
    measure: Duration,
) -> anyhow::Result<Vec<f64>> {
    let apart = Duration::from_secs_f64(1.0 / rate);
    let start = Instant::now() + Duration::from_millis(100);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let request = request.to_vec();
        clients.spawn(async move {
            let mut client = Client::connect(port).await?;
            let mut latencies = Vec::new();
            let mut due = start + apart * number;
            while due < start + measure {
                sleep_until(due).await;
                client.create(&request).await?;
                latencies.push(due.elapsed().as_secs_f64() * 1e3);
                due += apart * CLIENTS;
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client??);
    }
    Ok(latencies)
}
