//! The worker as a program.

use std::process::ExitCode;

use service::Program;

use crate::{config::Config, startup};

const PROGRAM: Program = Program {
    name: "throughline-worker",
    version: env!("CARGO_PKG_VERSION"),
    commands: &[],
};

/// Works as the environment says until it is asked to end.
pub fn run() -> ExitCode {
    PROGRAM.run(|_, env| {
        let config = Config::from_env(env)?;
        let work = PROGRAM.serve(|shutdown_signal| startup::work(config, shutdown_signal));
        tokio::runtime::Runtime::new()?.block_on(work)
    })
}
