//! Every endpoint, every status code, and personal data that callers should not send.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::Service::Gateway;
use throughline_e2e::contract::UNTRACED;

use super::call::Call;
use super::pages;
use super::{CALLER, CARD, COOKIE, EMAIL, KEY, PASSWORD, PHONE, TOKEN, UNKNOWN, traceparent};
use crate::shop::{Shop, widget};

/// `console` is the URL of the pages.
pub(super) async fn requests(shop: &Shop, console: &str) {
    creations(shop).await;
    lists(shop).await;
    let planted = format!("Card {CARD} of {EMAIL}, call {PHONE}, Bearer {TOKEN}");
    let order = json!({ "product_name": planted, "amount": "9.99" });
    let id = shop.order(&order).await;
    followed(shop, &id).await;
    paths(shop, console, &id).await;
    pages::pages(console, &id).await;
}

async fn creations(shop: &Shop) {
    let create = || Call::new(shop, Method::POST, "/api/orders");
    let items = json!([{ "product_name": "Bolt", "quantity": 2, "unit_price": "1.50" }]);
    create().json(&json!({ "items": items })).expect_status(201).await;
    let called = create()
        .header("traceparent", &traceparent(CALLER))
        .header("tracestate", &format!("shop={EMAIL}"));
    called.json(&widget()).expect_status(201).await;
    for status in [201, 201] {
        let keyed = create().header("Idempotency-Key", KEY).json(&widget());
        keyed.expect_status(status).await;
    }
    let other = json!({ "product_name": "Other", "amount": "1" });
    let reused = create().header("Idempotency-Key", KEY).json(&other);
    reused.expect_status(422).await;
    create().json(&json!({ "amount": "-1" })).expect_status(422).await;
    let large = json!({ "product_name": "x".repeat(5000), "amount": "1" });
    create().json(&large).expect_status(413).await;
    let typed = create().header("content-type", "application/json");
    typed.body("{").expect_status(400).await;
    create().body("<order/>").expect_status(415).await;
}

async fn lists(shop: &Shop) {
    let orders = || Call::new(shop, Method::GET, "/api/orders");
    let filtered = orders().query("status=completed&limit=5");
    filtered.expect_status(200).await;
    let planted = orders().query(&format!("password={PASSWORD}&call={PHONE}"));
    planted.expect_status(400).await;
    let agent = format!("shop/1.0 ({EMAIL}) Bearer {TOKEN} password={PASSWORD}");
    let planted = orders()
        .header("user-agent", &agent)
        .header("authorization", &format!("Bearer {TOKEN}"))
        .header("cookie", &format!("session={COOKIE}"));
    planted.expect_status(401).await;
}

/// Waits for the order's final state, and reads its events.
async fn followed(shop: &Shop, id: &str) {
    let path = format!("/api/orders/{id}");
    Call::new(shop, Method::GET, &path)
        .query("wait=20")
        .expect_status(200)
        .await;
    let events = format!("{path}/events");
    let read = Call::new(shop, Method::GET, &events).expect_status(200).await;
    assert!(read.contains("completed"), "{read}");
    let unknown = format!("/api/orders/{UNKNOWN}/events");
    Call::new(shop, Method::GET, &unknown).expect_status(404).await;
}

async fn paths(shop: &Shop, console: &str, id: &str) {
    let brew = Method::from_bytes(b"BREW").unwrap();
    for (method, path, status) in [
        (Method::GET, format!("/api/orders/{id}"), 200),
        (Method::HEAD, format!("/api/orders/{id}"), 200),
        (Method::GET, format!("/api/orders/{UNKNOWN}"), 404),
        (Method::GET, format!("/api/orders/{CARD}"), 404),
        (Method::DELETE, format!("/api/orders/{id}"), 409),
        (Method::DELETE, format!("/api/orders/{UNKNOWN}"), 404),
        (Method::POST, format!("/api/orders/{id}/retry"), 409),
        (Method::GET, format!("/api/orders/{id}/retry"), 405),
        (Method::GET, format!("/api/orders/{id}/history"), 200),
        (Method::GET, format!("/api/orders/{UNKNOWN}/history"), 404),
        (Method::PUT, "/api/orders".to_owned(), 405),
        (brew, "/api/orders".to_owned(), 405),
        (Method::GET, "/api/orders/".to_owned(), 200),
        (Method::GET, "/api/orders/analytics".to_owned(), 200),
        (Method::GET, "/api/operations".to_owned(), 200),
        (Method::GET, format!("/api/operations/{UNKNOWN}"), 404),
        (Method::GET, "/nowhere".to_owned(), 404),
    ] {
        let call = Call::to(&shop.http, console, method, &path);
        call.expect_status(status).await;
    }
    for path in UNTRACED {
        let status = if *path == "/favicon.ico" { 404 } else { 200 };
        let call = Call::to(&shop.http, console, Method::GET, path);
        call.expect_status(status).await;
    }
}

/// Reads a payment at the gateway.
pub(super) async fn payments(shop: &Shop, payment_id: &str) {
    let of_payment = format!("/v1/payment_intents/{payment_id}");
    let sandbox = shop.stack.url(Gateway);
    for (method, path, status) in [
        (Method::GET, "/v1/payment_intents", 200),
        (Method::GET, &of_payment, 200),
        // The payment succeeded.
        (Method::POST, &format!("{of_payment}/confirm"), 400),
        (Method::POST, &format!("{of_payment}/cancel"), 400),
        (Method::GET, "/sandbox/faults", 200),
        (Method::GET, "/sandbox/stats", 200),
    ] {
        Call::to(&shop.http, &sandbox, method, path)
            .header("authorization", "Bearer sk_test_throughline")
            .expect_status(status)
            .await;
    }
}

/// Clients that disconnect: one that waits for the order, and one that reads its events.
pub(super) async fn disconnected(shop: &Shop, id: &str) {
    let path = format!("/api/orders/{id}");
    let wait = Call::new(shop, Method::GET, &path).query("wait=5");
    let gave_up = tokio::time::timeout(Duration::from_millis(300), wait.send()).await;
    assert!(gave_up.is_err(), "the order is in flight");
    let follow = Call::new(shop, Method::GET, &format!("{path}/events"));
    let mut events = follow.send().await;
    assert!(events.chunk().await.unwrap().is_some());
}
