//! The whole product as real processes: gateway, lens, api and worker, for end-to-end tests and the local stack.

mod binaries;
mod builder;
mod process;
mod service;

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

pub use binaries::{BUILD, Binaries, Profile};
pub use builder::StackBuilder;
use process::Process;
pub use service::{Ports, Service};

/// Longer than the services' own SHUTDOWN_TIMEOUT of 30 s.
const PATIENCE: Duration = Duration::from_secs(40);

/// The order in which the services end: whoever takes orders first, whoever receives telemetry last.
const ENDING: [Service; 4] = [Service::Api, Service::Worker, Service::Gateway, Service::Lens];

/// Running services. Dropping it ends them.
#[derive(Debug)]
pub struct Stack {
    processes: Vec<Process>,
    ports: Ports,
    logs: PathBuf,
    /// The logs go with the stack.
    temporary: bool,
}

impl Stack {
    /// What to start, against this database and this Redis.
    #[must_use]
    pub fn builder(database_url: &str, redis_url: &str) -> StackBuilder {
        StackBuilder::new(database_url, redis_url)
    }

    /// Where a service answers HTTP: `http://127.0.0.1:8080`.
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
    pub fn logs(&self) -> &std::path::Path {
        &self.logs
    }

    /// The services that were started, and their process ids if they run.
    pub fn pids(&self) -> impl Iterator<Item = (Service, Option<i32>)> {
        self.processes
            .iter()
            .map(|process| (process.service(), process.pid()))
    }

    /// A service that has ended by itself, and its last log lines.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn ended(&self) -> anyhow::Result<Option<String>> {
        for process in &self.processes {
            if let Some(how) = process.ended()? {
                return Ok(Some(how));
            }
        }
        Ok(None)
    }

    /// Asks a service to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn stop(&mut self, service: Service) -> anyhow::Result<ExitStatus> {
        self.process(service)?.end(Signal::TERM, PATIENCE).await
    }

    /// Kills a service (SIGKILL).
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill(&mut self, service: Service) -> anyhow::Result<ExitStatus> {
        self.process(service)?.end(Signal::KILL, PATIENCE).await
    }

    /// Starts a service again, on the same port; first stops it if it runs.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self, service: Service) -> anyhow::Result<()> {
        self.process(service)?.restart(PATIENCE).await
    }

    /// Sends a signal to a service that runs: SIGSTOP and SIGCONT to freeze it, SIGTERM to see it end by itself.
    ///
    /// # Errors
    /// When it does not run or cannot be signalled.
    pub fn signal(&mut self, service: Service, signal: Signal) -> anyhow::Result<()> {
        self.process(service)?.signal(signal)
    }

    /// Ends all of it in order, and waits until it has ended.
    ///
    /// # Errors
    /// When a service cannot be signalled.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        for service in ENDING {
            if let Some(process) = self
                .processes
                .iter_mut()
                .find(|process| process.service() == service)
            {
                process.end_if_running(PATIENCE).await?;
            }
        }
        Ok(())
    }

    fn process(&mut self, service: Service) -> anyhow::Result<&mut Process> {
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
            // Nobody is left to tell of a failure.
            let _ = std::fs::remove_dir_all(&self.logs);
        }
    }
}
