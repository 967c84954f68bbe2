//! A payment intent and its states. <https://docs.stripe.com/payments/paymentintents/lifecycle>
//!
//! An intent is charged at most once: only [`PaymentIntent::confirm`] starts a charge, and it rejects an
//! intent that is processing, succeeded or canceled.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use iso_currency::Currency;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::cards::{Card, Decline};
use crate::parameters::{CreateIntent, Metadata};

/// `pi_` and 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IntentId(Uuid);

/// An intent at one moment. A clone shares what never changes.
#[derive(Debug, Clone)]
pub(crate) struct PaymentIntent {
    creation: Arc<Creation>,
    status: Status,
    card: Option<&'static Card>,
    /// Why the last confirmation was declined.
    last_decline: Option<&'static Decline>,
    /// The charge of the last confirmation, declined or not.
    latest_charge: Option<Uuid>,
    cancellation: Option<Cancellation>,
}

#[derive(Debug)]
struct Creation {
    id: IntentId,
    /// Unix time in seconds.
    created: i64,
    amount: i64,
    currency: Currency,
    metadata: Metadata,
}

#[derive(Debug, Clone, Copy)]
struct Cancellation {
    /// Unix time in seconds.
    at: i64,
    reason: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    Processing,
    Succeeded,
    Canceled,
}

/// The intent's state does not allow the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnexpectedState {
    pub(crate) message: &'static str,
}

impl PaymentIntent {
    /// An unconfirmed intent.
    pub(crate) fn new(parameters: CreateIntent) -> Self {
        let status = match parameters.card {
            Some(_) => Status::RequiresConfirmation,
            None => Status::RequiresPaymentMethod,
        };
        Self {
            creation: Arc::new(Creation {
                id: IntentId(Uuid::new_v4()),
                created: unix_time(),
                amount: parameters.amount,
                currency: parameters.currency,
                metadata: parameters.metadata,
            }),
            status,
            card: parameters.card,
            last_decline: None,
            latest_charge: None,
            cancellation: None,
        }
    }

    pub(crate) fn id(&self) -> IntentId {
        self.creation.id
    }

    /// Unix time in seconds.
    pub(crate) fn created(&self) -> i64 {
        self.creation.created
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.creation.metadata
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// Why the last confirmation was declined, and its charge; `None` once the intent left this state.
    pub(crate) fn decline(&self) -> Option<(&'static Decline, Option<String>)> {
        let declined = self
            .last_decline
            .filter(|_| self.status == Status::RequiresPaymentMethod);
        declined.map(|decline| (decline, self.charge_id()))
    }

    /// Starts the charge of `card`, or of the intent's card; [`PaymentIntent::finish_charge`] ends it.
    pub(crate) fn confirm(&mut self, card: Option<&'static Card>) -> Result<(), UnexpectedState> {
        let message = match self.status {
            Status::Succeeded => "You cannot confirm this PaymentIntent because it has already succeeded.",
            Status::Canceled => "You cannot confirm this PaymentIntent because it is canceled.",
            Status::Processing => "You cannot confirm this PaymentIntent because it is processing.",
            Status::RequiresPaymentMethod | Status::RequiresConfirmation => {
                "You cannot confirm this PaymentIntent because it has no payment method."
            }
        };
        let card = card.or(self.card).filter(|_| self.status.is_open());
        self.card = Some(card.ok_or(UnexpectedState { message })?);
        self.status = Status::Processing;
        self.last_decline = None;
        self.latest_charge = Some(Uuid::new_v4());
        Ok(())
    }

    /// Ends `processing` by what the card does.
    pub(crate) fn finish_charge(&mut self) {
        self.last_decline = self.card.and_then(|card| card.decline.as_ref());
        if self.last_decline.is_some() {
            // Stripe detaches a declined card from the intent.
            self.card = None;
            self.status = Status::RequiresPaymentMethod;
        } else {
            self.status = Status::Succeeded;
        }
    }

    /// After this no operation can charge the intent.
    pub(crate) fn cancel(&mut self, reason: Option<&'static str>) -> Result<(), UnexpectedState> {
        let message = match self.status {
            Status::Succeeded => "You cannot cancel this PaymentIntent because it has already succeeded.",
            Status::Canceled => "You cannot cancel this PaymentIntent because it is already canceled.",
            // Stripe can cancel such an intent in rare cases; a client must not rely on them.
            Status::Processing => "You cannot cancel this PaymentIntent because it is processing.",
            Status::RequiresPaymentMethod | Status::RequiresConfirmation => {
                self.status = Status::Canceled;
                self.cancellation = Some(Cancellation {
                    at: unix_time(),
                    reason,
                });
                return Ok(());
            }
        };
        Err(UnexpectedState { message })
    }

    pub(crate) fn to_json(&self) -> Value {
        let creation = &self.creation;
        let metadata = creation.metadata.iter();
        let metadata: Map<_, _> = metadata
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        let received = if self.status == Status::Succeeded {
            creation.amount
        } else {
            0
        };
        let charge_id = self.charge_id();
        json!({
            "id": creation.id.to_string(),
            "object": "payment_intent",
            "amount": creation.amount,
            "amount_capturable": 0,
            "amount_received": received,
            "canceled_at": self.cancellation.map(|cancellation| cancellation.at),
            "cancellation_reason": self.cancellation.and_then(|cancellation| cancellation.reason),
            "capture_method": "automatic",
            "created": creation.created,
            "currency": creation.currency.code().to_ascii_lowercase(),
            "last_payment_error": self.last_decline.map(|decline| json!({
                "type": "card_error",
                "charge": charge_id,
                "code": decline.code,
                "decline_code": decline.decline_code,
                "message": decline.message,
            })),
            "latest_charge": charge_id,
            "livemode": false,
            "metadata": metadata,
            "payment_method": self.card.map(|card| card.token),
            "payment_method_types": ["card"],
            "status": self.status.as_str(),
        })
    }

    fn charge_id(&self) -> Option<String> {
        self.latest_charge.map(|id| format!("ch_{}", id.simple()))
    }

    /// About how many bytes the metadata takes, which is the part of an intent without a fixed size.
    pub(crate) fn metadata_size(&self) -> usize {
        /// Two boxed strings and their allocations.
        const PAIR: usize = 64;
        let pairs = self.creation.metadata.iter();
        pairs.map(|(key, value)| PAIR + key.len() + value.len()).sum()
    }
}

impl Status {
    /// Whether the intent can still be confirmed or canceled.
    fn is_open(self) -> bool {
        matches!(self, Self::RequiresPaymentMethod | Self::RequiresConfirmation)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

impl IntentId {
    /// Reads the spelling that [`IntentId`] is written in.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text.strip_prefix("pi_")?).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pi_{}", self.0.simple())
    }
}

fn unix_time() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;

    fn intent(card: &str) -> PaymentIntent {
        let form = format!("amount=5&currency=usd&payment_method={card}");
        PaymentIntent::new(CreateIntent::from_form(&Form::parse(form.as_bytes())).unwrap())
    }

    fn charge(intent: &mut PaymentIntent, card: Option<&str>) -> Result<Status, UnexpectedState> {
        intent.confirm(card.and_then(Card::of))?;
        intent.finish_charge();
        Ok(intent.status())
    }

    #[test]
    fn an_intent_is_confirmed_once() {
        let mut intent = intent("pm_card_visa");
        assert_eq!(intent.status(), Status::RequiresConfirmation);
        intent.confirm(None).unwrap();
        assert!(intent.confirm(None).is_err() && intent.cancel(None).is_err());
        intent.finish_charge();
        assert_eq!(intent.status(), Status::Succeeded);
        assert!(intent.confirm(None).is_err() && intent.cancel(None).is_err());
    }

    #[test]
    fn an_intent_without_a_card_requires_one() {
        let mut intent = intent("");
        assert_eq!(intent.status(), Status::RequiresPaymentMethod);
        assert!(charge(&mut intent, None).is_err());
        assert_eq!(charge(&mut intent, Some("pm_card_visa")), Ok(Status::Succeeded));
    }

    #[test]
    fn a_declined_intent_takes_another_card_until_it_is_canceled() {
        let mut intent = intent("pm_card_chargeDeclined");
        assert_eq!(charge(&mut intent, None), Ok(Status::RequiresPaymentMethod));
        assert!(intent.decline().is_some());
        assert!(
            charge(&mut intent, None).is_err(),
            "the declined card is detached"
        );
        let mut canceled = intent.clone();
        assert_eq!(charge(&mut intent, Some("pm_card_visa")), Ok(Status::Succeeded));
        assert_eq!(intent.to_json()["last_payment_error"], Value::Null);

        canceled.cancel(Some("abandoned")).unwrap();
        assert!(canceled.decline().is_none());
        assert!(charge(&mut canceled, Some("pm_card_visa")).is_err());
        assert!(canceled.cancel(None).is_err());
    }

    #[test]
    fn an_id_is_read_in_its_own_spelling_only() {
        let id = intent("").id();
        assert_eq!(IntentId::parse(&id.to_string()), Some(id));
        assert_eq!(IntentId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(IntentId::parse(&format!("pi_{}", id.0)), None);
        assert_eq!(IntentId::parse("pi_unknown"), None);
    }
}
