//! `bench`: the figures of BENCHMARKS.md, on private processes and servers.

use std::process::ExitCode;

use bench::{Benchmark, Size};
use testkit::{Binaries, Profile};

use crate::signals::Signals;

/// Measure what the product does, and what tracing costs it
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Only these: price, life, events, backlog, large, retention
    benchmarks: Vec<Benchmark>,
    /// One short round of each, to see that it runs
    #[arg(long)]
    short: bool,
    /// PostgreSQL without fsync, for comparison
    #[arg(long)]
    no_fsync: bool,
}

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let binaries = Binaries::build(Profile::Release).await?;
        let size = if self.short { Size::SHORT } else { Size::FULL };
        let benchmarks = match self.benchmarks.as_slice() {
            [] => &Benchmark::ALL,
            some => some,
        };
        let mut signals = Signals::new()?;
        tokio::select! {
            done = bench::run(benchmarks, size, !self.no_fsync, &binaries) => done?,
            () = signals.received() => return Ok(ExitCode::FAILURE),
        }
        Ok(ExitCode::SUCCESS)
    }
}
