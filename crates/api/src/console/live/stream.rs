//! One browser's stream of a part, as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::time::timeout;

use super::hub::Subscription;

/// Proxies close connections that are silent for too long.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// The elements as they are now, then those that change, until the session ends.
pub(super) fn stream(subscription: Subscription) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let follower = Follower {
        subscription,
        sent: None,
    };
    stream::unfold(follower, |mut follower| async move {
        let bytes = follower.next().await?;
        Some((Ok(bytes), follower))
    })
}

struct Follower {
    subscription: Subscription,
    /// The number of the version that was sent; `None` before the first bytes.
    sent: Option<u64>,
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        if self.sent.is_none() {
            let mut first = BytesMut::from(&b"retry: 1000\n\n"[..]);
            first.extend_from_slice(&self.newer().unwrap_or_default());
            return Some(first.freeze());
        }
        loop {
            let mut updates = self.subscription.updates.clone();
            let changed = tokio::select! {
                changed = timeout(HEARTBEAT_INTERVAL, updates.changed()) => changed,
                () = self.subscription.session_ended() => return None,
            };
            match changed {
                Ok(Ok(())) => {
                    if let Some(bytes) = self.newer() {
                        return Some(bytes);
                    }
                }
                Ok(Err(_)) => return None,
                Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }

    /// The elements that changed since the version that was sent.
    fn newer(&mut self) -> Option<Bytes> {
        let version = self.subscription.updates.borrow_and_update().clone();
        let sent = self.sent.replace(version.number).unwrap_or(0);
        let newer = version
            .elements
            .iter()
            .filter(|element| element.changed_in > sent);
        let bytes = newer.fold(BytesMut::new(), |mut bytes, element| {
            bytes.extend_from_slice(&element.event);
            bytes
        });
        (!bytes.is_empty()).then(|| bytes.freeze())
    }
}
