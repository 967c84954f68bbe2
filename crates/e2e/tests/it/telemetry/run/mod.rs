//! A run that covers every endpoint and every outcome of a job, with personal data where callers might put
//! it. It has three parts: the product with its defaults, the product as it does not continue its callers'
//! traces, and a small service that exports what the product never does.

mod call;
mod foreign;
mod outages;
mod outcomes;
mod pages;
mod requests;

use std::collections::HashSet;

use lens::SpanId;
use reqwest::Method;
use serde_json::Value;
use testkit::Service::{self, Api, Gateway, Worker};
use testkit::Stack;
use throughline_e2e::contract::{Capture, Line, UNTRACED};

use self::call::Call;
use super::kit;
use crate::caller::{self, AUTHENTICATION};
use crate::shop::{Shop, TIMEOUT};

const EMAIL: &str = "jane.doe@example.com";
const CARD: &str = "4111111111111111";
const PHONE: &str = "+14155550123";
const TOKEN: &str = "plantedbearer0123456789abcdef";
const PASSWORD: &str = "planted-hunter2";
const KEY: &str = "planted-idempotency-key";
const COOKIE: &str = "planted-session";
const CALLER: &str = "b7ad6b7169203331";
const UNKNOWN: &str = "0192e4a0-0000-7000-8000-000000000000";

/// Short timeouts, so that failures come soon, but long enough to change an order whose payment hangs; two
/// connections for lists, so that their pool is exhausted.
const ENV: &[(Service, &str, &str)] = &[
    (Api, "DATABASE_REPORTING_POOL_SIZE", "2"),
    (Api, "HTTP_BODY_LIMIT", "4KiB"),
    (Api, "HTTP_REQUEST_TIMEOUT", "3s"),
    (Worker, "ORDER_LEASE", "6s"),
    (Worker, "ORDER_MAX_ATTEMPTS", "2"),
    (Worker, "ORDER_MAX_CRASHES", "2"),
    (Worker, "PAYMENT_MAX_PER_SECOND", "1000"),
    (Worker, "PAYMENT_TIMEOUT", "5s"),
    (Worker, "SHUTDOWN_TIMEOUT", "1s"),
    (Worker, "SLOW_QUERY_THRESHOLD", "0.000001"),
];

pub(super) async fn capture() -> Capture {
    let (defaults, foreign, kit) = tokio::join!(with_defaults(), foreign::capture(), kit::capture());
    defaults.and(foreign).and(kit)
}

async fn with_defaults() -> Capture {
    let console = testkit::free_port().unwrap().to_string();
    // Outside of development the pages have a port of their own.
    let pages = (Api, "CONSOLE_PORT", console.as_str());
    let resource: Vec<_> = environment().collect();
    let env = [ENV, &AUTHENTICATION, &resource, &[pages]].concat();
    let mut shop = Shop::open_with(&env).await;
    shop.http = caller::ada();
    let database = shop.database.connect().await.unwrap();

    requests::requests(&shop, &format!("http://127.0.0.1:{console}")).await;
    outcomes::payments(&shop).await;
    outcomes::unavailable_gateway(&shop, &database).await;
    outages::rejected_statement(&shop, &database).await;
    outcomes::rejected_writes(&shop, &database).await;
    outages::locked_table(&shop, &database).await;
    outages::cache(&shop).await;
    outcomes::cancelled_and_lost(&mut shop, &database).await;
    outages::redis_unavailable(&mut shop).await;
    outcomes::abandoned(&mut shop).await;
    outcomes::lease_lost(&shop, &database).await;
    outcomes::stopped(&mut shop, &database).await;
    let killed = outcomes::killed(&mut shop).await;

    shop.stack.end().await.unwrap();
    let planted = [EMAIL, CARD, PHONE, TOKEN, PASSWORD, KEY, COOKIE];
    Capture {
        lines: lines(&shop.stack),
        callers: HashSet::from([span_id(CALLER)]),
        killed,
        untraced: UNTRACED.iter().map(|path| (*path).to_owned()).collect(),
        planted: planted.map(str::to_owned).into(),
        ..Capture::of(shop.lens.store())
    }
}

/// The order once it is final. Each request makes a trace, so the api waits for the final state.
async fn final_order(shop: &Shop, id: &str) -> Value {
    let path = format!("/api/orders/{id}");
    testkit::eventually("an order's final state", TIMEOUT, || async {
        let read = Call::new(shop, Method::GET, &path).query("wait=2");
        let order: Value = serde_json::from_str(&read.expect_status(200).await).unwrap();
        (!order["completed_at"].is_null()).then_some(order)
    })
    .await
}

/// The variables from which each process takes resource attributes.
fn environment() -> impl Iterator<Item = (Service, &'static str, &'static str)> {
    [Api, Worker, Gateway].into_iter().flat_map(|service| {
        [
            (service, "ENVIRONMENT", "test"),
            (service, "K8S_POD_NAME", "pod-1"),
            (service, "OTEL_RESOURCE_ATTRIBUTES", "cloud.region=here"),
        ]
    })
}

/// The context of a caller's span.
fn traceparent(caller: &str) -> String {
    format!("00-0af7651916cd43dd8448eb211c80319c-{caller}-01")
}

fn span_id(caller: &str) -> SpanId {
    caller.parse().unwrap()
}

fn lines(stack: &Stack) -> Vec<Line> {
    let services = stack.pids().map(|(service, _)| service);
    services
        .flat_map(|service| {
            let log = stack.logs().join(format!("{service}.log"));
            let text = std::fs::read_to_string(log).unwrap();
            let line = |text: &str| Line {
                service: service.to_string(),
                text: text.to_owned(),
            };
            // The supervising shell prints how the process ended.
            let lines = text.lines().filter(|text| *text != "Killed");
            lines.map(line).collect::<Vec<_>>()
        })
        .collect()
}
