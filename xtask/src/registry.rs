//! `registry`: the files of `telemetry/registry`, made from the telemetry contract.

use std::process::ExitCode;

use e2e::contract;

use crate::generated;

/// Write the registry of spans, metrics and events for OpenTelemetry Weaver, from the telemetry contract
#[derive(clap::Args)]
pub(crate) struct Registry {
    /// Write nothing, and fail if a file differs from its source
    #[arg(long)]
    check: bool,
}

const NOTE: &str = "# Written by `cargo xtask registry` from crates/e2e/src/contract.\n";

impl Registry {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let folder = testkit::workspace().join("telemetry/registry");
        for (name, text) in files()? {
            generated::write(&folder.join(name), &text, self.check, "cargo xtask registry")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn files() -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut files = vec![("manifest.yaml", format!("{NOTE}{}", contract::MANIFEST))];
    for (name, definitions) in contract::registry() {
        let yaml = serde_saphyr::to_string(&definitions)?;
        files.push((name, format!("{NOTE}{yaml}")));
    }
    Ok(files)
}
