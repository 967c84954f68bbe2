//! The product where it does not continue the traces of others: JOB_TRACE=link, TRACE_INBOUND=link, and a second api with
//! TRACE_INBOUND=ignore, which also asks how often.

use std::collections::{HashMap, HashSet};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use testkit::Service::{Api, Worker};
use testkit::Stack;
use throughline_e2e::contract::{Capture, Inbound};

use super::call::Call;
use super::caller::{self, AUTHENTICATION};
use super::{described, lines, settled, span_id, traceparent};
use crate::shop::{PATIENCE, Shop, binaries, widget};

const LINKED: &str = "a1ad6b7169203331";
const IGNORED: &str = "c7ad6b7169203331";

pub(super) async fn capture() -> Capture {
    let env = [(Api, "TRACE_INBOUND", "link"), (Worker, "JOB_TRACE", "link")];
    let env = env.into_iter().chain(AUTHENTICATION).chain(described());
    let mut shop = Shop::open_with(&env.collect::<Vec<_>>()).await;
    shop.http = caller::ada();
    let mut guarded = guarded(&shop).await;
    linked_order(&shop).await;
    refusals(&guarded).await;

    let pids = |stack: &Stack, inbound| {
        let pids = stack.pids().filter_map(|(_, pid)| pid);
        let pids = pids.map(|pid| (i64::from(pid), inbound));
        pids.collect::<HashMap<_, _>>()
    };
    let mut inbound = pids(&shop.stack, Inbound::Link);
    inbound.extend(pids(&guarded, Inbound::Ignore));
    // The gateway continues the trace of the worker that calls it.
    inbound.retain(|pid, _| !is_gateway(&shop, *pid));
    guarded.end().await.unwrap();
    shop.stack.end().await.unwrap();
    Capture {
        lines: [lines(&shop.stack), lines(&guarded)].concat(),
        callers: HashSet::from([span_id(LINKED), span_id(IGNORED)]),
        inbound,
        ..Capture::of(shop.lens.store())
    }
}

fn is_gateway(shop: &Shop, pid: i64) -> bool {
    let mut pids = shop.stack.pids();
    pids.any(|(service, of)| service == testkit::Service::Gateway && of.map(i64::from) == Some(pid))
}

/// One more api before the same orders.
async fn guarded(shop: &Shop) -> Stack {
    let mut stack = Stack::builder(shop.database.url(), shop.redis.url())
        .binaries(binaries().await)
        .telemetry_to(&shop.lens.otlp_http_url())
        .only(&[Api]);
    let env = [
        (Api, "TRACE_INBOUND", "ignore"),
        (Api, "RATE_LIMIT_PER_SECOND", "2"),
    ];
    let env = env.into_iter().chain(AUTHENTICATION).chain(described());
    for (service, name, value) in env {
        stack = stack.env(service, name, value);
    }
    stack.start().await.unwrap()
}

/// A caller's order that takes two attempts.
async fn linked_order(shop: &Shop) {
    let lost = json!({ "drop_after_charge_rate": 1.0 });
    shop.gateway_faults(&lost).await;
    let body = json!({ "product_name": "Cog", "amount": "7", "payment_method": "debit_card" });
    let created = Call::new(shop, Method::POST, "/api/orders")
        .header("traceparent", &traceparent(LINKED))
        .json(&body)
        .answers(201)
        .await;
    let created: Value = serde_json::from_str(&created).unwrap();
    let order = settled(shop, created["id"].as_str().unwrap()).await;
    assert_eq!(
        (&order["status"], &order["attempt"]),
        (&json!("completed"), &json!(2))
    );
}

/// Who has no token, no scope, or no patience.
async fn refusals(guarded: &Stack) {
    let anybody = Client::new();
    let call = |method, path| {
        let call = Call::to(&anybody, &guarded.url(Api), method, path);
        call.header("traceparent", &traceparent(IGNORED))
    };
    let with = |call: Call, scope| {
        let token = caller::token(&format!("has {scope}"), scope);
        call.header("authorization", &format!("Bearer {token}"))
    };
    call(Method::GET, "/api/orders").answers(401).await;
    let create = || call(Method::POST, "/api/orders").json(&widget());
    with(create(), "orders:read").answers(403).await;
    with(create(), "orders:write").answers(201).await;
    testkit::eventually("a request too many", PATIENCE, || async {
        let asked = with(call(Method::GET, "/api/orders"), "orders:read");
        (asked.sent().await.status() == 429).then_some(())
    })
    .await;
}
