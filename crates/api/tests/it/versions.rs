//! Beside other versions of the program: what this one cannot read it leaves to the others, and hides nothing
//! else. On an older schema it is not ready.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::response::Response;
use crate::service::{Api, widget};
use crate::worker::Worker;

const DEADLINE: Duration = Duration::from_secs(30);

/// Makes the order's row one that a newer version wrote.
async fn make_unreadable(api: &Api, id: &str) {
    update(api, &format!("UPDATE orders SET items = '[1]' WHERE id = '{id}'")).await;
}

async fn update(api: &Api, sql: &str) {
    api.database
        .connect()
        .await
        .unwrap()
        .batch_execute(sql)
        .await
        .unwrap();
}

async fn idempotent_post(api: &Api, key: &str) -> Response {
    let request = api.request(Method::POST, "/api/orders").json(&widget());
    Response::of(request.header("idempotency-key", key)).await
}

#[tokio::test]
async fn a_list_goes_on_behind_an_order_of_another_version() {
    let api = Api::start().await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(api.order().await);
    }
    orders.reverse();
    for unreadable in [1, 2] {
        make_unreadable(&api, &orders[unreadable]).await;
    }
    let (mut listed, mut path) = (Vec::new(), Some("/api/orders?limit=2".to_owned()));
    while let Some(page) = path {
        let page = api.get(&page).await;
        assert_eq!(page.status, 200, "{page:?}");
        let data = page.body["data"].as_array().unwrap().clone();
        listed.extend(data.iter().map(|order| order["id"].as_str().unwrap().to_owned()));
        let cursor = page.body["next_cursor"].as_str();
        path = cursor.map(|cursor| format!("/api/orders?limit=2&cursor={cursor}"));
    }
    assert_eq!(listed, [&*orders[0], &*orders[3], &*orders[4]]);
    assert!(
        api.log().contains("this version cannot list an order"),
        "{}",
        api.log()
    );
}

#[tokio::test]
async fn an_order_of_another_version_is_503_until_that_version_responds() {
    let api = Api::start().await;
    let id = idempotent_post(&api, "k").await.body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    make_unreadable(&api, &id).await;
    let path = format!("/api/orders/{id}");
    let events = format!("{path}/events");
    for (path, response) in [
        (&path, api.get(&path).await),
        (&path, api.get(&format!("{path}?wait=1")).await),
        (&events, api.get(&events).await),
        (&"/api/orders".to_owned(), idempotent_post(&api, "k").await),
    ] {
        let detail = response.problem(503, path);
        assert_eq!(
            detail,
            "Another version of this service can read this order. Try again."
        );
        assert_eq!(response.header("retry-after"), Some("1"));
    }
    // These need not read it.
    assert_eq!(api.delete(&path).await.status, 204);
    let failed = "completed_at = now(), failure_code = 'payment_timeout', failure_detail = '-'";
    update(&api, &format!("UPDATE orders SET status = 'failed', {failed}")).await;
    let retried = Response::of(api.request(Method::POST, &format!("{path}/retry"))).await;
    assert_eq!(retried.status, 202, "{retried:?}");
    assert_eq!(retried.header("location"), Some(&*path));
}

/// Without Redis all waiting clients depend on one statement.
#[tokio::test]
async fn an_order_of_another_version_does_not_silence_the_events_of_others() {
    let unreachable = format!("redis://127.0.0.1:{}", testkit::free_port().unwrap());
    let api = Api::with(&[("REDIS_URL", &unreachable)]).await;
    let (newer, id, worker) = (api.order().await, api.order().await, Worker::silent(&api));
    let wait = |id: &str| {
        let request = api.request(Method::GET, &format!("/api/orders/{id}?wait=20"));
        tokio::spawn(Response::of(request))
    };
    let (silent, waiting) = (wait(&newer), wait(&id));
    tokio::time::sleep(Duration::from_millis(300)).await;
    make_unreadable(&api, &newer).await;
    let completed = worker.complete(&worker.claim(&id).await).await;
    let response = tokio::time::timeout(DEADLINE / 2, waiting)
        .await
        .expect("the event")
        .unwrap();
    assert_eq!(response.body["id"], completed.id.to_string());
    assert_eq!(response.body["status"], "completed");
    assert!(!silent.is_finished());
}

#[tokio::test]
async fn a_status_or_currency_of_another_version_is_counted_under_its_own_name() {
    let api = Api::start().await;
    let id = api.order().await;
    api.order().await;
    let newer = "ALTER TABLE orders DROP CONSTRAINT orders_status_check";
    update(
        &api,
        &format!("{newer}; UPDATE orders SET status = 'on_hold' WHERE id = '{id}'"),
    )
    .await;
    let other = api.order().await;
    let currency = format!("status = 'processing', attempt = 1, currency = 'QQQ' WHERE id = '{other}'");
    update(&api, &format!("UPDATE orders SET {currency}")).await;
    let totals = api.get("/api/orders/analytics").await;
    assert_eq!(totals.status, 200, "{totals:?}");
    assert_eq!(
        (&totals.body["total_orders"], &totals.body["pending_orders"]),
        (&3.into(), &1.into())
    );
    let row = &totals.body["by_status"][2];
    assert_eq!((&row["currency"], &row["amount"]), (&"QQQ".into(), &Value::Null));
    let status = |row: &Value| row["status"].as_str().unwrap().to_owned();
    let statuses: Vec<_> = totals.body["by_status"]
        .as_array()
        .unwrap()
        .iter()
        .map(status)
        .collect();
    assert_eq!(statuses, ["on_hold", "pending", "processing"]);
}

/// The key is written as release 0.1 writes it, with the SHA-256 that it calculates.
#[tokio::test]
async fn a_request_that_was_first_sent_to_release_0_1_gets_its_order() {
    let api = Api::start().await;
    let id = api.order().await;
    let fingerprint = "\\x01350ce51630adf4590bacfe554dcb947bdec70e23f2ff9d563170395a9f72cc";
    let key = "INSERT INTO idempotency_keys (customer, key, fingerprint, order_id) VALUES";
    update(
        &api,
        &format!("{key} ('anonymous', 'k', '{fingerprint}', '{id}')"),
    )
    .await;
    let replayed = idempotent_post(&api, "k").await;
    assert_eq!(replayed.status, 201, "{replayed:?}");
    assert_eq!(replayed.body["id"], id);

    // A later version's fingerprint cannot be verified: the order may or may not be that of this request.
    update(&api, "UPDATE idempotency_keys SET fingerprint_version = 2").await;
    idempotent_post(&api, "k").await.problem(503, "/api/orders");
}

#[tokio::test]
async fn on_an_older_schema_the_service_is_not_ready() {
    let api = Api::start().await;
    assert_eq!(api.get("/health/ready").await.status, 200);
    let newest = "(SELECT max(version) FROM __diesel_schema_migrations)";
    update(
        &api,
        &format!(
            "CREATE TABLE newest AS SELECT * FROM __diesel_schema_migrations WHERE version = {newest}; \
             DELETE FROM __diesel_schema_migrations WHERE version = {newest}"
        ),
    )
    .await;
    let becomes = async |status: u16| {
        testkit::eventually("the next check", DEADLINE, async || {
            let ready = api.get("/health/ready").await;
            (ready.status == status).then_some(ready)
        })
        .await
    };
    let outdated = becomes(503).await;
    assert_eq!(outdated.body["status"], "unavailable");
    assert_eq!(outdated.body["checks"]["schema"], "outdated");
    assert_eq!(outdated.body["checks"]["postgresql"], "ok");
    update(
        &api,
        "INSERT INTO __diesel_schema_migrations SELECT * FROM newest",
    )
    .await;
    assert_eq!(becomes(200).await.body["checks"]["schema"], "ok");
}
