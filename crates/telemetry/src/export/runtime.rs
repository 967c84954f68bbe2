//! The tokio runtime of one exporter, which runs on the exporting thread while it exports, and nowhere else.
//! So the I/O of an export stays off the program's threads, and in a context that suppresses telemetry: what
//! the HTTP clients log there is not exported, while the same crates' events elsewhere are.

use std::future::Future;
use std::io;

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::runtime::{Builder, Runtime};

/// A current-thread runtime, until it is dropped.
#[derive(Debug)]
pub(crate) struct ExportRuntime(Option<Runtime>);

impl ExportRuntime {
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            // Names are resolved on threads of the runtime.
            .on_thread_start(|| std::mem::forget(Context::enter_telemetry_suppressed_scope()))
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Builds an exporter that starts tasks on the runtime.
    pub(crate) fn within<T>(&self, build: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_ref().map(Runtime::enter);
        build()
    }

    /// Blocks. Called on the threads of batch processors and of the metric reader.
    pub(super) fn block_on(&self, export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        let runtime = self.0.as_ref().ok_or(OTelSdkError::AlreadyShutdown)?;
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        runtime.block_on(export)
    }
}

impl Drop for ExportRuntime {
    fn drop(&mut self) {
        // A runtime that is dropped inside another one panics.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
