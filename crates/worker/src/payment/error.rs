//! What a gateway's response means. The only place that decides it.

use std::time::Duration;

use domain::{Failure, FailureCode};
use reqwest::StatusCode;
use serde::Deserialize;

use super::intent::Intent;

/// Maximum length of the gateway's message, in characters: longer ones, such as a proxy's page, are cut off.
const MAX_REASON_CHARS: usize = 300;

/// Why a request was not successful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// No response in time. The gateway may have executed the request.
    Timeout,
    /// No complete response, an error of the gateway's own, or a response of something in front of it. It may
    /// have executed the request.
    Unreachable,
    /// 429, with the value of `Retry-After`.
    RateLimited(Option<Duration>),
    /// The rate at which this worker may send requests is used up: nothing was sent.
    NoPermit,
    /// The gateway rejects the service's key (401, 403), not the payment.
    CredentialsRejected,
    /// Another request with this idempotency key is in progress.
    InFlight,
    /// The gateway repeats the error that it stored under this idempotency key.
    StoredError,
    /// The idempotency key was used for a request with other parameters.
    KeyReused,
    /// The intent does not allow this in the status that it has.
    UnexpectedState(Box<Intent>),
    /// The bank declined the payment; with the gateway's reason, and the intent of it.
    Declined(String, Option<Box<Intent>>),
    /// The gateway has no such intent.
    NotFound,
    /// The gateway rejects the request, and would reject it again; with its reason.
    Rejected(String),
}

/// A response that is not a success.
pub(super) struct ErrorResponse {
    pub(super) status: StatusCode,
    /// Whether the header `Idempotent-Replayed` is `true`.
    pub(super) replayed: bool,
    pub(super) retry_after: Option<Duration>,
    /// `None` if the body is not one of the gateway's errors.
    pub(super) error: Option<GatewayError>,
}

impl ErrorResponse {
    /// The gateway's message about this payment is stored, for the client. Its message about the service's
    /// credentials is only logged, for the operator.
    pub(super) fn meaning(self) -> CallError {
        let status = self.status;
        let is_of_gateway = self.error.is_some();
        let error = self.error.unwrap_or_default();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let reason = error.reason(status);
                let error = CredentialsRejected { status, reason };
                telemetry::log_error!(error, "no order can be charged until this is repaired");
                CallError::CredentialsRejected
            }
            StatusCode::CONFLICT => CallError::InFlight,
            StatusCode::TOO_MANY_REQUESTS => CallError::RateLimited(self.retry_after),
            // The server closed an idle connection at the moment the request was sent (RFC 9110, 15.5.9).
            StatusCode::REQUEST_TIMEOUT => CallError::Unreachable,
            _ if status.is_server_error() && self.replayed => CallError::StoredError,
            // Also the 404 of a load balancer that has no route to the gateway, and redirects, which are not
            // followed.
            _ if !(status.is_client_error() && is_of_gateway) => CallError::Unreachable,
            StatusCode::PAYMENT_REQUIRED => {
                let intent = error.payment_intent.clone();
                CallError::Declined(error.reason(status), intent)
            }
            StatusCode::NOT_FOUND if error.code.as_deref() == Some("resource_missing") => CallError::NotFound,
            _ if error.kind.as_deref() == Some("idempotency_error") => CallError::KeyReused,
            _ => match error {
                GatewayError {
                    code: Some(code),
                    payment_intent: Some(intent),
                    ..
                } if code == "payment_intent_unexpected_state" => CallError::UnexpectedState(intent),
                error => CallError::Rejected(error.reason(status)),
            },
        }
    }
}

impl CallError {
    /// Whether other orders would meet the same error now.
    pub(super) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Unreachable
                | Self::RateLimited(_)
                | Self::NoPermit
                | Self::CredentialsRejected
        )
    }

    /// What the client reads while the order waits.
    pub(super) fn waiting_failure(&self) -> Failure {
        match self {
            Self::Timeout => {
                let detail = "The payment gateway did not respond in time.";
                Failure::new(FailureCode::PaymentTimeout, detail)
            }
            _ => unavailable(),
        }
    }
}

/// A call without a complete response.
impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else {
            Self::Unreachable
        }
    }
}

pub(super) fn unavailable() -> Failure {
    let detail = "The payment gateway cannot be reached at the moment.";
    Failure::new(FailureCode::PaymentUnavailable, detail)
}

pub(super) fn processing() -> Failure {
    let detail = "The payment gateway is still working on the payment.";
    Failure::new(FailureCode::PaymentUnavailable, detail)
}

pub(super) fn declined(reason: impl Into<String>) -> Failure {
    Failure::new(FailureCode::CardDeclined, reason)
}

pub(super) fn rejected(reason: impl Into<String>) -> Failure {
    Failure::new(FailureCode::PaymentRejected, reason)
}

/// The part of Stripe's error body that is used, <https://docs.stripe.com/api/errors>.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GatewayError {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    message: Option<String>,
    payment_intent: Option<Box<Intent>>,
}

impl GatewayError {
    /// The gateway's message, or one with its status.
    fn reason(self, status: StatusCode) -> String {
        let mut reason = self
            .message
            .unwrap_or_else(|| format!("The payment gateway responded {status}."));
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

    fn meaning(status: u16, replayed: bool, error: &str) -> CallError {
        let response = ErrorResponse {
            status: StatusCode::from_u16(status).unwrap(),
            replayed,
            retry_after: Some(Duration::from_secs(3)),
            error: serde_json::from_str(error).ok(),
        };
        response.meaning()
    }

    #[test]
    fn an_error_of_the_gateway_or_of_the_service_is_an_outage() {
        for status in [301, 307, 401, 403, 408, 429, 500, 502, 503, 504] {
            let error = meaning(
                status,
                false,
                r#"{"message":"Invalid API Key provided: sk_live_1234"}"#,
            );
            assert!(error.is_outage(), "{status}");
            assert_eq!(error.waiting_failure(), unavailable(), "{status}");
        }
        let limited = CallError::RateLimited(Some(Duration::from_secs(3)));
        assert_eq!(meaning(429, false, "{}"), limited);
    }

    /// Orders would fail for good while a load balancer has no route to the gateway.
    #[test]
    fn a_response_that_is_not_of_the_gateway_is_an_outage() {
        for status in [202, 400, 402, 404, 405, 413, 451] {
            let error = meaning(status, false, "<h1>default backend</h1>");
            assert_eq!(error, CallError::Unreachable, "{status}");
        }
        assert_eq!(meaning(202, false, "{}"), CallError::Unreachable);
    }

    #[test]
    fn an_error_about_one_payment_is_no_outage() {
        for status in [400, 402, 404, 409, 422] {
            assert!(!meaning(status, false, "{}").is_outage(), "{status}");
        }
        for replayed in [false, true] {
            let error = meaning(400, replayed, r#"{"message":"Amount must be positive."}"#);
            assert_eq!(error, CallError::Rejected("Amount must be positive.".to_owned()));
        }
        let error = meaning(402, false, r#"{"message":"Your card has expired."}"#);
        assert_eq!(
            error,
            CallError::Declined("Your card has expired.".to_owned(), None)
        );
    }

    #[test]
    fn a_stored_error_is_no_outage() {
        assert_eq!(meaning(500, true, "{}"), CallError::StoredError);
        assert_eq!(meaning(500, false, "{}"), CallError::Unreachable);
    }

    #[test]
    fn stripes_codes_are_read() {
        let error = r#"{"type":"idempotency_error","message":"Keys for idempotent requests ..."}"#;
        assert_eq!(meaning(400, false, error), CallError::KeyReused);
        let error = r#"{"type":"invalid_request_error","code":"resource_missing"}"#;
        assert_eq!(meaning(404, false, error), CallError::NotFound);
        let error = r#"{"code":"payment_intent_unexpected_state",
            "payment_intent":{"id":"pi_1","status":"succeeded"}}"#;
        let CallError::UnexpectedState(intent) = meaning(400, false, error) else {
            panic!("not an unexpected state");
        };
        assert_eq!(intent.id, "pi_1");
    }

    #[test]
    fn a_long_message_is_truncated() {
        let message = "é".repeat(10_000);
        let error = meaning(400, false, &format!(r#"{{"message":"{message}"}}"#));
        let CallError::Rejected(reason) = error else {
            panic!("not rejected");
        };
        assert_eq!(reason.chars().count(), MAX_REASON_CHARS + 1);
    }
}
