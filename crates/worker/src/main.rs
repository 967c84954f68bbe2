//! throughline-worker: processes and charges orders, and dispatches again what fell due.

use std::process::ExitCode;

use service::Program;
use throughline_worker::{config::Config, startup};

const PROGRAM: Program = Program {
    name: "throughline-worker",
    version: env!("CARGO_PKG_VERSION"),
    commands: &[],
};

fn main() -> ExitCode {
    PROGRAM.run(|_, env| {
        let config = Config::from_env(env)?;
        let work = PROGRAM.serve(|termination| startup::work(config, termination));
        tokio::runtime::Runtime::new()?.block_on(work)
    })
}
