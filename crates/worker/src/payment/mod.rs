//! Charges an order: which token is sent, what the gateway's response means, and what is retried.

mod amount;
mod client;
mod error;

use domain::{Failure, FailureCode, Order, PaymentMethod};

pub(crate) use client::Gateway;
pub(crate) use error::ChargeError;

/// Charges the order, at most once: all attempts send the same idempotency key. Returns the charge's id.
#[tracing::instrument(
    name = "process_payment",
    skip_all,
    fields(
        order.id = %order.id,
        payment.method = method.as_str(),
        payment.gateway,
        payment.id,
        error.type,
        otel.status_code,
    )
)]
pub(crate) async fn process_payment(
    gateway: Option<&Gateway>,
    order: &Order,
    method: PaymentMethod,
) -> Result<String, ChargeError> {
    let span = tracing::Span::current();
    let charged = charge(gateway, order, method).await;
    match &charged {
        Ok(payment_id) => {
            span.record("payment.id", payment_id);
        }
        Err(error) => {
            span.record("error.type", error.failure().code.label());
            span.record("otel.status_code", "ERROR");
        }
    }
    charged
}

async fn charge(
    gateway: Option<&Gateway>,
    order: &Order,
    method: PaymentMethod,
) -> Result<String, ChargeError> {
    let token = validate_payment_method(order, method)?;
    let gateway = gateway.ok_or_else(|| {
        let detail = "This service has no payment gateway.";
        ChargeError::Transient(Failure::new(FailureCode::PaymentUnavailable, detail))
    })?;
    tracing::Span::current().record("payment.gateway", gateway.host());
    gateway.charge(order, token).await
}

/// The token to charge: the customer's, or the test token of the method. An amount of 0 cannot be charged.
#[tracing::instrument(name = "validate_payment_method", skip_all, fields(payment.method = method.as_str()))]
fn validate_payment_method(order: &Order, method: PaymentMethod) -> Result<&str, ChargeError> {
    if order.amount.minor() == 0 {
        let failure = Failure::new(FailureCode::AmountMismatch, "There is nothing to charge.");
        return Err(ChargeError::Final(failure));
    }
    let customers = order.payment_token.as_ref();
    Ok(customers.map_or(method.test_token(), |token| token.reveal()))
}
