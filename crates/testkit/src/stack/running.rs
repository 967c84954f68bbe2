//! A running stack: its services are stopped, killed, restarted and signalled here.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use super::service::{Ports, Service};
use super::service_process::ServiceProcess;

/// Longer than the services' SHUTDOWN_TIMEOUT of 30 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Services stop in this order: the api first, which accepts orders; lens last, which receives telemetry.
const STOP_ORDER: [Service; 4] = [Service::Api, Service::Worker, Service::Gateway, Service::Lens];

/// Running services. Dropping it stops them.
#[derive(Debug)]
pub struct Stack {
    pub(super) processes: Vec<ServiceProcess>,
    pub(super) ports: Ports,
    pub(super) logs: PathBuf,
    /// The logs are deleted with the stack.
    pub(super) temporary: bool,
}

impl Stack {
    /// The base URL of a service's HTTP server: `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self, service: Service) -> String {
        format!("http://127.0.0.1:{}", self.ports.of(service))
    }

    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The folder with a log file of each service.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The started services, and the process ids of those that run.
    pub fn pids(&self) -> impl Iterator<Item = (Service, Option<i32>)> {
        self.processes
            .iter()
            .map(|process| (process.service(), process.pid()))
    }

    /// A service that has ended by itself, with its exit status and last log lines.
    ///
    /// # Errors
    /// When the status of a process cannot be read.
    pub fn ended(&self) -> anyhow::Result<Option<String>> {
        for process in &self.processes {
            if let Some(how) = process.ended()? {
                return Ok(Some(how));
            }
        }
        Ok(None)
    }

    /// Stops a service (SIGTERM) and waits until it has ended.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn stop(&mut self, service: Service) -> anyhow::Result<ExitStatus> {
        self.process(service)?.end(Signal::TERM, STOP_TIMEOUT).await
    }

    /// Kills a service (SIGKILL).
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill(&mut self, service: Service) -> anyhow::Result<ExitStatus> {
        self.process(service)?.end(Signal::KILL, STOP_TIMEOUT).await
    }

    /// Starts a service again, on the same port; stops it first if it runs.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self, service: Service) -> anyhow::Result<()> {
        self.process(service)?.restart(STOP_TIMEOUT).await
    }

    /// Sends a signal to a running service, such as SIGSTOP and SIGCONT, or SIGTERM without waiting for the
    /// end.
    ///
    /// # Errors
    /// When it does not run or cannot be signalled.
    pub fn signal(&mut self, service: Service, signal: Signal) -> anyhow::Result<()> {
        self.process(service)?.signal(signal)
    }

    /// A stack of each service alone, so that one can start or stop while another does. The logs stay.
    #[must_use]
    pub fn split(mut self) -> Vec<(Service, Self)> {
        self.temporary = false;
        let (ports, logs) = (self.ports.clone(), self.logs.clone());
        let alone = |process: ServiceProcess| {
            let (service, ports, logs) = (process.service(), ports.clone(), logs.clone());
            let stack = Self {
                processes: vec![process],
                ports,
                logs,
                temporary: false,
            };
            (service, stack)
        };
        std::mem::take(&mut self.processes)
            .into_iter()
            .map(alone)
            .collect()
    }

    /// Stops all services in order, and waits until they have ended.
    ///
    /// # Errors
    /// When a service cannot be signalled.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        for service in STOP_ORDER {
            if let Some(process) = self
                .processes
                .iter_mut()
                .find(|process| process.service() == service)
            {
                process.end_if_running(STOP_TIMEOUT).await?;
            }
        }
        Ok(())
    }

    fn process(&mut self, service: Service) -> anyhow::Result<&mut ServiceProcess> {
        let process = self
            .processes
            .iter_mut()
            .find(|process| process.service() == service);
        process.with_context(|| format!("{service} is not part of this stack"))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        while let Some(process) = self.processes.pop() {
            drop(process);
        }
        if !self.temporary {
            return;
        }
        if std::thread::panicking() {
            eprintln!("the services' logs are in {}", self.logs.display());
        } else {
            // An error has no receiver.
            let _ = std::fs::remove_dir_all(&self.logs);
        }
    }
}
