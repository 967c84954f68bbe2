//! The product where it does not continue the traces of others: JOB_TRACE=link, TRACE_INBOUND=link, and a second api with
//! TRACE_INBOUND=ignore, which also asks who calls and how often.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use testkit::Service::{Api, Worker};
use testkit::Stack;
use throughline_e2e::contract::{Capture, Inbound};

use super::call::Call;
use super::{described, lines, settled, span_id, traceparent};
use crate::shop::{PATIENCE, Shop, binaries, widget};

const LINKED: &str = "a1ad6b7169203331";
const IGNORED: &str = "c7ad6b7169203331";
const SECRET: &str = "a secret for tests, of 32 bytes.";

pub(super) async fn capture() -> Capture {
    let env = [
        (Api, "TRACE_INBOUND", "link"),
        (Worker, "JOB_TRACE", "link"),
    ];
    let env: Vec<_> = env.into_iter().chain(described()).collect();
    let mut shop = Shop::open_with(&env).await;
    let mut guarded = guarded(&shop).await;
    linked_order(&shop).await;
    refusals(&shop, &guarded).await;

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
        .telemetry_to(&shop.lens.otlp_grpc_url())
        .only(&[Api]);
    let env = [
        (Api, "TRACE_INBOUND", "ignore"),
        (Api, "AUTH", "jwt"),
        (Api, "JWT_SECRET", SECRET),
        (Api, "RATE_LIMIT_PER_SECOND", "2"),
    ];
    for (service, name, value) in env.into_iter().chain(described()) {
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
async fn refusals(shop: &Shop, guarded: &Stack) {
    let call = |method, path| {
        let call = Call::to(&shop.http, &guarded.url(Api), method, path);
        call.header("traceparent", &traceparent(IGNORED))
    };
    let with = |call: Call, scope| {
        let token = token(scope);
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

/// HS256, of a customer for each scope.
fn token(scope: &str) -> String {
    let expires = SystemTime::now() + Duration::from_secs(3600);
    let expires = expires.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "sub": format!("has {scope}"), "scope": scope, "exp": expires });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let message = format!("{}.{}", encode(&header), encode(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}
