//! The signals that end a service.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM (from Kubernetes or systemd) or SIGINT (Ctrl-C). Installed before the start-up work, so that an
/// early signal is not missed.
#[derive(Debug)]
pub struct ShutdownSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl ShutdownSignal {
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the first signal.
    pub async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
