//! Waits for a condition with a timeout. Tests use it instead of sleeping.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Polls `probe` every few milliseconds until it returns a value.
///
/// # Panics
/// When it returned none within `timeout`; the message names `what` was awaited. It is an assertion of the
/// calling test.
pub async fn eventually<T, F, Fut>(what: &str, timeout: Duration, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + timeout;
    loop {
        match timeout_at(end, probe()).await {
            Ok(Some(value)) => return value,
            Ok(None) if Instant::now() < end => sleep(POLL_INTERVAL).await,
            _ => fail(what, timeout),
        }
    }
}

#[expect(clippy::panic, reason = "an assertion of the calling test")]
fn fail(what: &str, timeout: Duration) -> ! {
    panic!("waited {timeout:?} for: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_the_first_value() {
        let mut calls = 0;
        let seen = eventually("the third value", Duration::from_secs(10), || {
            calls += 1;
            let now = calls;
            async move { (now == 3).then_some(now) }
        });
        assert_eq!(seen.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "waited 50ms for: a probe that completes")]
    async fn a_probe_that_never_completes_fails_at_the_timeout() {
        eventually::<(), _, _>(
            "a probe that completes",
            Duration::from_millis(50),
            std::future::pending,
        )
        .await;
    }
}
