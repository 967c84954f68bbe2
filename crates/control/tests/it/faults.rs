//! Each fault happens, ends, and loses no order.

use serde_json::{Value, json};

use crate::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_happens_and_ends_and_no_order_is_lost() {
    let visitor = Visitor::enters().await;
    visitor.does("load", &[("rate", "10")]).await;
    visitor.does("fault", &[("fault", "gateway-errors")]).await;
    visitor.does("fault", &[("fault", "gateway-slow")]).await;
    assert_eq!(gateway_faults(&visitor).await, json!([0.2, 2000]));
    assert_eq!(visitor.process("gateway").await["state"], "running");
    visitor.does("fault", &[("fault", "gateway-slow")]).await;
    assert_eq!(gateway_faults(&visitor).await, json!([0.2, 0]));

    // A new gateway gets the faults of the one before.
    for act in ["stop", "start"] {
        visitor
            .does("process", &[("part", "gateway"), ("act", act)])
            .await;
        let state = if act == "stop" { "stopped" } else { "running" };
        visitor.waits_for_state("gateway", state).await;
    }
    visitor
        .waits_for("the faults", || async {
            (gateway_faults(&visitor).await == json!([0.2, 0])).then_some(())
        })
        .await;
    visitor.does("fault", &[("fault", "gateway-errors")]).await;

    let sql = visitor.sql().await;
    visitor.does("fault", &[("fault", "connections-ended")]).await;
    visitor
        .waits_for("the end of this connection", || async {
            sql.is_closed().then_some(())
        })
        .await;
    let redis = redis::Client::open(visitor.redis_url.as_str()).unwrap();
    let mut redis = redis.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET")
        .arg("a")
        .arg("b")
        .exec_async(&mut redis)
        .await
        .unwrap();
    visitor.does("fault", &[("fault", "redis-flush")]).await;
    let left: Option<String> = redis::cmd("GET").arg("a").query_async(&mut redis).await.unwrap();
    assert_eq!(left, None);
    for fault in [
        "jobs-lost",
        "orders-locked",
        "redis-pause",
        "redis-kill",
        "postgres-restart",
    ] {
        visitor.does("fault", &[("fault", fault)]).await;
        visitor
            .waits_for(&format!("the end of {fault}"), || async {
                let system = visitor.system().await;
                let is_over = !system["faults"].as_array().unwrap().contains(&fault.into());
                let mut processes = system["processes"].as_array().unwrap().iter();
                (is_over && processes.all(|process| process["state"] == "running")).then_some(())
            })
            .await;
    }

    visitor.does("load", &[("rate", "0")]).await;
    visitor
        .waits_for("the end of all orders", || async {
            let system = visitor.system().await;
            let orders = &system["orders"];
            (orders["final"] == orders["accepted"] && system["orders_trouble"].is_null()).then_some(())
        })
        .await;
    let orders = visitor.system().await["orders"].clone();
    for broken in ["lost", "charged_twice", "unsettled", "stuck"] {
        assert_eq!(orders[broken], 0, "{orders}");
    }
    assert!(orders["accepted"].as_u64().unwrap() > 10, "{orders}");
    visitor.system.stop().await.unwrap();
}

/// The rate of errors and the latency.
async fn gateway_faults(visitor: &Visitor) -> Value {
    let faults = visitor.http.get(format!("{}/sandbox/faults", visitor.gateway));
    match faults.send().await {
        Ok(faults) => {
            let faults: Value = faults.json().await.unwrap();
            json!([faults["error_rate"], faults["latency_ms"]])
        }
        Err(_) => Value::Null,
    }
}
