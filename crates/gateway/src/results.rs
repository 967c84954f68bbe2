//! The results stored under idempotency keys, in memory, for SANDBOX_KEY_TTL. Above [`MAX_BYTES`] the oldest
//! are forgotten before.
//!
//! [`Results::reserve`] gives a key to one request at a time, and [`Reservation::store`] stores the request's
//! result under it. A request that ends without a result, because it was invalid or its client disconnected,
//! leaves the key unused.

use std::collections::{HashMap, VecDeque};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::idempotency::{Fingerprint, IdempotencyKey};
use crate::intent::PaymentIntent;
use crate::outcome::Outcome;

/// About 300,000 results of orders: a key of 36 characters, and an intent with the order's id.
const MAX_BYTES: usize = 128 << 20;

pub(crate) struct Results {
    entries: Mutex<Entries>,
    ttl: Duration,
    max_bytes: usize,
}

#[derive(Default)]
struct Entries {
    keys: HashMap<Arc<str>, KeyState>,
    /// The keys with a stored result and when it was stored, oldest first.
    stored: VecDeque<(Arc<str>, Instant)>,
    bytes: usize,
}

enum KeyState {
    InFlight(Fingerprint),
    Stored(Fingerprint, Outcome),
}

/// The result of [`Results::reserve`].
pub(crate) enum Reserved {
    /// The key has no result yet, or the request has no key.
    New(Reservation),
    /// The result that is stored under the key.
    Stored(Outcome),
}

/// Why a key cannot be used now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyConflict {
    /// It was used for another path.
    OtherEndpoint,
    /// It was used with other parameters.
    OtherParameters,
    /// The first request with it is in flight.
    InFlight,
}

/// The right to execute the one request of a key. Dropping it releases the key.
pub(crate) struct Reservation {
    results: Arc<Results>,
    key: Option<IdempotencyKey>,
}

impl Results {
    /// Results are stored for `ttl`.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            entries: Mutex::default(),
            ttl,
            max_bytes: MAX_BYTES,
        }
    }

    /// Reserves a key for a request, or finds the result of the earlier request with it.
    pub(crate) fn reserve(self: &Arc<Self>, key: Option<IdempotencyKey>) -> Result<Reserved, KeyConflict> {
        if let Some(key) = &key {
            let keys = &mut self.entries().keys;
            if let Some(state) = keys.get(&key.text) {
                return state.result_of(key.fingerprint).map(Reserved::Stored);
            }
            keys.insert(Arc::clone(&key.text), KeyState::InFlight(key.fingerprint));
        }
        Ok(Reserved::New(Reservation {
            results: Arc::clone(self),
            key,
        }))
    }

    /// Forgets every stored result.
    pub(crate) fn forget(&self) {
        self.entries().forget_above(0);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries_at(Instant::now())
    }

    /// The entries without those that are expired at `now`.
    fn entries_at(&self, now: Instant) -> MutexGuard<'_, Entries> {
        // No method panics half-way through a change.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let is_expired =
            |(_, stored_at): &(_, Instant)| now.saturating_duration_since(*stored_at) >= self.ttl;
        while entries.stored.front().is_some_and(is_expired) {
            entries.forget_oldest();
        }
        entries
    }
}

impl KeyState {
    /// The result for another request with the key.
    fn result_of(&self, fingerprint: Fingerprint) -> Result<Outcome, KeyConflict> {
        let (Self::InFlight(first) | Self::Stored(first, _)) = self;
        if first.endpoint != fingerprint.endpoint {
            return Err(KeyConflict::OtherEndpoint);
        }
        if first.parameters != fingerprint.parameters {
            return Err(KeyConflict::OtherParameters);
        }
        match self {
            Self::InFlight(_) => Err(KeyConflict::InFlight),
            Self::Stored(_, outcome) => Ok(outcome.clone()),
        }
    }
}

impl Entries {
    fn store(&mut self, key: IdempotencyKey, outcome: Outcome) {
        self.bytes += size(&key.text, &outcome);
        self.stored.push_back((Arc::clone(&key.text), Instant::now()));
        self.keys
            .insert(key.text, KeyState::Stored(key.fingerprint, outcome));
    }

    fn forget_oldest(&mut self) {
        if let Some((key, _)) = self.stored.pop_front()
            && let Some(KeyState::Stored(_, outcome)) = self.keys.remove(&key)
        {
            self.bytes -= size(&key, &outcome);
        }
    }

    fn forget_above(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            self.forget_oldest();
        }
    }
}

impl Reservation {
    /// Stores the result; from here on the key replays it.
    pub(crate) fn store(mut self, outcome: Outcome) {
        if let Some(key) = take(&mut self.key) {
            let mut entries = self.results.entries();
            entries.store(key, outcome);
            entries.forget_above(self.results.max_bytes);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.results.entries().keys.remove(&key.text);
        }
    }
}

/// About how many bytes a result takes. It shares its metadata with the ledger's intent, and holds them alone
/// once the intent is evicted.
fn size(key: &str, outcome: &Outcome) -> usize {
    300 + key.len() + outcome.intent().map_or(0, PaymentIntent::metadata_size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;

    const TTL: Duration = Duration::from_secs(24 * 60 * 60);

    fn results() -> Arc<Results> {
        Arc::new(Results::new(TTL))
    }

    /// Reserves a key for a request to this path with this form.
    fn reserve_for(
        results: &Arc<Results>,
        key: &str,
        path: &str,
        form: &str,
    ) -> Result<Reserved, KeyConflict> {
        results.reserve(IdempotencyKey::parse(key, path, &Form::parse(form.as_bytes())))
    }

    fn reserve(results: &Arc<Results>, key: &str) -> Result<Reserved, KeyConflict> {
        reserve_for(results, key, "/v1/payment_intents", "amount=5")
    }

    /// Whether the request is executed, and not replayed.
    fn executes(results: &Arc<Results>, key: &str) -> bool {
        match reserve(results, key).unwrap() {
            Reserved::New(reservation) => {
                reservation.store(Outcome::Failed);
                true
            }
            Reserved::Stored(_) => false,
        }
    }

    #[test]
    fn a_request_that_ends_without_a_result_releases_its_key() {
        let results = results();
        let first = reserve(&results, "k").unwrap();
        assert_eq!(reserve(&results, "k").err(), Some(KeyConflict::InFlight));
        drop(first);
        assert!(executes(&results, "k"));
    }

    #[test]
    fn a_used_key_replays_its_result_and_rejects_other_parameters() {
        let results = results();
        assert!(executes(&results, "k"));
        assert!(!executes(&results, "k"));
        let other_amount = reserve_for(&results, "k", "/v1/payment_intents", "amount=6");
        assert_eq!(other_amount.err(), Some(KeyConflict::OtherParameters));
        let elsewhere = reserve_for(&results, "k", "/v1/payment_intents/pi_1/confirm", "amount=5");
        assert_eq!(elsewhere.err(), Some(KeyConflict::OtherEndpoint));
    }

    #[test]
    fn a_result_is_forgotten_when_its_ttl_ends() {
        let results = results();
        assert!(executes(&results, "k"));
        drop(results.entries_at(Instant::now() + TTL - Duration::from_secs(60)));
        assert!(!executes(&results, "k"));
        drop(results.entries_at(Instant::now() + TTL));
        assert!(executes(&results, "k"));
    }

    #[test]
    fn the_results_are_forgotten_but_a_request_in_flight_holds_its_key() {
        let results = results();
        assert!(executes(&results, "k"));
        let _in_flight = reserve(&results, "other").unwrap();
        results.forget();
        assert!(executes(&results, "k"));
        assert_eq!(reserve(&results, "other").err(), Some(KeyConflict::InFlight));
    }

    #[test]
    fn the_oldest_results_are_forgotten_above_the_limit() {
        let results = Arc::new(Results {
            max_bytes: 4_000,
            ..Results::new(TTL)
        });
        assert!((0..50).all(|n| executes(&results, &format!("k{n}"))));
        {
            let entries = results.entries();
            assert_eq!(entries.keys.len(), 13);
            assert_eq!(entries.stored.len(), 13);
            let sizes = entries.keys.iter().map(|(key, state)| match state {
                KeyState::Stored(_, outcome) => size(key, outcome),
                KeyState::InFlight(_) => 0,
            });
            assert_eq!(entries.bytes, sizes.sum::<usize>());
        }
        assert!(executes(&results, "k0"));
        assert!(!executes(&results, "k49"));
    }
}
