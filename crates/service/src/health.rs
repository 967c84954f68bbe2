//! Readiness checks: how long one may take, and how its result is reported.

use std::time::Duration;

use tokio::time::timeout;

/// A check that takes longer has failed.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether `check` succeeds within [`CHECK_TIMEOUT`].
pub async fn passes<T, E>(check: impl Future<Output = Result<T, E>>) -> bool {
    matches!(timeout(CHECK_TIMEOUT, check).await, Ok(Ok(_)))
}

/// The result of a check as the readiness endpoints report it: `ok` or `unavailable`.
pub fn status(passed: bool) -> &'static str {
    if passed { "ok" } else { "unavailable" }
}
