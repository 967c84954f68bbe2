//! The process of one service: start, readiness, signals, restart.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use super::service::Service;
use crate::readiness::responds_ok;
use crate::supervised::{Supervised, Task};

/// How long a service may take until it is ready; generous because the machine may be busy.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct ServiceProcess {
    service: Service,
    task: Task,
    port: u16,
    /// `None` after it was stopped or killed.
    running: Option<Supervised>,
}

impl ServiceProcess {
    /// Starts the process; returns at once.
    pub(super) fn start(service: Service, task: Task, port: u16) -> anyhow::Result<Self> {
        let running = Some(Supervised::start(&task)?);
        Ok(Self {
            service,
            task,
            port,
            running,
        })
    }

    pub(super) fn service(&self) -> Service {
        self.service
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.running.as_ref().map(Supervised::pid)
    }

    /// Waits until the service is ready. If it ends before, the error has its last log lines.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        let is_ready = || responds_ok(self.port, self.service.ready_path());
        self.running()?.until_ready(READY_TIMEOUT, is_ready).await
    }

    /// Its exit status and last log lines, if it ended by itself.
    pub(super) fn ended(&self) -> anyhow::Result<Option<String>> {
        let Some(running) = &self.running else {
            return Ok(None);
        };
        let status = running.ended()?;
        Ok(status.map(|status| format!("{} ended ({status}):\n{}", self.service, running.last_lines())))
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.running()?.signal(signal)
    }

    fn running(&self) -> anyhow::Result<&Supervised> {
        let running = self.running.as_ref();
        running.with_context(|| format!("{} does not run", self.service))
    }

    pub(super) async fn end(&mut self, signal: Signal, timeout: Duration) -> anyhow::Result<ExitStatus> {
        let running = self
            .running
            .take()
            .with_context(|| format!("{} does not run", self.service))?;
        running.end(signal, timeout).await
    }

    pub(super) async fn end_if_running(&mut self, timeout: Duration) -> anyhow::Result<()> {
        if self.running.is_some() {
            self.end(Signal::TERM, timeout).await?;
        }
        Ok(())
    }

    pub(super) async fn restart(&mut self, timeout: Duration) -> anyhow::Result<()> {
        self.end_if_running(timeout).await?;
        self.running = Some(Supervised::start(&self.task)?);
        self.ready().await
    }
}
