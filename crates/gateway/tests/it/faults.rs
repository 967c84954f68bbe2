//! Under every fault the list of intents is correct. A fault before execution leaves the key unused; the
//! result of a request that was executed is stored.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{KEY, Sandbox, json};

const OPERATIONS: [&str; 5] = ["create", "confirm", "cancel", "get", "list"];

/// Sends one request for an operation; `None` where the connection closed.
async fn send(sandbox: &Sandbox, operation: &str, id: &str) -> Option<u16> {
    let path = format!("/v1/payment_intents/{id}");
    let request = match operation {
        "create" => sandbox.payment(&[("amount", "5"), ("currency", "usd")]),
        "get" => sandbox.request("GET", &path).bearer_auth(KEY),
        "list" => sandbox.request("GET", "/v1/payment_intents").bearer_auth(KEY),
        _ => sandbox.post(id, operation),
    };
    let response = request.header("Idempotency-Key", operation).send().await;
    response.ok().map(|response| response.status().as_u16())
}

/// "we save the resulting status code and body of the first request made for any given idempotency key,
/// regardless of whether it succeeds or fails. Subsequent requests with the same key return the same result,
/// including 500 errors." <https://docs.stripe.com/api/idempotent_requests>
#[tokio::test]
async fn an_injected_error_charges_nothing_and_is_stored_under_the_key() {
    let sandbox = Sandbox::start().await;
    sandbox.set_faults(json!({ "error_rate": 1.0 })).await;
    let failed = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    assert_eq!(failed.status(), 500);
    assert!(!failed.headers().contains_key("idempotent-replayed"));
    let failed = json(failed).await;
    assert_eq!(failed["error"]["type"], "api_error");

    sandbox.set_faults(json!({})).await;
    assert!(sandbox.intents().await.is_empty());
    let retried = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    assert_eq!(retried.status(), 500);
    assert_eq!(retried.headers()["idempotent-replayed"], "true");
    assert_eq!(json(retried).await, failed);
    assert!(sandbox.intents().await.is_empty());
}

#[tokio::test]
async fn an_error_after_the_charge_is_stored_and_the_list_shows_the_charge() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.create("pm_card_visa").await;
    sandbox
        .set_faults(json!({ "error_after_charge_rate": 1.0 }))
        .await;
    let confirm = || sandbox.post(&id, "confirm").header("Idempotency-Key", "c");
    assert_eq!(confirm().send().await.unwrap().status(), 500);
    let one_step = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    assert_eq!(one_step.status(), 500);
    let declined = sandbox
        .charge("order-2", "pm_card_chargeDeclined")
        .send()
        .await
        .unwrap();
    assert_eq!(declined.status(), 402, "it charges nothing");

    sandbox.set_faults(json!({})).await;
    assert_eq!(confirm().send().await.unwrap().status(), 500);
    assert_eq!(sandbox.status(&id).await, "succeeded");
    assert_eq!(sandbox.charged().await.len(), 2);
}

#[tokio::test]
async fn a_charge_whose_response_is_lost_is_found_by_the_retry() {
    let sandbox = Sandbox::start().await;
    sandbox.set_faults(json!({ "drop_after_charge_rate": 1.0 })).await;
    let lost = sandbox.charge("order-1", "pm_card_visa").send().await;
    assert!(lost.is_err(), "{lost:?}");
    let charged = sandbox.charged().await;
    assert_eq!(charged.len(), 1);

    let retried = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    assert_eq!(retried.headers()["idempotent-replayed"], "true");
    assert_eq!(json(retried).await, charged[0]);
    assert_eq!(sandbox.charged().await.len(), 1);
}

#[tokio::test]
async fn a_connection_can_be_lost_before_and_after_each_operation() {
    for operation in OPERATIONS {
        for (rate, executed) in [("drop_before_rate", false), ("drop_after_rate", true)] {
            let sandbox = Sandbox::start().await;
            let id = sandbox.create("pm_card_visa").await;
            let other = OPERATIONS.into_iter().find(|other| *other != operation).unwrap();
            sandbox
                .set_faults(json!({ rate: 1.0, "on": operation, "times": 1 }))
                .await;
            assert!(send(&sandbox, other, "pi_unknown").await.is_some());
            assert_eq!(send(&sandbox, operation, &id).await, None, "{operation}: {rate}");

            let status = sandbox.status(&id).await;
            let changed = match operation {
                "create" => sandbox.intents().await.len() == 2 + usize::from(other == "create"),
                "confirm" => status == "succeeded",
                "cancel" => status == "canceled",
                _ => continue,
            };
            assert_eq!(changed, executed, "{operation}: {rate}");
            assert_eq!(send(&sandbox, operation, &id).await, Some(200));
            let replayed = u64::from(executed);
            assert_eq!(sandbox.stats().await["replayed"], replayed, "{operation}: {rate}");
        }
    }
}

#[tokio::test]
async fn an_error_hits_each_operation_and_has_no_effect() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.create("pm_card_visa").await;
    sandbox.set_faults(json!({ "error_rate": 1.0 })).await;
    for operation in OPERATIONS {
        assert_eq!(send(&sandbox, operation, &id).await, Some(500), "{operation}");
    }
    sandbox.set_faults(json!({})).await;
    assert_eq!(sandbox.status(&id).await, "requires_confirmation");
    assert_eq!(sandbox.intents().await.len(), 1);
}

#[tokio::test]
async fn not_one_byte_of_a_lost_response_is_sent() {
    for fault in ["drop_before_rate", "drop_after_charge_rate"] {
        let sandbox = Sandbox::start().await;
        sandbox.set_faults(json!({ fault: 1.0, "on": "create" })).await;
        let body = "amount=1&currency=usd&payment_method=pm_card_visa&confirm=true";
        let request = format!(
            "POST /v1/payment_intents HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        let address = sandbox.gateway.url().replace("http://", "");
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        // The connection is closed or reset.
        let _ = connection.read_to_end(&mut received).await;
        assert_eq!(String::from_utf8_lossy(&received), "");
        assert_eq!(
            sandbox.charged().await.len(),
            usize::from(fault != "drop_before_rate")
        );
    }
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_hang_can_retry_and_is_charged_once() {
    let sandbox = Sandbox::start().await;
    let hanging = sandbox.hang("order-1").await;
    hanging.abort();

    sandbox.set_faults(json!({})).await;
    assert!(sandbox.charged().await.is_empty());
    let retried = async {
        loop {
            let response = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
            match response.status().as_u16() {
                // The sandbox has not yet seen that the first client disconnected.
                409 => tokio::task::yield_now().await,
                status => break status,
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(60), retried).await;
    assert_eq!(status, Ok(200));
    assert_eq!(sandbox.charged().await.len(), 1);
}

#[tokio::test]
async fn a_hanging_request_does_not_delay_the_shutdown() {
    let sandbox = Sandbox::start().await;
    let hanging = sandbox.hang("order-1").await;
    let stop = tokio::time::timeout(Duration::from_secs(60), sandbox.gateway.stop());
    stop.await.expect("it stopped").unwrap();
    assert_eq!(hanging.await.unwrap().unwrap().status(), 500);
}

#[tokio::test]
async fn a_charge_in_processing_ends_after_its_time() {
    let sandbox = Sandbox::start().await;
    let paid = sandbox.create("pm_card_visa").await;
    let declined = sandbox.create("pm_card_chargeDeclined").await;
    sandbox.set_faults(json!({ "processing_ms": 300 })).await;
    for id in [&paid, &declined] {
        let response = sandbox
            .post(id, "confirm")
            .header("Idempotency-Key", id)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(json(response).await["status"], "processing");
    }
    let ended = async |id: &str| {
        loop {
            let status = sandbox.status(id).await;
            if status != "processing" {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(ended(&paid).await, "succeeded");
    assert_eq!(ended(&declined).await, "requires_payment_method");
    // The stored result is what the first request got, not what became of the charge.
    let replayed = sandbox
        .post(&paid, "confirm")
        .header("Idempotency-Key", &paid)
        .send()
        .await
        .unwrap();
    assert_eq!(json(replayed).await["status"], "processing");
    assert_eq!(sandbox.stats().await["charges"], 1);
}

/// "a request that's rate limited with a 429 can produce a different result with the same idempotency key
/// because rate limiters run before the API's idempotency layer. The same goes for a 401 that omitted an API
/// key" <https://docs.stripe.com/error-low-level>
#[tokio::test]
async fn a_429_and_a_401_are_not_stored() {
    let sandbox = Sandbox::start().await;
    let charge = || sandbox.charge("order-1", "pm_card_visa").send();
    sandbox.set_faults(json!({ "rate_limit_per_second": 1 })).await;
    assert_eq!(sandbox.get("/v1/payment_intents").await.status(), 200);
    let limited = charge().await.unwrap();
    assert_eq!(limited.status(), 429);
    assert_eq!(limited.headers()["retry-after"], "1");
    assert_eq!(json(limited).await["error"]["code"], "rate_limit");
    assert_eq!(sandbox.get("/v1/payment_intents").await.status(), 429);

    sandbox.set_faults(json!({ "unauthorized": true })).await;
    assert_eq!(charge().await.unwrap().status(), 401);
    assert_eq!(sandbox.get("/v1/payment_intents").await.status(), 401);

    sandbox.set_faults(json!({})).await;
    let charged = charge().await.unwrap();
    assert_eq!(charged.status(), 200);
    assert!(!charged.headers().contains_key("idempotent-replayed"));
    assert_eq!(sandbox.stats().await["rate_limited"], 2);
}

#[tokio::test]
async fn the_stats_count_requests_charges_and_replays() {
    let sandbox = Sandbox::start().await;
    for _ in 0..2 {
        sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    }
    let unauthorized = sandbox
        .request("GET", "/v1/payment_intents")
        .send()
        .await
        .unwrap();
    assert_eq!(unauthorized.status(), 401);
    let expected = json!({ "requests": 3, "charges": 1, "rate_limited": 0, "replayed": 1 });
    assert_eq!(sandbox.stats().await, expected);
}

#[tokio::test]
async fn faults_are_read_back_and_bad_ones_are_rejected() {
    let sandbox = Sandbox::start().await;
    let mut faults = json!({
        "latency_ms": 1,
        "hang_rate": 0.0,
        "drop_before_rate": 0.0,
        "error_rate": 0.25,
        "error_after_charge_rate": 0.0,
        "drop_after_charge_rate": 0.5,
        "drop_after_rate": 0.0,
        "on": "confirm",
        "times": 3,
        "processing_ms": 0,
        "rate_limit_per_second": 0,
        "unauthorized": false,
        "forget_keys": false,
    });
    sandbox.set_faults(faults.clone()).await;
    for bad in [
        json!({ "error_rate": 1.5 }),
        json!({ "hang_rate": -1 }),
        json!({ "latency_ms": 10_000_000 }),
        json!({ "eror_rate": 0.1 }),
        json!({ "on": "refund" }),
    ] {
        let request = sandbox.request("POST", "/sandbox/faults").json(&bad);
        let rejected = request.send().await.unwrap();
        assert_eq!(rejected.status(), 400, "{bad}");
        assert_eq!(json(rejected).await["error"]["type"], "invalid_request_error");
    }
    assert_eq!(json(sandbox.get("/sandbox/faults").await).await, faults);

    sandbox.set_faults(json!({})).await;
    for (name, value) in faults.as_object_mut().unwrap() {
        *value = match name.as_str() {
            "unauthorized" | "forget_keys" => Value::Bool(false),
            "latency_ms" | "processing_ms" | "rate_limit_per_second" => json!(0),
            _ => json!(0.0),
        };
    }
    faults
        .as_object_mut()
        .unwrap()
        .retain(|name, _| !["on", "times"].contains(&name.as_str()));
    assert_eq!(json(sandbox.get("/sandbox/faults").await).await, faults);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_set_faults() {
    let sandbox = Sandbox::start().await;
    let faults = |host: &str| {
        let request = sandbox.request("POST", "/sandbox/faults").header("host", host);
        request.json(&json!({ "error_rate": 1 })).send()
    };
    assert_eq!(faults("evil.example:8090").await.unwrap().status(), 421);
    assert_eq!(faults("localhost:8090").await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_audit_reads_the_list_whatever_the_faults_are() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("key-1", "pm_card_visa").send().await.unwrap();
    sandbox
        .set_faults(
            json!({ "error_rate": 1, "hang_rate": 1, "unauthorized": true, "rate_limit_per_second": 1 }),
        )
        .await;
    let list = json(sandbox.get("/sandbox/payment_intents?limit=100").await).await;
    assert_eq!(list["data"][0]["status"], "succeeded", "{list}");
    let unknown = sandbox
        .get("/sandbox/payment_intents?starting_after=pi_unknown")
        .await;
    assert_eq!(unknown.status(), 400);
}
