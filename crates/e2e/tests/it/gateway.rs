//! The payment gateway is unavailable while orders arrive: they wait, none fails, and each is charged once.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Proxy, Service};

use crate::shop::{Shop, widget};

/// Orders with a payment that arrive during the outage, and the pause between two.
const ORDERS: usize = 80;
const PAUSE: Duration = Duration::from_millis(125);
/// Every eighth of them is followed by an order without a payment.
const UNPAID: usize = 8;
/// A payment needs two requests: one that creates it, and one that confirms it. An outage may add a fifth.
const MAX_REQUESTS: usize = ORDERS * 2 * 12 / 10;

/// The end of an outage.
#[derive(Clone, Copy, PartialEq)]
enum Repair {
    AfterTheLastOrder,
    Never,
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_while_the_gateway_responds_500() {
    outage(Some(json!({ "error_rate": 1.0 })), Repair::AfterTheLastOrder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_while_the_gateway_hangs() {
    outage(Some(json!({ "hang_rate": 1.0 })), Repair::AfterTheLastOrder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_while_the_gateway_refuses_connections() {
    outage(None, Repair::AfterTheLastOrder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_while_the_gateway_rejects_the_services_key() {
    outage(Some(json!({ "unauthorized": true })), Repair::AfterTheLastOrder).await;
}

/// 16 requests per second arrive.
#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_for_a_gateway_that_accepts_ten_requests_per_second() {
    outage(Some(json!({ "rate_limit_per_second": 10 })), Repair::Never).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_circuit_breaker_is_detected() {
    let proxy = Proxy::start(NOWHERE).await.unwrap();
    let shop = Shop::open_sabotaged("breaker", &env(&proxy)).await;
    let errors = Some(json!({ "error_rate": 1.0 }));
    let requests = requests_of_outage(&shop, &proxy, errors, Repair::AfterTheLastOrder).await;
    assert!(requests > MAX_REQUESTS, "{requests} requests");
}

/// The proxy's target before the gateway's port is known.
const NOWHERE: &str = "http://127.0.0.1:1";

fn env(proxy: &Proxy) -> [(Service, &str, &str); 2] {
    [
        (Service::Worker, "PAYMENT_GATEWAY_URL", proxy.url()),
        (Service::Worker, "PAYMENT_TIMEOUT", "1s"),
    ]
}

async fn outage(faults: Option<Value>, repair: Repair) {
    let proxy = Proxy::start(NOWHERE).await.unwrap();
    let shop = Shop::open_with(&env(&proxy)).await;
    let requests = requests_of_outage(&shop, &proxy, faults, repair).await;
    assert!(requests <= MAX_REQUESTS, "{requests} requests");
}

/// Without faults, the gateway refuses connections.
async fn requests_of_outage(shop: &Shop, proxy: &Proxy, faults: Option<Value>, repair: Repair) -> usize {
    proxy.retarget(&shop.stack.url(Service::Gateway)).unwrap();
    match &faults {
        Some(faults) => shop.gateway_faults(faults).await,
        None => proxy.cut().await,
    }

    let mut payable = widget();
    payable["payment_method"] = "credit_card".into();
    let (mut paid, mut unpaid) = (Vec::new(), Vec::new());
    let mut arrivals = tokio::time::interval(PAUSE);
    for number in 0..ORDERS {
        arrivals.tick().await;
        paid.push(shop.order(&payable).await);
        if number % UNPAID == 0 {
            unpaid.push(shop.order(&widget()).await);
        }
    }
    // They do not wait for the gateway.
    for id in unpaid {
        assert_eq!(shop.final_order(&id).await["status"], "completed");
    }
    if repair == Repair::AfterTheLastOrder {
        shop.gateway_faults(&json!({})).await;
        proxy.restore().await.unwrap();
    }
    for id in &paid {
        let order = shop.final_order(id).await;
        assert_eq!(order["status"], "completed", "{order}");
    }
    let requests = requests(shop).await;
    shop.gateway_faults(&json!({})).await;
    for id in &paid {
        assert_eq!(shop.charges(id).await, 1);
    }
    requests
}

/// How many requests the gateway got from the worker.
async fn requests(shop: &Shop) -> usize {
    let url = format!("{}/sandbox/stats", shop.stack.url(Service::Gateway));
    let stats: Value = shop.http.get(url).send().await.unwrap().json().await.unwrap();
    usize::try_from(stats["requests"].as_u64().unwrap()).unwrap()
}
