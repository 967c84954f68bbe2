//! `screenshots`: the pictures of the documents.

use std::process::ExitCode;

use anyhow::Context;

/// Write the pictures of the console and of lens that the documents show, from a private stack with invented
/// orders, in a real browser
#[derive(clap::Args)]
pub(crate) struct Screenshots {}

/// It drives the browser as the tests of the pages do.
const WRITE: &str = "test -p throughline-e2e --test it -- --exact --ignored --nocapture --test-threads=1 \
                     console::screenshots::pictures_of_the_documents \
                     control_room::screenshots::the_picture_of_the_walk \
                     lens::screenshots::pictures_of_the_documents";

impl Screenshots {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        testkit::find_chromedriver()?;
        let mut cargo = testkit::cargo();
        cargo.args(WRITE.split_whitespace());
        let status = cargo.status().await.context("cannot run cargo")?;
        Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
