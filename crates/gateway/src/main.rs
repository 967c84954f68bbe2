//! `throughline-gateway`: the payment sandbox as a process, configured by HOST, PORT, PAYMENT_GATEWAY_KEY,
//! SANDBOX_KEY_TTL, SHUTDOWN_TIMEOUT and OTEL_*.

use std::process::ExitCode;

use service::Program;
use throughline_gateway::{Config, Gateway};

const PROGRAM: Program = Program {
    name: "throughline-gateway",
    version: env!("CARGO_PKG_VERSION"),
    health: (8090, "/health"),
    commands: &[],
};

fn main() -> ExitCode {
    PROGRAM.run(|_, env| {
        let config = Config::from_env(env)?;
        let serving = PROGRAM.serve(async |shutdown_signal| {
            let gateway = Gateway::start(config).await?;
            Ok(gateway.run_until(shutdown_signal.received()).await?)
        });
        tokio::runtime::Runtime::new()?.block_on(serving)
    })
}
