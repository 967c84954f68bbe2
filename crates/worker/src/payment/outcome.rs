//! What a gateway's answer means for the order. The one place where it is decided what is tried again.

use domain::{Failure, FailureCode};
use reqwest::StatusCode;
use serde::Deserialize;

/// Why an order was not charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChargeError {
    /// The card was declined: final, and the payment counts as refused.
    #[error("declined: {}", .0.detail)]
    Declined(Failure),
    /// Trying again would end the same.
    #[error("rejected: {}", .0.detail)]
    Final(Failure),
    /// It may be charged later, or may have been charged already; the idempotency key makes another try safe.
    #[error("not now: {}", .0.detail)]
    Passing(Failure),
}

impl ChargeError {
    pub(crate) fn failure(&self) -> &Failure {
        match self {
            Self::Declined(failure) | Self::Final(failure) | Self::Passing(failure) => failure,
        }
    }

    /// A call that brought no answer.
    pub(super) fn unanswered(error: &reqwest::Error) -> Self {
        Self::Passing(if error.is_timeout() {
            Failure::new(
                FailureCode::PaymentTimeout,
                "The payment gateway did not answer in time.",
            )
        } else {
            unavailable()
        })
    }

    /// An answer that is not a success. The gateway's own words are kept: they are written for merchants.
    pub(super) fn answered(status: StatusCode, error: GatewayError) -> Self {
        let detail = error
            .message
            .unwrap_or_else(|| format!("The payment gateway answered {status}."));
        match status {
            StatusCode::PAYMENT_REQUIRED => {
                Self::Declined(Failure::new(FailureCode::CardDeclined, detail))
            }
            // Another request with this key is still at work, or we ask too fast. 408 is what a server says of a connection on
            // which it saw no request for a while; one that was sent just then gets it for an answer (RFC 9110, 15.5.9).
            StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Self::Passing(unavailable())
            }
            _ if status.is_server_error() => Self::Passing(unavailable()),
            _ => Self::Final(Failure::new(FailureCode::PaymentRejected, detail)),
        }
    }

    /// A payment intent that was made but not paid, such as one that asks the customer for more.
    pub(super) fn not_succeeded(status: &str) -> Self {
        match status {
            "processing" => Self::Passing(Failure::new(
                FailureCode::PaymentUnavailable,
                "The payment gateway is still working on the payment.",
            )),
            _ => Self::Final(Failure::new(
                FailureCode::PaymentRejected,
                format!("The payment is {status}, which this service cannot complete."),
            )),
        }
    }
}

fn unavailable() -> Failure {
    Failure::new(
        FailureCode::PaymentUnavailable,
        "The payment gateway cannot be reached at the moment.",
    )
}

/// The error body of Stripe's API, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GatewayError {
    pub(super) message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> ChargeError {
        ChargeError::answered(
            StatusCode::from_u16(status).unwrap(),
            GatewayError::default(),
        )
    }

    #[test]
    fn only_what_may_end_differently_is_tried_again() {
        for status in [408, 409, 429, 500, 502, 503, 504] {
            assert!(
                matches!(answered(status), ChargeError::Passing(_)),
                "{status}"
            );
        }
        for status in [400, 401, 403, 404, 422] {
            assert!(
                matches!(answered(status), ChargeError::Final(_)),
                "{status}"
            );
        }
        assert!(matches!(answered(402), ChargeError::Declined(_)));
        assert!(matches!(
            ChargeError::not_succeeded("processing"),
            ChargeError::Passing(_)
        ));
        assert!(matches!(
            ChargeError::not_succeeded("requires_action"),
            ChargeError::Final(_)
        ));
    }
}
