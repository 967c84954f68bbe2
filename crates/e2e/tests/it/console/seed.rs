//! Orders that exist before the operator comes.

use serde_json::{Value, json};
use testkit::{Database, eventually};

use crate::shop::{Shop, TIMEOUT};

/// `$1` orders that failed within ten minutes of one outage of the gateway, an hour ago. None was charged.
const OUTAGE: &str = "INSERT INTO orders (id, amount, created_at, updated_at, completed_at, attempt, customer, currency,
        status, payment_method, payment_status, failure_code, failure_detail, items)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000b' || lpad(to_hex(n), 15, '0'))::uuid,
        4850, at, at + interval '5 min', at + interval '5 min', 3, 'customer-' || n % 97, 'EUR',
        'failed', 'credit_card', 'cancelled', 'payment_deadline', 'The payment gateway was unavailable for too long.',
        '[{\"product_name\": \"Teapot\", \"quantity\": 1, \"unit_price_minor\": 4850}]'
    FROM (SELECT n, now() - interval '1 h' + n * interval '10 min' / $1::int AS at
        FROM generate_series(1, $1::int) AS n) AS one";

/// Stores orders that failed in one outage.
pub(super) async fn outage(database: &Database, orders: i32) {
    let sql = database.connect().await.unwrap();
    sql.execute(OUTAGE, &[&orders]).await.unwrap();
    sql.batch_execute("ANALYZE orders").await.unwrap();
}

/// An order whose card is declined, in its final state.
pub(super) async fn declined(shop: &Shop) -> Value {
    let mut body = teapot();
    body["payment_token"] = json!("pm_card_chargeDeclined");
    shop.final_order(&shop.order(&body).await).await
}

/// An order that is charged, in its final state.
pub(super) async fn charged(shop: &Shop) -> Value {
    shop.final_order(&shop.order(&teapot()).await).await
}

/// An order that waits for the gateway, which is unavailable from now on.
pub(super) async fn waiting(shop: &Shop) -> String {
    shop.gateway_faults(&json!({ "error_rate": 1.0 })).await;
    let id = shop.order(&teapot()).await;
    eventually("an order that waits for the gateway", TIMEOUT, || async {
        let order = shop.read(&id).await;
        (order["status"] == "pending" && order["attempt"].as_i64()? >= 1).then_some(())
    })
    .await;
    id
}

pub(super) fn teapot() -> Value {
    json!({
        "items": [
            { "product_name": "Teapot", "quantity": 1, "unit_price": "1200.00" },
            { "product_name": "Tea, Darjeeling, 100 g", "quantity": 3, "unit_price": "9.50" },
        ],
        "currency": "EUR",
        "payment_method": "credit_card",
    })
}

/// The text of a field of an order.
pub(super) fn text<'a>(order: &'a Value, field: &str) -> &'a str {
    order[field].as_str().unwrap()
}
