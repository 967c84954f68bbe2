//! `.local/stack.json`: what runs and where, for `down`, `order`, `trace` and the next `up`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::process::Process;

/// A stack that is up.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct State {
    /// The xtask that ends everything else when it is asked to, or dies.
    pub(crate) supervisor: Process,
    pub(crate) processes: Vec<Process>,
    pub(crate) api: String,
    pub(crate) worker: String,
    pub(crate) gateway: String,
    pub(crate) lens: String,
    pub(crate) otlp_grpc: String,
    pub(crate) otlp_http: String,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    pub(crate) logs: PathBuf,
}

/// The folder of the local stack's data, logs and state: `.local`, or what THROUGHLINE_LOCAL names, so that tests, and people who
/// want a second stack, keep out of the way of the first.
pub(crate) fn local_folder() -> PathBuf {
    let named = std::env::var_os("THROUGHLINE_LOCAL").map(PathBuf::from);
    named.unwrap_or_else(|| testkit::workspace().join(".local"))
}

fn path() -> PathBuf {
    local_folder().join("stack.json")
}

impl State {
    /// What the last `up` wrote, unless it ended in an orderly way.
    pub(crate) fn read() -> anyhow::Result<Option<Self>> {
        match fs::read(path()) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .with_context(|| format!("{} is damaged: delete it", path().display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path().display())),
        }
    }

    /// The stack that is up, if one is.
    pub(crate) fn running() -> anyhow::Result<Option<Self>> {
        Ok(Self::read()?.filter(|state| state.supervisor.is_running()))
    }

    /// Appears under its name only once it is complete. Readable for us alone: a URL may hold a password.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let unfinished = path().with_extension("json.unfinished");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        Ok(fs::rename(unfinished, path())?)
    }

    pub(crate) fn remove() -> anyhow::Result<()> {
        match fs::remove_file(path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Only one `up` at a time; the system lets go of it when the process that holds it ends.
pub(crate) struct Lock(#[expect(dead_code, reason = "held, never read")] File);

impl Lock {
    /// `None` while another process holds it.
    pub(crate) fn take() -> anyhow::Result<Option<Self>> {
        let path = local_folder().join("up.lock");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}
