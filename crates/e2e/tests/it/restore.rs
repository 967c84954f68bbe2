//! PostgreSQL is restored from a base backup and its archived WAL to a point in time, and Redis is empty; or
//! everything is dumped into another server.

use std::time::Duration;

use chaos::Ledger;
use serde_json::{Value, json};
use testkit::{Postgres, Proxy, Redis, Service};
use tokio::process::Command;
use uuid::Uuid;

use crate::shop::{Shop, TIMEOUT, widget};

const ENV: [(Service, &str, &str); 3] = [
    (Service::Api, "ORDER_DISPATCH_GRACE", "1s"),
    (Service::Worker, "ORDER_LEASE", "4s"),
    (Service::Worker, "PAYMENT_TIMEOUT", "3s"),
];

fn payable() -> Value {
    let mut order = widget();
    order["payment_method"] = "credit_card".into();
    order
}

async fn orders(shop: &Shop, number: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..number {
        ids.push(shop.order(&payable()).await);
    }
    ids
}

/// Every order that was accepted has ended, and was charged, once; nothing is lost or unsettled.
async fn assert_ended_once(shop: &Shop, accepted: &[String]) {
    for id in accepted {
        assert_eq!(shop.final_order(id).await["status"], "completed", "{id}");
        assert_eq!(shop.charges(id).await, 1, "{id}");
    }
    let mut ledger = Ledger::default();
    let gateway = shop.stack.url(Service::Gateway);
    ledger.read(&shop.http, &gateway).await.unwrap();
    let open: Vec<&str> = ledger.open().iter().map(String::as_str).collect();
    let sql = shop.database.connect().await.unwrap();
    let ids: Vec<Uuid> = accepted.iter().map(|id| id.parse().unwrap()).collect();
    let lost = chaos::missing(&sql, &ids).await.unwrap();
    let counts = chaos::count(&sql, Uuid::nil(), &open, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((lost.len(), ledger.charged_twice()), (0, 0));
    assert_eq!(
        (counts.unsettled, counts.stuck, counts.open.len()),
        (0, 0, 0),
        "{counts:?}"
    );
    let all = u64::try_from(accepted.len()).unwrap();
    assert_eq!((counts.orders, counts.finals), (all, all), "{counts:?}");
}

/// Returns once a worker is at the gateway with this order.
async fn wait_for_attempt(shop: &Shop, id: &str) {
    testkit::eventually("an attempt", TIMEOUT, || async {
        (shop.read(id).await["status"] == "processing").then_some(())
    })
    .await;
}

/// Orders that were accepted before the point are all there, and each ends once: also those that were in
/// flight then, and that were charged later. Later ones are lost; the gateway's ledger names those that
/// were charged.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_ends_every_order_once() {
    let mut primary = Postgres::start().await.unwrap();
    primary.archive_wal().await.unwrap();
    let endpoint = Proxy::start(&primary.url()).await.unwrap();
    let database = primary.database().await.unwrap().behind(&endpoint).unwrap();
    let redis = Redis::start().await.unwrap();
    let mut shop = Shop::start_with(database, redis, &ENV).await;

    let in_backup = orders(&shop, 3).await;
    for id in &in_backup {
        shop.final_order(id).await;
    }
    let backup = primary.back_up().unwrap();
    let in_archive = orders(&shop, 3).await;
    for id in &in_archive {
        shop.final_order(id).await;
    }
    // Creating an intent and confirming it take a second each.
    shop.gateway_faults(&json!({ "latency_ms": 1000 })).await;
    let in_flight = orders(&shop, 6).await;
    wait_for_attempt(&shop, &in_flight[5]).await;
    let sql = shop.database.connect().await.unwrap();
    let row = sql
        .query_one("SELECT clock_timestamp()::text", &[])
        .await
        .unwrap();
    let point: String = row.get(0);
    let later = orders(&shop, 2).await;
    for id in in_flight.iter().chain(&later) {
        assert_eq!(shop.final_order(id).await["status"], "completed");
    }
    primary.finish_archive().await.unwrap();
    for service in [Service::Api, Service::Worker] {
        shop.stack.stop(service).await.unwrap();
    }
    primary.kill().await.unwrap();

    let restored = backup.restore(&point).await.unwrap();
    endpoint.retarget(&restored.url()).unwrap();
    let mut connection = shop.redis.connect().await.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
    for service in [Service::Api, Service::Worker] {
        shop.stack.restart(service).await.unwrap();
    }
    let accepted = [in_backup, in_archive, in_flight].concat();
    assert_ended_once(&shop, &accepted).await;
    for id in &later {
        assert_eq!(shop.read(id).await["status"], 404, "{id}");
        assert_eq!(shop.charges(id).await, 1, "{id}");
    }
}

/// The documented way to a new major version, with a stop. The worker is killed, so that it has charged
/// orders whose outcome no row has.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_moves_every_order_to_another_server() {
    let mut old = Postgres::start().await.unwrap();
    let endpoint = Proxy::start(&old.url()).await.unwrap();
    let dumped = old.database().await.unwrap();
    let (source, name) = (dumped.url().to_owned(), dumped.url().rsplit('/').next().unwrap());
    let new = Postgres::start().await.unwrap();
    let target = new.ensure_database(name).await.unwrap();
    let database = dumped.behind(&endpoint).unwrap();
    let mut shop = Shop::start_with(database, Redis::start().await.unwrap(), &ENV).await;

    let ended = orders(&shop, 3).await;
    for id in &ended {
        shop.final_order(id).await;
    }
    shop.gateway_faults(&json!({ "latency_ms": 1000 })).await;
    let in_flight = orders(&shop, 6).await;
    wait_for_attempt(&shop, &in_flight[5]).await;
    shop.stack.stop(Service::Api).await.unwrap();
    shop.stack.kill(Service::Worker).await.unwrap();

    let file = new.folder().join("everything.sql");
    let (dump, load) = (format!("--dbname={source}"), format!("--dbname={target}"));
    let file = format!("--file={}", file.display());
    run("pg_dump", &[&dump, &file]).await;
    run("psql", &["--quiet", "--set=ON_ERROR_STOP=1", &load, &file]).await;
    old.stop().await.unwrap();
    endpoint.retarget(&new.url()).unwrap();
    for service in [Service::Api, Service::Worker] {
        shop.stack.restart(service).await.unwrap();
    }
    assert_ended_once(&shop, &[ended, in_flight].concat()).await;
}

async fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
}
