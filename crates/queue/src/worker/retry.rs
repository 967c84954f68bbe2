//! Attempts with backoff: runs the caller's service, and records its errors and panics, so that the job is
//! attempted again or becomes a dead letter.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::{Service, ServiceExt};

use super::delivery::Delivery;
use super::failures::{FailedAttempt, Failures};
use super::handler::panic_message;

/// How often a job is attempted, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After so many attempts that failed, the job becomes a dead letter; default 10. At least one is made.
    pub attempts: u32,
    /// Backoff after the first attempt; default 1 s. It doubles with each attempt, and is up to a quarter
    /// longer, so that jobs that failed together are not attempted together.
    pub min_backoff: Duration,
    /// Maximum of the backoff, without that quarter; default 1 h. With the defaults the tenth attempt is
    /// about 10 min after the first.
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 10,
            min_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(3600),
        }
    }
}

impl RetryPolicy {
    /// The backoff after this attempt of a job; `None` after the last.
    fn backoff(&self, id: &str, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let backoff = self.min_backoff.saturating_mul(factor).min(self.max_backoff);
        let mut hasher = DefaultHasher::new();
        (id, attempt).hash(&mut hasher);
        let per_mille = u32::try_from(hasher.finish() % 250).unwrap_or_default();
        Some(backoff.saturating_add(backoff / 1000 * per_mille))
    }
}

/// A service whose errors are recorded. It never fails.
#[derive(Clone)]
pub(crate) struct Retrying<S> {
    pub(crate) service: S,
    pub(crate) policy: Arc<RetryPolicy>,
    pub(crate) failures: Failures,
}

impl<J, S> Service<Delivery<J>> for Retrying<S>
where
    S: Service<Delivery<J>, Response = ()> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Display,
    J: Send + 'static,
{
    type Response = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, delivery: Delivery<J>) -> Self::Future {
        let Self {
            service,
            policy,
            failures,
        } = self.clone();
        Box::pin(async move {
            let (id, worker) = (delivery.id.clone(), Arc::clone(&delivery.worker));
            let number = delivery.attempt;
            if let Some((error_type, error_message)) = failure_of(service, delivery).await {
                let failed = FailedAttempt {
                    id: &id,
                    worker: &worker,
                    number,
                    error_type,
                    error_message: &error_message,
                };
                let backoff = policy.backoff(&id, number);
                log(&failed, backoff);
                failures.record(&failed, backoff).await;
            }
            Ok(())
        })
    }
}

/// The type and the text of the attempt's error, if it failed.
async fn failure_of<S, J>(service: S, delivery: Delivery<J>) -> Option<(&'static str, String)>
where
    S: Service<Delivery<J>, Response = ()>,
    S::Error: Display,
{
    match AssertUnwindSafe(service.oneshot(delivery)).catch_unwind().await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some((type_name::<S::Error>(), error.to_string())),
        Err(panic) => Some(("panic", panic_message(&*panic).to_owned())),
    }
}

fn log(failed: &FailedAttempt<'_>, backoff: Option<Duration>) {
    let (id, number) = (failed.id, failed.number);
    let (kind, message) = (failed.error_type, failed.error_message);
    match backoff {
        Some(backoff) => tracing::warn!(
            messaging.message.id = id,
            exception.type = kind,
            exception.message = message,
            "attempt {number} of a job failed; the next is due after {backoff:?}"
        ),
        None => tracing::error!(
            messaging.message.id = id,
            exception.type = kind,
            exception.message = message,
            "attempt {number} of a job failed, the last one; the job is a dead letter"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_maximum_and_ends_with_the_attempts() {
        let policy = RetryPolicy {
            attempts: 5,
            min_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(5),
        };
        for id in ["a", "b", "c"] {
            for (attempt, seconds) in [(1, 1), (2, 2), (3, 4), (4, 5)] {
                let backoff = policy.backoff(id, attempt).unwrap();
                let base = Duration::from_secs(seconds);
                assert!(
                    backoff >= base && backoff < base * 5 / 4,
                    "{attempt}: {backoff:?}"
                );
            }
            assert_eq!(policy.backoff(id, 5), None);
        }
        assert_ne!(policy.backoff("a", 1), policy.backoff("b", 1));
    }

    #[test]
    fn no_policy_overflows() {
        let policy = RetryPolicy {
            attempts: u32::MAX,
            min_backoff: Duration::MAX,
            max_backoff: Duration::MAX,
        };
        assert_eq!(policy.backoff("a", u32::MAX - 1), Some(Duration::MAX));
    }
}
