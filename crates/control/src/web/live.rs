//! `/live`: the elements of the page as they change, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Bytes, Data, Query};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::pages::{self, Of};
use super::shared::Shared;
use crate::part::Part;

/// What one page was sent.
struct Follower {
    shared: Arc<Shared>,
    of: Option<Part>,
    updates: watch::Receiver<Arc<Vec<String>>>,
    sent: Vec<String>,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn follow(query: Query<Of>, shared: Data<Shared>) -> HttpResponse {
    let Ok(place) = shared.streams.clone().try_acquire_owned() else {
        return HttpResponse::ServiceUnavailable().body("Too many pages of the control room are open.");
    };
    let follower = Follower {
        of: query.part(&shared),
        updates: shared.subscribe(),
        shared: shared.into_inner(),
        sent: Vec::new(),
        _place: place,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let events = follower.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(events)), follower))
    });
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .streaming(events)
}

impl Follower {
    /// The elements that changed; `None` at the end of the room.
    async fn next(&mut self) -> Option<String> {
        loop {
            self.updates.changed().await.ok()?;
            let mut elements = self.updates.borrow_and_update().to_vec();
            elements.push(pages::output(&self.shared, self.of));
            let changed = elements.iter().enumerate();
            let changed = changed.filter(|(index, element)| self.sent.get(*index) != Some(*element));
            let events: String = changed.map(|(_, element)| ui::event(element)).collect();
            self.sent = elements;
            if !events.is_empty() {
                return Some(events);
            }
        }
    }
}
