//! An order's events as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>). An event's id is the time of its
//! transition in microseconds: a client that reconnects with it gets only newer events.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use dispatch::OrderEvent;
use domain::Order;
use futures_util::{Stream, stream};
use tokio::time::timeout;

use super::hub::Subscription;

/// The header in which a client sends the id of the last event that it saw.
pub(crate) const LAST_EVENT_ID: &str = "Last-Event-ID";

/// Proxies close connections that are silent for too long.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// How soon a client reconnects, in milliseconds.
const RECONNECT_MS: u32 = 1000;

/// The id of the event for the transition at this time.
pub(crate) fn event_id(updated_at: DateTime<Utc>) -> i64 {
    updated_at.timestamp_micros()
}

/// The events of one order: its present state, unless the client has seen it, and all that follow until it is
/// final.
pub(crate) fn stream(
    order: &Order,
    seen: Option<i64>,
    events: Subscription,
) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let follower = Follower {
        first: Some(OrderEvent::from(order)),
        // An id later than the order's latest event is not one of its events, and is ignored.
        seen: seen
            .filter(|seen| *seen <= event_id(order.updated_at))
            .unwrap_or(i64::MIN),
        ended: false,
        events,
    };
    stream::unfold(follower, |mut follower| async move {
        let text = follower.next().await?;
        Some((Ok(Bytes::from(text)), follower))
    })
}

struct Follower {
    /// The order's state when the stream begins; `None` once it is sent.
    first: Option<OrderEvent>,
    /// The id of the latest event that the client has.
    seen: i64,
    ended: bool,
    events: Subscription,
}

impl Follower {
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            let event = self.encode(&first).unwrap_or_default();
            return Some(format!("retry: {RECONNECT_MS}\n{event}\n"));
        }
        loop {
            if self.ended {
                return None;
            }
            match timeout(HEARTBEAT_INTERVAL, self.events.next()).await {
                Ok(Some(event)) => {
                    if let Some(event) = self.encode(&event) {
                        return Some(event + "\n");
                    }
                }
                Ok(None) => return None,
                Err(_) => return Some(": still here\n\n".to_owned()),
            }
        }
    }

    /// The lines of an event; `None` if the client has seen it. The final event is sent even if PostgreSQL's
    /// clock went back.
    fn encode(&mut self, event: &OrderEvent) -> Option<String> {
        let id = event_id(event.updated_at);
        self.ended = event.status.is_final();
        if id == self.seen || (id < self.seen && !self.ended) {
            return None;
        }
        self.seen = id;
        let data = serde_json::to_string(event).ok()?;
        Some(format!("id: {id}\ndata: {data}\n"))
    }
}
