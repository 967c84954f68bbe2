//! The load: an open loop, which sends orders at a constant rate, independent of the responses. Half of the
//! orders have a payment. Three clients in four send an Idempotency-Key, and repeat a request until it is
//! accepted; the others send each request once.

use std::time::Duration;

use fastrand::Rng;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::audit::product_name;
use crate::balancer::LoadBalancer;
use crate::deployment::Deployment;

/// The share of the orders with a payment whose card is declined.
const DECLINED_RATE: f64 = 0.05;
/// The share of the orders above HIGH_VALUE_THRESHOLD.
const HIGH_VALUE_RATE: f64 = 0.1;

/// Pause before a request is repeated, and how often it is.
const REPEAT_DELAY: Duration = Duration::from_millis(500);
const MAX_REPEATS: usize = 80;

/// The responses that the clients got.
#[derive(Debug, Default)]
pub(crate) struct Responses {
    /// The ids in responses of 201.
    pub(crate) accepted: Vec<Uuid>,
    /// Responses with another status: the client knows that it must retry.
    pub(crate) refused: usize,
    /// Requests without a response: the order may exist or not.
    pub(crate) missing: usize,
    /// Orders that were not accepted although their requests were repeated.
    pub(crate) unaccepted: usize,
}

#[derive(Clone, Copy)]
enum Response {
    Accepted(Uuid),
    Refused,
    Missing,
}

/// Sends `orders` orders within about `window`.
pub(crate) async fn send(
    deployment: &Deployment,
    round: usize,
    orders: u32,
    window: Duration,
    mut rng: Rng,
) -> Responses {
    let rate = f64::from(orders) / window.as_secs_f64();
    let mut requests = JoinSet::new();
    let mut at = Instant::now();
    for number in 0..orders {
        at += poisson_pause(&mut rng, rate);
        sleep_until(at).await;
        let client = Client {
            balancer: deployment.balancer.clone(),
            http: deployment.http.clone(),
            number,
            body: body(round, number, &mut rng),
            key: (!number.is_multiple_of(4)).then(|| Uuid::from_u128(rng.u128(..))),
        };
        requests.spawn(client.order());
    }
    let mut responses = Responses::default();
    for of_client in requests.join_all().await {
        let (mut accepted, repeats) = (None, of_client.len() > MAX_REPEATS);
        for response in of_client {
            match response {
                Response::Accepted(id) => accepted = Some(id),
                Response::Refused => responses.refused += 1,
                Response::Missing => responses.missing += 1,
            }
        }
        responses.accepted.extend(accepted);
        responses.unaccepted += usize::from(repeats && accepted.is_none());
    }
    responses
}

/// A client with one order.
struct Client {
    balancer: LoadBalancer,
    http: reqwest::Client,
    number: u32,
    body: Value,
    /// Without one, the request is not repeated.
    key: Option<Uuid>,
}

impl Client {
    /// The responses, up to the one that accepts the order.
    async fn order(self) -> Vec<Response> {
        let mut responses = Vec::new();
        loop {
            let response = self.create().await;
            responses.push(response);
            let done = matches!(response, Response::Accepted(_)) || self.key.is_none();
            if done || responses.len() > MAX_REPEATS {
                return responses;
            }
            sleep(REPEAT_DELAY).await;
        }
    }

    /// Tries the other replica only after a refused connection, because then nothing was sent. Any other
    /// failure is the client's result.
    async fn create(&self) -> Response {
        for url in self.balancer.route(self.number) {
            let mut request = self.http.post(format!("{url}/api/orders")).json(&self.body);
            if let Some(key) = self.key {
                request = request.header("Idempotency-Key", key.to_string());
            }
            match request.send().await {
                Ok(response) if response.status() == StatusCode::CREATED => {
                    let order = response.json::<Value>().await.ok();
                    let id = order.and_then(|order| order.get("id")?.as_str()?.parse().ok());
                    return id.map_or(Response::Missing, Response::Accepted);
                }
                Ok(_) => return Response::Refused,
                Err(error) if error.is_connect() => {}
                Err(_) => return Response::Missing,
            }
        }
        Response::Refused
    }
}

/// The pause before the next request of independent clients (a Poisson process) with `rate` requests a second
/// on average.
fn poisson_pause(rng: &mut Rng, rate: f64) -> Duration {
    Duration::from_secs_f64(-(1.0 - rng.f64()).ln() / rate)
}

fn body(round: usize, number: u32, rng: &mut Rng) -> Value {
    let amount = if rng.f64() < HIGH_VALUE_RATE {
        "1500"
    } else {
        "9.99"
    };
    let mut body = json!({ "product_name": product_name(round, number), "amount": amount });
    if number.is_multiple_of(2)
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("payment_method".to_owned(), "credit_card".into());
        if rng.f64() < DECLINED_RATE {
            let declined = "pm_card_chargeDeclined";
            fields.insert("payment_token".to_owned(), declined.into());
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_pauses_and_they_have_the_given_rate() {
        let pauses = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..10_000)
                .map(|_| poisson_pause(&mut rng, 50.0))
                .collect::<Vec<Duration>>()
        };
        assert_eq!(pauses(7), pauses(7));
        assert_ne!(pauses(7), pauses(8));
        let all: Duration = pauses(7).iter().sum();
        assert!((190..210).contains(&all.as_secs()), "{all:?}");
    }
}
