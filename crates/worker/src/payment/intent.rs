//! A payment intent as the gateway returns it, <https://docs.stripe.com/api/payment_intents/object>. It can
//! succeed once at the most.

use std::collections::HashMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// In bytes; Stripe's have less than 50. PostgreSQL indexes no text of more than 2,700.
const MAX_ID: usize = 255;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Intent {
    #[serde(deserialize_with = "read_id")]
    pub(super) id: String,
    pub(super) status: IntentStatus,
    #[serde(default)]
    metadata: HashMap<String, String>,
    last_payment_error: Option<PaymentError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum IntentStatus {
    RequiresConfirmation,
    /// The bank declined the confirmation. Another one is possible until the intent is cancelled.
    RequiresPaymentMethod,
    Processing,
    Succeeded,
    Canceled,
    /// A status that this service cannot complete, such as one in which the customer has to act.
    #[serde(untagged)]
    Other(String),
}

fn read_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if id.is_empty() || id.len() > MAX_ID {
        return Err(D::Error::custom("the id of an intent has 1 to 255 bytes"));
    }
    Ok(id)
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PaymentError {
    message: Option<String>,
}

impl Intent {
    /// The id of the order that it is for.
    pub(super) fn order_id(&self) -> Option<&str> {
        self.metadata.get("order_id").map(String::as_str)
    }

    /// Whether it has charged the order, or may do so without another confirmation.
    pub(super) fn may_have_charged(&self) -> bool {
        use IntentStatus::{Other, Processing, Succeeded};
        matches!(self.status, Succeeded | Processing | Other(_))
    }

    /// The bank's reason for declining the last confirmation.
    pub(super) fn reason_declined(&self) -> Option<&str> {
        self.last_payment_error.as_ref()?.message.as_deref()
    }
}

/// A page of intents, newest first.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Intent>,
    #[serde(default)]
    pub(super) has_more: bool,
}

#[cfg(test)]
impl Intent {
    pub(super) fn with_status(status: IntentStatus) -> Self {
        Self {
            id: "pi_1".to_owned(),
            status,
            metadata: HashMap::new(),
            last_payment_error: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_known_or_not() {
        for (text, status) in [
            ("requires_confirmation", IntentStatus::RequiresConfirmation),
            ("canceled", IntentStatus::Canceled),
            (
                "requires_action",
                IntentStatus::Other("requires_action".to_owned()),
            ),
        ] {
            let json = format!(r#"{{"id":"pi_1","object":"payment_intent","status":"{text}"}}"#);
            let intent: Intent = serde_json::from_str(&json).unwrap();
            assert_eq!(intent, Intent::with_status(status));
        }
    }

    #[test]
    fn the_order_and_the_banks_reason_are_read() {
        let json = r#"{"id":"pi_1","status":"requires_payment_method","metadata":{"order_id":"7"},
            "last_payment_error":{"code":"card_declined","message":"Your card was declined."}}"#;
        let intent: Intent = serde_json::from_str(json).unwrap();
        assert_eq!(intent.order_id(), Some("7"));
        assert_eq!(intent.reason_declined(), Some("Your card was declined."));
    }
}
