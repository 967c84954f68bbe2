//! What a gateway's answer means for the order. The one place where it is decided what is tried again.

use domain::{Failure, FailureCode};
use reqwest::StatusCode;
use serde::Deserialize;

/// How many characters of the gateway's words are kept: its sentences are shorter, and a proxy's page is not a reason.
const LONGEST_REASON: usize = 300;

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

    /// An answer that is not a success. The gateway's own words are kept where it refuses this payment: they are written for those
    /// who ask. Where it refuses the service itself they are the operator's alone, and an order waits until that is mended.
    pub(super) fn answered(status: StatusCode, error: GatewayError) -> Self {
        match status {
            StatusCode::PAYMENT_REQUIRED => {
                let detail = error.reason(status);
                Self::Declined(Failure::new(FailureCode::CardDeclined, detail))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let error = ServiceRefused {
                    status,
                    reason: error.reason(status),
                };
                telemetry::log_error!(error, "nothing can be charged until this is mended");
                Self::Passing(unavailable())
            }
            // Another request with this key is still at work, or we ask too fast. 408 is what a server says of a connection on
            // which it saw no request for a while; one that was sent just then gets it for an answer (RFC 9110, 15.5.9).
            StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Self::Passing(unavailable())
            }
            _ if status.is_server_error() => Self::Passing(unavailable()),
            _ => {
                let detail = error.reason(status);
                Self::Final(Failure::new(FailureCode::PaymentRejected, detail))
            }
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

impl GatewayError {
    /// What it says, or what its status does.
    fn reason(self, status: StatusCode) -> String {
        let mut reason = self
            .message
            .unwrap_or_else(|| format!("The payment gateway answered {status}."));
        if let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON) {
            reason.truncate(end);
            reason.push('…');
        }
        reason
    }
}

/// The gateway does not take the service's key, or does not let it charge.
#[derive(Debug, thiserror::Error)]
#[error("the payment gateway answered {status} (PAYMENT_GATEWAY_URL, PAYMENT_GATEWAY_KEY): {reason}")]
struct ServiceRefused {
    status: StatusCode,
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> ChargeError {
        answered_with(status, None)
    }

    fn answered_with(status: u16, message: Option<String>) -> ChargeError {
        let status = StatusCode::from_u16(status).unwrap();
        ChargeError::answered(status, GatewayError { message })
    }

    #[test]
    fn only_what_may_end_differently_is_tried_again() {
        for status in [401, 403, 408, 409, 429, 500, 502, 503, 504] {
            assert!(matches!(answered(status), ChargeError::Passing(_)), "{status}");
        }
        for status in [400, 404, 422] {
            assert!(matches!(answered(status), ChargeError::Final(_)), "{status}");
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

    #[test]
    fn a_customer_reads_the_gateways_words_only_about_the_payment() {
        let words = "Invalid API Key provided: sk_live_1234";
        for status in [401, 403, 429, 500] {
            let error = answered_with(status, Some(words.to_owned()));
            assert_eq!(error.failure(), &unavailable(), "{status}");
        }
        for status in [400, 402] {
            let error = answered_with(status, Some("Your card has expired.".to_owned()));
            assert_eq!(error.failure().detail, "Your card has expired.", "{status}");
        }
    }

    #[test]
    fn a_reason_is_not_longer_than_a_sentence() {
        let page = "é".repeat(10_000);
        let error = answered_with(400, Some(page));
        let detail = &error.failure().detail;
        assert_eq!(detail.chars().count(), LONGEST_REASON + 1);
    }
}
