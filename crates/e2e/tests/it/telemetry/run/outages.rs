//! What goes wrong around the services: a statement that is refused, a table that is locked, a cache that is spoilt, Redis away.

use reqwest::Method;
use serde_json::json;
use tokio_postgres::Client;

use super::call::Call;
use super::settled;
use crate::shop::{Shop, widget};

pub(super) async fn refused_statement(shop: &Shop, database: &Client) {
    let refuse = "ALTER TABLE orders ADD CONSTRAINT moving CHECK (items::text NOT LIKE '%Perpetuum%')";
    database.batch_execute(refuse).await.unwrap();
    let body = json!({ "product_name": "Perpetuum mobile", "amount": "1" });
    Call::new(shop, Method::POST, "/api/orders")
        .json(&body)
        .answers(500)
        .await;
}

/// Two statements wait until their requests are given up, and others for a connection.
pub(super) async fn locked_table(shop: &Shop, database: &Client) {
    let lock = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
    database.batch_execute(lock).await.unwrap();
    let read = || Call::new(shop, Method::GET, "/api/orders").answers(503);
    tokio::join!(read(), read(), read(), read());
    database.batch_execute("ROLLBACK").await.unwrap();
}

/// Known, and of another type than the service's.
pub(super) async fn cache(shop: &Shop) {
    let analytics = || Call::new(shop, Method::GET, "/api/orders/analytics").answers(200);
    analytics().await;
    let mut redis = shop.redis.connect().await.unwrap();
    let key = "orders:cache:analytics:all";
    let mut spoil = redis::pipe();
    spoil.del(key).lpush(key, "not a text");
    let _: () = spoil.query_async(&mut redis).await.unwrap();
    analytics().await;
}

pub(super) async fn redis_away(shop: &mut Shop) {
    shop.redis.stop().await.unwrap();
    let id = shop.order(&widget()).await;
    Call::new(shop, Method::GET, "/api/orders/analytics")
        .answers(200)
        .await;
    shop.redis.restart().await.unwrap();
    assert_eq!(settled(shop, &id).await["status"], "completed");
}
