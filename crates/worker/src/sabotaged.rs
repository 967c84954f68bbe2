//! throughline-worker without one of the things that its reliability rests on, by SABOTAGE: chaos has to find it. Never deployed.

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
