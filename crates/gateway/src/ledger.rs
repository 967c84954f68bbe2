//! The payment intents, in memory. Above [`MAX_BYTES`] the oldest are evicted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::intent::{IntentId, PaymentIntent, Status, UnexpectedState};
use crate::outcome::Outcome;
use crate::parameters::{CancelIntent, ConfirmIntent, CreateIntent};

/// About 130,000 intents with an order's id.
const MAX_BYTES: usize = 64 << 20;

pub(crate) struct Ledger {
    entries: Mutex<Entries>,
    max_bytes: usize,
}

#[derive(Default)]
struct Entries {
    /// By sequence number: in the order of creation.
    intents: BTreeMap<u64, PaymentIntent>,
    sequence_by_id: HashMap<IntentId, u64>,
    /// When the charges of intents in processing end.
    processing: BTreeSet<(Instant, u64)>,
    next_sequence: u64,
    bytes: usize,
    charges: u64,
}

/// One page of the list, newest first.
pub(crate) struct Page {
    pub(crate) intents: Vec<PaymentIntent>,
    pub(crate) has_more: bool,
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

    /// Creates an intent, and charges it if the request confirms it. The charge is `processing` for that
    /// time.
    pub(crate) fn create(&self, parameters: CreateIntent, processing: Duration) -> Outcome {
        let confirm = parameters.confirm;
        let intent = PaymentIntent::new(parameters);
        let created = Outcome::Done(intent.clone());
        let mut entries = self.entries();
        let sequence = entries.add(intent);
        let confirmed = confirm.then(|| entries.change(sequence, processing, |intent| intent.confirm(None)));
        entries.evict_above(self.max_bytes);
        confirmed.flatten().unwrap_or(created)
    }

    /// Charges an intent; `None` where it does not exist. The charge is `processing` for that time.
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

    /// Up to `limit` intents that were created within `created`, Unix times in seconds, from the one before
    /// `starting_after`; `None` where there is no such intent.
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

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries_at(Instant::now())
    }

    /// The entries with every charge finished whose processing ends by `now`.
    fn entries_at(&self, now: Instant) -> MutexGuard<'_, Entries> {
        // No method panics half-way through a change.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.finish_charges(now);
        entries
    }
}

impl Entries {
    fn add(&mut self, intent: PaymentIntent) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.bytes += size(&intent);
        self.sequence_by_id.insert(intent.id(), sequence);
        self.intents.insert(sequence, intent);
        sequence
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

    fn evict_above(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes
            && let Some((_, intent)) = self.intents.pop_first()
        {
            self.bytes -= size(&intent);
            self.sequence_by_id.remove(&intent.id());
        }
    }
}

/// About how many bytes an intent takes with its entries in the maps.
fn size(intent: &PaymentIntent) -> usize {
    400 + intent.metadata_size()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;

    const EVER: RangeInclusive<i64> = i64::MIN..=i64::MAX;

    fn parameters() -> CreateIntent {
        let form = "amount=5&currency=usd&payment_method=pm_card_visa&confirm=true";
        CreateIntent::from_form(&Form::parse(form.as_bytes())).unwrap()
    }

    fn charge(ledger: &Ledger, processing: Duration) -> IntentId {
        ledger.create(parameters(), processing).intent().unwrap().id()
    }

    #[test]
    fn a_charge_in_processing_is_neither_repeated_nor_canceled() {
        let ledger = Ledger::new();
        let minute = Duration::from_secs(60);
        let id = charge(&ledger, minute);
        let confirm = ledger.confirm(id, &ConfirmIntent { card: None }, minute);
        assert!(matches!(confirm, Some(Outcome::Rejected(..))));
        let cancel = ledger.cancel(id, &CancelIntent { reason: None });
        assert!(matches!(cancel, Some(Outcome::Rejected(..))));
        assert_eq!(ledger.get(id).unwrap().status(), Status::Processing);
        assert_eq!(ledger.charges(), 0);

        drop(ledger.entries_at(Instant::now() + minute));
        assert_eq!(ledger.get(id).unwrap().status(), Status::Succeeded);
        assert_eq!(ledger.charges(), 1);
    }

    #[test]
    fn pages_go_from_the_newest_to_the_oldest() {
        let ledger = Ledger::new();
        let made: Vec<_> = (0..3).map(|_| charge(&ledger, Duration::ZERO)).collect();
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
    fn the_oldest_intents_are_evicted_above_the_limit() {
        let ledger = Ledger::bounded(4_000);
        let made: Vec<_> = (0..50)
            .map(|_| charge(&ledger, Duration::from_millis(1)))
            .collect();
        assert!(ledger.get(made[39]).is_none());
        assert!(made[40..].iter().all(|id| ledger.get(*id).is_some()));
        let entries = ledger.entries();
        assert_eq!(entries.intents.len(), entries.sequence_by_id.len());
        assert_eq!(entries.bytes, entries.intents.values().map(size).sum::<usize>());
    }
}
