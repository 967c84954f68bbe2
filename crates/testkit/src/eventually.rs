//! Waiting for a condition, with a deadline: what tests do instead of sleeping.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

const INTERVAL: Duration = Duration::from_millis(5);

/// Asks `probe` every few milliseconds until it gives a value.
///
/// # Panics
/// When it gave none within `deadline`, naming `what` was waited for: it is an assertion of the test that calls it.
pub async fn eventually<T, F, Fut>(what: &str, deadline: Duration, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    loop {
        match timeout_at(end, probe()).await {
            Ok(Some(value)) => return value,
            Ok(None) if Instant::now() < end => sleep(INTERVAL).await,
            _ => fail(what, deadline),
        }
    }
}

#[expect(clippy::panic, reason = "an assertion of the calling test")]
fn fail(what: &str, deadline: Duration) -> ! {
    panic!("waited {deadline:?} in vain for: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_the_first_value() {
        let mut asked = 0;
        let seen = eventually("the third answer", Duration::from_secs(10), || {
            asked += 1;
            let now = asked;
            async move { (now == 3).then_some(now) }
        });
        assert_eq!(seen.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "waited 50ms in vain for: a probe that answers")]
    async fn a_probe_that_never_answers_is_given_up_at_the_deadline() {
        eventually::<(), _, _>(
            "a probe that answers",
            Duration::from_millis(50),
            std::future::pending,
        )
        .await;
    }
}
