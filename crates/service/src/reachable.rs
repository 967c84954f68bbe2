//! Waits at start-up for servers that are not reachable yet, and logs which one it waits for.

use std::fmt::Display;
use std::time::Duration;

const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// The log repeats the warning after this many attempts: every 30 seconds.
const ATTEMPTS_PER_WARNING: u32 = 60;

/// Calls `ping` until it succeeds. Logs nothing if the first attempt does.
pub async fn wait_until_reachable<T, E: Display>(server: &str, ping: impl AsyncFn() -> Result<T, E>) {
    let mut failures = 0_u32;
    while let Err(error) = ping().await {
        if failures.is_multiple_of(ATTEMPTS_PER_WARNING) {
            tracing::warn!(%error, "waiting for {server}");
        }
        failures = failures.wrapping_add(1);
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
    if failures > 0 {
        tracing::info!("{server} is reachable");
    }
}
