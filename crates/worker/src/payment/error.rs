//! What a gateway's response means for the order. The only place that decides whether a charge is retried.

use domain::{Failure, FailureCode};
use reqwest::StatusCode;
use serde::Deserialize;

/// Maximum length of the gateway's message, in characters: longer ones, such as a proxy's page, are cut off.
const MAX_REASON_CHARS: usize = 300;

/// Why an order was not charged, by what the worker does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChargeError {
    /// The card was declined. Final; the order's `payment_status` is `refused`.
    #[error("declined: {}", .0.detail)]
    Declined(Failure),
    /// Another attempt would fail too.
    #[error("rejected: {}", .0.detail)]
    Final(Failure),
    /// A later attempt may succeed, or the order may have been charged already: the idempotency key makes a
    /// retry safe.
    #[error("transient: {}", .0.detail)]
    Transient(Failure),
}

impl ChargeError {
    pub(crate) fn failure(&self) -> &Failure {
        match self {
            Self::Declined(failure) | Self::Final(failure) | Self::Transient(failure) => failure,
        }
    }

    /// A response that is not a success. The gateway's message about this payment is stored, for the client.
    /// Its message about the service's credentials is only logged, for the operator, and orders are retried
    /// until that is repaired.
    pub(super) fn from_response(status: StatusCode, error: GatewayError) -> Self {
        match status {
            StatusCode::PAYMENT_REQUIRED => {
                Self::Declined(Failure::new(FailureCode::CardDeclined, error.reason(status)))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let reason = error.reason(status);
                let error = CredentialsRejected { status, reason };
                telemetry::log_error!(error, "no order can be charged until this is repaired");
                Self::Transient(unavailable())
            }
            // 409: another request with this key is in progress. 429: too many requests. 408: the server
            // closed an idle connection at the moment the request was sent (RFC 9110, 15.5.9).
            StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Self::Transient(unavailable())
            }
            _ if status.is_server_error() => Self::Transient(unavailable()),
            _ => Self::Final(Failure::new(FailureCode::PaymentRejected, error.reason(status))),
        }
    }

    /// A payment intent that was created but not paid, for instance because the customer must confirm it.
    pub(super) fn not_succeeded(status: &str) -> Self {
        match status {
            "processing" => Self::Transient(Failure::new(
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

/// A call without a complete response.
impl From<reqwest::Error> for ChargeError {
    fn from(error: reqwest::Error) -> Self {
        if !error.is_timeout() {
            return Self::Transient(unavailable());
        }
        let detail = "The payment gateway did not answer in time.";
        Self::Transient(Failure::new(FailureCode::PaymentTimeout, detail))
    }
}

fn unavailable() -> Failure {
    Failure::new(
        FailureCode::PaymentUnavailable,
        "The payment gateway cannot be reached at the moment.",
    )
}

/// The part of Stripe's error body that is used.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GatewayError {
    pub(super) message: Option<String>,
}

impl GatewayError {
    /// The gateway's message, or one with its status.
    fn reason(self, status: StatusCode) -> String {
        let mut reason = self
            .message
            .unwrap_or_else(|| format!("The payment gateway answered {status}."));
        if let Some((end, _)) = reason.char_indices().nth(MAX_REASON_CHARS) {
            reason.truncate(end);
            reason.push('…');
        }
        reason
    }
}

/// The gateway rejected the service's key, or the key may not charge.
#[derive(Debug, thiserror::Error)]
#[error("the payment gateway responded {status} (PAYMENT_GATEWAY_URL, PAYMENT_GATEWAY_KEY): {reason}")]
struct CredentialsRejected {
    status: StatusCode,
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16) -> ChargeError {
        response_with(status, None)
    }

    fn response_with(status: u16, message: Option<String>) -> ChargeError {
        let status = StatusCode::from_u16(status).unwrap();
        ChargeError::from_response(status, GatewayError { message })
    }

    #[test]
    fn only_errors_that_may_be_transient_are_retried() {
        for status in [401, 403, 408, 409, 429, 500, 502, 503, 504] {
            assert!(matches!(response(status), ChargeError::Transient(_)), "{status}");
        }
        for status in [400, 404, 422] {
            assert!(matches!(response(status), ChargeError::Final(_)), "{status}");
        }
        assert!(matches!(response(402), ChargeError::Declined(_)));
        assert!(matches!(
            ChargeError::not_succeeded("processing"),
            ChargeError::Transient(_)
        ));
        assert!(matches!(
            ChargeError::not_succeeded("requires_action"),
            ChargeError::Final(_)
        ));
    }

    #[test]
    fn clients_see_the_gateways_message_only_if_it_is_about_the_payment() {
        let message = "Invalid API Key provided: sk_live_1234";
        for status in [401, 403, 429, 500] {
            let error = response_with(status, Some(message.to_owned()));
            assert_eq!(error.failure(), &unavailable(), "{status}");
        }
        for status in [400, 402] {
            let error = response_with(status, Some("Your card has expired.".to_owned()));
            assert_eq!(error.failure().detail, "Your card has expired.", "{status}");
        }
    }

    #[test]
    fn a_long_message_is_truncated() {
        let page = "é".repeat(10_000);
        let error = response_with(400, Some(page));
        let detail = &error.failure().detail;
        assert_eq!(detail.chars().count(), MAX_REASON_CHARS + 1);
    }
}
