//! Every outcome of a job.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Service::Worker;
use tokio_postgres::Client;

use super::call::Call;
use super::{final_order, requests};
use crate::shop::{Shop, TIMEOUT, widget};

/// Every outcome of a payment.
pub(super) async fn payments(shop: &Shop) {
    let with = |token: &str| {
        let mut body = paid("10");
        body["payment_token"] = token.into();
        body
    };
    let order = async |body: &Value, status: &str| {
        let id = shop.order(body).await;
        let order = final_order(shop, &id).await;
        assert_eq!(order["status"], status, "{order}");
        order
    };
    let completed = order(&paid("1500"), "completed").await;
    requests::payments(shop, completed["payment_id"].as_str().unwrap()).await;
    order(&with("pm_unknown"), "failed").await;
    let declined = order(&with("pm_card_chargeDeclined"), "failed").await;
    let declined = declined["id"].as_str().unwrap();
    let retry = format!("/api/orders/{declined}/retry");
    Call::new(shop, Method::POST, &retry).expect_status(202).await;
    assert_eq!(final_order(shop, declined).await["attempt"], 2);
    operations(shop).await;
    final_order(shop, declined).await;

    let lost = json!({ "drop_after_charge_rate": 1.0 });
    shop.gateway_faults(&lost).await;
    let charged = order(&paid("12"), "completed").await;
    assert_eq!(charged["attempt"], 2);
    shop.gateway_faults(&json!({})).await;
}

/// Retries the declined order with others of its code, cancels what a customer has left, and pauses the
/// queue.
async fn operations(shop: &Shop) {
    let change = async |path: &str, body: Value| {
        let started = Call::new(shop, Method::POST, path)
            .json(&body)
            .expect_status(202)
            .await;
        let started: Value = serde_json::from_str(&started).unwrap();
        let path = format!("/api/operations/{}", started["operation"].as_str().unwrap());
        testkit::eventually("the end of the operation", TIMEOUT, async || {
            let operation = Call::new(shop, Method::GET, &path).expect_status(200).await;
            let operation: Value = serde_json::from_str(&operation).unwrap();
            (!operation["finished_at"].is_null()).then_some(())
        })
        .await;
    };
    change("/api/orders/retry", json!({ "failure_code": "card_declined" })).await;
    change("/api/orders/cancel", json!({ "customer": "eve" })).await;
    for path in ["/api/queue/pause", "/api/queue/resume"] {
        Call::new(shop, Method::POST, path).expect_status(204).await;
    }
}

fn paid(amount: &str) -> Value {
    json!({ "product_name": "Engine", "amount": amount, "payment_method": "credit_card" })
}

/// Orders wait while the gateway fails, hangs, is overloaded or rejects the service's key. That opens the
/// circuit breaker at once, so most attempts of the last four orders send no request.
pub(super) async fn unavailable_gateway(shop: &Shop, database: &Client) {
    for faults in [
        json!({ "error_rate": 1.0 }),
        json!({ "hang_rate": 1.0 }),
        json!({ "rate_limit_per_second": 1 }),
    ] {
        shop.gateway_faults(&faults).await;
        let id = shop.order(&paid("11")).await;
        waits(shop, &id, 1).await;
        shop.gateway_faults(&json!({})).await;
        assert_eq!(final_order(shop, &id).await["status"], "completed");
    }

    shop.gateway_faults(&json!({ "unauthorized": true })).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let id = shop.order(&paid("13")).await;
        waits(shop, &id, 1).await;
        ids.push(id);
    }
    let [late, exhausted, others @ ..] = &ids[..] else {
        panic!("four orders");
    };
    let is_late = "waiting_since = now() - interval '1 year'";
    due(database, late, is_late, 1).await;
    assert_eq!(
        final_order(shop, late).await["failure"]["code"],
        "payment_deadline"
    );
    // As if each of its attempts had been released for a reason that is no longer on the row.
    let is_exhausted = "attempts_forgiven = 0, failure_code = NULL, failure_detail = NULL";
    due(database, exhausted, is_exhausted, 2).await;
    assert_eq!(
        final_order(shop, exhausted).await["failure"]["code"],
        "attempts_exhausted"
    );
    shop.gateway_faults(&json!({})).await;
    for id in others {
        assert_eq!(final_order(shop, id).await["status"], "completed");
    }
}

/// Waits until the order waits for the gateway after this many attempts.
async fn waits(shop: &Shop, id: &str, attempts: i64) {
    testkit::eventually("an order that waits", TIMEOUT, || async {
        let order = shop.read(id).await;
        let waits = order["status"] == "pending" && order["attempt"].as_i64()? >= attempts;
        waits.then_some(())
    })
    .await;
}

/// Changes the row of an order that waits after this many attempts, and makes it due.
async fn due(database: &Client, id: &str, change: &str, attempts: i32) {
    let update = format!(
        "UPDATE orders SET {change}, dispatch_after = now() \
         WHERE id = '{id}' AND status = 'pending' AND attempt >= {attempts}"
    );
    testkit::eventually("an order that waits", TIMEOUT, || async {
        (database.execute(&update, &[]).await.unwrap() == 1).then_some(())
    })
    .await;
}

/// The database rejects what a worker writes: its claim, then its outcome.
pub(super) async fn rejected_writes(shop: &Shop, database: &Client) {
    for (name, status, error) in [
        ("Sisyphus", "processing", "claim"),
        ("Tantalus", "completed", "record"),
    ] {
        let constraint = format!(
            "ALTER TABLE orders ADD CONSTRAINT possible CHECK (items::text NOT LIKE '%{name}%' OR status <> '{status}')"
        );
        database.batch_execute(&constraint).await.unwrap();
        let body = json!({ "product_name": name, "amount": "1" });
        let id = shop.order(&body).await;
        let failed = |trace: &lens::Trace| {
            let mut spans = trace.spans.iter();
            spans.any(|span| span.attributes.get_str("error.type") == Some(error))
        };
        shop.lens.trace_of_order(&id, failed).await;
        let allow = "ALTER TABLE orders DROP CONSTRAINT possible; UPDATE orders SET dispatch_after = now() WHERE completed_at IS NULL";
        database.batch_execute(allow).await.unwrap();
        assert_eq!(final_order(shop, &id).await["status"], "completed");
    }
}

/// While no worker runs, an order is cancelled, another one's amount is changed, one is made unreadable, and
/// Redis loses their jobs.
pub(super) async fn cancelled_and_lost(shop: &mut Shop, database: &Client) {
    shop.stack.stop(Worker).await.unwrap();
    cancelled(shop).await;
    let lost = shop.order(&widget()).await;
    let tampered = shop
        .order(&json!({ "product_name": "Engine", "amount": "1500" }))
        .await;
    let unreadable = shop.order(&widget()).await;
    let tamper = format!(
        "UPDATE orders SET amount = amount + 1 WHERE id = '{tampered}'; UPDATE orders SET items = '[1]' WHERE id = '{unreadable}'"
    );
    database.batch_execute(&tamper).await.unwrap();
    let mut redis = shop.redis.connect().await.unwrap();
    let flush = redis::cmd("FLUSHALL");
    let _: () = flush.query_async(&mut redis).await.unwrap();
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(final_order(shop, &lost).await["status"], "completed");
    let failed = final_order(shop, &tampered).await;
    assert_eq!(failed["failure"]["code"], "amount_mismatch");
    // A worker left it to another version.
    let delete = format!("DELETE FROM orders WHERE id = '{unreadable}' AND attempts_forgiven > 0");
    testkit::eventually("the unreadable order to be left", TIMEOUT, || async {
        (database.execute(&delete, &[]).await.unwrap() == 1).then_some(())
    })
    .await;
}

async fn cancelled(shop: &Shop) {
    let id = shop.order(&widget()).await;
    let path = format!("/api/orders/{id}");
    Call::new(shop, Method::DELETE, &path).expect_status(204).await;
}

/// A worker releases its order at shutdown. The next one also gets the job of an order that was cancelled
/// meanwhile.
pub(super) async fn abandoned(shop: &mut Shop) {
    let id = in_flight(shop).await;
    requests::disconnected(shop, &id).await;
    shop.stack.stop(Worker).await.unwrap();
    cancelled(shop).await;
    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(final_order(shop, &id).await["status"], "completed");
}

/// The lease of an attempt expires before its end, and another attempt claims the order.
pub(super) async fn lease_lost(shop: &Shop, database: &Client) {
    let id = in_flight(shop).await;
    let expire = format!("UPDATE orders SET dispatch_after = now() WHERE id = '{id}' AND attempt = 1");
    testkit::eventually("the attempt to lose its lease", TIMEOUT, || async {
        database.batch_execute(&expire).await.unwrap();
        (shop.read(&id).await["attempt"] == 2).then_some(())
    })
    .await;
    let lost = |trace: &lens::Trace| {
        let mut spans = trace.spans.iter();
        spans.any(|span| span.attributes.get_str("error.type") == Some("lease_lost"))
    };
    shop.lens.trace_of_order(&id, lost).await;
    shop.gateway_faults(&json!({})).await;
    final_order(shop, &id).await;
}

/// A worker cannot release its order at shutdown: the handler is stopped.
pub(super) async fn stopped(shop: &mut Shop, database: &Client) {
    let id = in_flight(shop).await;
    let lock = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
    database.batch_execute(lock).await.unwrap();
    shop.stack.stop(Worker).await.unwrap();
    database.batch_execute("ROLLBACK").await.unwrap();
    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(final_order(shop, &id).await["status"], "completed");
}

/// The order of a killed worker completes after its lease has expired. An order whose worker is killed in
/// every attempt fails. Returns the pids of the killed workers.
pub(super) async fn killed(shop: &mut Shop) -> Vec<i64> {
    let id = in_flight(shop).await;
    let mut killed = vec![kill(shop, &id, 1).await];
    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(final_order(shop, &id).await["status"], "completed");

    let id = in_flight(shop).await;
    for attempt in 1..=2 {
        killed.push(kill(shop, &id, attempt).await);
        shop.stack.restart(Worker).await.unwrap();
    }
    let failed = final_order(shop, &id).await;
    assert_eq!(failed["failure"]["code"], "worker_crashed");
    shop.gateway_faults(&json!({})).await;
    killed
}

/// Kills the worker in this attempt, once it has exported its claim, which makes the attempt visible in the
/// trace.
async fn kill(shop: &mut Shop, id: &str, attempt: usize) -> i64 {
    let claimed = |trace: &lens::Trace| {
        let of_worker = |span: &&lens::Span| span.name == "UPDATE orders" && span.service == Worker.binary();
        let updates = trace.spans.iter().filter(of_worker);
        let attempts: HashSet<_> = updates.map(|span| span.parent_span_id).collect();
        attempts.len() >= attempt
    };
    shop.lens.trace_of_order(id, claimed).await;
    let pid = shop.stack.pids().find(|(service, _)| *service == Worker);
    let pid = pid.and_then(|(_, pid)| pid).unwrap();
    shop.stack.kill(Worker).await.unwrap();
    i64::from(pid)
}

/// An order whose payment hangs.
async fn in_flight(shop: &Shop) -> String {
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    let body = json!({ "product_name": "Gear", "amount": "5", "payment_method": "paypal" });
    let id = shop.order(&body).await;
    testkit::eventually("a worker to claim the order", TIMEOUT, || async {
        (shop.read(&id).await["status"] == "processing").then_some(())
    })
    .await;
    id
}
