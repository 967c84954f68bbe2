//! `fuzz-api`: schemathesis generates valid and invalid requests from the OpenAPI document, and checks every
//! response.
//!
//! It is installed from PyPI into a virtual environment below `.local/`, which requires python3. Unless
//! THROUGHLINE_API_URL is set, it starts a private stack with authentication and an empty database.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use testkit::{Binaries, Postgres, Profile, Redis, Service, Stack};
use tokio::process::Command;

use crate::signals::Signals;
use crate::state::local_folder;
use crate::token;

/// schemathesis and its dependencies, each with its version and hashes. Its first line renews it.
const REQUIREMENTS: &str = include_str!("schemathesis.txt");
/// Only the stack that is started here uses it.
const SECRET: &str = "only for the stack of fuzz-api..";

/// Check every response of the api against its OpenAPI document, with requests that schemathesis generates
#[derive(clap::Args)]
pub(crate) struct FuzzApi {
    /// Generated requests for each endpoint
    #[arg(long, default_value_t = 100)]
    examples: u32,
    /// Generate the same requests again
    #[arg(long)]
    seed: Option<u64>,
}

impl FuzzApi {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::new()?;
        tokio::select! {
            done = self.fuzz() => done,
            () = signals.received() => Ok(ExitCode::FAILURE),
        }
    }

    async fn fuzz(self) -> anyhow::Result<ExitCode> {
        let schemathesis = installed(&local_folder().join("schemathesis")).await?;
        if let Ok(url) = std::env::var("THROUGHLINE_API_URL") {
            return self.check(&schemathesis, &url, &token::secret()?).await;
        }
        let binaries = Binaries::build(Profile::Dev).await?;
        let (postgres, redis) = (Postgres::start().await?, Redis::start().await?);
        let database = postgres.database().await?;
        let mut stack = Stack::builder(database.url(), redis.url())
            .binaries(binaries)
            .env(Service::Api, "AUTH", "jwt")
            .env(Service::Api, "JWT_SECRET", SECRET)
            .start()
            .await?;
        let done = self.check(&schemathesis, &stack.url(Service::Api), SECRET).await;
        stack.end().await?;
        done
    }

    async fn check(&self, program: &Path, url: &str, secret: &str) -> anyhow::Result<ExitCode> {
        let config = testkit::workspace().join("crates/api/schemathesis.toml");
        let mut command = Command::new(program);
        command
            .arg("--config-file")
            .arg(config)
            .arg("run")
            .arg(format!("{}/api/openapi.json", url.trim_end_matches('/')))
            .args(["--checks", "all", "--max-examples"])
            .arg(self.examples.to_string())
            .env("THROUGHLINE_TOKEN", token::admin(secret)?)
            // It stores its state in the working folder.
            .current_dir(local_folder())
            .kill_on_drop(true);
        if let Some(seed) = self.seed {
            command.arg("--seed").arg(seed.to_string());
        }
        let status = command.status().await.context("cannot run schemathesis")?;
        Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Installs the program into this folder unless it exists; returns its path.
async fn installed(folder: &Path) -> anyhow::Result<PathBuf> {
    let program = folder.join("bin/schemathesis");
    let requirements = folder.join("requirements.txt");
    if program.is_file()
        && std::fs::read_to_string(&requirements).is_ok_and(|installed| installed == REQUIREMENTS)
    {
        return Ok(program);
    }
    eprintln!("installing schemathesis into {}", folder.display());
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    run(venv, "python3 -m venv").await?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--requirement",
    ]);
    pip.arg(testkit::workspace().join("xtask/src/schemathesis.txt"));
    run(pip, "pip install").await?;
    std::fs::write(requirements, REQUIREMENTS)?;
    Ok(program)
}

async fn run(mut command: Command, what: &str) -> anyhow::Result<()> {
    let status = command.kill_on_drop(true).status().await;
    let status = status.with_context(|| {
        format!("cannot run {what}: fuzz-api needs python3 with venv (Debian: apt-get install python3-venv)")
    })?;
    if !status.success() {
        bail!("{what} failed: see its message above");
    }
    Ok(())
}
