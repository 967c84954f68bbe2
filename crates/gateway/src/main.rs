//! `throughline-gateway`: the payment sandbox as a process. Configured by HOST, PORT, PAYMENT_GATEWAY_KEY, SHUTDOWN_TIMEOUT
//! and OTEL_*.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use gateway::{Config, Gateway};
use throughline_gateway as gateway;
use tokio::signal::unix::{SignalKind, signal};

/// How long the last spans may take to leave.
const FLUSH: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throughline-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    // A second call only finds the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::from_env(&settings::Env::process())?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;

    let service = telemetry::Service::new("throughline-gateway", env!("CARGO_PKG_VERSION"));
    let telemetry = telemetry::init(&service.namespace("throughline"))?;
    let gateway = Gateway::start(config).await?;
    let asked_to_end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let ended = gateway.run_until(asked_to_end).await;
    telemetry.shutdown(FLUSH).await;
    Ok(ended?)
}
