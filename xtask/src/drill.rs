//! `drill`: faults beside a real Prometheus. Exit code 1 if other alerts fire than those of the fault, or
//! one does not resolve.

use std::process::ExitCode;

use chaos::{Drill, Drilled, Step};
use testkit::{Binaries, Profile};

use crate::chaos::{exit_code, from_the_clock};
use crate::signals::Signals;

/// Inject faults beside a real Prometheus, and check that exactly their alerts fire
#[derive(clap::Args)]
pub(crate) struct Run {
    /// Only these faults; without it: every fault
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Drilled>,
    /// Two faults with one Prometheus
    #[arg(long, conflicts_with = "faults")]
    short: bool,
    /// Build with optimizations
    #[arg(long)]
    release: bool,
}

impl Run {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let binaries = Binaries::build(Profile::of(self.release)).await?;
        let mut signals = Signals::new()?;
        let drill = match (self.short, self.faults.as_slice()) {
            (true, _) => Drill::short(),
            (false, []) => Drill::full(),
            (false, faults) => Drill::of(faults.iter().copied().map(Step::of).collect()),
        };
        let report = tokio::select! {
            report = drill.run(&binaries, from_the_clock()) => report?,
            () = signals.received() => return Ok(ExitCode::FAILURE),
        };
        print!("{report}");
        Ok(exit_code(report.passed()))
    }
}
