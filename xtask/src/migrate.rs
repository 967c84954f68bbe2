//! `migrate`: runs the migrations of a database, as `throughline-api migrate` does.

use std::process::ExitCode;

use anyhow::bail;
use testkit::{Binaries, Profile};

use crate::state::State;

/// Apply migrations to DATABASE_URL, or to the database of the running stack
#[derive(clap::Args)]
pub(crate) struct Migrate {}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let url = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
        let running = || anyhow::Ok(State::running()?.map(|state| state.database_url));
        let Some(url) = url.map_or_else(running, |url| Ok(Some(url)))? else {
            bail!("set DATABASE_URL, or start a stack with `cargo xtask up`");
        };
        Binaries::build(Profile::Dev).await?.migrate(&url).await?;
        println!("The schema is up to date.");
        Ok(ExitCode::SUCCESS)
    }
}
