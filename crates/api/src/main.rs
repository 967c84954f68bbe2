//! throughline-api: takes orders over HTTP. `throughline-api migrate` brings the database's schema up to date and ends.

use std::process::ExitCode;

use anyhow::bail;
use throughline_api::{config::Config, startup};

const USAGE: &str = "usage: throughline-api [migrate]";

fn main() -> ExitCode {
    // The first provider stays; nothing installs another.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throughline-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let env = settings::Env::process();
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => {
            let config = Config::from_env(&env)?;
            actix_web::rt::System::new().block_on(startup::serve(config))
        }
        (Some("migrate"), None) => actix_web::rt::System::new().block_on(startup::migrate(&env)),
        (Some("--version"), None) => {
            println!("throughline-api {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        (Some("--help"), None) => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}
