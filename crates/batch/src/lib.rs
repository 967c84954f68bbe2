//! Natural batching: calls that arrive while a batch is in progress share the next one. A lone call is a
//! batch of one and waits for nothing, so that batches grow only as large as the load makes them.
//!
//! ```
//! use std::time::Duration;
//! use throughline_batch::{Batcher, Lane, Limits};
//!
//! /// Stands for a connection to a server that takes many numbers at once.
//! struct Doubling;
//!
//! impl Lane for Doubling {
//!     type Item = u32;
//!     type Output = u32;
//!
//!     async fn run(&mut self, items: Vec<u32>) -> Vec<u32> {
//!         items.into_iter().map(|item| item * 2).collect()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), throughline_batch::Error> {
//! let limits = Limits { batch_size: 64, waiting: 512, stall_timeout: Duration::from_secs(2) };
//! let batcher = Batcher::start([Doubling], limits);
//! assert_eq!(batcher.call(21).await?, 42);
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

/// Runs batches, one at a time: a connection, for instance.
pub trait Lane: Send + 'static {
    /// What a caller passes.
    type Item: Send + 'static;
    /// What a caller gets.
    type Output: Send + 'static;

    /// Runs a batch of at least one item; the outputs are in the order of the items. A caller whose output
    /// is missing gets [`Error::Lost`]. If this panics, the lane continues with the next batch.
    fn run(&mut self, items: Vec<Self::Item>) -> impl Future<Output = Vec<Self::Output>> + Send;
}

/// The bounds of a [`Batcher`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Items of one batch, at most.
    pub batch_size: usize,
    /// Calls that may wait for a batch; further ones get [`Error::Busy`].
    pub waiting: usize,
    /// Calls that wait get [`Error::Busy`] once every lane's batch takes longer than this.
    pub stall_timeout: Duration,
}

/// Why a call has no output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too many calls wait, or the batch before takes too long. The item was not part of any batch.
    #[error("too many calls are waiting")]
    Busy,
    /// The batch ended without an output for this call: the lane panicked, or its runtime stopped. What the
    /// batch did is unknown.
    #[error("the batch ended without a result")]
    Lost,
}

/// Passes calls to lanes in batches. Cheap to clone; the lanes end with the last clone.
#[derive(Debug)]
pub struct Batcher<Item, Output> {
    calls: mpsc::Sender<Call<Item, Output>>,
}

#[derive(Debug)]
struct Call<Item, Output> {
    item: Item,
    reply: oneshot::Sender<Result<Output, Error>>,
}

type Calls<Item, Output> = Mutex<mpsc::Receiver<Call<Item, Output>>>;

impl<Item, Output> Clone for Batcher<Item, Output> {
    fn clone(&self) -> Self {
        Self {
            calls: self.calls.clone(),
        }
    }
}

impl<Item: Send + 'static, Output: Send + 'static> Batcher<Item, Output> {
    /// Starts the lanes as tasks of the current runtime. Calls from other runtimes work, but cross threads.
    pub fn start<L>(lanes: impl IntoIterator<Item = L>, limits: Limits) -> Self
    where
        L: Lane<Item = Item, Output = Output>,
    {
        let (calls, waiting) = mpsc::channel(limits.waiting.max(1));
        let waiting = Arc::new(Mutex::new(waiting));
        for lane in lanes {
            tokio::spawn(run(lane, Arc::clone(&waiting), limits));
        }
        Self { calls }
    }

    /// Waits for the output of a batch with this item. Dropping the future before the batch begins takes the
    /// item out of it; afterwards the batch continues.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call(&self, item: Item) -> Result<Output, Error> {
        let (reply, output) = oneshot::channel();
        self.calls
            .try_send(Call { item, reply })
            .map_err(|error| match error {
                TrySendError::Full(_) => Error::Busy,
                TrySendError::Closed(_) => Error::Lost,
            })?;
        output.await.unwrap_or(Err(Error::Lost))
    }
}

async fn run<L: Lane>(mut lane: L, waiting: Arc<Calls<L::Item, L::Output>>, limits: Limits) {
    let mut calls = Vec::with_capacity(limits.batch_size);
    loop {
        {
            let mut waiting = waiting.lock().await;
            if waiting.recv_many(&mut calls, limits.batch_size).await == 0 {
                return;
            }
            // Lets every task run that is ready, and whose socket is, for as long as that brings further
            // calls: they belong to this batch. The next batch comes only after this one.
            let mut present = 0;
            while present < calls.len() && calls.len() < limits.batch_size {
                present = calls.len();
                yield_now().await;
                while calls.len() < limits.batch_size
                    && let Ok(call) = waiting.try_recv()
                {
                    calls.push(call);
                }
            }
        }
        let wanted = calls.drain(..).filter(|call| !call.reply.is_closed());
        let (items, replies): (Vec<_>, Vec<_>) = wanted.map(|call| (call.item, call.reply)).unzip();
        if items.is_empty() {
            continue;
        }
        let batch = AssertUnwindSafe(lane.run(items)).catch_unwind();
        match refuse_while_stalled(batch, &waiting, limits.stall_timeout).await {
            Ok(outputs) => {
                for (reply, output) in replies.into_iter().zip(outputs) {
                    // The caller may be gone.
                    let _ = reply.send(Ok(output));
                }
            }
            Err(panic) => tracing::error!(
                exception.type = "panic",
                exception.message = panic_message(&*panic),
                "a batch panicked"
            ),
        }
    }
}

/// Awaits the batch. While it takes longer than the timeout, refuses the calls that wait for the next one, in
/// case no other lane takes them.
async fn refuse_while_stalled<T, Item, Output>(
    batch: impl Future<Output = T>,
    waiting: &Calls<Item, Output>,
    stall_timeout: Duration,
) -> T {
    let mut batch = pin!(batch);
    let mut deadline = Instant::now() + stall_timeout;
    loop {
        if let Ok(ended) = timeout_at(deadline, &mut batch).await {
            return ended;
        }
        deadline = Instant::now() + stall_timeout / 8;
        // Another lane that holds the lock takes the next call.
        if let Ok(mut waiting) = waiting.try_lock() {
            while let Ok(call) = waiting.try_recv() {
                let _ = call.reply.send(Err(Error::Busy));
            }
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests;
