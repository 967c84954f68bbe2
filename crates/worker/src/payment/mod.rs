//! Charges an order: which token is sent, what the gateway's responses mean, and when it gets requests at
//! all.

mod admission;
mod amount;
mod claimed;
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
use self::claimed::Claimed;
use self::error::unavailable;
use self::flow::Flow;
pub(crate) use self::gateway::Gateway;
pub(crate) use self::settlement::settle_unsettled_orders;
use crate::lease::Lease;
use crate::outcome::Stop;

/// An order that may be charged waits for a worker that has a gateway.
const DELAY_WITHOUT_GATEWAY: Duration = Duration::from_secs(60);

/// The payment of an order in one attempt.
pub(crate) struct Payment<'a> {
    gateway: Option<&'a Gateway>,
    claimed: Claimed<'a>,
}

impl<'a> Payment<'a> {
    pub(crate) fn new(
        gateway: Option<&'a Gateway>,
        store: &'a Store,
        order: &'a Order,
        lease: &'a Lease<'a>,
    ) -> Self {
        Self {
            gateway,
            claimed: Claimed::new(order, store, lease),
        }
    }

    /// Charges the order, once at the most over all attempts. Returns the id of its payment intent.
    #[tracing::instrument(
        name = "process_payment",
        skip_all,
        fields(
            order.id = %self.claimed.order.id,
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
                if let Some(error_type) = stop.error_type(self.claimed.order) {
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
        if !self.claimed.may_be_charged() {
            return Err(Stop::Failed(failure));
        }
        let Some(gateway) = self.gateway else {
            return Err(Stop::Waiting(unavailable(), DELAY_WITHOUT_GATEWAY));
        };
        let flow = Flow::begin(gateway, &self.claimed).await?;
        flow.settle(Stop::Failed(failure)).await
    }

    async fn charge(&self, method: PaymentMethod) -> Result<String, Stop> {
        let order = self.claimed.order;
        let token = validate_payment_method(order, method)?;
        let gateway = self.gateway.ok_or_else(|| {
            let detail = "This service has no payment gateway.";
            Stop::Retry(Failure::new(FailureCode::PaymentUnavailable, detail))
        })?;
        tracing::Span::current().record("payment.gateway", gateway.host());
        let amount = match stripe_amount(order.amount) {
            Ok(amount) => amount,
            // Another release may have charged it.
            Err(failure) => return self.settle(failure).await,
        };
        let flow = Flow::begin(gateway, &self.claimed).await?;
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
