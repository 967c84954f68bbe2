//! The product as it does not continue its callers' traces: JOB_TRACE=link, TRACE_INBOUND=link, and a second
//! api with TRACE_INBOUND=ignore and a rate limit.

use std::collections::{HashMap, HashSet};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use testkit::Service::{Api, Worker};
use testkit::Stack;
use throughline_e2e::contract::{Capture, Inbound};

use super::call::Call;
use super::{environment, final_order, lines, span_id, traceparent};
use crate::caller::{self, AUTHENTICATION};
use crate::shop::{Shop, TIMEOUT, binaries, widget};

const LINKED: &str = "a1ad6b7169203331";
const IGNORED: &str = "c7ad6b7169203331";

pub(super) async fn capture() -> Capture {
    let env = [(Api, "TRACE_INBOUND", "link"), (Worker, "JOB_TRACE", "link")];
    let env = env.into_iter().chain(AUTHENTICATION).chain(environment());
    let mut shop = Shop::open_with(&env.collect::<Vec<_>>()).await;
    shop.http = caller::ada();
    let mut second_api = rate_limited_api(&shop).await;
    linked_order(&shop).await;
    refusals(&second_api).await;

    let pids = |stack: &Stack, inbound| {
        let pids = stack.pids().filter_map(|(_, pid)| pid);
        let pids = pids.map(|pid| (i64::from(pid), inbound));
        pids.collect::<HashMap<_, _>>()
    };
    let mut inbound = pids(&shop.stack, Inbound::Link);
    inbound.extend(pids(&second_api, Inbound::Ignore));
    // The gateway continues the trace of the worker that calls it.
    inbound.retain(|pid, _| !is_gateway(&shop, *pid));
    second_api.end().await.unwrap();
    shop.stack.end().await.unwrap();
    Capture {
        lines: [lines(&shop.stack), lines(&second_api)].concat(),
        callers: HashSet::from([span_id(LINKED), span_id(IGNORED)]),
        inbound,
        ..Capture::of(shop.lens.store())
    }
}

fn is_gateway(shop: &Shop, pid: i64) -> bool {
    let mut pids = shop.stack.pids();
    pids.any(|(service, of)| service == testkit::Service::Gateway && of.map(i64::from) == Some(pid))
}

/// A second api on the same database.
async fn rate_limited_api(shop: &Shop) -> Stack {
    let mut stack = Stack::builder(shop.database.url(), shop.redis.url())
        .binaries(binaries().await)
        .telemetry_to(&shop.lens.otlp_http_url())
        .only(&[Api]);
    let env = [
        (Api, "TRACE_INBOUND", "ignore"),
        (Api, "RATE_LIMIT_PER_SECOND", "2"),
    ];
    let env = env.into_iter().chain(AUTHENTICATION).chain(environment());
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
        .expect_status(201)
        .await;
    let created: Value = serde_json::from_str(&created).unwrap();
    let order = final_order(shop, created["id"].as_str().unwrap()).await;
    assert_eq!(
        (&order["status"], &order["attempt"]),
        (&json!("completed"), &json!(2))
    );
}

/// Requests without a token, without a scope, and over the rate limit.
async fn refusals(api: &Stack) {
    let client = Client::new();
    let call = |method, path| {
        let call = Call::to(&client, &api.url(Api), method, path);
        call.header("traceparent", &traceparent(IGNORED))
    };
    let with = |call: Call, scope| {
        let token = caller::token(&format!("has {scope}"), scope);
        call.header("authorization", &format!("Bearer {token}"))
    };
    call(Method::GET, "/api/orders").expect_status(401).await;
    let create = || call(Method::POST, "/api/orders").json(&widget());
    with(create(), "orders:read").expect_status(403).await;
    with(create(), "orders:write").expect_status(201).await;
    testkit::eventually("a rate-limited request", TIMEOUT, || async {
        let request = with(call(Method::GET, "/api/orders"), "orders:read");
        (request.send().await.status() == 429).then_some(())
    })
    .await;
}
