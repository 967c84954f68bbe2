//! Saying in the log what a service waits for: a person who starts one before its servers sees why nothing happens.

use std::fmt::Display;
use std::time::Duration;

/// How often an absent server is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often the log says that it is still waited for.
const REMINDER: u32 = 60;

/// Asks until `server` answers for the first time. Says so in the log only where it did not at once.
pub async fn reach<T, E: Display>(server: &str, ask: impl AsyncFn() -> Result<T, E>) {
    let mut asked = 0_u32;
    while let Err(error) = ask().await {
        if asked.is_multiple_of(REMINDER) {
            tracing::warn!(%error, "waiting for {server}");
        }
        asked = asked.wrapping_add(1);
        tokio::time::sleep(INTERVAL).await;
    }
    if asked > 0 {
        tracing::info!("{server} is reached");
    }
}
