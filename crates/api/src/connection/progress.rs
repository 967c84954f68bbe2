//! What a socket and the requests on it know of each other.

use std::cell::Cell;

use tokio::time::Instant;

use super::ahead::Ahead;

/// Shared by a socket and the requests on it, all on one thread.
#[derive(Debug)]
pub(super) struct Progress {
    /// Whether a request is being served: then the client waits for the service.
    pub(super) serving: Cell<bool>,
    /// The time of the last progress.
    pub(super) since: Cell<Instant>,
    /// Whether the response is an event stream, whose client may read slowly.
    pub(super) streaming: Cell<bool>,
    pub(super) ahead: Ahead,
}
