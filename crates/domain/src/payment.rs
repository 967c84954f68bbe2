//! How an order is paid for. The payment's status is independent of the order's status.

use std::fmt;

use crate::word::word_enum;

word_enum! {
    /// The kind of payment.
    PaymentMethod("payment method") {
        /// Charged as a card.
        CreditCard = "credit_card",
        /// Charged as a card.
        DebitCard = "debit_card",
        /// Charged through the gateway's PayPal support.
        Paypal = "paypal",
    }
}

impl PaymentMethod {
    /// The token for the gateway if the customer sent none. Only test gateways accept it.
    pub const fn test_token(self) -> &'static str {
        match self {
            Self::CreditCard | Self::Paypal => "pm_card_visa",
            Self::DebitCard => "pm_card_visa_debit",
        }
    }
}

word_enum! {
    /// The state of the payment.
    PaymentStatus("payment status") {
        /// The order has no payment method.
        NotRequired = "not_required",
        /// Not charged yet, or not known to be. Never of a final order.
        Pending = "pending",
        /// Charged, once.
        Charged = "charged",
        /// The bank declined the charge.
        Refused = "refused",
        /// No money moved, and none can.
        Cancelled = "cancelled",
    }
}

/// The gateway's name for a customer's means of payment. Its `Debug` is masked, so it never reaches a log.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentToken(String);

impl PaymentToken {
    /// Accepts 1 to 255 visible ASCII characters (0x21 to 0x7E).
    pub fn new(token: impl Into<String>) -> Option<Self> {
        let token = token.into();
        let visible = (1..=255).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
        visible.then_some(Self(token))
    }

    /// The token in clear text, for the gateway and the store only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PaymentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaymentToken(***)")
    }
}
