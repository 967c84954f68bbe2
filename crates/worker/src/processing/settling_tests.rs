//! An order that may be charged fails only after its payment has ended, whatever the gateway, or something in
//! front of it, responds.

use std::future::ready;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use domain::{Actor, OrderId, OrderStatus};
use serde_json::json;
use tokio::time::timeout;

use super::tests::paused_payment;
use crate::config::GatewayConfig;
use crate::outcome::Stop;
use crate::payment::Gateway;
use crate::shop::{MINUTE, Shop};

type Respond = fn(&HttpRequest) -> HttpResponse;

/// A gateway whose responses are these.
async fn gateway_that(respond: Respond) -> Gateway {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = move || App::new().default_service(web::to(move |request| ready(respond(&request))));
    let server = HttpServer::new(app).workers(1).disable_signals();
    tokio::spawn(server.listen(listener).unwrap().run());
    let config = GatewayConfig {
        url: url.parse().unwrap(),
        key: "sk_test_worker".into(),
        timeout: Duration::from_secs(2),
        max_per_second: None,
    };
    Gateway::new(config, 64).unwrap()
}

/// As a load balancer without a route to the gateway responds.
fn no_route(_: &HttpRequest) -> HttpResponse {
    HttpResponse::NotFound().body("default backend - 404")
}

/// As a gateway responds that does not accept the version of the API, for instance.
fn rejected(_: &HttpRequest) -> HttpResponse {
    let error = json!({ "type": "invalid_request_error", "message": "Invalid API version." });
    HttpResponse::BadRequest().json(json!({ "error": error }))
}

/// A replay of the error under which the gateway stored the confirmation, which charged.
fn charged(request: &HttpRequest) -> HttpResponse {
    let (path, succeeded) = (request.path(), json!({ "id": "pi_1", "status": "succeeded" }));
    if path.ends_with("/confirm") {
        let mut response = HttpResponse::InternalServerError();
        response.insert_header(("Idempotent-Replayed", "true"));
        response.json(json!({ "error": { "type": "api_error" } }))
    } else if path.ends_with("/cancel") {
        let error = json!({ "code": "payment_intent_unexpected_state", "payment_intent": succeeded });
        HttpResponse::BadRequest().json(json!({ "error": error }))
    } else {
        HttpResponse::Ok().json(json!({ "id": "pi_1", "status": "requires_confirmation" }))
    }
}

/// Succeeds, with an id of 9,600 hexadecimal digits, which do not compress well.
fn long_id(_: &HttpRequest) -> HttpResponse {
    let id: String = (0..300)
        .map(|_| OrderId::generate().as_uuid().simple().to_string())
        .collect();
    HttpResponse::Ok().json(json!({ "id": id, "status": "succeeded" }))
}

/// A page of another order's intent, and more after it, without end.
fn endless(_: &HttpRequest) -> HttpResponse {
    let intent = json!({ "id": "pi_1", "status": "succeeded" });
    HttpResponse::Ok().json(json!({ "data": [intent], "has_more": true }))
}

#[tokio::test]
async fn a_charge_whose_response_was_lost_is_found_after_any_other_response() {
    let mut shop = Shop::open().await;
    let responses: [Respond; 2] = [no_route, rejected];
    for respond in responses {
        for in_one_step in [false, true] {
            let order = shop.order().await;
            if in_one_step {
                // Release 0.1 records nothing before the outcome.
                shop.charge_in_one_step(&order).await;
                shop.update(&order, "attempt = 1, attempts_forgiven = 1").await;
            } else {
                shop.faults(json!({ "drop_after_rate": 1.0, "on": "confirm" }))
                    .await;
                shop.assert_waits(&shop.attempt(&order).await);
                shop.faults(json!({})).await;
            }
            let sandbox = shop.processor.gateway.replace(gateway_that(respond).await);
            shop.assert_waits(&shop.attempt(&order).await);
            shop.processor.gateway = sandbox;
            shop.assert_charged_once(&shop.attempt(&order).await).await;
        }
    }
}

#[tokio::test]
async fn the_last_attempt_ends_the_intent_that_it_recorded_itself() {
    let mut shop = Shop::open().await;
    shop.processor.config.max_attempts = 1;
    shop.processor.gateway = Some(gateway_that(charged).await);
    let order = shop.order().await;
    let order = shop.attempt(&order).await;
    assert_eq!(order.status, OrderStatus::Completed, "{order:?}");
    assert_eq!(order.payment_id.as_deref(), Some("pi_1"));
}

#[tokio::test]
async fn without_a_gateway_an_order_that_release_0_1_may_have_charged_waits() {
    let mut shop = Shop::open().await;
    let order = shop.order().await;
    shop.charge_in_one_step(&order).await;
    shop.update(&order, "attempt = 1, attempts_forgiven = 1, crashes = 3")
        .await;
    let sandbox = shop.processor.gateway.take();
    shop.assert_waits(&shop.attempt(&order).await);
    shop.processor.gateway = sandbox;
    shop.assert_charged_once(&shop.attempt(&order).await).await;
}

#[tokio::test]
async fn a_list_without_an_end_ends_the_search_and_the_order_waits() {
    let mut shop = Shop::open().await;
    let order = shop.order().await;
    shop.update(&order, "attempt = 1, attempts_forgiven = 1, crashes = 3")
        .await;
    shop.processor.gateway = Some(gateway_that(endless).await);
    let attempt = timeout(MINUTE, shop.attempt(&order)).await;
    shop.assert_waits(&attempt.expect("an attempt that ends"));
}

/// Release 0.1 knew fewer of the gateway's rules.
#[tokio::test]
async fn a_charge_of_an_amount_that_is_not_supported_is_found() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.charge_in_one_step(&order).await;
    shop.update(&order, "attempt = 1, attempts_forgiven = 1, currency = 'CLF'")
        .await;
    shop.assert_charged_once(&shop.attempt(&order).await).await;
}

/// Responds that release 0.1 used the key, and takes longer than the lease holds.
fn key_was_used(_: &HttpRequest) -> HttpResponse {
    std::thread::sleep(Duration::from_millis(600));
    HttpResponse::BadRequest().json(json!({ "error": { "type": "idempotency_error" } }))
}

#[tokio::test]
async fn a_worker_whose_lease_ends_does_not_repeat_a_charge_of_release_0_1() {
    let mut shop = Shop::open().await;
    shop.processor.gateway = Some(gateway_that(key_was_used).await);
    let order = shop.order().await;
    // The lease holds for 2.3 s more; a request takes up to 2 s.
    let paused = MINUTE - Duration::from_millis(2300);
    let payment = paused_payment(&shop, &order, paused).await;
    assert_eq!(payment, Err(Stop::LeaseLost));
}

/// PostgreSQL could never record that such an order is complete.
#[tokio::test]
async fn an_intent_with_an_id_that_cannot_be_indexed_is_not_confirmed() {
    let mut shop = Shop::open().await;
    shop.processor.gateway = Some(gateway_that(long_id).await);
    let order = shop.order().await;
    let waiting = shop.attempt(&order).await;
    shop.assert_waits(&waiting);
    assert_eq!(waiting.payment_id, None);
}

/// The first payment was created under the key of an attempt, because the gateway repeats an error under that
/// of the order.
#[tokio::test]
async fn each_retry_of_a_declined_order_is_another_payment() {
    let shop = Shop::open().await;
    let order = shop.order_with("pm_card_chargeDeclined").await;
    shop.faults(json!({ "error_rate": 1.0, "on": "create", "times": 1 }))
        .await;
    shop.assert_waits(&shop.attempt(&order).await);
    for payments in 1..=3 {
        let failed = shop.attempt(&order).await;
        assert_eq!(failed.status, OrderStatus::Failed);
        assert_eq!(shop.intents(&order).await, vec!["canceled"; payments]);
        let retry = shop.processor.store.retry(order.id, &Actor::System);
        retry.await.unwrap();
    }
}
