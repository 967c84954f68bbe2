//! The subscribers of this process, by part, and the sessions that they belong to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use actix_web::web::Bytes;
use store::SessionHash;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::part::Part;

/// Clones share the subscribers.
#[derive(Clone)]
pub(crate) struct Live {
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` once it is closed.
    open: Mutex<Option<Open>>,
    subscribed: Notify,
}

#[derive(Default)]
struct Open {
    parts: HashMap<Part, watch::Sender<Version>>,
    sessions: Vec<Weak<StreamSession>>,
}

/// The elements of a part.
#[derive(Debug, Clone, Default)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) elements: Arc<[Element]>,
}

/// An element, as the event that replaces it.
#[derive(Debug, Clone)]
pub(super) struct Element {
    pub(super) event: Bytes,
    /// The number of the version that changed it.
    pub(super) changed_in: u64,
}

/// The session of one stream.
struct StreamSession {
    hash: SessionHash,
    end: Notify,
}

/// The updates of a part for one stream.
pub(super) struct Subscription {
    pub(super) updates: watch::Receiver<Version>,
    session: Option<Arc<StreamSession>>,
    expires_at: Option<Instant>,
}

impl Live {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            open: Mutex::new(Some(Open::default())),
            subscribed: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// `None` once the hub is closed.
    pub(super) fn subscribe(
        &self,
        part: Part,
        session: Option<(SessionHash, Duration)>,
    ) -> Option<Subscription> {
        let mut open = self.lock();
        let open = open.as_mut()?;
        let updates = open.parts.entry(part).or_default().subscribe();
        let expires_at = session.map(|(_, lifetime)| Instant::now() + lifetime);
        let session = session.map(|(hash, _)| {
            let end = Notify::new();
            Arc::new(StreamSession { hash, end })
        });
        open.sessions.extend(session.as_ref().map(Arc::downgrade));
        self.shared.subscribed.notify_one();
        Some(Subscription {
            updates,
            session,
            expires_at,
        })
    }

    /// Ends the streams of a session: its operator signed out.
    pub(crate) fn end_session(&self, hash: &SessionHash) {
        self.end_sessions(|open| open != hash);
    }

    /// Ends the streams of sessions that are not `open`.
    pub(super) fn end_sessions(&self, open: impl Fn(&SessionHash) -> bool) {
        if let Some(hub) = self.lock().as_ref() {
            let sessions = hub.sessions.iter().filter_map(Weak::upgrade);
            sessions
                .filter(|session| !open(&session.hash))
                .for_each(|session| session.end.notify_one());
        }
    }

    /// The sessions that have streams.
    pub(super) fn sessions(&self) -> Vec<SessionHash> {
        let mut open = self.lock();
        let Some(open) = open.as_mut() else {
            return Vec::new();
        };
        open.sessions.retain(|session| session.strong_count() > 0);
        let mut hashes: Vec<_> = open
            .sessions
            .iter()
            .filter_map(Weak::upgrade)
            .map(|s| s.hash)
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    /// The parts that have subscribers; others are forgotten.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut open = self.lock();
        let Some(open) = open.as_mut() else {
            return Vec::new();
        };
        open.parts.retain(|_, updates| updates.receiver_count() > 0);
        open.parts.keys().cloned().collect()
    }

    /// Sends the elements that differ from the ones before.
    pub(super) fn publish(&self, part: &Part, events: Vec<Bytes>) {
        let open = self.lock();
        let Some(updates) = open.as_ref().and_then(|open| open.parts.get(part)) else {
            return;
        };
        updates.send_if_modified(|version| version.replace(events));
    }

    /// Waits until a part has another subscriber.
    pub(super) async fn subscribed(&self) {
        self.shared.subscribed.notified().await;
    }

    /// Ends all streams: the process shuts down, and browsers reconnect to another one.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Version {
    /// Whether an element differs.
    fn replace(&mut self, events: Vec<Bytes>) -> bool {
        let number = self.number + 1;
        let mut modified = false;
        let elements = events.into_iter().enumerate().map(|(index, event)| {
            match self.elements.get(index).filter(|known| known.event == event) {
                Some(known) => known.clone(),
                None => {
                    modified = true;
                    Element {
                        event,
                        changed_in: number,
                    }
                }
            }
        });
        let elements = elements.collect();
        if modified {
            *self = Self { number, elements };
        }
        modified
    }
}

impl Subscription {
    /// Waits for the end of the session; forever without one.
    pub(super) async fn session_ended(&self) {
        let (Some(session), Some(expires_at)) = (&self.session, self.expires_at) else {
            return std::future::pending().await;
        };
        tokio::select! {
            () = session.end.notified() => {}
            () = sleep_until(expires_at) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(texts: &[&'static str]) -> Vec<Bytes> {
        texts
            .iter()
            .map(|text| Bytes::from_static(text.as_bytes()))
            .collect()
    }

    #[tokio::test]
    async fn only_elements_that_changed_are_sent_and_nothing_is_sent_while_nothing_changes() {
        let live = Live::new();
        let mut subscription = live.subscribe(Part::Frame, None).unwrap();
        live.publish(&Part::Frame, events(&["a", "b"]));
        assert!(subscription.updates.has_changed().unwrap());
        subscription.updates.mark_unchanged();
        live.publish(&Part::Frame, events(&["a", "b"]));
        assert!(!subscription.updates.has_changed().unwrap());
        live.publish(&Part::Frame, events(&["a", "c"]));
        let version = subscription.updates.borrow_and_update().clone();
        let changed: Vec<_> = version
            .elements
            .iter()
            .map(|element| element.changed_in)
            .collect();
        assert_eq!((version.number, changed), (2, vec![1, 2]));
        drop(subscription);
        assert!(live.parts().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_its_session_and_no_other_does() {
        let (live, [one, other]) = (Live::new(), [[1; 32], [2; 32]]);
        let hour = Duration::from_secs(3600);
        let ada = live.subscribe(Part::Frame, Some((one, hour))).unwrap();
        let grace = live.subscribe(Part::Frame, Some((other, hour))).unwrap();
        assert_eq!(live.sessions(), [one, other]);
        live.end_session(&one);
        ada.session_ended().await;
        let minute = Duration::from_secs(60);
        assert!(tokio::time::timeout(minute, grace.session_ended()).await.is_err());
        assert!(tokio::time::timeout(hour, grace.session_ended()).await.is_ok());
        live.close();
        assert!(live.subscribe(Part::Frame, None).is_none());
    }
}
