//! Whether a worker starts jobs.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How often a paused worker looks for the end of the pause.
const INTERVAL: Duration = Duration::from_millis(200);

/// While it is set, a worker starts no jobs, and finishes those that run. It holds the batch that it fetched
/// before, at most half of its concurrency, and fetches no other. Of a worker that shuts down, the batch is
/// delivered nevertheless. Shared by all clones; not set at first.
#[derive(Clone, Debug, Default)]
pub struct Pause(Arc<AtomicBool>);

impl Pause {
    /// Pauses the workers, or lets them go on within 200 ms.
    pub fn set(&self, paused: bool) {
        self.0.store(paused, Ordering::Relaxed);
    }

    /// Whether the workers are paused.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Open while its pause is not set.
pub(crate) struct Gate {
    pause: Pause,
    next_look: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    pub(crate) fn new(pause: Pause) -> Self {
        Self {
            pause,
            next_look: None,
        }
    }

    /// Ready once it is open. While it is closed, the task is woken at every [`INTERVAL`].
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.pause.is_set() {
            let next_look = self.next_look.get_or_insert_with(|| Box::pin(sleep(INTERVAL)));
            ready!(next_look.as_mut().poll(cx));
            self.next_look = None;
        }
        Poll::Ready(())
    }
}
