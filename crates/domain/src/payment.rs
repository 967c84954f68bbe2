//! How an order is paid for: an axis of its own beside the order's status.

use std::fmt;

use crate::words;

words! {
    /// What the customer pays with.
    PaymentMethod("payment method") {
        /// A credit card.
        CreditCard = "credit_card",
        /// A debit card.
        DebitCard = "debit_card",
        /// PayPal.
        Paypal = "paypal",
    }
}

impl PaymentMethod {
    /// The token sent to the gateway where the customer gave none. Only test gateways accept it.
    pub const fn test_token(self) -> &'static str {
        match self {
            Self::CreditCard | Self::Paypal => "pm_card_visa",
            Self::DebitCard => "pm_card_visa_debit",
        }
    }
}

words! {
    /// How far the payment is.
    PaymentStatus("payment status") {
        /// The order came without a payment method.
        NotRequired = "not_required",
        /// Not charged yet.
        Pending = "pending",
        /// Charged, once.
        Charged = "charged",
        /// The gateway refused it for good.
        Refused = "refused",
    }
}

/// The gateway's name for a customer's means of payment. Its `Debug` is masked: it never reaches a log.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentToken(String);

impl PaymentToken {
    /// Takes 1 to 255 visible ASCII characters; `None` otherwise.
    pub fn new(token: impl Into<String>) -> Option<Self> {
        let token = token.into();
        let visible = (1..=255).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
        visible.then_some(Self(token))
    }

    /// The token itself, for the gateway and the store only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PaymentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaymentToken(***)")
    }
}
