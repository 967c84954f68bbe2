//! One key, one charge: under concurrency, across retries, and when a retry has other parameters.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Sandbox, json};

#[tokio::test]
async fn fifty_concurrent_posts_of_one_key_charge_once() {
    let sandbox = Sandbox::start().await;
    // The latency makes the requests overlap.
    for (round, latency_ms) in [0, 20].into_iter().enumerate() {
        sandbox.set_faults(json!({ "latency_ms": latency_ms })).await;
        let key = format!("order-{round}");
        let posts = (0..50).map(|_| sandbox.charge(&key, "pm_card_visa").send());
        let mut charged = HashSet::new();
        for response in join_all(posts).await {
            let response = response.unwrap();
            match response.status().as_u16() {
                200 => drop(charged.insert(json(response).await["id"].to_string())),
                409 => assert_eq!(json(response).await["error"]["type"], "idempotency_error"),
                other => panic!("{other}"),
            }
        }
        assert_eq!(charged.len(), 1);
        assert_eq!(sandbox.charged().await.len(), round + 1);
    }
}

#[tokio::test]
async fn a_retry_gets_the_same_response_marked_as_replayed() {
    let sandbox = Sandbox::start().await;
    for (card, status) in [("pm_card_visa", 200), ("pm_card_chargeDeclined", 402)] {
        let first = sandbox.charge(card, card).send().await.unwrap();
        let retried = sandbox.charge(card, card).send().await.unwrap();
        assert_eq!(first.status(), status);
        assert_eq!(retried.status(), status);
        assert_eq!(retried.headers()["idempotent-replayed"], "true");
        assert_ne!(first.headers()["request-id"], retried.headers()["request-id"]);
        assert_eq!(json(first).await, json(retried).await);
    }
    assert_eq!(sandbox.charged().await.len(), 1);
}

#[tokio::test]
async fn a_key_with_other_parameters_is_rejected() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    let other = sandbox
        .charge("order-1", "pm_card_mastercard")
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), 400);
    assert_eq!(json(other).await["error"]["type"], "idempotency_error");
    assert_eq!(sandbox.charged().await.len(), 1);
}

#[tokio::test]
async fn a_rejected_request_does_not_use_its_key() {
    let sandbox = Sandbox::start().await;
    let rejected = sandbox.charge("order-1", "pm_card_unknown").send().await.unwrap();
    assert_eq!(rejected.status(), 400);
    let good = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    assert_eq!(good.status(), 200);
    assert!(!good.headers().contains_key("idempotent-replayed"));
}

#[tokio::test]
async fn without_a_key_every_request_charges() {
    let sandbox = Sandbox::start().await;
    let form = [
        ("amount", "1"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
    ];
    for _ in 0..2 {
        assert_eq!(sandbox.payment(&form).send().await.unwrap().status(), 200);
    }
    assert_eq!(sandbox.charged().await.len(), 2);
}

#[tokio::test]
async fn a_key_is_1_to_255_visible_characters() {
    let sandbox = Sandbox::start().await;
    let longest = "k".repeat(255);
    assert_eq!(
        sandbox
            .charge(&longest, "pm_card_visa")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    for bad in ["", "with space", &"k".repeat(256)] {
        let response = sandbox.charge(bad, "pm_card_visa").send().await.unwrap();
        assert_eq!(response.status(), 400, "{bad}");
    }
}
