//! A steady load: orders at a constant rate, independent of the responses (an open loop).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, interval};
use uuid::Uuid;

/// Orders per second.
pub(crate) const MAX_RATE: u32 = 500;
/// Requests without a response, beyond which orders are left out.
const MAX_IN_FLIGHT: usize = 1_000;
/// Accepted orders that are not yet counted.
const MAX_UNCOUNTED: usize = 1_000_000;
const TICK: Duration = Duration::from_millis(20);
/// A pause of this process is not made up for.
const MAX_CATCH_UP: Duration = Duration::from_secs(1);

const PRODUCTS: [(&str, &str); 5] = [
    ("Teapot", "39.90"),
    ("Espresso machine", "1249.00"),
    ("Cups, set of six", "24.50"),
    ("Kettle", "59.00"),
    ("Grinder", "189.00"),
];

/// A token for the api; `None` where it needs none.
pub(crate) type Token = Arc<dyn Fn() -> Option<String> + Send + Sync>;

pub(crate) struct Load {
    rate: watch::Sender<u32>,
    counts: Mutex<Counts>,
    url: String,
    token: Token,
    http: reqwest::Client,
}

/// What became of the requests since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    /// Responses other than 201.
    pub(crate) refused: u64,
    /// Requests without a response: the order may exist or not.
    pub(crate) unknown: u64,
    /// Not sent, because too many requests have no response yet.
    pub(crate) left_out: u64,
    /// The ids in responses of 201 that were not taken yet.
    ids: Vec<Uuid>,
}

impl Load {
    pub(crate) fn new(api: &str, token: Token, http: reqwest::Client) -> Self {
        Self {
            rate: watch::channel(0).0,
            counts: Mutex::default(),
            url: format!("{api}/api/orders"),
            token,
            http,
        }
    }

    pub(crate) fn rate(&self) -> u32 {
        *self.rate.borrow()
    }

    /// Orders per second from now on; [`MAX_RATE`] at most.
    pub(crate) fn set_rate(&self, rate: u32) {
        self.rate.send_replace(rate.min(MAX_RATE));
    }

    pub(crate) fn counts(&self) -> Counts {
        self.change(|counts| Counts {
            ids: Vec::new(),
            ..*counts
        })
    }

    /// The ids of the orders that were accepted since the last call.
    pub(crate) fn take_accepted(&self) -> Vec<Uuid> {
        self.change(|counts| std::mem::take(&mut counts.ids))
    }

    /// Sends the orders. Never returns.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut rate = self.rate.subscribe();
        let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        loop {
            // The sender is in `self`.
            let _ = rate.wait_for(|rate| *rate > 0).await;
            let (mut ticks, mut last, mut due) = (interval(TICK), Instant::now(), 0.0);
            while *rate.borrow() > 0 {
                ticks.tick().await;
                let elapsed = last.elapsed().min(MAX_CATCH_UP);
                last = Instant::now();
                due += f64::from(*rate.borrow()) * elapsed.as_secs_f64();
                let token = if due >= 1.0 { (self.token)() } else { None };
                while due >= 1.0 {
                    due -= 1.0;
                    let Ok(place) = in_flight.clone().try_acquire_owned() else {
                        self.change(|counts| counts.left_out += 1);
                        continue;
                    };
                    let (load, token) = (self.clone(), token.clone());
                    tokio::spawn(async move {
                        load.send(token).await;
                        drop(place);
                    });
                }
            }
        }
    }

    async fn send(&self, token: Option<String>) {
        let mut request = self.http.post(&self.url).json(&body());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let accepted = match request.send().await {
            Ok(response) if response.status() == StatusCode::CREATED => {
                let order: Option<Value> = response.json().await.ok();
                order.and_then(|order| order.get("id")?.as_str()?.parse().ok())
            }
            Ok(_) => return self.change(|counts| counts.refused += 1),
            Err(_) => None,
        };
        self.change(|counts| match accepted {
            Some(id) => {
                counts.accepted += 1;
                if counts.ids.len() < MAX_UNCOUNTED {
                    counts.ids.push(id);
                }
            }
            None => counts.unknown += 1,
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Two orders in three are paid by card; of these, one in fifty is declined.
fn body() -> Value {
    let (product, price) = fastrand::choice(PRODUCTS).unwrap_or(("Teapot", "39.90"));
    let mut order = json!({ "product_name": product, "amount": price });
    let mut set = |name: &str, value: &str| {
        if let Some(fields) = order.as_object_mut() {
            fields.insert(name.to_owned(), value.into());
        }
    };
    if fastrand::u8(..3) > 0 {
        set("payment_method", "credit_card");
        if fastrand::u8(..50) == 0 {
            set("payment_token", "pm_card_chargeDeclined");
        }
    }
    order
}
