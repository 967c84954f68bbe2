//! Failures of the servers: a rejected statement, a locked table, a corrupt cache entry, an unavailable
//! Redis.

use reqwest::Method;
use serde_json::json;
use tokio_postgres::Client;

use super::call::Call;
use super::final_order;
use crate::shop::{Shop, widget};

pub(super) async fn rejected_statement(shop: &Shop, database: &Client) {
    let constraint = "ALTER TABLE orders ADD CONSTRAINT moving CHECK (items::text NOT LIKE '%Perpetuum%')";
    database.batch_execute(constraint).await.unwrap();
    let body = json!({ "product_name": "Perpetuum mobile", "amount": "1" });
    Call::new(shop, Method::POST, "/api/orders")
        .json(&body)
        .expect_status(500)
        .await;
}

/// Two statements wait for the lock until their timeout, and two for a connection.
pub(super) async fn locked_table(shop: &Shop, database: &Client) {
    let lock = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
    database.batch_execute(lock).await.unwrap();
    let read = || Call::new(shop, Method::GET, "/api/orders").expect_status(503);
    tokio::join!(read(), read(), read(), read());
    database.batch_execute("ROLLBACK").await.unwrap();
}

/// A cached value, then one of another type than the service's.
pub(super) async fn cache(shop: &Shop) {
    let analytics = || Call::new(shop, Method::GET, "/api/orders/analytics").expect_status(200);
    analytics().await;
    let mut redis = shop.redis.connect().await.unwrap();
    let key = "orders:cache:analytics:all";
    let mut corrupt = redis::pipe();
    corrupt.del(key).lpush(key, "not a text");
    let _: () = corrupt.query_async(&mut redis).await.unwrap();
    analytics().await;
}

pub(super) async fn redis_unavailable(shop: &mut Shop) {
    shop.redis.stop().await.unwrap();
    let id = shop.order(&widget()).await;
    Call::new(shop, Method::GET, "/api/orders/analytics")
        .expect_status(200)
        .await;
    shop.redis.restart().await.unwrap();
    assert_eq!(final_order(shop, &id).await["status"], "completed");
}
