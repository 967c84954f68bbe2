//! `dashboards`: the files of `deploy/grafana/dashboards`, made from the tables in `boards`.

mod boards;
mod json;
mod panel;

use std::process::ExitCode;

use boards::BOARDS;

use crate::generated;

/// Write Grafana's dashboards from their source, xtask/src/dashboards/boards
#[derive(clap::Args)]
pub(crate) struct Dashboards {
    /// Write nothing, and fail if a file differs from its source
    #[arg(long)]
    check: bool,
}

impl Dashboards {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let folder = testkit::workspace().join("deploy/grafana/dashboards");
        for board in BOARDS {
            let path = folder.join(format!("{}.json", board.uid));
            let text = format!("{:#}\n", json::dashboard(board));
            generated::write(&path, &text, self.check, "cargo xtask dashboards")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
