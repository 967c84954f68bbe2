//! Failed authentication in the log, at most ten records a second: a flood must not fill it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use jsonwebtoken::decode_header;

use super::bearer::bearer;
use super::error::AuthError;
use crate::proxies::client_address;

/// Name of the event.
const AUTH_FAILED: &str = "auth.failed";
const PERIOD: Duration = Duration::from_secs(1);
const MAX_PER_PERIOD: u32 = 10;
/// In characters. The key id is the client's text.
const MAX_KEY_ID: usize = 128;

#[derive(Default)]
pub(super) struct FailureLog(Mutex<Period>);

#[derive(Default)]
struct Period {
    began_at: Option<Instant>,
    records: u32,
    /// Failures since the last record.
    omitted: u64,
}

impl FailureLog {
    /// Logs why the request is refused, and from where it came. A token is never in the record: of it, only
    /// the id of the key that it claims.
    pub(super) fn record(&self, error: AuthError, request: &HttpRequest) {
        let Some(reason) = error.reason() else {
            return;
        };
        let Some(omitted) = self.admit(Instant::now()) else {
            return;
        };
        let header = bearer(request).ok().and_then(|token| decode_header(token).ok());
        let key_id: Option<String> = header
            .and_then(|header| header.kid)
            .map(|id| id.chars().take(MAX_KEY_ID).collect());
        tracing::warn!(
            name: AUTH_FAILED,
            {
                error.type = reason,
                client.address = client_address(request).map(|ip| ip.to_string()),
                http.auth.key_id = key_id,
                http.auth.omitted = (omitted > 0).then_some(omitted),
            },
            "authentication failed"
        );
    }

    /// The number of failures that were omitted before this one; `None` if it is omitted too.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if period.began_at.is_none_or(|at| now.duration_since(at) >= PERIOD) {
            period.began_at = Some(now);
            period.records = 0;
        }
        if period.records == MAX_PER_PERIOD {
            period.omitted += 1;
            return None;
        }
        period.records += 1;
        Some(std::mem::take(&mut period.omitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_makes_ten_records_a_second_and_the_next_one_counts_the_rest() {
        let (log, start) = (FailureLog::default(), Instant::now());
        let admitted = (0..10_000).filter_map(|_| log.admit(start)).collect::<Vec<_>>();
        assert_eq!(admitted, [0; 10]);
        assert_eq!(log.admit(start + PERIOD), Some(9_990));
        assert_eq!(log.admit(start + PERIOD), Some(0));
    }
}
