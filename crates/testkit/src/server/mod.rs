//! A private PostgreSQL or Redis server: its port, its data folder, its process.

mod launch;
mod passwords;
mod program;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use launch::Durability;
pub use launch::{DATABASE_URL, REDIS_URL};
pub(crate) use launch::{Kind, Place};
use passwords::Passwords;
use program::{Origin, ServerProgram};

use crate::ports::{free_port, is_free};
use crate::supervised::Supervised;

/// How long a server may take to start, and to stop; generous because the machine may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the children of a killed PostgreSQL may block its restart.
const RESTART_TIMEOUT: Duration = Duration::from_secs(60);
/// Ports are chosen so often, in case that another process takes one before the server listens on it.
const PORT_ATTEMPTS: u32 = 3;

/// A private server, running or not. Dropping it stops it, and deletes its data if it was temporary.
#[derive(Debug)]
pub(crate) struct PrivateServer {
    kind: Kind,
    program: ServerProgram,
    durability: Durability,
    folder: PathBuf,
    /// The data is deleted with the server.
    temporary: bool,
    port: u16,
    /// `None`: everyone on this machine may connect.
    passwords: Option<Passwords>,
    process: Option<Supervised>,
}

impl PrivateServer {
    /// Finds the server's program, or installs it.
    pub(crate) fn find_program(kind: Kind) -> anyhow::Result<()> {
        ServerProgram::find(kind).map(drop)
    }

    /// Starts a server; returns once it is ready.
    pub(crate) async fn start(kind: Kind, place: Place) -> anyhow::Result<Self> {
        let port = match &place {
            Place::Persistent { port, .. } => *port,
            Place::Temporary | Place::TemporaryDurable | Place::ReplicaOf(_) | Place::BackupOf(_) => None,
        };
        Self::prepare(kind, place)?.start_on(port).await
    }

    /// A server with its data, which does not run.
    pub(crate) fn prepare(kind: Kind, place: Place) -> anyhow::Result<Self> {
        let program = ServerProgram::find(kind)?;
        let new = || crate::folder::temporary(program.user());
        let durability = match place {
            Place::Temporary | Place::ReplicaOf(_) | Place::BackupOf(_) => Durability::Process,
            Place::TemporaryDurable | Place::Persistent { .. } => Durability::Power,
        };
        let (folder, temporary, origin) = match place {
            Place::Temporary | Place::TemporaryDurable => (new()?, true, Origin::New),
            Place::ReplicaOf(primary) => (new()?, true, Origin::Replica(primary)),
            Place::BackupOf(primary) => (new()?, true, Origin::Backup(primary)),
            Place::Persistent { folder, .. } => (reachable(folder, &program)?, false, Origin::New),
        };
        // A container's port is published on loopback; its server can run no program of this machine.
        let is_closed = !temporary && !matches!(program, ServerProgram::Container);
        if is_closed && kind == Kind::Postgres {
            program::set_aside_open_data(&folder)?;
        }
        let passwords = is_closed
            .then(|| Passwords::of(&folder, program.user()))
            .transpose()?;
        let server = Self {
            kind,
            program,
            durability,
            folder,
            temporary,
            port: 0,
            passwords,
            process: None,
        };
        let passwords = server.passwords.as_ref();
        server.program.prepare(&server.folder, origin, passwords)?;
        Ok(server)
    }

    /// Starts a prepared server on a port (`None`: a free one).
    pub(crate) async fn start_on(mut self, port: Option<u16>) -> anyhow::Result<Self> {
        match port {
            Some(port) if !is_free(port) => {
                bail!(
                    "port {port} on 127.0.0.1 is in use: {} cannot listen there",
                    self.kind
                )
            }
            Some(port) => self.port = port,
            None => return self.on_a_free_port().await,
        }
        self.run().await?;
        Ok(self)
    }

    async fn on_a_free_port(mut self) -> anyhow::Result<Self> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.port = free_port()?;
            match self.run().await {
                Ok(()) => return Ok(self),
                Err(error) if attempts == PORT_ATTEMPTS => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Starts the process and waits until it is ready.
    async fn run(&mut self) -> anyhow::Result<()> {
        let delete = self.temporary.then(|| self.folder.clone());
        let task = self
            .program
            .task(self.kind, self.durability, &self.folder, self.port, delete);
        let process = Supervised::start(&task)?;
        let (kind, url) = (self.kind, self.url());
        let is_ready = || kind.is_ready(&url);
        process.until_ready(START_TIMEOUT, is_ready).await?;
        self.process = Some(process);
        Ok(())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its superuser, and of PostgreSQL's database `postgres`.
    pub(crate) fn url(&self) -> String {
        let port = self.port;
        match (self.kind, &self.passwords) {
            (Kind::Postgres, None) => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            (Kind::Postgres, Some(passwords)) => {
                format!(
                    "postgres://postgres:{}@127.0.0.1:{port}/postgres",
                    passwords.superuser
                )
            }
            (Kind::Redis, None) => format!("redis://127.0.0.1:{port}"),
            (Kind::Redis, Some(passwords)) => format!("redis://:{}@127.0.0.1:{port}", passwords.programs),
        }
    }

    /// The password of the role that the programs connect as.
    pub(crate) fn programs_password(&self) -> Option<&str> {
        self.passwords
            .as_ref()
            .map(|passwords| passwords.programs.as_str())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(Supervised::pid)
    }

    /// The exit status and last log lines of the process, if it ended by itself.
    pub(crate) fn ended(&self) -> anyhow::Result<Option<String>> {
        let Some(process) = &self.process else {
            return Ok(None);
        };
        let status = process.ended()?;
        Ok(status.map(|status| format!("{status}:\n{}", process.last_lines())))
    }

    /// Its log file.
    pub(crate) fn log(&self) -> PathBuf {
        program::log(&self.folder)
    }

    /// Sends a signal to the running server: SIGSTOP and SIGCONT reach all of its processes.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let process = self.process.as_ref();
        let process = process.with_context(|| format!("{} does not run", self.kind))?;
        process.signal(signal)
    }

    /// Stops it in an orderly way; the data stays.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        self.end(self.kind.shutdown_signal()).await
    }

    /// Kills it with SIGKILL; acknowledged writes stay.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::KILL).await
    }

    /// Sends `signal`, and waits until it has ended.
    pub(crate) async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.end(signal, STOP_TIMEOUT).await?;
        }
        Ok(())
    }

    /// Starts it again on the same port and data; stops it first if it runs.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        let end = Instant::now() + RESTART_TIMEOUT;
        loop {
            // After a SIGKILL, PostgreSQL's children end only once they notice that their parent has ended.
            match self.run().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Freezes the process for `duration`; its connections stay open. It continues even if the caller stops
    /// waiting.
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

impl Drop for PrivateServer {
    fn drop(&mut self) {
        drop(self.process.take());
        if self.temporary {
            // The supervisor deletes the folder of a running server, but not of a stopped one. An error has
            // no receiver.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// A frozen process; it continues when this is dropped.
struct Paused<'a>(&'a Supervised);

impl<'a> Paused<'a> {
    fn new(process: &'a Supervised) -> anyhow::Result<Self> {
        process.signal(Signal::STOP)?;
        Ok(Self(process))
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        // It only fails if the process has ended.
        let _ = self.0.signal(Signal::CONT);
    }
}

/// `folder`, or another place if the server's user cannot reach it, as in a project below root's home.
fn reachable(folder: PathBuf, program: &ServerProgram) -> anyhow::Result<PathBuf> {
    if crate::folder::ensure(&folder, program.user())? {
        return Ok(folder);
    }
    let elsewhere = crate::folder::open_to_all(&folder);
    if crate::folder::ensure(&elsewhere, program.user())? {
        return Ok(elsewhere);
    }
    bail!(
        "PostgreSQL's user can reach neither {} nor {}",
        folder.display(),
        elsewhere.display()
    )
}
