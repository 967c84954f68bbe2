//! `dashboards`: the files of `deploy/grafana/dashboards`, made from the tables in `boards`.

mod boards;
mod json;
mod panel;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use boards::BOARDS;

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
            let path: PathBuf = folder.join(format!("{}.json", board.uid));
            let text = format!("{:#}\n", json::dashboard(board));
            if self.check {
                if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
                    bail!(
                        "{} is not up to date: run `cargo xtask dashboards`",
                        path.display()
                    );
                }
            } else {
                fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
                println!("{}", path.display());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
