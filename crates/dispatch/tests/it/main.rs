//! What dispatching costs Redis.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use domain::{CustomerId, Order, OrderDraft, OrderId, TraceContext};
use futures_util::future::join_all;
use queue::{Enqueued, Queue, QueueConfig};
use testkit::Redis;
use throughline_dispatch::Dispatcher;

#[tokio::test]
async fn the_jobs_of_sixteen_orders_at_once_take_as_many_commands_as_one() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::connect(QueueConfig::new(redis.url(), "orders"))
        .await
        .unwrap();
    let dispatcher = Dispatcher::new(queue);
    // The connection sets itself up.
    dispatch(&dispatcher, 1).await;

    let mut connection = redis.connect().await.unwrap();
    for orders in [1, 16] {
        let mut reset = redis::cmd("CONFIG");
        let reset = reset.arg("RESETSTAT").exec_async(&mut connection).await;
        reset.unwrap();
        dispatch(&dispatcher, orders).await;
        let mut info = redis::cmd("INFO");
        let stats: String = info
            .arg("commandstats")
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(calls(&stats)["evalsha"], 1, "{orders} orders: {stats}");
        assert!(!calls(&stats).contains_key("eval"), "{stats}");
    }
}

async fn dispatch(dispatcher: &Dispatcher, orders: usize) {
    let job = |_| {
        let draft = r#"{"product_name":"Widget","amount":"10"}"#;
        let draft: OrderDraft = serde_json::from_str(draft).unwrap();
        let new = draft.validate().unwrap();
        let trace = TraceContext::default();
        Order::new(OrderId::generate(), CustomerId::anonymous(), new, trace).next_job()
    };
    let dispatched = (0..orders).map(job).map(|job| dispatcher.dispatch(job));
    for enqueued in join_all(dispatched).await {
        assert_eq!(enqueued.unwrap(), Enqueued::New);
    }
}

/// The calls of each command in the output of `INFO commandstats`.
fn calls(stats: &str) -> HashMap<&str, u64> {
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_"));
    lines
        .filter_map(|line| {
            let (command, rest) = line.split_once(":calls=")?;
            Some((command, rest.split(',').next()?.parse().ok()?))
        })
        .collect()
}
