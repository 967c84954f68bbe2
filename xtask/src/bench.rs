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
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    orders: Option<i32>,
    /// The duration of soak in hours (default: 20 minutes)
    #[arg(long, value_parser = hours)]
    hours: Option<Duration>,
}

fn hours(text: &str) -> Result<Duration, String> {
    let hours: Option<f64> = text.parse().ok();
    let duration = hours.and_then(|hours| Duration::try_from_secs_f64(hours * 3600.0).ok());
    duration.ok_or_else(|| "takes a number of hours such as 0.5".to_owned())
}

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let binaries = Binaries::build(Profile::Release).await?;
        let mut size = if self.short { Size::SHORT } else { Size::FULL };
        size.soak = self.hours.unwrap_or(size.soak);
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
