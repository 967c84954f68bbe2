//! Leaves a supervisor behind, once everything that it started is ready.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::Up;
use crate::process::Process;
use crate::signals::Signals;
use crate::state::{State, local_folder};

/// How long a supervisor that is interrupted while it starts may take to end what it had started.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the supervisor; returns when it has written its state. Its failure is an error with what it said.
pub(super) async fn start(up: &Up) -> anyhow::Result<State> {
    let log = local_folder().join("logs").join("up.log");
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["up", "--supervisor"]);
    if up.release {
        command.arg("--release");
    }
    if up.free_ports {
        command.arg("--free-ports");
    }
    let mut signals = Signals::new()?;
    let mut supervisor = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()?;
    let pid = i32::try_from(supervisor.id())?;
    tokio::select! {
        state = ready(&mut supervisor, pid) => match state? {
            Some(state) => {
                // What it had to say while it started, such as where the data is.
                eprint!("{}", fs::read_to_string(&log).unwrap_or_default());
                Ok(state)
            }
            None => {
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("{}", said.trim().trim_start_matches("error: "))
            }
        },
        () = signals.received() => {
            if let Some(process) = Process::running("xtask up", pid) {
                process.signal(Signal::TERM)?;
                process.ends_within(PATIENCE).await;
            }
            bail!("interrupted: nothing was left running")
        }
    }
}

/// Waits for the state; `None` when the supervisor ended instead.
async fn ready(supervisor: &mut Child, pid: i32) -> anyhow::Result<Option<State>> {
    loop {
        if supervisor.try_wait()?.is_some() {
            return Ok(None);
        }
        if let Some(state) = State::read()?.filter(|state| state.supervisor.pid == pid) {
            return Ok(Some(state));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
