//! Waiting for final orders, for chaos and the benchmarks.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

/// Counts every `interval` the orders that are not final, until there are none or `timeout` is over; returns
/// the last count.
///
/// # Errors
/// When a query fails.
pub async fn wait_for_final_orders(
    client: &Client,
    interval: Duration,
    timeout: Duration,
) -> anyhow::Result<i64> {
    const NOT_FINAL: &str = "SELECT count(*) FROM orders WHERE dispatch_after IS NOT NULL";
    let end = Instant::now() + timeout;
    loop {
        let not_final = client.query_one(NOT_FINAL, &[]).await?.get(0);
        if not_final == 0 || Instant::now() >= end {
            return Ok(not_final);
        }
        sleep(interval).await;
    }
}
