//! Periodic work that stops at shutdown.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// When [`every`] runs its work again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Without a pause, as after a full batch: more is probably left.
    AtOnce,
    /// After the interval.
    AfterInterval,
}

/// Runs `work` until `shutdown` is cancelled, and sleeps for `interval` after each run that returns
/// [`Next::AfterInterval`]. Shutdown ends the sleep, but does not interrupt a run.
pub async fn every(interval: Duration, shutdown: &CancellationToken, mut work: impl AsyncFnMut() -> Next) {
    while !shutdown.is_cancelled() {
        if work().await == Next::AfterInterval {
            shutdown.run_until_cancelled(sleep(interval)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_full_batch_is_followed_at_once_and_shutdown_ends_the_sleep() {
        let (shutdown, start) = (CancellationToken::new(), tokio::time::Instant::now());
        let mut runs = Vec::new();
        every(Duration::from_secs(60), &shutdown, async || {
            runs.push(start.elapsed().as_secs());
            match runs.len() {
                1 => Next::AtOnce,
                2 => Next::AfterInterval,
                _ => {
                    shutdown.cancel();
                    Next::AfterInterval
                }
            }
        })
        .await;
        assert_eq!(runs, [0, 0, 60]);
        assert_eq!(start.elapsed(), Duration::from_secs(60));
    }
}
