//! Charges an order: which token is sent, what the gateway's responses mean, and when it gets requests at
//! all.

mod admission;
mod amount;
mod error;
mod flow;
mod gateway;
mod intent;
mod lookup;
mod settlement;

use std::time::Duration;

use domain::{Failure, FailureCode, Order, PaymentMethod};
use store::Store;

use self::amount::stripe_amount;
use self::error::unavailable;
use self::flow::Flow;
pub(crate) use self::gateway::Gateway;
pub(crate) use self::settlement::settle_unsettled_orders;
use crate::lease::Lease;
use crate::outcome::Stop;

/// An order with an intent waits for a worker that has a gateway.
const DELAY_WITHOUT_GATEWAY: Duration = Duration::from_secs(60);

/// What the payment of an order needs.
#[derive(Clone, Copy)]
pub(crate) struct Payment<'a> {
    pub(crate) gateway: Option<&'a Gateway>,
    pub(crate) store: &'a Store,
    pub(crate) order: &'a Order,
    pub(crate) lease: &'a Lease<'a>,
}

impl Payment<'_> {
    /// Charges the order, once at the most over all attempts. Returns the id of its payment intent.
    #[tracing::instrument(
        name = "process_payment",
        skip_all,
        fields(
            order.id = %self.order.id,
            payment.method = method.as_str(),
            payment.gateway,
            payment.id,
            error.type,
            otel.status_code,
        )
    )]
    pub(crate) async fn process(&self, method: PaymentMethod) -> Result<String, Stop> {
        let span = tracing::Span::current();
        let charged = self.charge(method).await;
        match &charged {
            Ok(payment_id) => {
                span.record("payment.id", payment_id);
            }
            Err(stop) => {
                if let Some(error_type) = stop.error_type(self.order) {
                    span.record("error.type", error_type);
                    span.record("otel.status_code", "ERROR");
                }
            }
        }
        charged
    }

    /// Makes sure that nothing can charge the order any more, so that it may fail with `failure`. If it was
    /// charged already, returns the id of its payment intent.
    pub(crate) async fn settle(&self, failure: Failure) -> Result<String, Stop> {
        let order = self.order;
        if order.payment_id.is_none() && !order.may_have_unrecorded_charge() {
            return Err(Stop::Failed(failure));
        }
        let Some(gateway) = self.gateway else {
            return Err(match order.payment_id {
                Some(_) => Stop::Waiting(unavailable(), DELAY_WITHOUT_GATEWAY),
                None => Stop::Failed(failure),
            });
        };
        let flow = Flow::begin(gateway, self.store, order, self.lease).await?;
        flow.settle(failure).await
    }

    async fn charge(&self, method: PaymentMethod) -> Result<String, Stop> {
        let token = validate_payment_method(self.order, method)?;
        let gateway = self.gateway.ok_or_else(|| {
            let detail = "This service has no payment gateway.";
            Stop::Retry(Failure::new(FailureCode::PaymentUnavailable, detail))
        })?;
        tracing::Span::current().record("payment.gateway", gateway.host());
        let amount = stripe_amount(self.order.amount).map_err(Stop::Failed)?;
        let flow = Flow::begin(gateway, self.store, self.order, self.lease).await?;
        flow.pay(amount, token).await
    }
}

/// The token to charge: the customer's, or the test token of the method. An amount of 0 cannot be charged.
#[tracing::instrument(name = "validate_payment_method", skip_all, fields(payment.method = method.as_str()))]
fn validate_payment_method(order: &Order, method: PaymentMethod) -> Result<&str, Stop> {
    if order.amount.minor() == 0 {
        let failure = Failure::new(FailureCode::AmountMismatch, "There is nothing to charge.");
        return Err(Stop::Failed(failure));
    }
    let customers = order.payment_token.as_ref();
    Ok(customers.map_or(method.test_token(), |token| token.reveal()))
}
