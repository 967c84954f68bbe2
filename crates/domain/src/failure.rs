//! Why an order failed: one of a few codes, and a sentence for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a failure. The set is open: a newer version may store a code that this one does not know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum FailureCode {
    /// The bank declined the charge. No further attempt.
    CardDeclined,
    /// The gateway rejected the request (a 4xx other than a decline). No further attempt.
    PaymentRejected,
    /// The gateway sent no response within the timeout.
    PaymentTimeout,
    /// The gateway was unreachable, or its response was a server error.
    PaymentUnavailable,
    /// The gateway stayed unavailable until the order's deadline. No further attempt.
    PaymentDeadline,
    /// The order's amount is not the sum of its items.
    AmountMismatch,
    /// Too many attempts ended without an outcome.
    AttemptsExhausted,
    /// Too many workers in a row died while they processed the order. No further attempt.
    WorkerCrashed,
    /// Of release 0.1: the stored order could not be read.
    InternalError,
    /// A code of a newer version.
    Other(Box<str>),
}

impl FailureCode {
    /// Every code that this version knows.
    pub const ALL: &[Self] = &[
        Self::CardDeclined,
        Self::PaymentRejected,
        Self::PaymentTimeout,
        Self::PaymentUnavailable,
        Self::PaymentDeadline,
        Self::AmountMismatch,
        Self::AttemptsExhausted,
        Self::WorkerCrashed,
        Self::InternalError,
    ];

    /// The code, as it is stored and sent.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(code) => code,
            known => known.label(),
        }
    }

    /// The code as a metric attribute (`order.failure.code`), whose values must be few: a code of a newer
    /// version is `other`.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::CardDeclined => "card_declined",
            Self::PaymentRejected => "payment_rejected",
            Self::PaymentTimeout => "payment_timeout",
            Self::PaymentUnavailable => "payment_unavailable",
            Self::PaymentDeadline => "payment_deadline",
            Self::AmountMismatch => "amount_mismatch",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::WorkerCrashed => "worker_crashed",
            Self::InternalError => "internal_error",
            Self::Other(_) => "other",
        }
    }
}

impl From<String> for FailureCode {
    fn from(code: String) -> Self {
        let known = Self::ALL.iter().find(|known| known.as_str() == code);
        known.cloned().unwrap_or_else(|| Self::Other(code.into()))
    }
}

impl From<FailureCode> for String {
    fn from(code: FailureCode) -> Self {
        code.as_str().to_owned()
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure as a customer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_also_one_of_a_newer_version() {
        for code in FailureCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(serde_json::from_str::<FailureCode>(&json).unwrap(), *code);
        }
        let newer: FailureCode = serde_json::from_str(r#""of_tomorrow""#).unwrap();
        assert_eq!((newer.as_str(), newer.label()), ("of_tomorrow", "other"));
        assert_eq!(serde_json::to_string(&newer).unwrap(), r#""of_tomorrow""#);
    }
}
