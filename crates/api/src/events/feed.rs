//! Feeds the hub with events: from Redis as they happen, and from PostgreSQL those that Redis lost.

use std::time::Duration;

use dispatch::{Notification, OrderEvent, Subscriber};
use store::Store;
use tokio::sync::watch;

use super::Hub;

/// How often PostgreSQL is polled while events arrive over Redis, and while they do not.
const POLL_WITH_REDIS: Duration = Duration::from_secs(5);
const POLL_WITHOUT_REDIS: Duration = Duration::from_millis(500);
/// Orders that one statement reads.
const BATCH: usize = 500;

/// Never returns.
pub(crate) async fn feed(hub: &Hub, subscriber: &Subscriber, store: &Store) {
    let (connected, mut changes) = watch::channel(false);
    let subscribe = subscriber.run(|notification| match notification {
        Notification::Event(event) => hub.deliver(event),
        Notification::Subscribed => drop(connected.send_replace(true)),
        Notification::Disconnected => drop(connected.send_replace(false)),
    });
    let poll = async {
        loop {
            let interval = if *changes.borrow_and_update() {
                POLL_WITH_REDIS
            } else {
                POLL_WITHOUT_REDIS
            };
            poll_orders(hub, store).await;
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                // Polls at once after a reconnect: events were missed meanwhile.
                _ = changes.changed() => {}
            }
        }
    };
    tokio::join!(subscribe, poll);
}

async fn poll_orders(hub: &Hub, store: &Store) {
    for orders in hub.orders().chunks(BATCH) {
        match telemetry::span::untraced(store.find_many(orders)).await {
            Ok(orders) => orders
                .iter()
                .flatten()
                .map(OrderEvent::from)
                .for_each(|event| hub.deliver(event)),
            Err(error) => {
                tracing::debug!(%error, "cannot poll orders");
                return;
            }
        }
    }
}
