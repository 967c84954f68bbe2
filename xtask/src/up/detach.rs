//! Starts a supervisor in the background, and waits until everything that it starts is ready.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;

use crate::recorded_process::RecordedProcess;
use crate::signals::Signals;
use crate::state::{State, local_folder};

/// How long an interrupted supervisor may take to stop what it has started.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs `up` with these arguments; returns once it has written its state. If it fails, the error is what it
/// printed.
pub(super) async fn start(arguments: &[&str]) -> anyhow::Result<State> {
    let log = local_folder().join("logs").join("up.log");
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("up").args(arguments);
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
                // Its messages during the start, such as where the data is.
                eprint!("{}", fs::read_to_string(&log).unwrap_or_default());
                Ok(state)
            }
            None => {
                let output = fs::read_to_string(&log).unwrap_or_default();
                bail!("{}", output.trim().trim_start_matches("error: "))
            }
        },
        () = signals.received() => {
            if let Some(process) = RecordedProcess::running("xtask up", pid) {
                process.signal(Signal::TERM)?;
                process.ends_within(STOP_TIMEOUT).await;
            }
            bail!("interrupted: nothing was left running")
        }
    }
}

/// Waits for the state; `None` if the supervisor has ended.
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
