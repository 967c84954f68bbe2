//! A run that visits every endpoint and every end of a job, with personal data where callers might put it.

use std::collections::HashSet;

use lens::SpanId;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use testkit::Service::{self, Api, Gateway, Worker};
use throughline_e2e::contract::{Capture, Line};
use tokio_postgres::Client;

use crate::shop::{PATIENCE, Shop, widget};

const EMAIL: &str = "jane.doe@example.com";
const CARD: &str = "4111111111111111";
const PHONE: &str = "+14155550123";
const TOKEN: &str = "plantedbearer0123456789abcdef";
const PASSWORD: &str = "planted-hunter2";
const KEY: &str = "planted-idempotency-key";
const COOKIE: &str = "planted-session";
const CALLER: &str = "b7ad6b7169203331";
const NOBODY: &str = "0192e4a0-0000-7000-8000-000000000000";

/// Of the customer ada, who may read and write orders until 2100; signed with the JWT_SECRET below.
const ADA: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJzY29wZSI6Im9yZGVyczpyZWFkIG9yZGVyczp3cml0ZSIsImV4cCI6NDEwMjQ0NDgwMH0.HcBKxw2YiGvBHG-1YJYyqwmYIav9WrbZeJhE27egF84";

/// Short times, so that what goes wrong goes wrong soon; two connections, so that they run out.
const ENV: &[(Service, &str, &str)] = &[
    (Api, "DATABASE_POOL_SIZE", "2"),
    (Api, "HTTP_REQUEST_TIMEOUT", "3s"),
    (Api, "AUTH", "jwt"),
    (Api, "JWT_SECRET", "a secret for tests, of 32 bytes."),
    (Worker, "ORDER_LEASE", "4s"),
    (Worker, "ORDER_MAX_ATTEMPTS", "2"),
    (Worker, "PAYMENT_TIMEOUT", "3s"),
    (Worker, "SHUTDOWN_TIMEOUT", "1s"),
    (Worker, "SLOW_QUERY_THRESHOLD", "0.000001"),
];

pub(super) async fn capture() -> Capture {
    let described = [Api, Worker, Gateway].into_iter().flat_map(|service| {
        [
            (service, "ENVIRONMENT", "test"),
            (service, "K8S_POD_NAME", "pod-1"),
            (service, "OTEL_RESOURCE_ATTRIBUTES", "cloud.region=here"),
        ]
    });
    let env: Vec<_> = ENV.iter().copied().chain(described).collect();
    let mut shop = Shop::open_with(&env).await;
    shop.http = authenticated();
    let database = shop.database.connect().await.unwrap();

    requests(&shop).await;
    outcomes(&shop).await;
    refused_statement(&shop, &database).await;
    locked_table(&shop, &database).await;
    cache(&shop).await;
    cancelled_and_lost(&mut shop).await;
    redis_away(&mut shop).await;
    abandoned(&mut shop).await;
    let killed = killed_worker(&mut shop).await;

    shop.stack.end().await.unwrap();
    Capture {
        lines: lines(&shop),
        callers: HashSet::from([CALLER.parse::<SpanId>().unwrap()]),
        killed: vec![killed],
        planted: [EMAIL, CARD, PHONE, TOKEN, PASSWORD, KEY, COOKIE]
            .map(str::to_owned)
            .into(),
        ..Capture::of(shop.lens.store())
    }
}

/// Every request is ada's, but for those with a token of their own.
fn authenticated() -> reqwest::Client {
    let bearer = HeaderValue::try_from(format!("Bearer {ADA}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    reqwest::Client::builder()
        .default_headers(headers)
        .build()
        .unwrap()
}

/// Every endpoint, every answer, and what callers should not have sent.
async fn requests(shop: &Shop) {
    let items = json!([{ "product_name": "Bolt", "quantity": 2, "unit_price": "1.50" }]);
    let planted = format!("Card {CARD} of {EMAIL}, call {PHONE}, Bearer {TOKEN}");
    shop.order(&json!({ "items": items })).await;
    let id = shop
        .order(&json!({ "product_name": planted, "amount": "9.99" }))
        .await;
    shop.settled(&id).await;

    let orders = || Call::new(shop, Method::GET, "/api/orders");
    let create = || Call::new(shop, Method::POST, "/api/orders");
    let caller = format!("00-0af7651916cd43dd8448eb211c80319c-{CALLER}-01");
    create()
        .header("traceparent", &caller)
        .json(&widget())
        .answers(201)
        .await;
    for status in [201, 201] {
        let keyed = create().header("Idempotency-Key", KEY).json(&widget());
        keyed.answers(status).await;
    }
    let other = json!({ "product_name": "Other", "amount": "1" });
    let reused = create().header("Idempotency-Key", KEY).json(&other);
    reused.answers(422).await;
    create().json(&json!({ "amount": "-1" })).answers(422).await;
    create()
        .header("content-type", "application/json")
        .body("{")
        .answers(400)
        .await;
    create().body("<order/>").answers(415).await;

    orders()
        .query("status=completed&limit=5")
        .answers(200)
        .await;
    orders()
        .query(&format!("password={PASSWORD}&call={PHONE}"))
        .answers(400)
        .await;
    orders()
        .header(
            "user-agent",
            &format!("shop/1.0 ({EMAIL}) Bearer {TOKEN} password={PASSWORD}"),
        )
        .header("authorization", &format!("Bearer {TOKEN}"))
        .header("cookie", &format!("session={COOKIE}"))
        .answers(401)
        .await;
    for (method, path, status) in [
        (Method::GET, format!("/api/orders/{id}"), 200),
        (Method::HEAD, format!("/api/orders/{id}"), 200),
        (Method::GET, format!("/api/orders/{NOBODY}"), 404),
        (Method::GET, format!("/api/orders/{CARD}"), 404),
        (Method::DELETE, format!("/api/orders/{id}"), 409),
        (Method::DELETE, format!("/api/orders/{NOBODY}"), 404),
        (Method::PUT, "/api/orders".to_owned(), 405),
        (Method::GET, "/api/orders/analytics".to_owned(), 200),
        (Method::GET, "/nowhere".to_owned(), 404),
        (Method::GET, "/favicon.ico".to_owned(), 404),
        (Method::GET, "/health".to_owned(), 200),
        (Method::GET, "/health/ready".to_owned(), 200),
        (
            Method::from_bytes(b"BREW").unwrap(),
            "/api/orders".to_owned(),
            405,
        ),
    ] {
        Call::new(shop, method, &path).answers(status).await;
    }
}

/// Every way in which the gateway's answer ends an order.
async fn outcomes(shop: &Shop) {
    let paid = |amount: &str| json!({ "product_name": "Engine", "amount": amount, "payment_method": "credit_card" });
    let status = async |body: &Value| {
        let id = shop.order(body).await;
        shop.settled(&id).await["status"].clone()
    };
    assert_eq!(status(&paid("1500")).await, "completed");
    let mut declined = paid("10");
    declined["payment_token"] = json!("pm_card_chargeDeclined");
    assert_eq!(status(&declined).await, "failed");
    for faults in [json!({ "error_rate": 1.0 }), json!({ "hang_rate": 1.0 })] {
        shop.gateway_faults(&faults).await;
        assert_eq!(status(&paid("11")).await, "failed", "after its retry");
    }
    shop.gateway_faults(&json!({ "drop_after_charge_rate": 1.0 }))
        .await;
    assert_eq!(status(&paid("12")).await, "completed", "at its retry");
    shop.gateway_faults(&json!({})).await;
}

async fn refused_statement(shop: &Shop, database: &Client) {
    let constraint =
        "ALTER TABLE orders ADD CONSTRAINT possible CHECK (items::text NOT LIKE '%Perpetuum%')";
    database.batch_execute(constraint).await.unwrap();
    let body = json!({ "product_name": "Perpetuum mobile", "amount": "1" });
    Call::new(shop, Method::POST, "/api/orders")
        .json(&body)
        .answers(500)
        .await;
}

/// Two statements wait until their requests are given up, and others for a connection.
async fn locked_table(shop: &Shop, database: &Client) {
    let lock = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
    database.batch_execute(lock).await.unwrap();
    let read = || Call::new(shop, Method::GET, "/api/orders").answers(503);
    tokio::join!(read(), read(), read(), read());
    database.batch_execute("ROLLBACK").await.unwrap();
}

/// Known, and of another type than the service's.
async fn cache(shop: &Shop) {
    let analytics = || Call::new(shop, Method::GET, "/api/orders/analytics").answers(200);
    analytics().await;
    let mut redis = shop.redis.connect().await.unwrap();
    let key = "orders:cache:analytics:of:ada";
    let mut spoil = redis::pipe();
    spoil.del(key).lpush(key, "not a text");
    let _: () = spoil.query_async(&mut redis).await.unwrap();
    analytics().await;
}

/// While no worker runs, an order is cancelled, and Redis forgets the job of another.
async fn cancelled_and_lost(shop: &mut Shop) {
    shop.stack.stop(Worker).await.unwrap();
    let cancelled = shop.order(&widget()).await;
    let path = format!("/api/orders/{cancelled}");
    Call::new(shop, Method::DELETE, &path).answers(204).await;
    let lost = shop.order(&widget()).await;
    let mut redis = shop.redis.connect().await.unwrap();
    let _: () = redis::cmd("FLUSHALL")
        .query_async(&mut redis)
        .await
        .unwrap();
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(shop.settled(&lost).await["status"], "completed");
}

async fn redis_away(shop: &mut Shop) {
    shop.redis.stop().await.unwrap();
    let id = shop.order(&widget()).await;
    Call::new(shop, Method::GET, "/api/orders/analytics")
        .answers(200)
        .await;
    shop.redis.restart().await.unwrap();
    assert_eq!(shop.settled(&id).await["status"], "completed");
}

/// A worker that has to end gives its order up to the next one.
async fn abandoned(shop: &mut Shop) {
    let id = order_in_work(shop).await;
    shop.stack.stop(Worker).await.unwrap();
    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(shop.settled(&id).await["status"], "completed");
}

/// A worker that is killed leaves its order to the lease; its pid.
async fn killed_worker(shop: &mut Shop) -> i64 {
    let id = order_in_work(shop).await;
    // A trace tells of the worker by the claim that it exported before.
    let claimed = |trace: &lens::Trace| {
        let mut updates = trace
            .spans
            .iter()
            .filter(|span| span.name == "UPDATE orders");
        updates.any(|span| span.service == Worker.binary())
    };
    shop.lens.trace_of_order(&id, claimed).await;
    let pid = shop.stack.pids().find(|(service, _)| *service == Worker);
    let pid = pid.and_then(|(_, pid)| pid).unwrap();
    shop.stack.kill(Worker).await.unwrap();
    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Worker).await.unwrap();
    assert_eq!(shop.settled(&id).await["status"], "completed");
    i64::from(pid)
}

/// An order whose payment hangs.
async fn order_in_work(shop: &Shop) -> String {
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    let body = json!({ "product_name": "Gear", "amount": "5", "payment_method": "paypal" });
    let id = shop.order(&body).await;
    testkit::eventually("a worker to take the order", PATIENCE, || async {
        (shop.read(&id).await["status"] == "processing").then_some(())
    })
    .await;
    id
}

fn lines(shop: &Shop) -> Vec<Line> {
    [Api, Worker, Gateway]
        .into_iter()
        .flat_map(|service| {
            let log = shop.stack.logs().join(format!("{service}.log"));
            let text = std::fs::read_to_string(log).unwrap();
            let line = |text: &str| Line {
                service: service.to_string(),
                text: text.to_owned(),
            };
            // The shell that watches over the process says how it ended.
            let said = text.lines().filter(|text| *text != "Killed");
            said.map(line).collect::<Vec<_>>()
        })
        .collect()
}

/// A request to the api.
struct Call(RequestBuilder);

impl Call {
    fn new(shop: &Shop, method: Method, path: &str) -> Self {
        let url = format!("{}{path}", shop.stack.url(Api));
        Self(shop.http.request(method, url))
    }

    fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    fn query(self, query: &str) -> Self {
        let (client, request) = self.0.build_split();
        let mut request = request.unwrap();
        request.url_mut().set_query(Some(query));
        Self(RequestBuilder::from_parts(client, request))
    }

    fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    fn body(self, body: &'static str) -> Self {
        Self(self.0.body(body))
    }

    async fn answers(self, status: u16) {
        let answer = self.0.send().await.unwrap();
        let (seen, url) = (answer.status(), answer.url().clone());
        let body = answer.text().await.unwrap();
        assert_eq!(seen, StatusCode::from_u16(status).unwrap(), "{url}: {body}");
    }
}
