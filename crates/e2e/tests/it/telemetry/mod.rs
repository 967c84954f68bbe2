//! The telemetry of a run of the whole product, held to the contract; and for each rule, that breaking it is noticed.
//! `cargo xtask telemetry-check` runs the first test and shows the table.

mod doctored;
mod kit;
mod run;

use throughline_e2e::contract::{Capture, Report, check};
use tokio::sync::OnceCell;

/// What one run exported. It takes a minute, so all tests look at the same one.
async fn captured() -> &'static Capture {
    static CAPTURED: OnceCell<Capture> = OnceCell::const_new();
    CAPTURED.get_or_init(run::capture).await
}

/// What is said of that run.
async fn reported() -> &'static Report {
    static REPORTED: OnceCell<Report> = OnceCell::const_new();
    REPORTED.get_or_init(async || check(captured().await)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_is_exactly_what_the_contract_says() {
    let report = reported().await;
    println!("{report}");
    assert!(report.passed(), "the contract is broken, as said above");
}
