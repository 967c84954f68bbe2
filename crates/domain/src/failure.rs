//! Why an order failed: one of a few codes, and a sentence for people.

use crate::word::word_enum;

word_enum! {
    /// The kind of a failure. A metric attribute (`order.failure.code`), so the set stays small.
    FailureCode("failure code") {
        /// The bank declined the charge. No further attempt.
        CardDeclined = "card_declined",
        /// The gateway rejected the request (a 4xx other than a decline). No further attempt.
        PaymentRejected = "payment_rejected",
        /// The gateway sent no response within the timeout.
        PaymentTimeout = "payment_timeout",
        /// The gateway was unreachable, or its response was a server error.
        PaymentUnavailable = "payment_unavailable",
        /// The order's amount is not the sum of its items.
        AmountMismatch = "amount_mismatch",
        /// Too many attempts ended without an outcome, because their workers died.
        AttemptsExhausted = "attempts_exhausted",
        /// The stored order cannot be read. No further attempt.
        InternalError = "internal_error",
    }
}

/// A failure as a customer sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// The kind, for programs.
    pub code: FailureCode,
    /// What happened, for people; without internals.
    pub detail: String,
}

impl Failure {
    /// A failure with this code and explanation.
    pub fn new(code: FailureCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}
