//! The payments and their idempotency keys, in memory. Above [`MAX_BYTES`] the oldest payments are evicted
//! with their keys, much as Stripe removes a key after a day.
//!
//! One key makes one payment: [`Ledger::reserve`] gives a key to one request at a time, and only
//! [`Reservation::record`] uses it. A request that ends otherwise, by an error or because the client
//! disconnected, leaves the key unused.

use std::collections::{BTreeMap, HashMap};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::idempotency::IdempotencyKey;
use crate::payment::{PaymentIntent, PaymentRequest};

/// About 190,000 payments of one order id each.
const MAX_BYTES: usize = 128 << 20;

pub(crate) struct Ledger {
    entries: Mutex<Entries>,
    max_bytes: usize,
}

#[derive(Default)]
struct Entries {
    /// By sequence number: in the order of creation.
    payments: BTreeMap<u64, Entry>,
    sequence_by_id: HashMap<String, u64>,
    keys: HashMap<IdempotencyKey, KeyState>,
    next_sequence: u64,
    bytes: usize,
}

struct Entry {
    intent: Arc<PaymentIntent>,
    key: Option<IdempotencyKey>,
}

enum KeyState {
    InFlight(PaymentRequest),
    Used(Arc<PaymentIntent>),
}

/// The result of [`Ledger::reserve`].
pub(crate) enum Reserved {
    /// The key has no payment yet, or the request has no key.
    New(Reservation),
    /// The payment that was made with the key.
    Recorded(Arc<PaymentIntent>),
}

/// Why a key cannot be used now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyConflict {
    /// It was used with other parameters.
    OtherParameters,
    /// The first request with it is in flight.
    InFlight,
}

/// One page of charged payments, newest first.
pub(crate) struct Page {
    pub(crate) payments: Vec<Arc<PaymentIntent>>,
    pub(crate) has_more: bool,
}

/// The right to make the one payment of a key. Dropping it releases the key.
pub(crate) struct Reservation {
    ledger: Arc<Ledger>,
    key: Option<IdempotencyKey>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::bounded(MAX_BYTES)
    }

    fn bounded(max_bytes: usize) -> Self {
        Self {
            entries: Mutex::default(),
            max_bytes,
        }
    }

    /// Reserves a key for a payment, or finds the payment that was made with it.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        key: Option<IdempotencyKey>,
        request: &PaymentRequest,
    ) -> Result<Reserved, KeyConflict> {
        if let Some(key) = &key {
            let keys = &mut self.entries().keys;
            match keys.get(key) {
                Some(KeyState::Used(intent)) if intent.request() == request => {
                    return Ok(Reserved::Recorded(Arc::clone(intent)));
                }
                Some(KeyState::InFlight(first)) if first == request => {
                    return Err(KeyConflict::InFlight);
                }
                Some(_) => return Err(KeyConflict::OtherParameters),
                None => {}
            }
            keys.insert(key.clone(), KeyState::InFlight(request.clone()));
        }
        Ok(Reserved::New(Reservation {
            ledger: Arc::clone(self),
            key,
        }))
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<PaymentIntent>> {
        let entries = self.entries();
        let entry = entries.payments.get(entries.sequence_by_id.get(id)?)?;
        Some(Arc::clone(&entry.intent))
    }

    /// Up to `limit` charged payments, from the one before the payment `starting_after`; `None` where there
    /// is no such payment.
    pub(crate) fn charged(&self, limit: usize, starting_after: Option<&str>) -> Option<Page> {
        let entries = self.entries();
        let end = match starting_after {
            Some(id) => *entries.sequence_by_id.get(id)?,
            None => entries.next_sequence,
        };
        let older = entries.payments.range(..end).rev();
        let mut charged = older
            .map(|(_, entry)| &entry.intent)
            .filter(|intent| intent.is_charged());
        let payments = charged.by_ref().take(limit).cloned().collect();
        Some(Page {
            payments,
            has_more: charged.next().is_some(),
        })
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // No method panics half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Records the payment; from here on its key replays it.
    pub(crate) fn record(mut self, intent: PaymentIntent) -> Arc<PaymentIntent> {
        let intent = Arc::new(intent);
        let key = take(&mut self.key);
        let mut entries = self.ledger.entries();
        entries.add(Entry {
            intent: Arc::clone(&intent),
            key,
        });
        entries.evict_above(self.ledger.max_bytes);
        drop(entries);
        intent
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.ledger.entries().keys.remove(key);
        }
    }
}

impl Entries {
    fn add(&mut self, entry: Entry) {
        if let Some(key) = &entry.key {
            self.keys
                .insert(key.clone(), KeyState::Used(Arc::clone(&entry.intent)));
        }
        self.bytes += entry.memory_size();
        self.sequence_by_id
            .insert(entry.intent.id().to_owned(), self.next_sequence);
        self.payments.insert(self.next_sequence, entry);
        self.next_sequence += 1;
    }

    fn evict_above(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let Some((_, entry)) = self.payments.pop_first() else {
                return;
            };
            self.bytes -= entry.memory_size();
            self.sequence_by_id.remove(entry.intent.id());
            if let Some(key) = &entry.key {
                self.keys.remove(key);
            }
        }
    }
}

impl Entry {
    fn memory_size(&self) -> usize {
        self.intent.memory_size() + self.key.as_ref().map_or(0, IdempotencyKey::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;

    fn request(amount: u32) -> PaymentRequest {
        let form = format!("amount={amount}&currency=usd&payment_method=pm_card_visa&confirm=true");
        PaymentRequest::from_form(&Form::parse(form.as_bytes())).unwrap()
    }

    fn key(text: &str) -> Option<IdempotencyKey> {
        IdempotencyKey::parse(text)
    }

    fn charge(ledger: &Arc<Ledger>, text: &str) -> Arc<PaymentIntent> {
        match ledger.reserve(key(text), &request(5)).unwrap() {
            Reserved::New(reservation) => reservation.record(PaymentIntent::new(request(5))),
            Reserved::Recorded(intent) => intent,
        }
    }

    #[test]
    fn a_request_that_ends_without_a_payment_releases_its_key() {
        let ledger = Arc::new(Ledger::new());
        let first = ledger.reserve(key("k"), &request(5)).unwrap();
        assert_eq!(
            ledger.reserve(key("k"), &request(5)).err(),
            Some(KeyConflict::InFlight)
        );
        drop(first);
        assert!(matches!(
            ledger.reserve(key("k"), &request(5)),
            Ok(Reserved::New(_))
        ));
        assert!(ledger.charged(10, None).unwrap().payments.is_empty());
    }

    #[test]
    fn a_used_key_replays_its_payment_and_rejects_other_parameters() {
        let ledger = Arc::new(Ledger::new());
        let first = charge(&ledger, "k");
        assert_eq!(charge(&ledger, "k").id(), first.id());
        assert_eq!(
            ledger.reserve(key("k"), &request(6)).err(),
            Some(KeyConflict::OtherParameters)
        );
        assert_eq!(ledger.charged(10, None).unwrap().payments.len(), 1);
    }

    #[test]
    fn pages_go_from_the_newest_to_the_oldest() {
        let ledger = Arc::new(Ledger::new());
        let made: Vec<_> = (0..3).map(|n| charge(&ledger, &format!("k{n}"))).collect();
        let first = ledger.charged(2, None).unwrap();
        let ids = |page: &Page| {
            page.payments
                .iter()
                .map(|p| p.id().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&first), [made[2].id(), made[1].id()]);
        assert!(first.has_more);
        let second = ledger.charged(2, Some(made[1].id())).unwrap();
        assert_eq!(ids(&second), [made[0].id()]);
        assert!(!second.has_more);
        assert!(ledger.charged(2, Some("pi_unknown")).is_none());
    }

    #[test]
    fn the_oldest_payments_are_evicted_with_their_keys_above_the_limit() {
        let ledger = Arc::new(Ledger::bounded(3_000));
        let oldest = charge(&ledger, "k0");
        for n in 1..50 {
            charge(&ledger, &format!("k{n}"));
        }
        assert!(ledger.get(oldest.id()).is_none());
        let entries = ledger.entries();
        assert!(entries.bytes <= 3_000);
        assert_eq!(entries.payments.len(), entries.sequence_by_id.len());
        assert_eq!(entries.payments.len(), entries.keys.len());
    }
}
