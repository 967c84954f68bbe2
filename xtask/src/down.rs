//! `down`: stops the local stack.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use testkit::Postgres;

use crate::state::{Lock, State, local_folder};

/// The services stop one after the other, each within SHUTDOWN_TIMEOUT.
const STOP_TIMEOUT: Duration = Duration::from_secs(150);

/// Stop what `up` started
#[derive(clap::Args)]
pub(crate) struct Down {
    /// Delete its data, too: the folder .local
    #[arg(long)]
    clean: bool,
}

impl Down {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match State::read()? {
            Some(state) => {
                stop(&state).await?;
                State::remove()?;
                println!("Down.");
            }
            None => println!("Nothing is up."),
        }
        if self.clean {
            clean()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn stop(state: &State) -> anyhow::Result<()> {
    state.supervisor.signal(Signal::TERM)?;
    if !state.supervisor.ends_within(STOP_TIMEOUT).await {
        state.supervisor.signal(Signal::KILL)?;
    }
    for process in &state.processes {
        // All have ended, unless the supervisor was killed: then they are about to stop by themselves.
        if !process.ends_within(Duration::from_secs(15)).await {
            process.signal(Signal::KILL)?;
            if !process.ends_within(Duration::from_secs(5)).await {
                bail!("{} (process {}) does not end", process.name, process.pid);
            }
        }
    }
    Ok(())
}

fn clean() -> anyhow::Result<()> {
    let folder = local_folder();
    if !folder.exists() {
        return Ok(());
    }
    let Some(_lock) = Lock::take()? else {
        bail!("`cargo xtask up` is starting: stop it with Ctrl-C first");
    };
    Postgres::delete_persistent(&folder.join("postgres"))?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot delete {}", folder.display()))?;
    println!("Deleted {}.", folder.display());
    Ok(())
}
