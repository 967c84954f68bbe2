//! The numbers beside the faults are those of PostgreSQL and of the gateway's ledger.

use serde_json::json;

use crate::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_lost_charged_twice_unsettled_or_stuck_are_counted() {
    let visitor = Visitor::enters().await;
    visitor.does("load", &[("rate", "20")]).await;
    visitor
        .waits_for_number("accepted", |accepted| accepted >= 10)
        .await;
    visitor.does("load", &[("rate", "0")]).await;
    let ordered = visitor.orders().await;
    let sql = visitor.sql().await;
    let orders = visitor
        .waits_for("the end of all orders", || async {
            let stored: i64 = sql
                .query_one("SELECT count(*) FROM orders", &[])
                .await
                .unwrap()
                .get(0);
            let orders = visitor.system().await["orders"].clone();
            (orders["accepted"] == stored && orders["final"] == stored).then_some(orders)
        })
        .await;
    for broken in ["lost", "charged_twice", "unsettled", "stuck"] {
        assert_eq!(orders[broken], 0, "{orders}");
    }

    let charge = [
        ("amount", "999"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("metadata[order_id]", ordered.as_str()),
    ];
    let charge = visitor
        .http
        .post(format!("{}/v1/payment_intents", visitor.gateway))
        .form(&charge);
    let charged = charge.bearer_auth("sk_test_throughline").send().await.unwrap();
    assert!(charged.status().is_success());
    visitor
        .waits_for_number("charged_twice", |orders| orders == 1)
        .await;

    let accepted = orders["accepted"].as_u64().unwrap();
    const LOSE: &str = "DELETE FROM orders WHERE id = (SELECT id FROM orders WHERE id::text <> $1 LIMIT 1)";
    assert_eq!(sql.execute(LOSE, &[&ordered]).await.unwrap(), 1);
    visitor.waits_for_number("lost", |orders| orders == 1).await;
    assert_eq!(
        visitor.system().await["orders"]["accepted"],
        accepted,
        "one is lost, none is forgotten"
    );

    // An order that waits for nothing and that no worker takes.
    visitor
        .does("process", &[("part", "worker-1"), ("act", "stop")])
        .await;
    visitor.waits_for_state("worker-1", "stopped").await;
    let stuck = visitor.orders().await;
    const AGE: &str = "UPDATE orders SET created_at = created_at - interval '1 hour' WHERE id::text = $1";
    assert_eq!(sql.execute(AGE, &[&stuck]).await.unwrap(), 1);
    visitor.waits_for_number("stuck", |orders| orders == 1).await;
    assert_eq!(visitor.system().await["load"], json!({ "rate": 0 }));
    visitor.system.stop().await.unwrap();
}
