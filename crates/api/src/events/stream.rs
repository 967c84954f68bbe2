//! An order's transitions as server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>). An event's id is
//! the moment of its transition, in microseconds: who reconnects with it is told only what is newer.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use dispatch::Transition;
use domain::Order;
use futures_util::{Stream, stream};
use tokio::time::timeout;

use super::hub::Subscription;

/// With this header a client says which event it saw last.
pub(crate) const LAST_EVENT_ID: &str = "Last-Event-ID";

/// Proxies close what is silent for too long.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How soon a client that lost its connection is to try again, in milliseconds.
const RETRY_MS: u32 = 1000;

/// The id of the event that tells of the order as it was at this moment.
pub(crate) fn event_id(updated_at: DateTime<Utc>) -> i64 {
    updated_at.timestamp_micros()
}

/// The events of one order: how it is now, unless the client saw that already, and all that follows until it is final.
pub(crate) fn stream(
    order: &Order,
    seen: Option<i64>,
    transitions: Subscription,
) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let follower = Follower {
        first: Some(Transition::from(order)),
        // A client that saw what never was has seen nothing.
        seen: seen
            .filter(|seen| *seen <= event_id(order.updated_at))
            .unwrap_or(i64::MIN),
        ended: false,
        transitions,
    };
    stream::unfold(follower, |mut follower| async move {
        let text = follower.next().await?;
        Some((Ok(Bytes::from(text)), follower))
    })
}

struct Follower {
    /// How the order was when it was asked for.
    first: Option<Transition>,
    /// The latest event that the client has.
    seen: i64,
    ended: bool,
    transitions: Subscription,
}

impl Follower {
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            let event = self.event(&first).unwrap_or_default();
            return Some(format!("retry: {RETRY_MS}\n{event}\n"));
        }
        loop {
            if self.ended {
                return None;
            }
            match timeout(HEARTBEAT, self.transitions.next()).await {
                Ok(Some(transition)) => {
                    if let Some(event) = self.event(&transition) {
                        return Some(event + "\n");
                    }
                }
                Ok(None) => return None,
                Err(_) => return Some(": still here\n\n".to_owned()),
            }
        }
    }

    /// The lines of an event; `None` for what the client has seen. The final one is told even where PostgreSQL's clock went back.
    fn event(&mut self, transition: &Transition) -> Option<String> {
        let id = event_id(transition.updated_at);
        self.ended = transition.status.is_final();
        if id == self.seen || (id < self.seen && !self.ended) {
            return None;
        }
        self.seen = id;
        let data = serde_json::to_string(transition).ok()?;
        Some(format!("id: {id}\ndata: {data}\n"))
    }
}
