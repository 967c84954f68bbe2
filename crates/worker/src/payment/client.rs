//! The client of the payment gateway: one call in Stripe's wire format,
//! <https://docs.stripe.com/api/payment_intents/create>.

use std::time::Duration;

use domain::Order;
use reqwest::{Request, StatusCode, Url};
use serde::Deserialize;
use telemetry::http::client::Client;

use super::amount::stripe_amount;
use super::error::{ChargeError, GatewayError};
use crate::config::GatewayConfig;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gateway {
    client: Client,
    plain: reqwest::Client,
    intents: Url,
    host: String,
    key: String,
    timeout: Duration,
}

#[derive(Deserialize)]
struct PaymentIntent {
    id: String,
    status: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: GatewayError,
}

impl Gateway {
    pub(crate) fn new(config: GatewayConfig) -> anyhow::Result<Self> {
        let plain = reqwest::Client::builder().timeout(config.timeout).build()?;
        Ok(Self {
            client: Client::new(plain.clone()),
            plain,
            intents: config.url.join("/v1/payment_intents")?,
            host: config.url.host_str().unwrap_or_default().to_owned(),
            key: config.key,
            timeout: config.timeout,
        })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The timeout of a call.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Charges the order with this token, and returns the charge's id. Safe to repeat: the gateway returns
    /// the same result for the same idempotency key.
    pub(crate) async fn charge(&self, order: &Order, token: &str) -> Result<String, ChargeError> {
        let amount = stripe_amount(order.amount).map_err(ChargeError::Final)?;
        let request = self.request(order, amount, token)?;
        // Each earlier attempt may have sent this request.
        let resends = u32::try_from(order.attempt.number() - 1).unwrap_or(0);
        let response = self.client.execute_again(request, resends).await?;
        let status = response.status();
        // An incomplete response may still mean a charge.
        let body = response.bytes().await?;
        if status == StatusCode::OK {
            read_intent(&body)
        } else {
            let error = serde_json::from_slice(&body)
                .map_or_else(|_| GatewayError::default(), |body: ErrorBody| body.error);
            Err(ChargeError::from_response(status, error))
        }
    }

    fn request(&self, order: &Order, amount: i64, token: &str) -> Result<Request, reqwest::Error> {
        let id = order.id.to_string();
        let key = order.charge_key();
        #[cfg(feature = "sabotage")]
        let key = crate::sabotage::idempotency_key(order, key);
        self.plain
            .post(self.intents.clone())
            .bearer_auth(&self.key)
            .header("Idempotency-Key", &key)
            .form(&[
                ("amount", amount.to_string().as_str()),
                ("currency", &order.amount.currency().code().to_ascii_lowercase()),
                ("payment_method", token),
                ("confirm", "true"),
                ("automatic_payment_methods[enabled]", "true"),
                ("automatic_payment_methods[allow_redirects]", "never"),
                ("metadata[order_id]", &id),
            ])
            .build()
    }
}

fn read_intent(body: &[u8]) -> Result<String, ChargeError> {
    match serde_json::from_slice::<PaymentIntent>(body) {
        Ok(intent) if intent.status == "succeeded" => Ok(intent.id),
        Ok(intent) => Err(ChargeError::not_succeeded(&intent.status)),
        // Perhaps the page of a proxy. Whether the order was charged is unknown: it is retried.
        Err(_) => Err(ChargeError::from_response(
            StatusCode::BAD_GATEWAY,
            GatewayError::default(),
        )),
    }
}
