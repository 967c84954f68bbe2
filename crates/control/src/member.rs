//! A part of the stack with its process and its state.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use testkit::{Postgres, Redis, Service, Signal, Stack};
use tokio::sync::Mutex as AsyncMutex;

use crate::part::Part;

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) part: Part,
    pub(crate) log: Option<PathBuf>,
    pub(crate) process: AsyncMutex<Process>,
    /// Can be read while the process starts or stops.
    status: Mutex<Status>,
}

#[derive(Debug)]
pub(crate) enum Process {
    Service(Service, Stack),
    Postgres(Postgres),
    Redis(Redis),
}

/// How a part is.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) state: State,
    pub(crate) pid: Option<i32>,
    /// When the state began.
    pub(crate) since: Instant,
    /// How often it was started again.
    pub(crate) restarts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Running,
    Paused,
    Stopping,
    Stopped,
    Killed,
    /// By itself: its exit status and last lines.
    Ended(String),
}

impl Member {
    pub(crate) fn new(part: Part, log: Option<PathBuf>, process: Process) -> Self {
        let status = Status {
            state: State::Running,
            pid: process.pid(),
            since: Instant::now(),
            restarts: 0,
        };
        Self {
            part,
            log,
            process: AsyncMutex::new(process),
            status: Mutex::new(status),
        }
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self, state: State, pid: Option<i32>) {
        let mut status = self.status();
        let restarts = status.restarts;
        *status = Status {
            state,
            pid,
            since: Instant::now(),
            restarts,
        };
    }

    /// How it ended, if it did by itself. A part that starts or stops is busy.
    pub(crate) fn ended(&self) -> anyhow::Result<Option<String>> {
        if !matches!(self.status().state, State::Running | State::Paused) {
            return Ok(None);
        }
        match self.process.try_lock() {
            Ok(process) => process.ended(),
            Err(_) => Ok(None),
        }
    }
}

impl Process {
    pub(crate) fn pid(&self) -> Option<i32> {
        match self {
            Self::Service(_, stack) => stack.pids().find_map(|(_, pid)| pid),
            Self::Postgres(postgres) => postgres.pid(),
            Self::Redis(redis) => redis.pid(),
        }
    }

    pub(crate) fn ended(&self) -> anyhow::Result<Option<String>> {
        let server = |name: &str, how: Option<String>| how.map(|how| format!("{name} ended ({how})"));
        Ok(match self {
            Self::Service(_, stack) => stack.ended()?,
            Self::Postgres(postgres) => server("PostgreSQL", postgres.ended()?),
            Self::Redis(redis) => server("Redis", redis.ended()?),
        })
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        match self {
            Self::Service(service, stack) => stack.signal(*service, signal),
            Self::Postgres(postgres) => postgres.signal(signal),
            Self::Redis(redis) => redis.signal(signal),
        }
    }

    /// Also one that has stopped already.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Service(_, stack) => stack.end().await,
            Self::Postgres(postgres) => postgres.stop().await,
            Self::Redis(redis) => redis.stop().await,
        }
    }

    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Service(service, stack) => stack.kill(*service).await.map(drop),
            Self::Postgres(postgres) => postgres.kill().await,
            Self::Redis(redis) => redis.kill().await,
        }
    }

    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Service(service, stack) => stack.restart(*service).await,
            Self::Postgres(postgres) => postgres.restart().await,
            Self::Redis(redis) => redis.restart().await,
        }
    }
}
