//! The open loop: orders at a steady rate, whatever becomes of those before. Half of them are to be charged.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::schedule::Seeded;
use crate::shop::{Front, Shop};

/// Of the orders that are to be charged, how many have a card that is declined.
const DECLINED: f64 = 0.05;

/// What the clients were told.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// 201, with these ids.
    pub(crate) accepted: Vec<Uuid>,
    /// Any other status: the client knows that it has to come again.
    pub(crate) refused: usize,
    /// None: the order may exist or not.
    pub(crate) unanswered: usize,
}

enum Answer {
    Accepted(Uuid),
    Refused,
    Unanswered,
}

/// Sends `orders` within about `window`.
pub(crate) async fn send(
    shop: &Shop,
    round: usize,
    orders: u32,
    window: Duration,
    mut seeded: Seeded,
) -> Answers {
    let rate = f64::from(orders) / window.as_secs_f64();
    let mut requests = JoinSet::new();
    let mut at = Instant::now();
    for number in 0..orders {
        at += seeded.pause(rate);
        sleep_until(at).await;
        let body = body(round, number, &mut seeded);
        requests.spawn(create(shop.front.clone(), shop.http.clone(), number, body));
    }
    let mut answers = Answers::default();
    for answer in requests.join_all().await {
        match answer {
            Answer::Accepted(id) => answers.accepted.push(id),
            Answer::Refused => answers.refused += 1,
            Answer::Unanswered => answers.unanswered += 1,
        }
    }
    answers
}

/// The name of an order's product tells its round.
pub(crate) fn product(round: usize) -> String {
    format!("round {round}")
}

fn body(round: usize, number: u32, seeded: &mut Seeded) -> Value {
    let amount = if seeded.chance(0.1) { "1500" } else { "9.99" };
    let mut body = json!({ "product_name": product(round), "amount": amount });
    if number.is_multiple_of(2)
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("payment_method".to_owned(), "credit_card".into());
        if seeded.chance(DECLINED) {
            let declined = "pm_card_chargeDeclined";
            fields.insert("payment_token".to_owned(), declined.into());
        }
    }
    body
}

/// Another replica is tried where a connection is refused, for then nothing was sent; any other failure is the client's to see.
async fn create(front: Front, http: reqwest::Client, number: u32, body: Value) -> Answer {
    for url in front.route(number) {
        let sent = http.post(format!("{url}/api/orders")).json(&body).send();
        match sent.await {
            Ok(answer) if answer.status() == StatusCode::CREATED => {
                return match answer.json::<Value>().await.map(|order| id(&order)) {
                    Ok(Some(id)) => Answer::Accepted(id),
                    _ => Answer::Unanswered,
                };
            }
            Ok(_) => return Answer::Refused,
            Err(error) if error.is_connect() => {}
            Err(_) => return Answer::Unanswered,
        }
    }
    Answer::Refused
}

fn id(order: &Value) -> Option<Uuid> {
    order.get("id")?.as_str()?.parse().ok()
}
