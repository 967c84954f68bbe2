//! When a worker fetches: after a wake-up, and at a tick that covers a lost wake-up.
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
use tokio::time::{Instant, Sleep};

/// Interval of ticks while wake-ups are received: the maximum delay that a lost one causes.
const TICK: Duration = Duration::from_secs(1);

/// Interval of ticks while no wake-ups are received.
const SHORT_TICK: Duration = Duration::from_millis(200);

/// Whether a fetch is due. Shared by the listener, which receives wake-ups, and the running worker.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    due: AtomicBool,
    waker: AtomicWaker,
    /// Whether the listener receives wake-ups.
    listening: AtomicBool,
}

impl Wake {
    /// A fetch is due. A worker without a free slot fetches when it has one.
    pub(crate) fn wake(&self) {
        self.due.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn set_listening(&self, listening: bool) {
        self.listening.store(listening, Ordering::Relaxed);
    }

    /// Whether a fetch is due, which then begins.
    pub(crate) fn begin_fetch(&self) -> bool {
        self.due.swap(false, Ordering::AcqRel)
    }

    /// Polls the worker again, for wake-ups and acknowledgements that arrived during the fetch.
    pub(crate) fn fetch_ended(&self, may_be_more: bool) {
        if may_be_more {
            self.due.store(true, Ordering::Release);
        }
        self.waker.wake();
    }

    fn tick(&self) -> Duration {
        if self.listening.load(Ordering::Relaxed) {
            TICK
        } else {
            SHORT_TICK
        }
    }
}

/// The poll strategy. apalis polls it each time before it fetches, and fetches whatever it returns.
#[derive(Debug)]
pub(crate) struct WakeOrTick {
    wake: Arc<Wake>,
    tick: Pin<Box<Sleep>>,
}

impl WakeOrTick {
    /// The first fetch is due at once.
    pub(crate) fn new(wake: Arc<Wake>) -> Self {
        wake.wake();
        let tick = Box::pin(tokio::time::sleep(wake.tick()));
        Self { wake, tick }
    }
}

impl PollStrategy for WakeOrTick {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        // Before the check, so that no wake-up is missed.
        self.wake.waker.register(cx.waker());
        while self.tick.as_mut().poll(cx).is_ready() {
            self.wake.due.store(true, Ordering::Release);
            self.tick.as_mut().reset(Instant::now() + self.wake.tick());
        }
        if self.wake.due.load(Ordering::Acquire) {
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

    /// Waits until a fetch is due, and begins it.
    async fn fetch(strategy: &mut WakeOrTick) {
        poll_fn(|cx| strategy.poll_drive(cx, &PollSnapshot::new())).await;
        assert!(strategy.wake.begin_fetch());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_worker_fetches_less_often_while_it_receives_wake_ups() {
        let mut strategy = WakeOrTick::new(Arc::default());
        fetch(&mut strategy).await;
        for listening in [false, true] {
            strategy.wake.set_listening(listening);
            // The tick that is armed.
            fetch(&mut strategy).await;
            let start = Instant::now();
            fetch(&mut strategy).await;
            assert_eq!(start.elapsed(), strategy.wake.tick());
        }
        assert_eq!(strategy.wake.tick(), TICK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_makes_one_fetch_due() {
        let mut strategy = WakeOrTick::new(Arc::default());
        fetch(&mut strategy).await;
        let start = Instant::now();
        strategy.wake.wake();
        fetch(&mut strategy).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(!strategy.wake.begin_fetch());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_during_a_fetch_and_a_full_batch_are_followed_by_another_fetch() {
        let mut strategy = WakeOrTick::new(Arc::default());
        fetch(&mut strategy).await;
        let start = Instant::now();
        strategy.wake.wake();
        strategy.wake.fetch_ended(false);
        fetch(&mut strategy).await;
        strategy.wake.fetch_ended(true);
        fetch(&mut strategy).await;
        strategy.wake.fetch_ended(false);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(!strategy.wake.begin_fetch());
    }
}
