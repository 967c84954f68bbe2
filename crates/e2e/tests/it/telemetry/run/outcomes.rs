//! Every end of a job.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Service::Worker;
use tokio_postgres::Client;

use super::call::Call;
use super::{requests, settled};
use crate::shop::{PATIENCE, Shop, widget};

/// Every way in which the gateway's answer ends an order.
pub(super) async fn answered(shop: &Shop) {
    let paid =
        |amount: &str| json!({ "product_name": "Engine", "amount": amount, "payment_method": "credit_card" });
    let with = |token: &str| {
        let mut body = paid("10");
        body["payment_token"] = token.into();
        body
    };
    let order = async |body: &Value, status: &str| {
        let id = shop.order(body).await;
        let order = settled(shop, &id).await;
        assert_eq!(order["status"], status, "{order}");
        order
    };
    let completed = order(&paid("1500"), "completed").await;
    requests::payments(shop, completed["payment_id"].as_str().unwrap()).await;
    order(&with("pm_nobody_knows"), "failed").await;
    let declined = order(&with("pm_card_chargeDeclined"), "failed").await;
    let declined = declined["id"].as_str().unwrap();
    let retry = format!("/api/orders/{declined}/retry");
    Call::new(shop, Method::POST, &retry).answers(202).await;
    assert_eq!(settled(shop, declined).await["attempt"], 2);

    for faults in [json!({ "error_rate": 1.0 }), json!({ "hang_rate": 1.0 })] {
        shop.gateway_faults(&faults).await;
        order(&paid("11"), "failed").await;
    }
    let lost = json!({ "drop_after_charge_rate": 1.0 });
    shop.gateway_faults(&lost).await;
    let charged = order(&paid("12"), "completed").await;
    assert_eq!(charged["attempt"], 2);
    shop.gateway_faults(&json!({})).await;
}

/// The database refuses what a worker writes: at its claim, then at its end.
pub(super) async fn refused(shop: &Shop, database: &Client) {
    for (name, status, error) in [
        ("Sisyphus", "processing", "claim"),
        ("Tantalus", "completed", "record"),
    ] {
        let refuse = format!(
            "ALTER TABLE orders ADD CONSTRAINT possible CHECK (items::text NOT LIKE '%{name}%' OR status <> '{status}')"
        );
        database.batch_execute(&refuse).await.unwrap();
        let body = json!({ "product_name": name, "amount": "1" });
        let id = shop.order(&body).await;
        let failed = |trace: &lens::Trace| {
            let mut spans = trace.spans.iter();
            spans.any(|span| span.attributes.get_str("error.type") == Some(error))
        };
        shop.lens.trace_of_order(&id, failed).await;
        let allow = "ALTER TABLE orders DROP CONSTRAINT possible; UPDATE orders SET dispatch_after = now() WHERE completed_at IS NULL";
        database.batch_execute(allow).await.unwrap();
        assert_eq!(settled(shop, &id).await["status"], "completed");
    }
}

/// While no worker runs, an order is cancelled, another one's amount is tampered with, one is made unreadable, and Redis forgets their
/// jobs.
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
    let forget = redis::cmd("FLUSHALL");
    let _: () = forget.query_async(&mut redis).await.unwrap();
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(settled(shop, &lost).await["status"], "completed");
    let failed = settled(shop, &tampered).await;
    assert_eq!(failed["failure"]["code"], "amount_mismatch");
    // The api cannot read it either.
    let ended = format!("DELETE FROM orders WHERE id = '{unreadable}' AND failure_code = 'internal_error'");
    testkit::eventually("an end of the unreadable order", PATIENCE, || async {
        (database.execute(&ended, &[]).await.unwrap() == 1).then_some(())
    })
    .await;
}

async fn cancelled(shop: &Shop) {
    let id = shop.order(&widget()).await;
    let path = format!("/api/orders/{id}");
    Call::new(shop, Method::DELETE, &path).answers(204).await;
}

/// A worker that has to end gives its order up to the next one, which finds the job of another order that was cancelled.
pub(super) async fn abandoned(shop: &mut Shop) {
    let id = in_work(shop).await;
    requests::disconnected(shop, &id).await;
    shop.stack.stop(Worker).await.unwrap();
    cancelled(shop).await;
    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(settled(shop, &id).await["status"], "completed");
}

/// The lease of an attempt ends before it does, so that another one takes the order.
pub(super) async fn lease_lost(shop: &Shop, database: &Client) {
    let id = in_work(shop).await;
    let end = format!("UPDATE orders SET dispatch_after = now() WHERE id = '{id}' AND attempt = 1");
    testkit::eventually("the attempt to lose its order", PATIENCE, || async {
        database.batch_execute(&end).await.unwrap();
        (shop.read(&id).await["attempt"] == 2).then_some(())
    })
    .await;
    let lost = |trace: &lens::Trace| {
        let mut spans = trace.spans.iter();
        spans.any(|span| span.attributes.get_str("error.type") == Some("lease_lost"))
    };
    shop.lens.trace_of_order(&id, lost).await;
    shop.gateway_faults(&json!({})).await;
    settled(shop, &id).await;
}

/// A worker that has to end cannot even give its order up: its handler is stopped.
pub(super) async fn stopped(shop: &mut Shop, database: &Client) {
    let id = in_work(shop).await;
    let lock = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
    database.batch_execute(lock).await.unwrap();
    shop.stack.stop(Worker).await.unwrap();
    database.batch_execute("ROLLBACK").await.unwrap();
    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(settled(shop, &id).await["status"], "completed");
}

/// A worker that is killed leaves its order to the lease: the next one completes it. An order that every attempt's worker is killed
/// at, fails. The pids of the killed.
pub(super) async fn killed(shop: &mut Shop) -> Vec<i64> {
    let id = in_work(shop).await;
    let mut killed = vec![kill(shop, &id, 1).await];
    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(settled(shop, &id).await["status"], "completed");

    let id = in_work(shop).await;
    for attempt in 1..=2 {
        killed.push(kill(shop, &id, attempt).await);
        shop.stack.restart(Worker).await.unwrap();
    }
    let failed = settled(shop, &id).await;
    assert_eq!(failed["failure"]["code"], "attempts_exhausted");
    shop.gateway_faults(&json!({})).await;
    killed
}

/// Kills the worker in this attempt, once it has exported its claim: that is what the trace tells of it.
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
async fn in_work(shop: &Shop) -> String {
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    let body = json!({ "product_name": "Gear", "amount": "5", "payment_method": "paypal" });
    let id = shop.order(&body).await;
    testkit::eventually("a worker to take the order", PATIENCE, || async {
        (shop.read(&id).await["status"] == "processing").then_some(())
    })
    .await;
    id
}
