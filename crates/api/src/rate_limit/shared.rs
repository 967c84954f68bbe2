//! The buckets of customers in Redis, which all replicas share: one script, so one round trip. While Redis is
//! unavailable, each replica limits by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::CustomerId;

use super::buckets::{Usage, remaining};
use crate::cache::Cache;

/// After a failure, for how long Redis is not asked: its timeout must not delay each request.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The same algorithm as in `buckets.rs`, by Redis' clock. Times are in microseconds. Returns whether the
/// limit is exceeded, and the time until the bucket is full or until the next request is taken.
const TAKE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = ARGV[1] + 0
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + interval
local reset = full_at - now
if reset > 1000000 then return {1, math.ceil(reset - 1000000)} end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil(reset / 1000))
return {0, math.ceil(reset)}";

pub(super) struct SharedBuckets {
    per_second: u32,
    cache: Arc<Cache>,
    retry_at: Mutex<Option<Instant>>,
}

impl SharedBuckets {
    pub(super) fn new(per_second: u32, cache: Arc<Cache>) -> Self {
        Self {
            per_second,
            cache,
            retry_at: Mutex::default(),
        }
    }

    /// Takes one token from the customer's bucket, if there is one; `None` while Redis is unavailable.
    pub(super) async fn take(&self, customer: &CustomerId) -> Option<Usage> {
        if self.retry_at().is_some_and(|at| Instant::now() < at) {
            return None;
        }
        let interval = 1_000_000 / self.per_second.max(1);
        let key = format!("limit:{}", customer.as_str());
        let taken: Result<(u8, u64), _> = self.cache.eval(TAKE, &key, interval).await;
        match taken {
            Ok((exceeded, microseconds)) => {
                let (exceeded, reset) = (exceeded == 1, Duration::from_micros(microseconds));
                let left = if exceeded {
                    0
                } else {
                    remaining(self.per_second, reset)
                };
                Some(Usage {
                    per_second: self.per_second,
                    remaining: left,
                    reset,
                    exceeded,
                })
            }
            Err(error) => {
                tracing::debug!(%error, "rate limits are not shared");
                *self.retry_at() = Some(Instant::now() + RETRY_INTERVAL);
                None
            }
        }
    }

    fn retry_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.retry_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
