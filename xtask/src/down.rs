//! `down`: ends the local stack.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use testkit::Postgres;

use crate::state::{Lock, State, local_folder};

/// The services finish what they have in hand, each within SHUTDOWN_TIMEOUT.
const PATIENCE: Duration = Duration::from_secs(150);

/// End what `up` started
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
                end(&state).await?;
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

async fn end(state: &State) -> anyhow::Result<()> {
    state.supervisor.signal(Signal::TERM)?;
    if !state.supervisor.ends_within(PATIENCE).await {
        state.supervisor.signal(Signal::KILL)?;
    }
    for process in &state.processes {
        // All are gone by now, unless the supervisor was killed a moment ago: then they are about to end by themselves.
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
        bail!("`cargo xtask up` is starting: end it with Ctrl-C first");
    };
    Postgres::delete_persistent(&folder.join("postgres"))?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot delete {}", folder.display()))?;
    println!("Deleted {}.", folder.display());
    Ok(())
}
