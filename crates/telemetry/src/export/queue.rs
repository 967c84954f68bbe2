//! The queue of encoded spans or log records, and the thread that sends them. A record is encoded where it
//! ends: the thread that allocated it frees it, and what waits is bytes. The SDK's batch processors move each
//! record to another thread, which costs about as much again.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::accounting::Accounting;
use super::http::HttpExporter;
use super::protobuf::{Batch, Record};
use super::runtime::ExportRuntime;

/// How long a flush may take, as in the SDK.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The records that wait, of which the accounting bounds the number.
#[derive(Debug)]
pub(crate) struct ExportQueue {
    /// The next request.
    batch: Arc<Mutex<Batch>>,
    /// The most records in one request.
    batch_size: usize,
    messages: Sender<Message>,
}

#[derive(Debug)]
enum Message {
    /// A batch of the largest size.
    Full(Batch),
    Flush(Sender<OTelSdkResult>),
    Shutdown(Sender<OTelSdkResult>),
}

impl ExportQueue {
    /// Starts the thread. It sends a batch when it is full, and once every `delay`.
    pub(crate) fn start(
        batch_size: usize,
        delay: Duration,
        exporter: HttpExporter,
        accounting: &Arc<Accounting>,
        runtime: ExportRuntime,
    ) -> io::Result<Self> {
        let (messages, received) = channel();
        let batch = Arc::new(Mutex::new(Batch::default()));
        let sending = Sending {
            batch: Arc::clone(&batch),
            delay,
            exporter,
            accounting: Arc::clone(accounting),
            runtime,
        };
        let thread = thread::Builder::new().name("otlp-export".to_owned());
        thread.spawn(move || sending.run(&received))?;
        Ok(Self {
            batch,
            batch_size,
            messages,
        })
    }

    pub(super) fn push(&self, record: &Record<'_>) {
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        batch.push(record);
        if batch.len() >= self.batch_size {
            // After a shutdown nothing is sent.
            let next = batch.successor();
            let _ = self
                .messages
                .send(Message::Full(std::mem::replace(&mut *batch, next)));
        }
    }

    pub(super) fn flush(&self) -> OTelSdkResult {
        self.request(Message::Flush, FLUSH_TIMEOUT)
    }

    pub(super) fn shut_down(&self, timeout: Duration) -> OTelSdkResult {
        self.request(Message::Shutdown, timeout)
    }

    fn request(&self, message: fn(Sender<OTelSdkResult>) -> Message, timeout: Duration) -> OTelSdkResult {
        let (reply, result) = channel();
        let sent = self.messages.send(message(reply));
        sent.map_err(|_| OTelSdkError::AlreadyShutdown)?;
        result.recv_timeout(timeout).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(OTelSdkError::Timeout(timeout)),
            RecvTimeoutError::Disconnected => Err(OTelSdkError::AlreadyShutdown),
        })
    }
}

/// The state of the thread.
struct Sending {
    batch: Arc<Mutex<Batch>>,
    delay: Duration,
    exporter: HttpExporter,
    accounting: Arc<Accounting>,
    runtime: ExportRuntime,
}

impl Sending {
    fn run(self, messages: &Receiver<Message>) {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let mut next = Instant::now() + self.delay;
        loop {
            // The caller of a flush may have given up.
            match messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Message::Full(batch)) => drop(self.send(batch)),
                Ok(Message::Flush(reply)) => drop(reply.send(self.send_waiting())),
                Ok(Message::Shutdown(reply)) => return drop(reply.send(self.send_waiting())),
                Err(RecvTimeoutError::Timeout) => {
                    drop(self.send_waiting());
                    next = Instant::now() + self.delay;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn send_waiting(&self) -> OTelSdkResult {
        // The lock is held by this line alone: each span that ends needs it.
        let batch = std::mem::take(&mut *self.batch.lock().unwrap_or_else(PoisonError::into_inner));
        if batch.len() == 0 {
            return Ok(());
        }
        self.send(batch)
    }

    fn send(&self, batch: Batch) -> OTelSdkResult {
        let records = batch.len();
        self.accounting.dequeued(records);
        let request = batch.into_request(&self.exporter.resource);
        let result = self.runtime.block_on(self.exporter.send(request));
        self.accounting.exported(records, &result);
        result
    }
}
