//! What a client of Stripe relies on: the payment intent, the list, and each kind of error.

use futures_util::future::join_all;
use serde_json::json;
use throughline_gateway::Config;

use crate::client::{KEY, Sandbox, json};

#[tokio::test]
async fn a_confirmed_payment_succeeds() {
    let sandbox = Sandbox::start().await;
    let response = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()["request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_")
    );
    assert!(!response.headers().contains_key("idempotent-replayed"));

    let intent = json(response).await;
    assert!(intent["id"].as_str().unwrap().starts_with("pi_"));
    assert!(intent["latest_charge"].as_str().unwrap().starts_with("ch_"));
    assert!(intent["created"].as_u64().unwrap() > 1_700_000_000);
    for (field, value) in [
        ("object", json!("payment_intent")),
        ("amount", json!(1500)),
        ("amount_received", json!(1500)),
        ("currency", json!("usd")),
        ("status", json!("succeeded")),
        ("livemode", json!(false)),
        ("metadata", json!({ "order_id": "order-1" })),
        ("payment_method", json!("pm_card_visa")),
        ("last_payment_error", json!(null)),
    ] {
        assert_eq!(intent[field], value, "{field}");
    }
}

/// "If payment fails, the PaymentIntent transitions to the requires_payment_method status"
/// <https://docs.stripe.com/api/payment_intents/confirm>
#[tokio::test]
async fn a_declined_card_is_a_card_error_and_no_charge() {
    let sandbox = Sandbox::start().await;
    for (card, code, decline_code) in [
        (
            "pm_card_chargeDeclined",
            "card_declined",
            json!("generic_decline"),
        ),
        (
            "pm_card_chargeDeclinedInsufficientFunds",
            "card_declined",
            json!("insufficient_funds"),
        ),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", json!(null)),
    ] {
        let response = sandbox.charge(card, card).send().await.unwrap();
        assert_eq!(response.status(), 402, "{card}");
        let error = &json(response).await["error"];
        assert_eq!(error["type"], "card_error");
        assert_eq!(error["code"], code);
        assert_eq!(error["decline_code"], decline_code);
        assert!(error["message"].as_str().unwrap().ends_with('.'));
        let intent = &error["payment_intent"];
        assert_eq!(intent["status"], "requires_payment_method");
        assert_eq!(intent["amount_received"], 0);
        assert_eq!(intent["metadata"]["order_id"], card);

        let path = format!("/v1/payment_intents/{}", intent["id"].as_str().unwrap());
        assert_eq!(&json(sandbox.get(&path).await).await, intent);
    }
    assert!(sandbox.charged().await.is_empty());
}

#[tokio::test]
async fn a_payment_that_is_not_confirmed_charges_nothing() {
    let sandbox = Sandbox::start().await;
    let form = [
        ("amount", "5"),
        ("currency", "jpy"),
        ("payment_method", "pm_card_mastercard"),
    ];
    let intent = json(sandbox.payment(&form).send().await.unwrap()).await;
    assert_eq!(intent["status"], "requires_confirmation");
    assert_eq!(intent["amount_received"], 0);
    assert_eq!(intent["latest_charge"], json!(null));
    assert!(sandbox.charged().await.is_empty());
}

#[tokio::test]
async fn an_intent_is_confirmed_in_a_second_step() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.create("pm_card_visa").await;
    let response = sandbox.post(&id, "confirm").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let intent = json(response).await;
    assert_eq!(intent["id"], id);
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(intent["amount_received"], 1500);
    assert!(intent["latest_charge"].as_str().unwrap().starts_with("ch_"));
    assert_eq!(sandbox.charged().await, [intent]);
}

#[tokio::test]
async fn a_declined_confirmation_leaves_an_intent_that_takes_another_card() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.create("pm_card_chargeDeclinedInsufficientFunds").await;
    let response = sandbox.post(&id, "confirm").send().await.unwrap();
    assert_eq!(response.status(), 402);
    let error = &json(response).await["error"];
    assert_eq!(error["code"], "card_declined");
    let intent = &error["payment_intent"];
    assert_eq!(intent["id"], id);
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["payment_method"], json!(null));
    assert_eq!(intent["last_payment_error"]["decline_code"], "insufficient_funds");
    assert_eq!(intent["last_payment_error"]["charge"], error["charge"]);

    let without_card = sandbox.post(&id, "confirm").send().await.unwrap();
    assert_eq!(without_card.status(), 400);
    let other_card = sandbox
        .post(&id, "confirm")
        .form(&[("payment_method", "pm_card_visa")]);
    let intent = json(other_card.send().await.unwrap()).await;
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(intent["last_payment_error"], json!(null));
}

/// "After it's canceled, no additional charges are made by the PaymentIntent and any operations on the
/// PaymentIntent fail with an error." <https://docs.stripe.com/api/payment_intents/cancel>
#[tokio::test]
async fn a_canceled_intent_is_never_charged() {
    let sandbox = Sandbox::start().await;
    let unconfirmed = sandbox.create("pm_card_visa").await;
    let declined = sandbox.create("pm_card_chargeDeclined").await;
    assert_eq!(
        sandbox.post(&declined, "confirm").send().await.unwrap().status(),
        402
    );
    for id in [unconfirmed, declined] {
        let cancel = sandbox
            .post(&id, "cancel")
            .form(&[("cancellation_reason", "abandoned")]);
        let response = cancel.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let intent = json(response).await;
        assert_eq!(intent["status"], "canceled");
        assert_eq!(intent["cancellation_reason"], "abandoned");
        assert!(intent["canceled_at"].as_i64().unwrap() >= intent["created"].as_i64().unwrap());

        for operation in ["confirm", "cancel"] {
            let request = sandbox.post(&id, operation);
            let request = if operation == "confirm" {
                request.form(&[("payment_method", "pm_card_visa")])
            } else {
                request
            };
            let error = &json(request.send().await.unwrap()).await["error"];
            assert_eq!(error["code"], "payment_intent_unexpected_state");
            assert_eq!(error["payment_intent"], intent);
        }
    }
    assert!(sandbox.charged().await.is_empty());
}

/// "The PaymentIntent's state was incompatible with the operation you were trying to perform."
/// <https://docs.stripe.com/error-codes#payment-intent-unexpected-state>
#[tokio::test]
async fn a_payment_that_succeeded_is_neither_confirmed_again_nor_canceled() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.create("pm_card_visa").await;
    let paid = json(sandbox.post(&id, "confirm").send().await.unwrap()).await;
    for operation in ["confirm", "cancel"] {
        let response = sandbox.post(&id, operation).send().await.unwrap();
        assert_eq!(response.status(), 400);
        let error = &json(response).await["error"];
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["code"], "payment_intent_unexpected_state");
        assert_eq!(error["payment_intent"], paid);
    }
    assert_eq!(sandbox.stats().await["charges"], 1);
}

#[tokio::test]
async fn concurrent_confirmations_with_different_keys_charge_once() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.create("pm_card_visa").await;
    let confirmations = (0..20).map(|n| {
        let request = sandbox.post(&id, "confirm");
        request.header("Idempotency-Key", format!("{id}:{n}")).send()
    });
    let mut statuses = Vec::new();
    for response in join_all(confirmations).await {
        statuses.push(response.unwrap().status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [200, 400]);
    assert_eq!(statuses[19], 400);
    assert_eq!(sandbox.stats().await["charges"], 1);
}

#[tokio::test]
async fn an_invalid_parameter_is_named() {
    let sandbox = Sandbox::start().await;
    let good = [
        ("amount", "1500"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
    ];
    let with = |name: &'static str, value: &'static str| {
        let mut form = good.to_vec();
        form.retain(|(other, _)| *other != name);
        form.push((name, value));
        form
    };
    for (name, value, code) in [
        ("amount", "", json!("parameter_missing")),
        ("amount", "0", json!("parameter_invalid_integer")),
        ("amount", "-1", json!("parameter_invalid_integer")),
        ("amount", "15.00", json!("parameter_invalid_integer")),
        ("amount", "9999999999999", json!("parameter_invalid_integer")),
        ("currency", "", json!("parameter_missing")),
        ("currency", "USD", json!(null)),
        ("currency", "usdollar", json!(null)),
        ("payment_method", "", json!("parameter_missing")),
        ("payment_method", "pm_card_unknown", json!("resource_missing")),
        ("confirm", "yes", json!(null)),
    ] {
        let response = sandbox.payment(&with(name, value)).send().await.unwrap();
        assert_eq!(response.status(), 400, "{name}={value}");
        let error = &json(response).await["error"];
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["param"], name, "{name}={value}");
        assert_eq!(error["code"], code, "{name}={value}");
        assert!(error["message"].is_string());
    }
    let typo = sandbox.payment(&with("curency", "usd")).send().await.unwrap();
    assert_eq!(json(typo).await["error"]["code"], "parameter_unknown");
    assert!(sandbox.charged().await.is_empty());
}

#[tokio::test]
async fn only_a_form_within_the_size_limit_is_accepted() {
    let sandbox = Sandbox::start().await;
    let payment = || sandbox.request("POST", "/v1/payment_intents").bearer_auth(KEY);
    let json_body = payment().json(&json!({ "amount": 1500 })).send().await.unwrap();
    assert_eq!(json_body.status(), 400);
    let large = payment()
        .form(&[("description", "x".repeat(70_000))])
        .send()
        .await
        .unwrap();
    assert_eq!(large.status(), 413);
    assert_eq!(json(large).await["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_request_without_a_test_key_is_unauthorized() {
    let sandbox = Sandbox::start().await;
    let list = || sandbox.request("GET", "/v1/payment_intents");
    for request in [
        list(),
        list().bearer_auth(""),
        list().bearer_auth("sk_live_something"),
        list().basic_auth(KEY, None::<&str>),
        sandbox.request("POST", "/v1/payment_intents"),
        sandbox.request("GET", "/v1/payment_intents/pi_1"),
        sandbox.request("POST", "/v1/payment_intents/pi_1/confirm"),
        sandbox.request("POST", "/v1/payment_intents/pi_1/cancel"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key("www-authenticate"));
        assert_eq!(json(response).await["error"]["type"], "invalid_request_error");
    }
    let lower_case = list()
        .header("authorization", format!("bearer {KEY}"))
        .send()
        .await
        .unwrap();
    assert_eq!(lower_case.status(), 200);
}

#[tokio::test]
async fn a_configured_key_is_the_only_one_accepted() {
    let sandbox = Sandbox::with(Config::local().with_key("sk_test_ours")).await;
    let list = |key| {
        sandbox
            .request("GET", "/v1/payment_intents")
            .bearer_auth(key)
            .send()
    };
    assert_eq!(list("sk_test_ours").await.unwrap().status(), 200);
    assert_eq!(list("sk_test_theirs").await.unwrap().status(), 401);
}

#[tokio::test]
async fn the_list_pages_from_the_newest_to_the_oldest() {
    let sandbox = Sandbox::start().await;
    let mut made = Vec::new();
    for n in 0..12 {
        let response = sandbox.charge(&format!("order-{n}"), "pm_card_visa_debit").send();
        made.push(json(response.await.unwrap()).await["id"].clone());
    }
    made.reverse();

    let first = json(sandbox.get("/v1/payment_intents").await).await;
    assert_eq!(first["object"], "list");
    assert_eq!(first["url"], "/v1/payment_intents");
    assert_eq!(first["has_more"], true);
    let ids = |page: &serde_json::Value| -> Vec<_> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|intent| intent["id"].clone())
            .collect()
    };
    assert_eq!(ids(&first), made[..10]);

    let after = made[9].as_str().unwrap();
    let path = format!("/v1/payment_intents?limit=5&starting_after={after}");
    let second = json(sandbox.get(&path).await).await;
    assert_eq!(ids(&second), made[10..]);
    assert_eq!(second["has_more"], false);

    for bad in [
        "limit=0",
        "limit=101",
        "limit=ten",
        "starting_after=pi_unknown",
        "starting_after=pi_00000000000000000000000000000000",
        "created[gte]=yesterday",
        "created[after]=1",
        "ending_before=x",
    ] {
        let response = sandbox.get(&format!("/v1/payment_intents?{bad}")).await;
        assert_eq!(response.status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn the_list_has_every_intent_and_is_restricted_by_time() {
    let sandbox = Sandbox::start().await;
    let unconfirmed = sandbox.create("pm_card_visa").await;
    let declined = sandbox.create("pm_card_chargeDeclined").await;
    assert_eq!(
        sandbox.post(&declined, "confirm").send().await.unwrap().status(),
        402
    );
    let ids: Vec<_> = sandbox
        .intents()
        .await
        .iter()
        .map(|intent| intent["id"].clone())
        .collect();
    assert_eq!(ids, [declined, unconfirmed]);

    let intents = sandbox.intents().await;
    let (newest, oldest) = (
        intents[0]["created"].as_i64().unwrap(),
        intents[1]["created"].as_i64().unwrap(),
    );
    for (query, found) in [
        (format!("created[gte]={oldest}&created[lte]={newest}"), 2),
        (format!("created[gte]={}", newest + 1), 0),
        (format!("created[gt]={newest}"), 0),
        (format!("created[lte]={}", oldest - 1), 0),
        (format!("created[lt]={oldest}"), 0),
        (
            format!("created%5Bgt%5D={}&created[lt]={}", oldest - 1, newest + 1),
            2,
        ),
    ] {
        let page = json(sandbox.get(&format!("/v1/payment_intents?{query}")).await).await;
        assert_eq!(page["data"].as_array().unwrap().len(), found, "{query}");
    }
}

#[tokio::test]
async fn an_unknown_payment_or_path_is_a_404_in_stripes_format() {
    let sandbox = Sandbox::start().await;
    for id in ["pi_unknown", "pi_00000000000000000000000000000000"] {
        for response in [
            sandbox.get(&format!("/v1/payment_intents/{id}")).await,
            sandbox.post(id, "confirm").send().await.unwrap(),
            sandbox.post(id, "cancel").send().await.unwrap(),
        ] {
            assert_eq!(response.status(), 404);
            assert_eq!(json(response).await["error"]["code"], "resource_missing");
        }
    }
    for (method, path) in [("GET", "/v1/customers"), ("DELETE", "/v1/payment_intents")] {
        let response = sandbox.request(method, path).send().await.unwrap();
        assert_eq!(response.status(), 404, "{method} {path}");
        assert!(response.headers().contains_key("request-id"));
        assert_eq!(json(response).await["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn health_needs_no_key() {
    let sandbox = Sandbox::start().await;
    assert_eq!(
        sandbox.request("GET", "/health").send().await.unwrap().status(),
        200
    );
}
