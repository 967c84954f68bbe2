//! What the sandbox counts since its start, for measuring how many requests a client sends.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number of requests.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

#[derive(Default)]
pub(crate) struct Stats {
    /// Every request to `/v1/payment_intents` and below, whatever its response.
    pub(crate) requests: Counter,
    /// The requests beyond the rate limit.
    pub(crate) rate_limited: Counter,
    /// The requests whose response was stored under their idempotency key.
    pub(crate) replayed: Counter,
}

impl Counter {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
