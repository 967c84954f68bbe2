//! `telemetry-check`: runs the product, and holds all that it exports to the telemetry contract.

use std::process::ExitCode;

use anyhow::Context;

/// Run the product as real processes, show how often each row of the telemetry contract was seen, and fail where one was not or a
/// rule is broken
#[derive(clap::Args)]
pub(crate) struct TelemetryCheck {}

/// The test that does it, with its table shown.
const CHECK: &str = "test -p throughline-e2e --test it -- --exact --nocapture \
                     telemetry::telemetry_is_exactly_what_the_contract_says";

impl TelemetryCheck {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut cargo = testkit::cargo();
        cargo.args(CHECK.split_whitespace());
        // The table says what is broken; where the test noticed is no news.
        cargo.env("RUST_BACKTRACE", "0");
        let status = cargo.status().await.context("cannot run cargo")?;
        Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
