//! What was charged, and under which key. Kept in memory; above [`MAX_BYTES`] the oldest payments go, and their keys with them,
//! much as Stripe forgets a key after a day.
//!
//! One key makes one payment: [`Ledger::open`] hands a key to one request at a time, and only [`Reservation::record`] uses it up.
//! A request that ends in any other way, be it an error or a client that is gone, leaves the key as it was.

use std::collections::{BTreeMap, HashMap};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::idempotency::IdempotencyKey;
use crate::payment::{PaymentIntent, PaymentRequest};

/// About 190,000 payments of one order id each.
const MAX_BYTES: usize = 128 << 20;

pub(crate) struct Ledger {
    books: Mutex<Books>,
    max_bytes: usize,
}

#[derive(Default)]
struct Books {
    /// By the order in which they were made.
    payments: BTreeMap<u64, Entry>,
    places: HashMap<String, u64>,
    keys: HashMap<IdempotencyKey, KeyState>,
    next_place: u64,
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

/// What [`Ledger::open`] found.
pub(crate) enum Opened {
    /// Nothing was recorded under the key so far, or there is no key.
    New(Reservation),
    /// The key has its payment.
    Recorded(Arc<PaymentIntent>),
}

/// Why a key cannot be used now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyConflict {
    /// It was first used with another request.
    OtherRequest,
    /// The request that it was first used with has not ended.
    InFlight,
}

/// One page of what was charged, newest first.
pub(crate) struct Page {
    pub(crate) payments: Vec<Arc<PaymentIntent>>,
    pub(crate) has_more: bool,
}

/// The right to make the one payment of a key. Dropping it gives the key back.
pub(crate) struct Reservation {
    ledger: Arc<Ledger>,
    key: Option<IdempotencyKey>,
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::bounded(MAX_BYTES)
    }

    fn bounded(max_bytes: usize) -> Self {
        Self {
            books: Mutex::default(),
            max_bytes,
        }
    }

    /// Asks for the right to make a payment.
    pub(crate) fn open(
        self: &Arc<Self>,
        key: Option<IdempotencyKey>,
        request: &PaymentRequest,
    ) -> Result<Opened, KeyConflict> {
        if let Some(key) = &key {
            let mut books = self.books();
            match books.keys.get(key) {
                Some(KeyState::Used(intent)) if intent.request() == request => {
                    return Ok(Opened::Recorded(Arc::clone(intent)));
                }
                Some(KeyState::InFlight(first)) if first == request => {
                    return Err(KeyConflict::InFlight);
                }
                Some(_) => return Err(KeyConflict::OtherRequest),
                None => {}
            }
            books
                .keys
                .insert(key.clone(), KeyState::InFlight(request.clone()));
        }
        Ok(Opened::New(Reservation {
            ledger: Arc::clone(self),
            key,
        }))
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<PaymentIntent>> {
        let books = self.books();
        let entry = books.payments.get(books.places.get(id)?)?;
        Some(Arc::clone(&entry.intent))
    }

    /// Up to `limit` payments that were charged, those before `starting_after` where it is given; `None` when it is unknown.
    pub(crate) fn charged(&self, limit: usize, starting_after: Option<&str>) -> Option<Page> {
        let books = self.books();
        let end = match starting_after {
            Some(id) => *books.places.get(id)?,
            None => books.next_place,
        };
        let older = books.payments.range(..end).rev();
        let mut charged = older
            .map(|(_, entry)| &entry.intent)
            .filter(|intent| intent.is_charged());
        let payments = charged.by_ref().take(limit).cloned().collect();
        Some(Page {
            payments,
            has_more: charged.next().is_some(),
        })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Nothing below can panic half-way through a change.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Reservation ===

impl Reservation {
    /// Writes the payment down; from here on its key answers with it.
    pub(crate) fn record(mut self, intent: PaymentIntent) -> Arc<PaymentIntent> {
        let intent = Arc::new(intent);
        let key = take(&mut self.key);
        let mut books = self.ledger.books();
        books.add(Entry {
            intent: Arc::clone(&intent),
            key,
        });
        books.shrink_to(self.ledger.max_bytes);
        drop(books);
        intent
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.ledger.books().keys.remove(key);
        }
    }
}

// === impl Books ===

impl Books {
    fn add(&mut self, entry: Entry) {
        if let Some(key) = &entry.key {
            self.keys
                .insert(key.clone(), KeyState::Used(Arc::clone(&entry.intent)));
        }
        self.bytes += entry.weight();
        self.places.insert(entry.intent.id().to_owned(), self.next_place);
        self.payments.insert(self.next_place, entry);
        self.next_place += 1;
    }

    fn shrink_to(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let Some((_, entry)) = self.payments.pop_first() else {
                return;
            };
            self.bytes -= entry.weight();
            self.places.remove(entry.intent.id());
            if let Some(key) = &entry.key {
                self.keys.remove(key);
            }
        }
    }
}

impl Entry {
    fn weight(&self) -> usize {
        self.intent.weight() + self.key.as_ref().map_or(0, IdempotencyKey::len)
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
        match ledger.open(key(text), &request(5)).unwrap() {
            Opened::New(reservation) => reservation.record(PaymentIntent::new(request(5))),
            Opened::Recorded(intent) => intent,
        }
    }

    #[test]
    fn a_request_that_ends_without_a_payment_gives_its_key_back() {
        let ledger = Arc::new(Ledger::new());
        let first = ledger.open(key("k"), &request(5)).unwrap();
        assert_eq!(
            ledger.open(key("k"), &request(5)).err(),
            Some(KeyConflict::InFlight)
        );
        drop(first);
        assert!(matches!(ledger.open(key("k"), &request(5)), Ok(Opened::New(_))));
        assert!(ledger.charged(10, None).unwrap().payments.is_empty());
    }

    #[test]
    fn a_used_key_answers_with_its_payment_and_refuses_another_request() {
        let ledger = Arc::new(Ledger::new());
        let first = charge(&ledger, "k");
        assert_eq!(charge(&ledger, "k").id(), first.id());
        assert_eq!(
            ledger.open(key("k"), &request(6)).err(),
            Some(KeyConflict::OtherRequest)
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
    fn the_oldest_payments_go_when_memory_is_full_and_nothing_of_them_stays() {
        let ledger = Arc::new(Ledger::bounded(3_000));
        let oldest = charge(&ledger, "k0");
        for n in 1..50 {
            charge(&ledger, &format!("k{n}"));
        }
        assert!(ledger.get(oldest.id()).is_none());
        let books = ledger.books();
        assert!(books.bytes <= 3_000);
        assert_eq!(books.payments.len(), books.places.len());
        assert_eq!(books.payments.len(), books.keys.len());
    }
}
