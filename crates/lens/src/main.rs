//! `throughline-lens`: runs the receiver and viewer until SIGTERM or SIGINT.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use throughline_lens::{Lens, LensConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

const USAGE: &str = "usage: throughline-lens [--load FILE | health | --help | --version]
  --load FILE   open telemetry that was saved by GET /api/export, or by a collector's file exporter
  health        ask the running process for its health: exit code 0 if it responds";

#[tokio::main]
async fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stdout().is_terminal())
        .init();
    match run_command().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throughline-lens: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_command() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => serve(None).await,
        [load, file] if load == "--load" => serve(Some(file.into())).await,
        [health] if health == "health" => {
            let port = LensConfig::default().http_port;
            Ok(settings::check_health(
                &settings::Env::process(),
                port,
                "/health",
            )?)
        }
        [help] if help == "--help" => {
            println!("{USAGE}");
            Ok(())
        }
        [version] if version == "--version" => {
            println!(
                "throughline-lens {}",
                settings::full_version(env!("CARGO_PKG_VERSION"))
            );
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}

async fn serve(file: Option<PathBuf>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let lens = Lens::start(LensConfig::from_env(&settings::Env::process())?).await?;
    if let Some(file) = file {
        load(&lens, &file)?;
    }
    tracing::info!(
        "page {}  OTLP/gRPC {}  OTLP/HTTP {}",
        lens.page_url(),
        lens.otlp_grpc_url(),
        lens.otlp_http_url()
    );
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
    }
    lens.stop().await;
    Ok(())
}

fn load(lens: &Lens, file: &Path) -> anyhow::Result<()> {
    let loaded = lens
        .load(file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    tracing::info!("loaded {} lines of {}", loaded.lines, file.display());
    if let Some(reason) = loaded.first_rejected {
        tracing::warn!("rejected {} lines; {reason}", loaded.rejected);
    }
    Ok(())
}
