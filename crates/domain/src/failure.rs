//! Why an order failed, in a bounded set of codes and a sentence for people.

use crate::words;

words! {
    /// The kind of a failure. It is a metric attribute (`order.failure.code`), so the set stays small.
    FailureCode("failure code") {
        /// The card was declined. Never retried.
        CardDeclined = "card_declined",
        /// The gateway refused the request itself (a 4xx other than a decline). Never retried.
        PaymentRejected = "payment_rejected",
        /// The gateway did not answer in time.
        PaymentTimeout = "payment_timeout",
        /// The gateway could not be reached, or answered with an error of its own.
        PaymentUnavailable = "payment_unavailable",
        /// The order's amount is not the sum of its items.
        AmountMismatch = "amount_mismatch",
        /// Attempts ended without an outcome, and no more are allowed: their workers died.
        AttemptsExhausted = "attempts_exhausted",
        /// What is stored of the order cannot be read. Never retried.
        InternalError = "internal_error",
    }
}

/// A failure as a customer sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// The kind.
    pub code: FailureCode,
    /// What happened, for a person; no internals.
    pub detail: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(code: FailureCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}
