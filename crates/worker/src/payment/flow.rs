//! The payment of an order in two steps. The intent is created, which charges nothing; its id is recorded on
//! the order's row, under the attempt's fence; then it is confirmed. An intent can succeed once at the most,
//! and only the recorded one is confirmed: so however often attempts repeat or overlap, the order is charged
//! once. An order that may be charged fails only after its intent is cancelled.

use std::time::Duration;

use chrono::TimeDelta;
use domain::{Failure, FailureCode, Order};

use super::admission::{ComeBackAfter, Visit};
use super::claimed::Claimed;
use super::error::{CallError, declined, processing, rejected, unavailable};
use super::gateway::{Charge, Gateway};
use super::intent::{Intent, IntentStatus};
use super::lookup::find_charge;
use crate::outcome::Stop;

/// The gateway forgets idempotency keys after 24 hours, <https://docs.stripe.com/api/idempotent_requests>.
const KEY_LIFETIME: TimeDelta = TimeDelta::hours(23);

/// An attempt at the gateway.
pub(super) struct Flow<'a> {
    gateway: &'a Gateway,
    visit: Visit<'a>,
    claimed: &'a Claimed<'a>,
}

impl<'a> Flow<'a> {
    /// Waits for admission to the gateway, for half a second at the most.
    pub(super) async fn begin(gateway: &'a Gateway, claimed: &'a Claimed<'a>) -> Result<Self, Stop> {
        match gateway.admission.enter(waited(claimed.order)).await {
            Ok(visit) => Ok(Self {
                gateway,
                visit,
                claimed,
            }),
            Err(ComeBackAfter(delay)) => Err(Stop::Waiting(unavailable(), delay)),
        }
    }

    /// Charges the order. Returns the id of its intent, which has succeeded.
    pub(super) async fn pay(&self, amount: i64, token: &str) -> Result<String, Stop> {
        let order = self.claimed.order;
        let intent = match &order.payment_id {
            Some(id) => {
                let found = self.visit.send(self.gateway.find(id, self.resends())).await;
                found.map_err(|error| self.stop(error))
            }
            None => self.create(&Charge { order, amount, token }).await,
        };
        let intent = match intent {
            Ok(intent) => intent,
            // An earlier attempt may have charged the order.
            Err(ending @ (Stop::Declined(_) | Stop::Failed(_))) => return self.settle(ending).await,
            Err(stop) => return Err(stop),
        };
        match intent.status {
            IntentStatus::RequiresConfirmation => self.confirm(&intent.id).await,
            _ => self.conclude(intent).await,
        }
    }

    /// Makes sure that nothing can charge the order any more, so that it may end as `ending`. If it was
    /// charged already, returns the intent's id. While that is unknown, the order waits.
    pub(super) async fn settle(&self, ending: Stop) -> Result<String, Stop> {
        if let Some(id) = self.claimed.intent_id() {
            return self.cancel(id, ending).await;
        }
        if !self.claimed.may_be_charged() {
            return Err(ending);
        }
        match self.look_up().await {
            Ok(Some(intent)) => {
                let intent = self.claimed.record(intent).await?;
                self.cancel(&intent.id, ending).await
            }
            Ok(None) => Err(ending),
            Err(error) => Err(self.waiting(error.waiting_failure())),
        }
    }

    /// Creates the order's intent and records it.
    async fn create(&self, charge: &Charge<'_>) -> Result<Intent, Stop> {
        let order = self.claimed.order;
        // Both times are by PostgreSQL's clock.
        let key_is_forgotten = order.updated_at - order.created_at > KEY_LIFETIME;
        if order.may_have_unrecorded_charge() && key_is_forgotten {
            let found = self.look_up().await.map_err(|error| self.stop(error))?;
            if let Some(intent) = found {
                return self.claimed.record(intent).await;
            }
        }
        self.secure_lease().await?;
        // The same key as that of the one-step charge of release 0.1: of the two, only the first is executed.
        let key = order.charge_key();
        #[cfg(feature = "sabotage")]
        let key = crate::sabotage::idempotency_key(order, key);
        let created = self
            .visit
            .send(self.gateway.create(charge, &key, self.resends()))
            .await;
        let created = match created {
            Err(CallError::StoredError) => self.create_under_new_key(charge).await,
            Err(CallError::KeyReused) => {
                self.secure_lease().await?;
                self.find_one_step_charge(charge, &key).await
            }
            created => created,
        };
        match created {
            Ok(intent) => self.claimed.record(intent).await,
            Err(CallError::Declined(_, Some(intent))) => self.claimed.record(*intent).await,
            Err(error) => Err(self.stop(error)),
        }
    }

    /// The gateway repeats a stored error for a day. At worst, the intent of the other key stays unconfirmed.
    async fn create_under_new_key(&self, charge: &Charge<'_>) -> Result<Intent, CallError> {
        let key = self.key("create");
        self.visit.send(self.gateway.create(charge, &key, 0)).await
    }

    /// Release 0.1 used this key for a charge in one step: the same request again returns its result.
    async fn find_one_step_charge(&self, charge: &Charge<'_>, key: &str) -> Result<Intent, CallError> {
        let repeated = self.gateway.charge_in_one_step(charge, key, self.resends());
        match self.visit.send(repeated).await {
            Err(CallError::StoredError | CallError::KeyReused) => {}
            result => return result,
        }
        match self.look_up().await? {
            Some(intent) => Ok(intent),
            None => self.create_under_new_key(charge).await,
        }
    }

    /// Searches the gateway's list for a charge by release 0.1.
    async fn look_up(&self) -> Result<Option<Intent>, CallError> {
        let Order { id, created_at, .. } = *self.claimed.order;
        find_charge(self.gateway, &self.visit, id, (created_at, None)).await
    }

    async fn confirm(&self, id: &str) -> Result<String, Stop> {
        self.secure_lease().await?;
        let key = self.key("confirm");
        match self
            .visit
            .send(self.gateway.confirm(id, &key, self.resends()))
            .await
        {
            Ok(intent) => self.conclude(intent).await,
            Err(CallError::UnexpectedState(intent)) => self.conclude(*intent).await,
            Err(CallError::Declined(reason, _)) => self.cancel(id, Stop::Declined(declined(reason))).await,
            Err(CallError::Rejected(reason)) => self.cancel(id, Stop::Failed(rejected(reason))).await,
            Err(error) => Err(self.stop(error)),
        }
    }

    /// Acts on the status of an intent that is not to be confirmed now.
    async fn conclude(&self, intent: Intent) -> Result<String, Stop> {
        let reason = intent.reason_declined().unwrap_or("The card was declined.");
        let card_declined = Stop::Declined(declined(reason));
        match &intent.status {
            IntentStatus::Succeeded => Ok(intent.id),
            IntentStatus::Processing | IntentStatus::RequiresConfirmation => Err(self.waiting(processing())),
            // It could be confirmed with another card, or by a worker that was paused.
            IntentStatus::RequiresPaymentMethod => self.cancel(&intent.id, card_declined).await,
            // By an attempt whose outcome was lost.
            IntentStatus::Canceled if intent.reason_declined().is_some() => Err(card_declined),
            IntentStatus::Canceled => {
                let reason = "The payment was cancelled at the payment gateway.";
                Err(Stop::Failed(rejected(reason)))
            }
            IntentStatus::Other(status) => {
                let reason = format!("The payment is {status}, which this service cannot complete.");
                self.cancel(&intent.id, Stop::Failed(rejected(reason))).await
            }
        }
    }

    /// Cancels the intent, so that the order may end as `ending`. It never does before that is certain.
    async fn cancel(&self, id: &str, ending: Stop) -> Result<String, Stop> {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_off("cancel") {
            return Err(ending);
        }
        let key = self.key("cancel");
        match self
            .visit
            .send(self.gateway.cancel(id, &key, self.resends()))
            .await
        {
            Ok(_) | Err(CallError::NotFound) => Err(ending),
            Err(CallError::UnexpectedState(intent)) => match intent.status {
                IntentStatus::Succeeded => Ok(intent.id),
                IntentStatus::Canceled => Err(ending),
                _ => Err(self.waiting(processing())),
            },
            Err(error) => Err(self.waiting(error.waiting_failure())),
        }
    }

    async fn secure_lease(&self) -> Result<(), Stop> {
        self.claimed.secure_lease(self.gateway.timeout()).await
    }

    /// How an attempt ends whose request was not successful. Nothing was charged, or the next attempt finds
    /// it.
    fn stop(&self, error: CallError) -> Stop {
        match error {
            CallError::Declined(reason, _) => Stop::Declined(declined(reason)),
            CallError::Rejected(reason) => Stop::Failed(rejected(reason)),
            error if error.is_outage() => self.waiting(error.waiting_failure()),
            CallError::InFlight => self.waiting(processing()),
            CallError::NotFound => {
                let detail = "The payment gateway does not know the order's payment.";
                Stop::Retry(Failure::new(FailureCode::PaymentRejected, detail))
            }
            _ => Stop::Retry(unavailable()),
        }
    }

    fn waiting(&self, failure: Failure) -> Stop {
        Stop::Waiting(failure, self.gateway.admission.delay(waited(self.claimed.order)))
    }

    /// An idempotency key that no other attempt uses.
    fn key(&self, action: &str) -> String {
        let order = self.claimed.order;
        format!("{}:{}:{action}", order.charge_key(), order.attempt)
    }

    /// Each earlier attempt may have sent the request.
    fn resends(&self) -> u32 {
        u32::try_from(self.claimed.order.attempt.number() - 1).unwrap_or(0)
    }
}

/// How long the order has waited for the gateway when it was claimed; both times are by PostgreSQL's clock.
fn waited(order: &Order) -> Duration {
    let waited = order.waiting_since.map(|since| order.updated_at - since);
    waited.and_then(|waited| waited.to_std().ok()).unwrap_or_default()
}
