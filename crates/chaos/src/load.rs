//! The load: an open loop, which sends orders at a constant rate, independent of the responses. Half of the
//! orders have a payment. Three clients in four send an Idempotency-Key, and repeat a request until it is
//! accepted; the others send each request once.

use std::time::Duration;

use fastrand::Rng;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::audit::product_name;
use crate::balancer::LoadBalancer;
use crate::client::{Client, Clients, Plan};
use crate::deployment::Deployment;

/// The share of the orders above HIGH_VALUE_THRESHOLD.
const HIGH_VALUE_RATE: f64 = 0.1;

/// Pause before a request is repeated, and how often it is.
const REPEAT_DELAY: Duration = Duration::from_millis(500);
const MAX_REPEATS: usize = 80;

/// What the clients do besides creating their orders.
#[derive(Clone, Copy)]
pub(crate) struct Mix {
    /// The share of the orders with a payment whose card is declined.
    pub(crate) declined: f64,
    /// Whether clients follow, read, cancel and retry their orders.
    pub(crate) plans: bool,
}

/// The responses that the clients got to the requests that create orders.
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

/// Sends `orders` orders within about `window`. Returns once each is accepted or not; the clients go on.
pub(crate) async fn send(
    deployment: &Deployment,
    round: usize,
    orders: u32,
    window: Duration,
    mix: Mix,
    mut rng: Rng,
) -> (Responses, Clients) {
    let rate = f64::from(orders) / window.as_secs_f64();
    let (created, mut all_created) = mpsc::unbounded_channel();
    let mut clients = Clients::default();
    let mut at = Instant::now();
    for number in 0..orders {
        at += poisson_pause(&mut rng, rate);
        sleep_until(at).await;
        let is_declined = number.is_multiple_of(2) && rng.f64() < mix.declined;
        let creation = Creation {
            balancer: deployment.balancer.clone(),
            http: deployment.http.clone(),
            number,
            body: body(round, number, is_declined, &mut rng),
            key: (!number.is_multiple_of(4)).then(|| Uuid::from_u128(rng.u128(..))),
        };
        let plan = mix.plans.then(|| Plan::draw(is_declined, &mut rng));
        let created = created.clone();
        clients.spawn(async move |end| {
            let (balancer, http) = (creation.balancer.clone(), creation.http.clone());
            let responses = creation.run().await;
            let accepted = responses.iter().find_map(|response| match response {
                Response::Accepted(order) => Some(*order),
                _ => None,
            });
            // The receiver is dropped only when the run has failed.
            let _ = created.send(responses);
            drop(created);
            let client = Client {
                balancer,
                http,
                number,
                order: accepted?,
            };
            Some(client.run(plan?, end).await)
        });
    }
    drop(created);
    let mut responses = Responses::default();
    while let Some(of_client) = all_created.recv().await {
        responses.add(&of_client);
    }
    (responses, clients)
}

impl Responses {
    fn add(&mut self, of_client: &[Response]) {
        let accepted = self.accepted.len();
        for response in of_client {
            match response {
                Response::Accepted(id) => self.accepted.push(*id),
                Response::Refused => self.refused += 1,
                Response::Missing => self.missing += 1,
            }
        }
        let is_repeated = of_client.len() > MAX_REPEATS;
        self.unaccepted += usize::from(is_repeated && self.accepted.len() == accepted);
    }
}

/// The creation of one order.
struct Creation {
    balancer: LoadBalancer,
    http: reqwest::Client,
    number: u32,
    body: Value,
    /// Without one, the request is not repeated.
    key: Option<Uuid>,
}

impl Creation {
    /// The responses, up to the one that accepts the order.
    async fn run(self) -> Vec<Response> {
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

fn body(round: usize, number: u32, is_declined: bool, rng: &mut Rng) -> Value {
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
        if is_declined {
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
