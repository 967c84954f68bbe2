//! The binary of the worker.

use std::process::ExitCode;

use service::Program;

use crate::config::Config;
use crate::startup;

const PROGRAM: Program = Program {
    name: "throughline-worker",
    version: env!("CARGO_PKG_VERSION"),
    health: (8081, "/health/ready"),
    commands: &[],
};

/// Runs the worker, with settings from the environment, until SIGTERM or SIGINT.
pub fn run() -> ExitCode {
    PROGRAM.run(|_, env| {
        let config = Config::from_env(env)?;
        let work = PROGRAM.serve(|shutdown_signal| startup::work(config, shutdown_signal));
        // One thread: between two, the wake-ups of a job's steps cost a fifth of its CPU time.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(work)
    })
}
