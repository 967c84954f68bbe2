//! When an idle worker polls for jobs: at a wake-up, and at a tick that covers a lost wake-up.
//!
//! By default apalis polls once per heartbeat, and its interval strategy can lose its waker and stall. Here
//! the timer is armed and polled at every call, so that a waker is always registered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

/// The first tick after a wake-up. It covers a wake-up that arrived during a fetch too early to see the job.
const MIN_TICK: Duration = Duration::from_millis(2);

/// Ticks double up to this interval: the maximum delay that a lost wake-up causes.
const MAX_TICK: Duration = Duration::from_millis(200);

/// A wake-up: the listener sends it, the running worker receives it.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    pending: AtomicBool,
    waker: AtomicWaker,
    /// Notified each time the worker polls.
    polled: Notify,
}

impl Wake {
    fn wake(&self) {
        self.pending.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Wakes the worker, and returns once it polls. A worker without a free slot does not poll.
    pub(crate) async fn wake_until_polled(&self) {
        let mut polled = std::pin::pin!(self.polled.notified());
        // From here on a poll is noticed.
        polled.as_mut().enable();
        self.wake();
        polled.await;
    }

    /// Whether there was a wake-up since the last call. Registers the waker before the check, so that none is
    /// missed.
    fn take(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.pending.swap(false, Ordering::Acquire)
    }
}

/// The poll strategy. apalis polls it each time before it fetches.
#[derive(Debug)]
pub(crate) struct WakeOrTick {
    wake: Arc<Wake>,
    tick: Pin<Box<Sleep>>,
    next: Duration,
}

impl WakeOrTick {
    pub(crate) fn new(wake: Arc<Wake>) -> Self {
        let tick = Box::pin(tokio::time::sleep(MIN_TICK));
        Self {
            wake,
            tick,
            next: MIN_TICK,
        }
    }

    fn arm(&mut self) {
        let at = Instant::now() + self.next;
        self.tick.as_mut().reset(at);
        self.next = (self.next * 2).min(MAX_TICK);
    }
}

impl PollStrategy for WakeOrTick {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut due = self.wake.take(cx);
        if due {
            self.next = MIN_TICK;
            self.arm();
        }
        while self.tick.as_mut().poll(cx).is_ready() {
            due = true;
            self.arm();
        }
        if due {
            self.wake.polled.notify_waiters();
            Poll::Ready(Some(()))
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn due(strategy: &mut WakeOrTick) {
        poll_fn(|cx| strategy.poll_drive(cx, &PollSnapshot::new())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_worker_polls_less_and_less_often_but_never_stops() {
        let mut strategy = WakeOrTick::new(Arc::default());
        let mut last = Instant::now();
        let mut intervals = Vec::new();
        for _ in 0..12 {
            due(&mut strategy).await;
            intervals.push(last.elapsed());
            last = Instant::now();
        }
        assert!(intervals.is_sorted(), "{intervals:?}");
        assert_eq!(intervals[11], MAX_TICK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_polls_at_once_and_is_followed_by_short_ticks() {
        let wake = Arc::new(Wake::default());
        let mut strategy = WakeOrTick::new(Arc::clone(&wake));
        for _ in 0..12 {
            due(&mut strategy).await;
        }
        let start = Instant::now();
        wake.wake();
        due(&mut strategy).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        due(&mut strategy).await;
        assert_eq!(start.elapsed(), MIN_TICK);
    }
}
