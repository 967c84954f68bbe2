//! Stripe's error responses: `{"error":{"type":…,"code":…,"message":…,"param":…}}`.
//! <https://docs.stripe.com/api/errors>. A message never repeats a value of the request: the value may be a
//! card number or a key.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cards::Decline;

/// The rate limit allows a second's requests again after a second.
const RETRY_AFTER_SECONDS: &str = "1";

#[derive(Debug)]
pub(crate) struct StripeError {
    status: StatusCode,
    /// Boxed, so that a `Result` with this error stays small.
    body: Box<Body>,
}

#[derive(Debug, Serialize)]
struct Body {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'static str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_intent: Option<Value>,
}

impl StripeError {
    fn new(status: StatusCode, r#type: &'static str, message: impl Into<String>) -> Self {
        let body = Body {
            r#type,
            code: None,
            decline_code: None,
            message: message.into(),
            param: None,
            charge: None,
            payment_intent: None,
        };
        Self {
            status,
            body: Box::new(body),
        }
    }

    /// 400: the request is malformed.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// 400: the value of this parameter is invalid. `code` is one of <https://docs.stripe.com/error-codes>.
    pub(crate) fn parameter(param: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self::invalid(message).code(code).param(param)
    }

    /// 400: a required parameter is missing.
    pub(crate) fn missing(param: &str) -> Self {
        Self::parameter(
            param,
            "parameter_missing",
            format!("Missing required param: {param}."),
        )
    }

    /// 400: the request has a parameter beyond `known`.
    pub(crate) fn unknown_parameter(known: &[&str]) -> Self {
        let message = format!(
            "Received unknown parameter. Known parameters: {}.",
            known.join(", ")
        );
        Self::invalid(message).code("parameter_unknown")
    }

    /// 401: no API key, or one that is not accepted.
    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    /// 400: a parameter names a payment that does not exist.
    pub(crate) fn no_such_payment(param: &str) -> Self {
        Self::parameter(param, "resource_missing", "No such payment_intent.")
    }

    /// 404: the path names a payment that does not exist.
    pub(crate) fn payment_not_found() -> Self {
        let mut error = Self::no_such_payment("intent");
        error.status = StatusCode::NOT_FOUND;
        error
    }

    /// 404: Stripe's response to any unknown pair of method and path.
    pub(crate) fn unknown_url() -> Self {
        let message = "Unrecognized request URL. The payment sandbox supports /v1/payment_intents only.";
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    /// 413: a body above the limit.
    pub(crate) fn too_large() -> Self {
        let message = "The request body is too large.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
    }

    /// 400: the idempotency key was used with other parameters.
    pub(crate) fn other_parameters() -> Self {
        let message = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
        Self::new(StatusCode::BAD_REQUEST, "idempotency_error", message)
    }

    /// 400: the idempotency key was used for another path.
    pub(crate) fn other_endpoint() -> Self {
        let message =
            "Keys for idempotent requests can only be used for the same endpoint they were first used for.";
        Self::new(StatusCode::BAD_REQUEST, "idempotency_error", message)
    }

    /// 400: the intent's state does not allow the operation.
    pub(crate) fn unexpected_state(message: &str, payment_intent: Value) -> Self {
        let mut error = Self::invalid(message).code("payment_intent_unexpected_state");
        error.body.payment_intent = Some(payment_intent);
        error
    }

    /// 429: the requests are beyond the rate limit.
    pub(crate) fn rate_limited() -> Self {
        let message = "Request rate limit exceeded.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "invalid_request_error", message).code("rate_limit")
    }

    /// 409: another request with this idempotency key is in flight.
    pub(crate) fn key_in_use() -> Self {
        let message = "There is currently another in-progress request using this Idempotent Key. Please try again later.";
        Self::new(StatusCode::CONFLICT, "idempotency_error", message).code("idempotency_key_in_use")
    }

    /// 500: a failure of Stripe; in the sandbox always an injected one.
    pub(crate) fn outage() -> Self {
        let message = "An error was injected into the payment sandbox.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", message)
    }

    /// 402: the bank declined the card.
    pub(crate) fn declined(decline: &Decline, charge: Option<String>, payment_intent: Value) -> Self {
        let mut error = Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", decline.message);
        error.body.code = Some(decline.code);
        error.body.decline_code = decline.decline_code;
        error.body.charge = charge;
        error.body.payment_intent = Some(payment_intent);
        error
    }

    fn code(mut self, code: &'static str) -> Self {
        self.body.code = Some(code);
        self
    }

    /// Names the invalid parameter.
    pub(crate) fn param(mut self, param: &str) -> Self {
        self.body.param = Some(param.to_owned());
        self
    }
}

impl fmt::Display for StripeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.body.message)
    }
}

impl ResponseError for StripeError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header(("WWW-Authenticate", "Bearer realm=\"payment sandbox\""));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.insert_header(("Retry-After", RETRY_AFTER_SECONDS));
        }
        response.json(json!({ "error": self.body }))
    }
}
