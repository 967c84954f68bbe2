//! When an idle worker looks for jobs: at a wake-up, and at a tick that covers a lost one.
//!
//! apalis alone looks once a heartbeat, and its interval strategy can lose its waker and stall. Here the timer is armed
//! and polled again at every call, so that a waker is always registered.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep};

/// The tick after a wake-up: a wake-up during a fetch that was too early to see the job is made up for at once.
const SHORTEST_TICK: Duration = Duration::from_millis(2);

/// The tick of a worker that has been idle for a while: what a lost wake-up costs at most.
const LONGEST_TICK: Duration = Duration::from_millis(200);

/// "There may be jobs." Said by the listener, heard by the worker that runs at the moment.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    pending: AtomicBool,
    waker: AtomicWaker,
}

impl Wake {
    pub(crate) fn wake(&self) {
        self.pending.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether it was said since the last time. Registers before it looks, so that nothing falls in between.
    fn heard(&self, cx: &Context<'_>) -> bool {
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
        let tick = Box::pin(tokio::time::sleep(SHORTEST_TICK));
        Self {
            wake,
            tick,
            next: SHORTEST_TICK,
        }
    }

    fn arm(&mut self) {
        let at = Instant::now() + self.next;
        self.tick.as_mut().reset(at);
        self.next = (self.next * 2).min(LONGEST_TICK);
    }
}

impl PollStrategy for WakeOrTick {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut due = self.wake.heard(cx);
        if due {
            self.next = SHORTEST_TICK;
            self.arm();
        }
        while self.tick.as_mut().poll(cx).is_ready() {
            due = true;
            self.arm();
        }
        if due { Poll::Ready(Some(())) } else { Poll::Pending }
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
    async fn an_idle_worker_looks_less_and_less_often_but_never_stops() {
        let mut strategy = WakeOrTick::new(Arc::default());
        let mut last = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            due(&mut strategy).await;
            pauses.push(last.elapsed());
            last = Instant::now();
        }
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses[11], LONGEST_TICK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_is_heard_at_once_and_followed_by_short_ticks() {
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
        assert_eq!(start.elapsed(), SHORTEST_TICK);
    }
}
