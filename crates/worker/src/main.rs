//! throughline-worker: processes and charges orders, and dispatches again what fell due.

use std::process::ExitCode;

use anyhow::bail;
use throughline_worker::{config::Config, startup};

const USAGE: &str = "usage: throughline-worker";

fn main() -> ExitCode {
    // The first provider stays; nothing installs another.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throughline-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => {
            let config = Config::from_env(&settings::Env::process())?;
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(startup::work(config))
        }
        Some("--version") => {
            println!("throughline-worker {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Some("--help") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}
