//! One PostgreSQL or Redis of our own: its port, its data folder, its life.

mod launch;
mod program;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use launch::Durability;
pub(crate) use launch::{Kind, Place};
use program::Program;

use crate::ports::{free_port, is_free};
use crate::supervised::{Supervised, last_lines};

/// How long a server may take to start or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server of our own, running or not. Dropping it ends it, and deletes its data if it was temporary.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    program: Program,
    durability: Durability,
    folder: PathBuf,
    /// The data goes with the server.
    temporary: bool,
    port: u16,
    process: Option<Supervised>,
}

impl Server {
    /// Finds the server's program, or gets it.
    pub(crate) fn find_program(kind: Kind) -> anyhow::Result<()> {
        Program::find(kind).map(drop)
    }

    /// Starts a server; returns once it answers.
    pub(crate) async fn start(kind: Kind, place: Place) -> anyhow::Result<Self> {
        let program = Program::find(kind)?;
        let new = || crate::folder::temporary(program.user());
        let (folder, temporary, port, primary) = match place {
            Place::Temporary => (new()?, true, None, None),
            Place::ReplicaOf(primary) => (new()?, true, None, Some(primary)),
            Place::Kept { folder, port } => (reachable(folder, &program)?, false, port, None),
        };
        let durability = if temporary {
            Durability::Process
        } else {
            Durability::Power
        };
        let mut server = Self {
            kind,
            program,
            durability,
            folder,
            temporary,
            port: 0,
            process: None,
        };
        server.program.prepare(&server.folder, primary)?;
        match port {
            Some(port) if !is_free(port) => {
                bail!("port {port} on 127.0.0.1 is in use: {kind} cannot listen there")
            }
            Some(port) => server.port = port,
            None => return server.on_a_free_port().await,
        }
        server.run().await?;
        Ok(server)
    }

    /// Somebody else may take a port between our finding it free and the server's listening on it.
    async fn on_a_free_port(mut self) -> anyhow::Result<Self> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.port = free_port()?;
            match self.run().await {
                Ok(()) => return Ok(self),
                Err(error) if attempts == 3 => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Starts the process and waits until it answers.
    async fn run(&mut self) -> anyhow::Result<()> {
        let delete = self.temporary.then(|| self.folder.clone());
        let task = self
            .program
            .task(self.kind, self.durability, &self.folder, self.port, delete);
        let process = Supervised::start(&task)?;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = process.ended()? {
                bail!(
                    "{} ended at its start ({status}):\n{}",
                    self.kind,
                    last_lines(&task.log, 5)
                );
            }
            if self.kind.answers(self.port).await {
                self.process = Some(process);
                return Ok(());
            }
            if Instant::now() >= end {
                bail!(
                    "{} did not answer within {PATIENCE:?}:\n{}",
                    self.kind,
                    last_lines(&task.log, 5)
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(Supervised::pid)
    }

    /// How the process ended, if it did so by itself.
    pub(crate) fn ended(&self) -> anyhow::Result<Option<String>> {
        let Some(process) = &self.process else {
            return Ok(None);
        };
        let status = process.ended()?;
        Ok(status.map(|status| format!("{status}:\n{}", last_lines(process.log(), 5))))
    }

    /// Ends it in an orderly way; the data stays.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        self.end(self.kind.orderly_end()).await
    }

    /// Ends it with SIGKILL; what it had written stays.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::KILL).await
    }

    /// Ends it with `signal`, and waits for the end.
    pub(crate) async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.end(signal, PATIENCE).await?;
        }
        Ok(())
    }

    /// Starts it again on the same port and data; first stops it if it runs.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        let end = Instant::now() + Duration::from_secs(15);
        loop {
            // After a SIGKILL, children of PostgreSQL need a moment to see that their parent is gone.
            match self.run().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Stops the process in its tracks for `duration`; its connections stay open. It continues even if the caller gives up waiting.
    pub(crate) async fn pause(&self, duration: Duration) -> anyhow::Result<()> {
        let process = self
            .process
            .as_ref()
            .context("only a running server can be paused")?;
        let paused = Paused::new(process)?;
        sleep(duration).await;
        drop(paused);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.take());
        if self.temporary {
            // The supervisor deletes the folder of a server that runs; after a stop it is still there. Nobody is left to tell of a failure.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// A stopped process, that continues when this is dropped.
struct Paused<'a>(&'a Supervised);

impl<'a> Paused<'a> {
    fn new(process: &'a Supervised) -> anyhow::Result<Self> {
        process.signal(Signal::STOP)?;
        Ok(Self(process))
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        // Fails only where the process is gone.
        let _ = self.0.signal(Signal::CONT);
    }
}

/// `folder`, or another place of its own when the server's user cannot get to it, as in a project below root's closed home.
fn reachable(folder: PathBuf, program: &Program) -> anyhow::Result<PathBuf> {
    if crate::folder::kept(&folder, program.user())? {
        return Ok(folder);
    }
    let elsewhere = crate::folder::open_to_all(&folder);
    if crate::folder::kept(&elsewhere, program.user())? {
        return Ok(elsewhere);
    }
    bail!(
        "PostgreSQL's user can reach neither {} nor {}",
        folder.display(),
        elsewhere.display()
    )
}
