//! An upgrade from the last release and a rollback, with the programs of both. docs/upgrading.md says what
//! these tests show.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Service, Stack};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_postgres::Client;

use crate::releases::Release::{Last, This};
use crate::releases::{Release, Releases};
use crate::shop::{TIMEOUT, widget};

const PAUSE_BETWEEN_ORDERS: Duration = Duration::from_millis(50);
/// On a busy machine, fewer orders are sent.
const MAX_UNFINISHED: i64 = 50;

/// Orders that 0.1 left in the database, in every state: status, payment status, attempts, failure code,
/// whether the gateway charged it; and the status and payment status that it gets.
type Seed = (
    &'static str,
    &'static str,
    i32,
    Option<&'static str>,
    bool,
    [&'static str; 2],
);
const SEEDS: [Seed; 14] = [
    (
        "pending",
        "not_required",
        0,
        None,
        false,
        ["completed", "not_required"],
    ),
    ("pending", "pending", 0, None, false, ["completed", "charged"]),
    (
        "pending",
        "pending",
        2,
        Some("payment_timeout"),
        false,
        ["completed", "charged"],
    ),
    (
        "pending",
        "pending",
        2,
        Some("payment_timeout"),
        true,
        ["completed", "charged"],
    ),
    (
        "processing",
        "not_required",
        1,
        None,
        false,
        ["completed", "not_required"],
    ),
    ("processing", "pending", 1, None, false, ["completed", "charged"]),
    ("processing", "pending", 1, None, true, ["completed", "charged"]),
    (
        "completed",
        "not_required",
        1,
        None,
        false,
        ["completed", "not_required"],
    ),
    ("completed", "charged", 1, None, true, ["completed", "charged"]),
    (
        "failed",
        "refused",
        1,
        Some("card_declined"),
        false,
        ["failed", "refused"],
    ),
    (
        "failed",
        "pending",
        8,
        Some("payment_timeout"),
        true,
        ["failed", "charged"],
    ),
    (
        "failed",
        "pending",
        8,
        Some("payment_timeout"),
        false,
        ["failed", "cancelled"],
    ),
    (
        "cancelled",
        "not_required",
        0,
        None,
        false,
        ["cancelled", "not_required"],
    ),
    ("cancelled", "pending", 0, None, false, ["cancelled", "cancelled"]),
];

/// Orders that are not final are due once both releases run.
const INSERT_SEED: &str = "
    INSERT INTO orders (id, amount, customer, currency, payment_method, items, status, payment_status,
        payment_id, attempt, failure_code, failure_detail, dispatch_after, completed_at)
    VALUES ($1::text::uuid, 999, 'ada', 'USD', CASE WHEN $3::text <> 'not_required' THEN 'credit_card' END,
        '[{\"product_name\": \"Widget\", \"quantity\": 1, \"unit_price_minor\": 999}]', $2, $3,
        $4, $5, $6::text, $6::text,
        CASE WHEN $2 IN ('pending', 'processing') THEN now() + interval '1 h' END,
        CASE WHEN $2 NOT IN ('pending', 'processing') THEN now() END)";

const MAKE_SEEDS_DUE: &str =
    "UPDATE orders SET dispatch_after = now() WHERE dispatch_after > now() + interval '30 min'";

/// Final orders of 0.1 whose payment is pending.
const UNSETTLED: &str = "SELECT count(*) FROM orders
    WHERE payment_status = 'pending' AND status IN ('failed', 'cancelled')";

/// As docs/upgrading.md says of a rollback.
const DROP_CONSTRAINT: &str = "ALTER TABLE orders DROP CONSTRAINT orders_final_is_settled";

/// Orders of the load that were attempted by the last release, and by this one, since `$1`.
const PROCESSED: &str = "
    SELECT count(*) FILTER (WHERE attempts_two_step = 0), count(*) FILTER (WHERE attempts_two_step > 0)
    FROM orders WHERE status = 'completed' AND created_at > $1::text::timestamptz";

/// Orders created before `$1` that have a payment at the gateway.
const AT_GATEWAY: &str = "SELECT count(*) FROM orders
    WHERE payment_id IS NOT NULL AND payment_status = 'pending' AND created_at < $1::text::timestamptz";

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_under_load_and_back_loses_charges_twice_and_fails_nothing() {
    let Some(releases) = Releases::open().await else {
        return;
    };
    let sql = releases.database.connect().await.unwrap();
    let seeds = seed(&releases, &sql).await;
    releases.gateway_faults(&json!({ "latency_ms": 100 })).await;
    let mut fleet = Fleet::start(&releases).await;
    fleet.load.accept(30).await;
    releases.migrate().await;
    fleet.load.accept(30).await;

    let both_run: String = query(&sql, "SELECT now()::text").await;
    fleet.replace_api(0, This).await;
    fleet.replace_worker(0, This).await;
    sql.batch_execute(MAKE_SEEDS_DUE).await.unwrap();
    testkit::eventually("orders of both releases", TIMEOUT, async || {
        let row = sql.query_one(PROCESSED, &[&both_run]).await.unwrap();
        (row.get::<_, i64>(0) >= 20 && row.get::<_, i64>(1) >= 20).then_some(())
    })
    .await;
    // Its attempts are left to the other release, some with a payment at the gateway.
    fleet.workers[0].kill(Service::Worker).await.unwrap();
    fleet.load.accept(60).await;
    fleet.workers[0].restart(Service::Worker).await.unwrap();
    fleet.load.accept(60).await;

    fleet.replace_api(1, This).await;
    fleet.replace_worker(1, This).await;
    fleet.load.accept(30).await;
    testkit::eventually("settled payments", TIMEOUT, async || {
        (query::<i64>(&sql, UNSETTLED).await == 0).then_some(())
    })
    .await;
    releases.migrate().await;
    let validated = "SELECT convalidated FROM pg_constraint WHERE conname = 'orders_final_is_settled'";
    assert!(query::<bool>(&sql, validated).await);
    let only_this: String = query(&sql, "SELECT now()::text").await;
    testkit::eventually("the payments at the gateway to end", TIMEOUT, async || {
        let row = sql.query_one(AT_GATEWAY, &[&only_this]).await.unwrap();
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;

    sql.batch_execute(DROP_CONSTRAINT).await.unwrap();
    for replica in [0, 1] {
        fleet.replace_api(replica, Last).await;
        fleet.replace_worker(replica, Last).await;
        fleet.load.accept(30).await;
    }
    let sent = fleet.end(&sql).await;
    audit(&releases, &sql, sent, seeds).await;
}

/// Every accepted order exists once, is final, and was charged if it says so; none failed but by a declined
/// card; and no request failed.
async fn audit(releases: &Releases, sql: &Client, sent: Vec<Sent>, seeds: Vec<(String, [&str; 2])>) {
    const ROWS: &str = "SELECT id::text, status, payment_status, payment_id, concat(failure_code, \
        ' attempt=', attempt, ' two_step=', attempts_two_step, ' crashes=', crashes) FROM orders";
    let failures: Vec<&String> = sent.iter().flat_map(|sent| &sent.failures).collect();
    assert!(
        failures.is_empty(),
        "{} failed: {:?}",
        failures.len(),
        &failures[..1]
    );
    let charges = releases.charges().await;
    let mut rows = HashMap::new();
    for row in sql.query(ROWS, &[]).await.unwrap() {
        let [id, status, payment]: [String; 3] = [row.get(0), row.get(1), row.get(2)];
        let (payment_id, details): (Option<String>, String) = (row.get(3), row.get(4));
        let charged = charges.get(&id).map_or(&[][..], Vec::as_slice);
        let expected = payment_id.filter(|_| payment == "charged");
        assert_eq!(
            charged,
            expected.as_slice(),
            "{id}: {status}, {payment}, {details}"
        );
        rows.insert(id, (status, payment, details));
    }
    assert_eq!(rows.len(), sent.len() + seeds.len(), "lost, or created twice");
    for (id, expected) in seeds {
        let (status, payment, details) = rows.remove(&id).unwrap();
        assert_eq!([status.as_str(), payment.as_str()], expected, "{id}: {details}");
    }
    let ended: Vec<_> = sent
        .iter()
        .filter_map(|sent| {
            let row = rows.get(&sent.id)?;
            (row.0 != sent.outcome).then_some((&sent.id, row))
        })
        .collect();
    assert!(
        ended.is_empty(),
        "{} of {} ended otherwise: {ended:?}",
        ended.len(),
        sent.len()
    );
}

/// The ids of the seeds, and how they end.
async fn seed(releases: &Releases, sql: &Client) -> Vec<(String, [&'static str; 2])> {
    let mut ids = Vec::new();
    for (number, (status, payment_status, attempt, failure, charged, end)) in SEEDS.into_iter().enumerate() {
        let id = format!("00000000-0000-7000-8000-{number:012}");
        let mut payment_id = None;
        if charged {
            let charge = releases.charge_in_one_step(&id).await;
            // Release 0.1 stores the id of a charge whose response arrived.
            payment_id = (payment_status == "charged").then_some(charge);
        }
        sql.execute(
            INSERT_SEED,
            &[&id, &status, &payment_status, &payment_id, &attempt, &failure],
        )
        .await
        .unwrap();
        ids.push((id, end));
    }
    ids
}

async fn query<T: for<'a> tokio_postgres::types::FromSql<'a>>(sql: &Client, text: &str) -> T {
    sql.query_one(text, &[]).await.unwrap().get(0)
}

/// Two replicas of api and worker under load.
struct Fleet<'a> {
    releases: &'a Releases,
    apis: [Stack; 2],
    workers: [Stack; 2],
    load: Load,
}

impl<'a> Fleet<'a> {
    /// Of the last release.
    async fn start(releases: &'a Releases) -> Self {
        let apis = [
            releases.start(Last, Service::Api).await,
            releases.start(Last, Service::Api).await,
        ];
        let workers = [
            releases.start(Last, Service::Worker).await,
            releases.start(Last, Service::Worker).await,
        ];
        Self {
            load: Load::start(releases, apis.each_ref().map(|api| api.url(Service::Api))).await,
            releases,
            apis,
            workers,
        }
    }

    /// As a rolling update: the new replica is ready before the old one gets no more requests and stops.
    async fn replace_api(&mut self, replica: usize, release: Release) {
        let new = self.releases.start(release, Service::Api).await;
        let url = Arc::new(new.url(Service::Api));
        let url = std::mem::replace(&mut self.load.shared.urls.lock().unwrap()[replica], url);
        testkit::eventually("the requests at the old replica to end", TIMEOUT, async || {
            (Arc::strong_count(&url) == 1).then_some(())
        })
        .await;
        let mut old = std::mem::replace(&mut self.apis[replica], new);
        assert_eq!(old.stop(Service::Api).await.unwrap().code(), Some(0));
    }

    async fn replace_worker(&mut self, replica: usize, release: Release) {
        let new = self.releases.start(release, Service::Worker).await;
        let mut old = std::mem::replace(&mut self.workers[replica], new);
        assert_eq!(old.stop(Service::Worker).await.unwrap().code(), Some(0));
    }

    /// Ends the load, and waits until its orders are final.
    async fn end(self, sql: &Client) -> Vec<Sent> {
        self.load.shared.ended.store(true, Ordering::Relaxed);
        let sent = self.load.sent.await.unwrap();
        let interval = Duration::from_millis(100);
        let stuck = testkit::wait_for_final_orders(sql, interval, TIMEOUT).await;
        assert_eq!(stuck.unwrap(), 0, "stuck");
        sent
    }
}

/// Clients that create orders at a constant rate, repeat each request at the other replica, and read the
/// order there.
struct Load {
    shared: Arc<Shared>,
    sent: JoinHandle<Vec<Sent>>,
}

struct Shared {
    http: reqwest::Client,
    urls: Mutex<[Arc<String>; 2]>,
    accepted: AtomicUsize,
    ended: AtomicBool,
}

/// The order of one client.
#[derive(Default)]
struct Sent {
    id: String,
    /// The expected final status.
    outcome: &'static str,
    /// Requests with another response than expected.
    failures: Vec<String>,
}

impl Load {
    async fn start(releases: &Releases, urls: [String; 2]) -> Self {
        let sql = releases.database.connect().await.unwrap();
        let shared = Arc::new(Shared {
            http: releases.http.clone(),
            urls: Mutex::new(urls.map(Arc::new)),
            accepted: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        Self {
            sent: tokio::spawn(send(shared.clone(), sql)),
            shared,
        }
    }

    /// Waits until this many more orders are accepted.
    async fn accept(&self, orders: usize) {
        let accepted = || self.shared.accepted.load(Ordering::Relaxed);
        let goal = accepted() + orders;
        testkit::eventually("more accepted orders", TIMEOUT, async || {
            (accepted() >= goal).then_some(())
        })
        .await;
    }
}

async fn send(shared: Arc<Shared>, sql: Client) -> Vec<Sent> {
    const UNFINISHED: &str = "SELECT count(*) FROM orders WHERE dispatch_after < now() + interval '30 min'";
    let mut ticks = tokio::time::interval(PAUSE_BETWEEN_ORDERS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clients = JoinSet::new();
    let numbers = 0..;
    for number in numbers {
        if shared.ended.load(Ordering::Relaxed) {
            break;
        }
        ticks.tick().await;
        while query::<i64>(&sql, UNFINISHED).await > MAX_UNFINISHED {
            ticks.tick().await;
        }
        clients.spawn(client(shared.clone(), number));
    }
    clients.join_all().await
}

async fn client(shared: Arc<Shared>, number: usize) -> Sent {
    let mut body = widget();
    if number.is_multiple_of(2) {
        body["payment_method"] = "credit_card".into();
    }
    let declined = number.is_multiple_of(10);
    if declined {
        body["payment_token"] = "pm_card_chargeDeclined".into();
    }
    let mut sent = Sent {
        outcome: if declined { "failed" } else { "completed" },
        ..Sent::default()
    };
    let key = format!("order-{number}");
    for replica in [number % 2, 1 - number % 2] {
        let create = |url: String| {
            let request = shared.http.post(url).json(&body);
            outcome(request.header("Idempotency-Key", &key), StatusCode::CREATED)
        };
        match shared.at(replica, "", create).await {
            Ok(order) => {
                let id = order["id"].as_str().unwrap();
                if !sent.id.is_empty() && sent.id != id {
                    sent.failures.push(format!("{key} created {} and {id}", sent.id));
                }
                id.clone_into(&mut sent.id);
            }
            Err(failure) => sent.failures.push(failure),
        }
    }
    shared.accepted.fetch_add(1, Ordering::Relaxed);
    for path in [format!("/{}", sent.id), "?limit=5".to_owned()] {
        let read = |url| outcome(shared.http.get(url), StatusCode::OK);
        sent.failures
            .extend(shared.at(number % 2, &path, read).await.err());
    }
    sent
}

impl Shared {
    /// Sends a request to a replica. While it is in progress, the replica is not stopped.
    async fn at<F>(&self, replica: usize, path: &str, send: impl Fn(String) -> F) -> Result<Value, String>
    where
        F: Future<Output = Result<Value, String>>,
    {
        let url = self.urls.lock().unwrap()[replica].clone();
        send(format!("{url}/api/orders{path}")).await
    }
}

async fn outcome(request: reqwest::RequestBuilder, expected: StatusCode) -> Result<Value, String> {
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let (status, url) = (response.status(), response.url().clone());
    // A cancellation's response has no body.
    let body: Value = response.json().await.unwrap_or_default();
    if status == expected {
        Ok(body)
    } else {
        Err(format!("{url}: {status} {body}"))
    }
}

/// An order of the API, which must respond with this status.
async fn call(releases: &Releases, api: &Stack, method: Method, path: &str, status: u16) -> Value {
    let url = format!("{}/api/orders{path}", api.url(Service::Api));
    let mut request = releases.http.request(method.clone(), url);
    if method == Method::POST && path.is_empty() {
        let mut paid = widget();
        paid["payment_method"] = "credit_card".into();
        request = request.json(&paid);
    }
    let expected = StatusCode::from_u16(status).unwrap();
    outcome(request, expected).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_release_neither_cancels_a_payment_nor_reads_one_that_was() {
    let Some(releases) = Releases::open().await else {
        return;
    };
    releases.migrate().await;
    let last = releases.start(Last, Service::Api).await;
    let this = releases.start(This, Service::Api).await;
    let order = call(&releases, &last, Method::POST, "", 201).await;
    let path = format!("/{}", order["id"].as_str().unwrap());

    call(&releases, &last, Method::DELETE, &path, 500).await;
    assert_eq!(
        call(&releases, &last, Method::GET, &path, 200).await["status"],
        "pending"
    );
    call(&releases, &this, Method::DELETE, &path, 204).await;
    let order = call(&releases, &this, Method::GET, &path, 200).await;
    assert_eq!(
        [&order["status"], &order["payment_status"]],
        ["cancelled", "cancelled"]
    );
    for path in [&path, "", "?status=cancelled"] {
        call(&releases, &last, Method::GET, path, 500).await;
        call(&releases, &this, Method::GET, path, 200).await;
    }
}

/// The worker of this release is killed between the two steps of a payment, and only workers of the last
/// release run for a while.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_payment_is_at_the_gateway_waits_for_this_release_and_fails_after_a_rollback() {
    let Some(releases) = Releases::open().await else {
        return;
    };
    releases.migrate().await;
    let sql = releases.database.connect().await.unwrap();
    let api = releases.start(This, Service::Api).await;
    let env = [
        ("ORDER_LEASE", "2s"),
        ("PAYMENT_TIMEOUT", "1m"),
        ("ORDER_MAX_ATTEMPTS", "100"),
    ];
    for ends_well in [true, false] {
        releases.gateway_faults(&json!({ "latency_ms": 2000 })).await;
        let order = call(&releases, &api, Method::POST, "", 201).await;
        let id = order["id"].as_str().unwrap();
        let is = async |condition: &str| {
            let text = format!("SELECT count(*) = 1 FROM orders WHERE id = '{id}' AND {condition}");
            testkit::eventually(condition, TIMEOUT, async || {
                query::<bool>(&sql, &text).await.then_some(())
            })
            .await;
        };
        let mut this = releases.start_with(This, Service::Worker, &env).await;
        is("payment_id IS NOT NULL").await;
        this.kill(Service::Worker).await.unwrap();
        releases.gateway_faults(&json!({})).await;
        let mut unreadable = Value::Null;
        if !ends_well {
            sql.batch_execute(DROP_CONSTRAINT).await.unwrap();
            unreadable = call(&releases, &api, Method::POST, "", 201).await["id"].take();
            let failed_before = format!(
                "UPDATE orders SET failure_code = 'worker_crashed', failure_detail = '' WHERE id = '{}'",
                unreadable.as_str().unwrap()
            );
            sql.batch_execute(&failed_before).await.unwrap();
        }
        let mut last = releases.start_with(Last, Service::Worker, &env).await;
        if ends_well {
            is("attempt >= 4 AND status IN ('pending', 'processing') AND payment_status = 'pending'").await;
            last.stop(Service::Worker).await.unwrap();
            let _this = releases.start_with(This, Service::Worker, &env).await;
            is("status = 'completed' AND payment_status = 'charged'").await;
            assert_eq!(releases.charges().await[id].len(), 1);
        } else {
            is("status = 'failed' AND failure_code = 'payment_rejected' AND payment_status = 'pending'")
                .await;
            let text = format!(
                "SELECT failure_code FROM orders WHERE id = '{}'",
                unreadable.as_str().unwrap()
            );
            testkit::eventually("the end of an order that 0.1 cannot read", TIMEOUT, async || {
                (query::<String>(&sql, &text).await == "internal_error").then_some(())
            })
            .await;
        }
    }
}
