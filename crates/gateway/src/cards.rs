//! Stripe's test tokens: what each card does when it is charged. <https://docs.stripe.com/testing>

use crate::payment::Decline;

/// A test card. There is one of each, so two are the same card when their tokens are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// What `payment_method` is set to.
    pub(crate) token: &'static str,
    /// Why a charge is refused; `None` for a card that pays.
    pub(crate) decline: Option<Decline>,
}

impl Card {
    /// The test card of a token.
    pub(crate) fn of(token: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.token == token)
    }

    const fn pays(token: &'static str) -> Self {
        Self { token, decline: None }
    }

    const fn declines(
        token: &'static str,
        code: &'static str,
        decline_code: Option<&'static str>,
        message: &'static str,
    ) -> Self {
        let decline = Some(Decline {
            code,
            decline_code,
            message,
        });
        Self { token, decline }
    }
}

const DECLINED: &str = "Your card was declined.";
const NO_FUNDS: &str = "Your card has insufficient funds.";

static CARDS: [Card; 19] = [
    Card::pays("pm_card_visa"),
    Card::pays("pm_card_visa_debit"),
    Card::pays("pm_card_mastercard"),
    Card::pays("pm_card_mastercard_debit"),
    Card::pays("pm_card_mastercard_prepaid"),
    Card::pays("pm_card_amex"),
    Card::pays("pm_card_discover"),
    Card::pays("pm_card_diners"),
    Card::pays("pm_card_jcb"),
    Card::pays("pm_card_unionpay"),
    // Stripe knows both spellings of these two.
    Card::declines(
        "pm_card_chargeDeclined",
        "card_declined",
        Some("generic_decline"),
        DECLINED,
    ),
    Card::declines(
        "pm_card_visa_chargeDeclined",
        "card_declined",
        Some("generic_decline"),
        DECLINED,
    ),
    Card::declines(
        "pm_card_chargeDeclinedInsufficientFunds",
        "card_declined",
        Some("insufficient_funds"),
        NO_FUNDS,
    ),
    Card::declines(
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "card_declined",
        Some("insufficient_funds"),
        NO_FUNDS,
    ),
    Card::declines(
        "pm_card_chargeDeclinedLostCard",
        "card_declined",
        Some("lost_card"),
        DECLINED,
    ),
    Card::declines(
        "pm_card_chargeDeclinedStolenCard",
        "card_declined",
        Some("stolen_card"),
        DECLINED,
    ),
    Card::declines(
        "pm_card_chargeDeclinedExpiredCard",
        "expired_card",
        None,
        "Your card has expired.",
    ),
    Card::declines(
        "pm_card_chargeDeclinedIncorrectCvc",
        "incorrect_cvc",
        None,
        "Your card's security code is incorrect.",
    ),
    Card::declines(
        "pm_card_chargeDeclinedProcessingError",
        "processing_error",
        None,
        "An error occurred while processing your card. Try again in a little bit.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_matched_exactly() {
        assert!(Card::of("pm_card_visa").is_some_and(|card| card.decline.is_none()));
        assert!(Card::of("pm_card_chargeDeclined").is_some_and(|card| card.decline.is_some()));
        assert!(Card::of("pm_card_chargedeclined").is_none());
        assert!(Card::of("4242424242424242").is_none());
    }
}
