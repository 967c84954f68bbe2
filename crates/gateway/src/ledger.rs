//! The payment intents, and the results stored under idempotency keys, in memory. Above [`MAX_BYTES`] the
//! oldest of both are evicted.
//!
//! [`Ledger::reserve`] gives a key to one request at a time, and [`Reservation::store`] stores the request's
//! result under it until the TTL ends. A request that ends without a result, because it was invalid or its
//! client disconnected, leaves the key unused.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem::take;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::idempotency::{Fingerprint, IdempotencyKey};
use crate::intent::{IntentId, PaymentIntent, Status, UnexpectedState};
use crate::outcome::Outcome;
use crate::parameters::{CancelIntent, ConfirmIntent, CreateIntent};

/// About 80,000 orders: an intent with an order's id, and two results.
const MAX_BYTES: usize = 128 << 20;

pub(crate) struct Ledger {
    entries: Mutex<Entries>,
    key_ttl: Duration,
    max_bytes: usize,
}

#[derive(Default)]
struct Entries {
    /// By sequence number: in the order of creation.
    intents: BTreeMap<u64, PaymentIntent>,
    sequence_by_id: HashMap<IntentId, u64>,
    /// When the charges of intents in processing end.
    processing: BTreeSet<(Instant, u64)>,
    keys: HashMap<IdempotencyKey, KeyState>,
    /// The keys with a stored result, oldest first.
    stored: VecDeque<StoredKey>,
    next_sequence: u64,
    bytes: usize,
    charges: u64,
}

enum KeyState {
    InFlight(Fingerprint),
    Stored(Fingerprint, Outcome),
}

struct StoredKey {
    key: IdempotencyKey,
    stored_at: Instant,
    /// From the intents' numbers, for eviction in the order of age.
    sequence: u64,
}

/// The result of [`Ledger::reserve`].
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

/// One page of the list, newest first.
pub(crate) struct Page {
    pub(crate) intents: Vec<PaymentIntent>,
    pub(crate) has_more: bool,
}

/// The right to execute the one request of a key. Dropping it releases the key.
pub(crate) struct Reservation {
    ledger: Arc<Ledger>,
    key: Option<(IdempotencyKey, Fingerprint)>,
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

impl Ledger {
    /// Results are stored for `key_ttl`.
    pub(crate) fn new(key_ttl: Duration) -> Self {
        Self {
            entries: Mutex::default(),
            key_ttl,
            max_bytes: MAX_BYTES,
        }
    }

    /// Reserves a key for a request, or finds the result of the earlier request with it.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        key: Option<IdempotencyKey>,
        fingerprint: Fingerprint,
    ) -> Result<Reserved, KeyConflict> {
        if let Some(key) = &key {
            let keys = &mut self.entries().keys;
            if let Some(state) = keys.get(key) {
                return state.result_of(fingerprint).map(Reserved::Stored);
            }
            keys.insert(key.clone(), KeyState::InFlight(fingerprint));
        }
        Ok(Reserved::New(Reservation {
            ledger: Arc::clone(self),
            key: key.map(|key| (key, fingerprint)),
        }))
    }

    /// Creates an intent, and charges it if the request confirms it. A charge stays `processing` for that time.
    pub(crate) fn create(&self, parameters: CreateIntent, processing: Duration) -> Outcome {
        let confirm = parameters.confirm;
        let mut entries = self.entries();
        let sequence = entries.add(PaymentIntent::new(parameters));
        let outcome = entries.change(sequence, processing, |intent| {
            if confirm { intent.confirm(None) } else { Ok(()) }
        });
        entries.evict_above(self.max_bytes);
        outcome.unwrap_or(Outcome::Failed)
    }

    /// Charges an intent; `None` where it does not exist. The charge stays `processing` for that time.
    pub(crate) fn confirm(
        &self,
        id: IntentId,
        parameters: &ConfirmIntent,
        processing: Duration,
    ) -> Option<Outcome> {
        let mut entries = self.entries();
        let sequence = *entries.sequence_by_id.get(&id)?;
        entries.change(sequence, processing, |intent| intent.confirm(parameters.card))
    }

    /// Cancels an intent; `None` where it does not exist.
    pub(crate) fn cancel(&self, id: IntentId, parameters: &CancelIntent) -> Option<Outcome> {
        let mut entries = self.entries();
        let sequence = *entries.sequence_by_id.get(&id)?;
        entries.change(sequence, Duration::ZERO, |intent| {
            intent.cancel(parameters.reason)
        })
    }

    pub(crate) fn get(&self, id: IntentId) -> Option<PaymentIntent> {
        let entries = self.entries();
        entries.intents.get(entries.sequence_by_id.get(&id)?).cloned()
    }

    /// Up to `limit` intents that were created within `created`, from the one before `starting_after`;
    /// `None` where there is no such intent.
    pub(crate) fn list(
        &self,
        limit: usize,
        created: &RangeInclusive<i64>,
        starting_after: Option<IntentId>,
    ) -> Option<Page> {
        let entries = self.entries();
        let end = match starting_after {
            Some(id) => *entries.sequence_by_id.get(&id)?,
            None => entries.next_sequence,
        };
        let older = entries.intents.range(..end).rev().map(|(_, intent)| intent);
        let mut matching = older.filter(|intent| created.contains(&intent.created()));
        let intents = matching.by_ref().take(limit).cloned().collect();
        Some(Page {
            intents,
            has_more: matching.next().is_some(),
        })
    }

    /// How many intents succeeded.
    pub(crate) fn charges(&self) -> u64 {
        self.entries().charges
    }

    /// Forgets every stored result.
    pub(crate) fn forget_keys(&self) {
        let mut entries = self.entries();
        while entries.forget_oldest_key() {}
    }

    /// The entries as they are now: charges whose processing has ended, and without expired keys.
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries_at(Instant::now())
    }

    fn entries_at(&self, now: Instant) -> MutexGuard<'_, Entries> {
        // No method panics half-way through a change.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.finish_charges(now);
        entries.expire_keys(now, self.key_ttl);
        entries
    }
}

impl Reservation {
    /// Stores the result; from here on the key replays it.
    pub(crate) fn store(mut self, outcome: Outcome) {
        if let Some((key, fingerprint)) = take(&mut self.key) {
            let mut entries = self.ledger.entries();
            entries.store(key, fingerprint, outcome);
            entries.evict_above(self.ledger.max_bytes);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some((key, _)) = &self.key {
            self.ledger.entries().keys.remove(key);
        }
    }
}

impl Entries {
    fn add(&mut self, intent: PaymentIntent) -> u64 {
        let sequence = self.take_sequence();
        self.bytes += intent_size(&intent);
        self.sequence_by_id.insert(intent.id(), sequence);
        self.intents.insert(sequence, intent);
        sequence
    }

    fn store(&mut self, key: IdempotencyKey, fingerprint: Fingerprint, outcome: Outcome) {
        self.bytes += result_size(&key, &outcome);
        self.stored.push_back(StoredKey {
            key: key.clone(),
            stored_at: Instant::now(),
            sequence: self.next_sequence,
        });
        self.take_sequence();
        self.keys.insert(key, KeyState::Stored(fingerprint, outcome));
    }

    fn take_sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence - 1
    }

    /// Applies an operation; a charge that it starts ends after `processing`.
    fn change(
        &mut self,
        sequence: u64,
        processing: Duration,
        operation: impl FnOnce(&mut PaymentIntent) -> Result<(), UnexpectedState>,
    ) -> Option<Outcome> {
        let intent = self.intents.get_mut(&sequence)?;
        if let Err(state) = operation(intent) {
            return Some(Outcome::Rejected(state, intent.clone()));
        }
        if intent.status() == Status::Processing {
            self.processing.insert((Instant::now() + processing, sequence));
            self.finish_charges(Instant::now());
        }
        self.intents.get(&sequence).cloned().map(Outcome::Done)
    }

    fn finish_charges(&mut self, now: Instant) {
        while let Some((ends, sequence)) = self.processing.first().copied() {
            if ends > now {
                return;
            }
            self.processing.pop_first();
            // None where the intent was evicted.
            if let Some(intent) = self.intents.get_mut(&sequence) {
                intent.finish_charge();
                self.charges += u64::from(intent.status() == Status::Succeeded);
            }
        }
    }

    fn expire_keys(&mut self, now: Instant, ttl: Duration) {
        let is_expired = |oldest: &StoredKey| now.saturating_duration_since(oldest.stored_at) >= ttl;
        while self.stored.front().is_some_and(is_expired) {
            self.forget_oldest_key();
        }
    }

    fn forget_oldest_key(&mut self) -> bool {
        let Some(StoredKey { key, .. }) = self.stored.pop_front() else {
            return false;
        };
        if let Some(KeyState::Stored(_, outcome)) = self.keys.remove(&key) {
            self.bytes -= result_size(&key, &outcome);
        }
        true
    }

    fn evict_above(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let oldest_intent = self
                .intents
                .first_key_value()
                .map_or(u64::MAX, |(sequence, _)| *sequence);
            let oldest_key = self.stored.front().map_or(u64::MAX, |stored| stored.sequence);
            if oldest_key < oldest_intent {
                self.forget_oldest_key();
            } else if let Some((_, intent)) = self.intents.pop_first() {
                self.bytes -= intent_size(&intent);
                self.sequence_by_id.remove(&intent.id());
            } else {
                return;
            }
        }
    }
}

/// About how many bytes an intent takes with its entries in the maps.
fn intent_size(intent: &PaymentIntent) -> usize {
    400 + intent.metadata_size()
}

/// About how many bytes a stored result takes. It may share its intent's metadata with the intent, and holds
/// them alone once the intent is evicted.
fn result_size(key: &IdempotencyKey, outcome: &Outcome) -> usize {
    400 + key.len() + outcome.intent().map_or(0, PaymentIntent::metadata_size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;

    const TTL: Duration = Duration::from_secs(24 * 60 * 60);
    const EVER: RangeInclusive<i64> = i64::MIN..=i64::MAX;

    fn ledger() -> Arc<Ledger> {
        Arc::new(Ledger::new(TTL))
    }

    fn key(text: &str) -> Option<IdempotencyKey> {
        IdempotencyKey::parse(text)
    }

    /// The fingerprint of a request for this amount.
    fn of_amount(amount: u32) -> Fingerprint {
        Fingerprint::of(
            "/v1/payment_intents",
            &Form::parse(format!("amount={amount}").as_bytes()),
        )
    }

    fn parameters() -> CreateIntent {
        let form = "amount=5&currency=usd&payment_method=pm_card_visa&confirm=true";
        CreateIntent::from_form(&Form::parse(form.as_bytes())).unwrap()
    }

    fn charge(ledger: &Arc<Ledger>, text: &str) -> IntentId {
        match ledger.reserve(key(text), of_amount(5)).unwrap() {
            Reserved::New(reservation) => {
                let outcome = ledger.create(parameters(), Duration::ZERO);
                reservation.store(outcome.clone());
                outcome
            }
            Reserved::Stored(outcome) => outcome,
        }
        .intent()
        .unwrap()
        .id()
    }

    fn conflict(ledger: &Arc<Ledger>, fingerprint: Fingerprint) -> Option<KeyConflict> {
        ledger.reserve(key("k"), fingerprint).err()
    }

    #[test]
    fn a_request_that_ends_without_a_result_releases_its_key() {
        let ledger = ledger();
        let first = ledger.reserve(key("k"), of_amount(5)).unwrap();
        assert_eq!(conflict(&ledger, of_amount(5)), Some(KeyConflict::InFlight));
        drop(first);
        assert!(matches!(
            ledger.reserve(key("k"), of_amount(5)),
            Ok(Reserved::New(_))
        ));
        assert_eq!(ledger.charges(), 0);
    }

    #[test]
    fn a_used_key_replays_its_result_and_rejects_other_parameters() {
        let ledger = ledger();
        let first = charge(&ledger, "k");
        assert_eq!(charge(&ledger, "k"), first);
        assert_eq!(
            conflict(&ledger, of_amount(6)),
            Some(KeyConflict::OtherParameters)
        );
        let elsewhere = Fingerprint::of("/v1/payment_intents/pi_1/confirm", &Form::parse(b"amount=5"));
        assert_eq!(conflict(&ledger, elsewhere), Some(KeyConflict::OtherEndpoint));
        assert_eq!(ledger.charges(), 1);
    }

    #[test]
    fn a_key_is_forgotten_when_its_ttl_ends() {
        let ledger = ledger();
        let first = charge(&ledger, "k");
        drop(ledger.entries_at(Instant::now() + TTL - Duration::from_secs(60)));
        assert_eq!(charge(&ledger, "k"), first);
        drop(ledger.entries_at(Instant::now() + TTL));
        assert_ne!(charge(&ledger, "k"), first);
        assert_eq!(ledger.charges(), 2);
    }

    #[test]
    fn forgotten_keys_are_new() {
        let ledger = ledger();
        let first = charge(&ledger, "k");
        let _in_flight = ledger.reserve(key("other"), of_amount(5)).unwrap();
        ledger.forget_keys();
        assert_ne!(charge(&ledger, "k"), first);
        let other = ledger.reserve(key("other"), of_amount(5));
        assert_eq!(other.err(), Some(KeyConflict::InFlight));
    }

    #[test]
    fn a_charge_is_processing_for_its_time_and_cannot_be_repeated_or_canceled_meanwhile() {
        let ledger = ledger();
        let minute = Duration::from_secs(60);
        let Outcome::Done(intent) = ledger.create(parameters(), minute) else {
            panic!("an intent");
        };
        assert_eq!(intent.status(), Status::Processing);
        let confirm = ledger.confirm(intent.id(), &ConfirmIntent { card: None }, minute);
        assert!(matches!(confirm, Some(Outcome::Rejected(..))));
        let cancel = ledger.cancel(intent.id(), &CancelIntent { reason: None });
        assert!(matches!(cancel, Some(Outcome::Rejected(..))));
        assert_eq!(ledger.charges(), 0);

        drop(ledger.entries_at(Instant::now() + minute));
        assert_eq!(ledger.get(intent.id()).unwrap().status(), Status::Succeeded);
        assert_eq!(ledger.charges(), 1);
    }

    #[test]
    fn pages_go_from_the_newest_to_the_oldest() {
        let ledger = ledger();
        let made: Vec<_> = (0..3).map(|n| charge(&ledger, &format!("k{n}"))).collect();
        let ids = |page: &Page| page.intents.iter().map(PaymentIntent::id).collect::<Vec<_>>();
        let first = ledger.list(2, &EVER, None).unwrap();
        assert_eq!(ids(&first), [made[2], made[1]]);
        assert!(first.has_more);
        let second = ledger.list(2, &EVER, Some(made[1])).unwrap();
        assert_eq!(ids(&second), [made[0]]);
        assert!(!second.has_more);
        let unknown = IntentId::parse("pi_00000000000000000000000000000000");
        assert!(ledger.list(2, &EVER, unknown).is_none());
        assert!(ledger.list(2, &(0..=1), None).unwrap().intents.is_empty());
    }

    #[test]
    fn the_oldest_intents_and_keys_are_evicted_above_the_limit() {
        let ledger = Arc::new(Ledger {
            max_bytes: 9_000,
            ..Ledger::new(TTL)
        });
        let oldest = charge(&ledger, "k0");
        for n in 1..50 {
            charge(&ledger, &format!("k{n}"));
        }
        assert!(ledger.get(oldest).is_none());
        let entries = ledger.entries();
        assert!(entries.bytes <= 9_000);
        assert_eq!(entries.intents.len(), entries.sequence_by_id.len());
        assert_eq!(entries.stored.len(), entries.keys.len());
        assert!(entries.intents.len() >= 8 && entries.keys.len() >= 8);
        let intents: usize = entries.intents.values().map(intent_size).sum();
        let results = entries.keys.iter().map(|(key, state)| match state {
            KeyState::Stored(_, outcome) => result_size(key, outcome),
            KeyState::InFlight(_) => 0,
        });
        assert_eq!(entries.bytes, intents + results.sum::<usize>());
    }
}
