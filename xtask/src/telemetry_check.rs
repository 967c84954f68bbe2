//! `telemetry-check`: runs the product, and checks its telemetry against the contract.

use std::process::ExitCode;

use anyhow::Context;

/// Run the product, print how often each row of the telemetry contract was seen, and fail if one was not, or
/// if a rule is broken
#[derive(clap::Args)]
pub(crate) struct TelemetryCheck {}

/// The test that checks it; it prints the table.
const CHECK: &str = "test -p throughline-e2e --test it -- --exact --nocapture \
                     telemetry::telemetry_is_exactly_what_the_contract_says";

impl TelemetryCheck {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut cargo = testkit::cargo();
        cargo.args(CHECK.split_whitespace());
        // The table says what is broken; a backtrace adds nothing.
        cargo.env("RUST_BACKTRACE", "0");
        let status = cargo.status().await.context("cannot run cargo")?;
        Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
