//! Many concurrent orders, which leave nothing behind in Redis.

use futures_util::{StreamExt, stream};
use serde_json::Value;
use testkit::Service;

use crate::shop::{Shop, TIMEOUT, widget};

const WARM_UP: usize = 4;
/// Bytes for connection buffers, which grow with use, and for heap fragmentation. A thousand leaked jobs take
/// more.
const TOLERANCE: usize = 512 * 1024;

/// Every response is 201, each order completes exactly once, and Redis has as many keys as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_orders_of_32_clients_all_complete_and_leave_nothing_in_redis() {
    let shop = Shop::open().await;
    // The first orders load scripts and open connections, which remain.
    warm_up(&shop).await;
    let before = RedisUsage::of(&shop).await;
    let created: Vec<String> = stream::iter(0..1000)
        .map(|_| async { shop.order(&widget()).await })
        .buffer_unordered(32)
        .collect()
        .await;
    assert_eq!(created.len(), 1000);

    let url = format!("{}/api/orders/analytics", shop.stack.url(Service::Api));
    testkit::eventually("all orders to complete", TIMEOUT, || async {
        let response = shop.http.get(&url).send().await.unwrap();
        let analytics: Value = response.json().await.unwrap();
        let completed = analytics["by_status"]
            .as_array()?
            .iter()
            .find(|row| row["status"] == "completed")?;
        (completed["count"] == 1000 + WARM_UP).then_some(())
    })
    .await;
    for id in &created {
        assert_eq!(shop.read(id).await["attempt"], 1);
    }
    testkit::eventually("the sweeper to finish", TIMEOUT, || async {
        let left = RedisUsage::of(&shop).await;
        (left.keys <= before.keys && left.bytes <= before.bytes + TOLERANCE).then_some(())
    })
    .await;
}

async fn warm_up(shop: &Shop) {
    for _ in 0..WARM_UP {
        shop.final_order(&shop.order(&widget()).await).await;
    }
}

/// The content of Redis.
struct RedisUsage {
    keys: usize,
    bytes: usize,
}

impl RedisUsage {
    async fn of(shop: &Shop) -> Self {
        let client = redis::Client::open(shop.redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let (keys, memory): (usize, String) = redis::pipe()
            .cmd("DBSIZE")
            .cmd("INFO")
            .arg("memory")
            .query_async(&mut connection)
            .await
            .unwrap();
        let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Self {
            keys,
            bytes: used.unwrap().trim().parse().unwrap(),
        }
    }
}
