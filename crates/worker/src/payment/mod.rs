//! Charging an order: which token is sent, what the gateway's answer means, and what is tried again.

mod amount;
mod gateway;
mod outcome;

use domain::{Failure, FailureCode, Order, PaymentMethod};

pub(crate) use gateway::Gateway;
pub(crate) use outcome::ChargeError;

/// Charges the order once, whatever happens: the gateway knows it by the order's id. Returns the charge's id.
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
            span.record("error.type", error.failure().code.as_str());
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
        ChargeError::Passing(Failure::new(FailureCode::PaymentUnavailable, detail))
    })?;
    tracing::Span::current().record("payment.gateway", gateway.host());
    gateway.charge(order, token).await
}

/// The token to charge: the customer's, or the test token of the method. An amount of nothing is no payment.
#[tracing::instrument(name = "validate_payment_method", skip_all, fields(payment.method = method.as_str()))]
fn validate_payment_method(order: &Order, method: PaymentMethod) -> Result<&str, ChargeError> {
    if order.amount.minor() == 0 {
        let failure = Failure::new(FailureCode::AmountMismatch, "There is nothing to charge.");
        return Err(ChargeError::Final(failure));
    }
    let given = order.payment_token.as_ref();
    Ok(given.map_or(method.test_token(), |token| token.reveal()))
}
