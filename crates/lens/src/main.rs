//! `throughline-lens`: runs the receiver and viewer until SIGTERM or SIGINT.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use throughline_lens::{Lens, LensConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stdout().is_terminal())
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throughline-lens: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let lens = Lens::start(LensConfig::from_env(&settings::Env::process())?).await?;
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
