//! throughline-worker without one of the things that its reliability rests on, by SABOTAGE: chaos has to find it. Never deployed.

use throughline_worker::{config::Config, startup};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The first provider stays; nothing installs another.
    let _ = rustls::crypto::ring::default_provider().install_default();
    startup::work(Config::from_env(&settings::Env::process())?).await
}
