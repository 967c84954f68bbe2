//! How a service is asked to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What ends a service: SIGTERM, as Kubernetes sends it, or SIGINT, as a person does. Watched for from the start, so that one
/// that comes early is not missed.
#[derive(Debug)]
pub struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    pub(crate) fn watch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Until this process is asked to end.
    pub async fn asked(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
