//! `bench`: the figures of BENCHMARKS.md, on private processes and servers.

use std::process::ExitCode;
use std::time::Duration;

use bench::{Benchmark, Size};
use testkit::{Binaries, Profile};

use crate::signals::Signals;

/// Measure what the product does, and what tracing costs it
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Only these: price, life, events, backlog, large, retention, soak, fleet, console, lens, queue
    benchmarks: Vec<Benchmark>,
    /// One short round of each, to see that it runs
    #[arg(long)]
    short: bool,
    /// PostgreSQL without fsync, for comparison
    #[arg(long)]
    no_fsync: bool,
    /// How many orders the pages of console are read beside (default: 1,000,000)
    #[arg(long)]
    orders: Option<i32>,
    /// The duration of soak in hours (default: 20 minutes)
    #[arg(long)]
    hours: Option<f64>,
}

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let binaries = Binaries::build(Profile::Release).await?;
        let mut size = if self.short { Size::SHORT } else { Size::FULL };
        if let Some(hours) = self.hours {
            size.soak = Duration::try_from_secs_f64(hours * 3600.0)?;
        }
        size.viewed = self.orders.unwrap_or(size.viewed);
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
