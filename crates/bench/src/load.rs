//! The load. A closed loop sends the next request after the response to the last one, and so finds the
//! highest throughput. An open loop sends at a constant rate and measures each latency from when the request
//! was due, so that a stalled server cannot hide the requests that it delayed.

use std::time::Duration;

use anyhow::ensure;
use testkit::wait_for_final_orders;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::Client as Sql;

use crate::client::Client;

/// Connections of each loop.
pub(crate) const CLIENTS: u32 = 32;
const COUNT_INTERVAL: Duration = Duration::from_millis(50);
const FINAL_TIMEOUT: Duration = Duration::from_secs(300);

/// Responses per second of a closed loop.
pub(crate) async fn closed(port: u16, request: &[u8], measure: Duration) -> anyhow::Result<f64> {
    let start = Instant::now();
    let end = start + measure;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let request = request.to_vec();
        clients.spawn(async move {
            let mut client = Client::connect(port).await?;
            let mut responses = 0_u32;
            while Instant::now() < end {
                client.create(&request).await?;
                responses += 1;
            }
            anyhow::Ok(responses)
        });
    }
    let mut responses = 0.0;
    while let Some(client) = clients.join_next().await {
        responses += f64::from(client??);
    }
    Ok(responses / start.elapsed().as_secs_f64())
}

/// Latencies in milliseconds at `rate` requests a second, evenly spread over the connections, and these over
/// the ports.
pub(crate) async fn open(
    ports: &[u16],
    request: &[u8],
    rate: f64,
    measure: Duration,
) -> anyhow::Result<Vec<f64>> {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let start = Instant::now() + Duration::from_millis(100);
    let mut clients = JoinSet::new();
    for (number, port) in (0..CLIENTS).zip(ports.iter().copied().cycle()) {
        let request = request.to_vec();
        clients.spawn(async move {
            let mut client = Client::connect(port).await?;
            let mut latencies = Vec::new();
            let mut due = start + interval * number;
            while due < start + measure {
                sleep_until(due).await;
                client.create(&request).await?;
                latencies.push(due.elapsed().as_secs_f64() * 1e3);
                due += interval * CLIENTS;
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

/// Waits until every order of the database is final.
pub(crate) async fn wait_until_final(sql: &Sql) -> anyhow::Result<()> {
    let not_final = wait_for_final_orders(sql, COUNT_INTERVAL, FINAL_TIMEOUT).await?;
    ensure!(
        not_final == 0,
        "{not_final} orders are not final after {FINAL_TIMEOUT:?}"
    );
    Ok(())
}
