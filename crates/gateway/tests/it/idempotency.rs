//! One key, one result: under concurrency, across retries, and when a retry has other parameters. Where a
//! test shows a rule of Stripe, it quotes it.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use throughline_gateway::Config;

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

/// "Subsequent requests with the same key return the same result"
/// <https://docs.stripe.com/api/idempotent_requests>
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

/// "If incoming parameters fail validation, or the request conflicts with another request that's executing
/// concurrently, we don't save the idempotent result because no API endpoint initiates the execution."
/// <https://docs.stripe.com/api/idempotent_requests>
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

/// "The idempotency layer compares incoming parameters to those of the original request and errors if they're
/// not the same to prevent accidental misuse." <https://docs.stripe.com/api/idempotent_requests>
#[tokio::test]
async fn a_key_is_of_one_path_and_its_parameters() {
    let sandbox = Sandbox::start().await;
    let (id, other) = (
        sandbox.create("pm_card_visa").await,
        sandbox.create("pm_card_visa").await,
    );
    let first = sandbox
        .post(&id, "confirm")
        .header("Idempotency-Key", "k")
        .send()
        .await
        .unwrap();
    assert_eq!(first.status(), 200);
    for request in [
        sandbox.post(&other, "confirm"),
        sandbox.post(&id, "cancel"),
        sandbox
            .post(&id, "confirm")
            .form(&[("payment_method", "pm_card_visa")]),
        sandbox.payment(&[("amount", "1500"), ("currency", "usd")]),
    ] {
        let response = request.header("Idempotency-Key", "k").send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(json(response).await["error"]["type"], "idempotency_error");
    }
    assert_eq!(sandbox.status(&other).await, "requires_confirmation");
    assert_eq!(sandbox.intents().await.len(), 2);
}

/// The one-step charge of release 0.1 and the unconfirmed intent of a later one have the same key; the second
/// of the two is rejected, so they cannot both charge.
#[tokio::test]
async fn one_key_does_not_create_an_intent_in_one_step_and_in_two() {
    let sandbox = Sandbox::start().await;
    let unconfirmed = |key: &str| {
        let form = [
            ("amount", "1500"),
            ("currency", "usd"),
            ("payment_method", "pm_card_visa"),
            ("metadata[order_id]", key),
        ];
        sandbox.payment(&form).header("Idempotency-Key", key).send()
    };
    assert_eq!(
        sandbox.charge("a", "pm_card_visa").send().await.unwrap().status(),
        200
    );
    assert_eq!(
        json(unconfirmed("a").await.unwrap()).await["error"]["type"],
        "idempotency_error"
    );
    assert_eq!(unconfirmed("b").await.unwrap().status(), 200);
    let one_step = sandbox.charge("b", "pm_card_visa").send().await.unwrap();
    assert_eq!(json(one_step).await["error"]["type"], "idempotency_error");
    assert_eq!(sandbox.charged().await.len(), 1);
}

/// "We generate a new request if a key is reused after the original is pruned."
/// <https://docs.stripe.com/api/idempotent_requests>
#[tokio::test]
async fn a_key_that_is_forgotten_charges_again() {
    let expired = Sandbox::with(Config::local().with_key_ttl(Duration::from_nanos(1))).await;
    let forgotten = Sandbox::start().await;
    forgotten.charge("order-1", "pm_card_visa").send().await.unwrap();
    forgotten.set_faults(json!({ "forget_keys": true })).await;
    expired.charge("order-1", "pm_card_visa").send().await.unwrap();
    for sandbox in [expired, forgotten] {
        for charges in 2..4 {
            let again = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
            assert_eq!(again.status(), 200);
            assert!(!again.headers().contains_key("idempotent-replayed"));
            assert_eq!(sandbox.charged().await.len(), charges);
        }
    }
}

/// "A request that returns a 400 sends back the same 400 if followed by a new request with the same
/// idempotency key." <https://docs.stripe.com/error-low-level>
#[tokio::test]
async fn a_rejected_confirmation_is_stored_with_its_intent() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.create("").await;
    let confirm = || sandbox.post(&id, "confirm").header("Idempotency-Key", "k").send();
    let first = confirm().await.unwrap();
    assert_eq!(first.status(), 400);
    let paid = sandbox
        .post(&id, "confirm")
        .form(&[("payment_method", "pm_card_visa")]);
    assert_eq!(paid.send().await.unwrap().status(), 200);
    let replayed = confirm().await.unwrap();
    assert_eq!(replayed.headers()["idempotent-replayed"], "true");
    assert_eq!(json(replayed).await, json(first).await);
}
