//! `throughline-api` creates orders over HTTP. `throughline-api migrate` applies the database's migrations
//! and exits.

use std::process::ExitCode;

use service::Program;
use throughline_api::{config::Config, startup};

const PROGRAM: Program = Program {
    name: "throughline-api",
    version: env!("CARGO_PKG_VERSION"),
    commands: &["migrate"],
};

fn main() -> ExitCode {
    PROGRAM.run(|command, env| {
        let runtime = actix_web::rt::System::new();
        match command {
            Some("migrate") => runtime.block_on(startup::migrate(env)),
            _ => {
                let config = Config::from_env(env)?;
                runtime.block_on(PROGRAM.serve(|shutdown_signal| startup::serve(config, shutdown_signal)))
            }
        }
    })
}
