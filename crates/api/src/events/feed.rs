//! Where transitions come from: Redis, as they happen; and PostgreSQL, for what Redis lost.

use std::time::Duration;

use dispatch::{Heard, Listener, Transition};
use store::Store;
use tokio::sync::watch;

use super::Hub;

/// How often PostgreSQL is asked while Redis is heard, and while it is not.
const SELDOM: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_millis(500);
/// Orders that one statement asks for.
const BATCH: usize = 500;

/// Feeds those who wait. Never returns.
pub(crate) async fn feed(hub: &Hub, listener: &Listener, store: &Store) {
    let (listening, mut changes) = watch::channel(false);
    let listen = listener.listen(|heard| match heard {
        Heard::Transition(transition) => hub.deliver(transition),
        Heard::Listening => drop(listening.send_replace(true)),
        Heard::Deaf => drop(listening.send_replace(false)),
    });
    let ask = async {
        loop {
            let pause = if *changes.borrow_and_update() {
                SELDOM
            } else {
                OFTEN
            };
            ask_for_all(hub, store).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // What happened between two subscriptions was heard by nobody.
                _ = changes.changed() => {}
            }
        }
    };
    tokio::join!(listen, ask);
}

async fn ask_for_all(hub: &Hub, store: &Store) {
    for orders in hub.orders().chunks(BATCH) {
        match telemetry::span::untraced(store.find_many(orders)).await {
            Ok(orders) => orders.iter().map(Transition::from).for_each(|t| hub.deliver(t)),
            Err(error) => {
                tracing::debug!(%error, "cannot ask for orders"
                );
                return;
            }
        }
    }
}
