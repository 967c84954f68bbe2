//! Under every fault the list of charges is correct, and a retry with the same key succeeds.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{KEY, Sandbox, json};

#[tokio::test]
async fn an_injected_error_charges_nothing_and_leaves_the_key_unused() {
    let sandbox = Sandbox::start().await;
    sandbox.set_faults(json!({ "error_rate": 1.0 })).await;
    let failed = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    assert_eq!(failed.status(), 500);
    assert_eq!(json(failed).await["error"]["type"], "api_error");
    assert!(sandbox.charged().await.is_empty());

    sandbox.set_faults(json!({})).await;
    let retried = sandbox.charge("order-1", "pm_card_visa").send().await.unwrap();
    assert_eq!(retried.status(), 200);
    assert!(!retried.headers().contains_key("idempotent-replayed"));
    assert_eq!(sandbox.charged().await.len(), 1);
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
async fn not_one_byte_of_a_lost_response_is_sent() {
    let sandbox = Sandbox::start().await;
    sandbox.set_faults(json!({ "drop_after_charge_rate": 1.0 })).await;
    let body = "amount=1&currency=usd&payment_method=pm_card_visa&confirm=true";
    let request = format!(
        "POST /v1/payment_intents HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {KEY}\r\n\
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
    assert_eq!(sandbox.charged().await.len(), 1);
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_hang_can_retry_and_is_charged_once() {
    let sandbox = Sandbox::start().await;
    let hanging = sandbox.hang("order-1").await;
    assert!(sandbox.charged().await.is_empty());
    hanging.abort();

    sandbox.set_faults(json!({})).await;
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
async fn faults_are_read_back_and_bad_ones_are_rejected() {
    let sandbox = Sandbox::start().await;
    let faults = json!({
        "latency_ms": 1,
        "error_rate": 0.25,
        "hang_rate": 0.0,
        "drop_after_charge_rate": 0.5,
    });
    sandbox.set_faults(faults.clone()).await;
    for bad in [
        json!({ "error_rate": 1.5 }),
        json!({ "hang_rate": -1 }),
        json!({ "latency_ms": 10_000_000 }),
        json!({ "eror_rate": 0.1 }),
    ] {
        let rejected = sandbox
            .request("POST", "/sandbox/faults")
            .json(&bad)
            .send()
            .await
            .unwrap();
        assert_eq!(rejected.status(), 400, "{bad}");
        assert_eq!(json(rejected).await["error"]["type"], "invalid_request_error");
    }
    assert_eq!(json(sandbox.get("/sandbox/faults").await).await, faults);
}
