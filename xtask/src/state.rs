//! `.local/stack.json`: the processes and URLs of the running stack, for `down`, `order`, `trace` and the
//! next `up`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::recorded_process::RecordedProcess;

/// A running stack.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct State {
    /// The xtask process. Everything else stops with it.
    pub(crate) supervisor: RecordedProcess,
    pub(crate) processes: Vec<RecordedProcess>,
    /// The address of the control room, with the token of the run.
    #[serde(default)]
    pub(crate) system: String,
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

/// The folder of the local stack's data, logs and state: THROUGHLINE_LOCAL, which a second stack needs, or
/// `.local`.
pub(crate) fn local_folder() -> PathBuf {
    let named = std::env::var_os("THROUGHLINE_LOCAL").map(PathBuf::from);
    named.unwrap_or_else(|| testkit::workspace().join(".local"))
}

fn path() -> PathBuf {
    local_folder().join("stack.json")
}

impl State {
    /// The state that the last `up` wrote, unless it has stopped in an orderly way.
    pub(crate) fn read() -> anyhow::Result<Option<Self>> {
        match fs::read(path()) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .with_context(|| format!("{} is damaged: delete it", path().display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path().display())),
        }
    }

    /// The state of the running stack, if one runs.
    pub(crate) fn running() -> anyhow::Result<Option<Self>> {
        Ok(Self::read()?.filter(|state| state.supervisor.is_running()))
    }

    /// Writes the file under another name first, so that it is never incomplete. Only its owner can read it,
    /// because a URL may have a password.
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

/// Allows one `up` at a time. The system releases it when the process ends.
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
