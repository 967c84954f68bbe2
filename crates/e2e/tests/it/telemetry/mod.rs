//! The telemetry of a run of the whole product is checked against the contract; and for each rule, that a
//! violation is detected. `cargo xtask telemetry-check` runs the first test and prints the table.

mod doctored;
mod kit;
mod prometheus;
mod run;

use throughline_e2e::contract::{Capture, Report, check};
use tokio::sync::OnceCell;

/// The telemetry of one run. The run takes a minute, so all tests share it.
async fn captured() -> &'static Capture {
    static CAPTURED: OnceCell<Capture> = OnceCell::const_new();
    CAPTURED.get_or_init(run::capture).await
}

/// The report about that run.
async fn reported() -> &'static Report {
    static REPORTED: OnceCell<Report> = OnceCell::const_new();
    REPORTED.get_or_init(async || check(captured().await)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_is_exactly_what_the_contract_says() {
    let report = reported().await;
    println!("{report}");
    assert!(report.passed(), "the contract is broken: see the report above");
}
