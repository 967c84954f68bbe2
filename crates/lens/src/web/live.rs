//! The live parts of pages, by server-sent events: rendered when something arrived, sent when they changed.

use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, ResponseError};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use super::problem::Problem;
use crate::storage::TelemetryStore;

/// A browser allows six connections to one host, so this is several windows full of pages.
const MAX_STREAMS: usize = 64;
/// Between two updates of one page: often enough to follow, and seldom enough to read.
const MIN_INTERVAL: Duration = Duration::from_millis(500);
/// An update that takes long is followed by a longer pause: a page takes at most a tenth of a core.
const PAUSE_FACTOR: u32 = 10;
/// Proxies close connections that are silent for too long.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// The streams of all pages.
pub(super) struct Streams(Arc<Semaphore>);

/// The live elements of a page, each with an id.
pub(super) type Elements = Result<Vec<String>, Problem>;

struct Follower<F> {
    store: Data<TelemetryStore>,
    changes: watch::Receiver<u64>,
    render: F,
    /// The hash of each element as it was sent; `None` before the first bytes.
    sent: Option<Vec<u64>>,
    pause: Duration,
    _permit: OwnedSemaphorePermit,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_STREAMS)))
    }

    /// A response that follows what `render` returns.
    pub(super) fn follow<F>(&self, store: Data<TelemetryStore>, render: F) -> HttpResponse
    where
        F: Fn(&TelemetryStore) -> Elements + 'static,
    {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            return Problem::TooManyStreams.error_response();
        };
        let follower = Follower {
            changes: store.changes(),
            store,
            render,
            sent: None,
            pause: MIN_INTERVAL,
            _permit: permit,
        };
        let events = stream::unfold(follower, |mut follower| async move {
            let bytes = follower.next().await?;
            Some((Ok::<_, Infallible>(bytes), follower))
        });
        HttpResponse::Ok()
            .content_type("text/event-stream")
            .insert_header((CACHE_CONTROL, "no-store"))
            .streaming(events)
    }
}

impl<F: Fn(&TelemetryStore) -> Elements> Follower<F> {
    /// `None` once lens stops.
    async fn next(&mut self) -> Option<Bytes> {
        if self.sent.is_none() {
            return Some(Bytes::from(format!("retry: 1000\n\n{}", self.changed())));
        }
        sleep(self.pause).await;
        loop {
            match timeout(HEARTBEAT_INTERVAL, self.changes.changed()).await {
                Ok(Ok(())) => {
                    let events = self.changed();
                    if !events.is_empty() {
                        return Some(Bytes::from(events));
                    }
                    sleep(self.pause).await;
                }
                Ok(Err(_)) => return None,
                // What is written changes with time too.
                Err(_) => return Some(Bytes::from(format!(": still here\n\n{}", self.changed()))),
            }
        }
    }

    /// The events of the elements that changed. What cannot be rendered, such as an evicted trace, stays.
    fn changed(&mut self) -> String {
        self.changes.mark_unchanged();
        let start = Instant::now();
        let elements = (self.render)(&self.store).unwrap_or_default();
        self.pause = (start.elapsed() * PAUSE_FACTOR).max(MIN_INTERVAL);
        let before = self.sent.take().unwrap_or_default();
        let hashes: Vec<u64> = elements.iter().map(hash).collect();
        let is_new = |(place, hash): (usize, &u64)| before.get(place) != Some(hash);
        let new: Vec<bool> = hashes.iter().enumerate().map(is_new).collect();
        self.sent = Some(if elements.is_empty() { before } else { hashes });
        let events = elements.iter().zip(new).filter(|(_, is_new)| *is_new);
        events.map(|(element, _)| ui::event(element)).collect()
    }
}

fn hash(element: &String) -> u64 {
    let mut hasher = DefaultHasher::new();
    element.hash(&mut hasher);
    hasher.finish()
}
