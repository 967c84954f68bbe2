//! Readiness checks: how long one may take, how requests share it, and how its result is reported.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// A check that takes longer has failed.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// For how long a [`SharedCheck`] reports a result.
const MAX_AGE: Duration = Duration::from_millis(500);

/// The result of `check`; `None` if it fails, or takes longer than [`CHECK_TIMEOUT`].
pub async fn checked<T, E>(check: impl Future<Output = Result<T, E>>) -> Option<T> {
    timeout(CHECK_TIMEOUT, check).await.ok()?.ok()
}

/// Whether `check` succeeds within [`CHECK_TIMEOUT`].
pub async fn passes<T, E>(check: impl Future<Output = Result<T, E>>) -> bool {
    checked(check).await.is_some()
}

/// The result of a check as the readiness endpoints report it: `ok` or `unavailable`.
pub fn status(passed: bool) -> &'static str {
    if passed { "ok" } else { "unavailable" }
}

/// The latest result of a check that all requests share: however many there are, they make at most two checks
/// a second. Clones share it.
#[derive(Debug, Clone)]
pub struct SharedCheck<T>(Arc<Mutex<Option<(Instant, T)>>>);

impl<T> Default for SharedCheck<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Default + Send + 'static> SharedCheck<T> {
    /// The latest result, if it is at most 500 ms old; else that of `check`, which runs as a task: a request
    /// that is dropped does not end a check for which others wait. The default if `check` panics.
    pub async fn latest_or(&self, check: impl Future<Output = T> + Send + 'static) -> T {
        let latest = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let mut latest = latest.lock().await;
            match &*latest {
                Some((at, result)) if at.elapsed() < MAX_AGE => result.clone(),
                _ => {
                    let result = check.await;
                    *latest = Some((Instant::now(), result.clone()));
                    result
                }
            }
        });
        task.await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::sleep;

    use super::*;

    /// Counts its runs; each takes 100 ms.
    #[derive(Clone, Default)]
    struct Counted(Arc<AtomicU32>);

    impl Counted {
        async fn run(self) -> u32 {
            sleep(Duration::from_millis(100)).await;
            self.0.fetch_add(1, Ordering::Relaxed) + 1
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_requests_makes_two_checks_a_second() {
        let (shared, check) = (SharedCheck::default(), Counted::default());
        let start = Instant::now();
        let requests = (0..10_000_u64).map(|n| {
            let (shared, check) = (shared.clone(), check.clone());
            tokio::spawn(async move {
                sleep(Duration::from_millis(n)).await;
                shared.latest_or(check.run()).await
            })
        });
        let requests: Vec<_> = requests.collect();
        let mut results = Vec::new();
        for request in requests {
            results.push(request.await.unwrap());
        }
        let checks = check.0.load(Ordering::Relaxed);
        assert!((15..=20).contains(&checks), "{checks} in {:?}", start.elapsed());
        assert!(results.is_sorted());
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_goes_on_without_the_request_that_began_it() {
        let (shared, check) = (SharedCheck::default(), Counted::default());
        let dropped = timeout(Duration::from_millis(50), shared.latest_or(check.clone().run())).await;
        assert!(dropped.is_err());
        assert_eq!(shared.latest_or(check.clone().run()).await, 1);
        sleep(MAX_AGE).await;
        assert_eq!(shared.latest_or(check.run()).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_panics_gives_the_default_and_the_next_one_runs() {
        let shared = SharedCheck::default();
        assert_eq!(shared.latest_or(async { panic!("a broken check") }).await, 0);
        assert_eq!(shared.latest_or(async { 1 }).await, 1);
    }
}
