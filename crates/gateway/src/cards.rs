//! Stripe's test tokens: what each card does when it is charged. <https://docs.stripe.com/testing>

/// A test card. Two values are equal when their tokens are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// The value of `payment_method`.
    pub(crate) token: &'static str,
    /// Why a charge is declined; `None` for a card that pays.
    pub(crate) decline: Option<Decline>,
}

/// Why a card is declined, in Stripe's codes. <https://docs.stripe.com/declines/codes>
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: Option<&'static str>,
    pub(crate) message: &'static str,
}

impl Card {
    /// The test card of a token.
    pub(crate) fn of(token: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.token == token)
    }

    const fn pays(token: &'static str) -> Self {
        Self { token, decline: None }
    }

    /// Declined with the code `card_declined` and this decline code.
    const fn declined(token: &'static str, decline_code: &'static str, message: &'static str) -> Self {
        let decline = Decline {
            code: "card_declined",
            decline_code: Some(decline_code),
            message,
        };
        Self {
            token,
            decline: Some(decline),
        }
    }

    /// Declined with a code other than `card_declined`.
    const fn fails(token: &'static str, code: &'static str, message: &'static str) -> Self {
        let decline = Decline {
            code,
            decline_code: None,
            message,
        };
        Self {
            token,
            decline: Some(decline),
        }
    }
}

const DECLINED: &str = "Your card was declined.";
const INSUFFICIENT_FUNDS: &str = "Your card has insufficient funds.";
const EXPIRED: &str = "Your card has expired.";
const INCORRECT_CVC: &str = "Your card's security code is incorrect.";
const PROCESSING_ERROR: &str = "An error occurred while processing your card. Try again in a little bit.";

#[rustfmt::skip]
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
    // Stripe accepts both spellings of these two.
    Card::declined("pm_card_chargeDeclined", "generic_decline", DECLINED),
    Card::declined("pm_card_visa_chargeDeclined", "generic_decline", DECLINED),
    Card::declined("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds", INSUFFICIENT_FUNDS),
    Card::declined("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds", INSUFFICIENT_FUNDS),
    Card::declined("pm_card_chargeDeclinedLostCard", "lost_card", DECLINED),
    Card::declined("pm_card_chargeDeclinedStolenCard", "stolen_card", DECLINED),
    Card::fails("pm_card_chargeDeclinedExpiredCard", "expired_card", EXPIRED),
    Card::fails("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", INCORRECT_CVC),
    Card::fails("pm_card_chargeDeclinedProcessingError", "processing_error", PROCESSING_ERROR),
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
