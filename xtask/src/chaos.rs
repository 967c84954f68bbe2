//! `chaos`: orders under faults, on private processes and servers. Exit code 1 if an order was lost, was
//! charged twice, or is not final.

use std::process::ExitCode;
use std::time::SystemTime;

use chaos::{Chaos, Fault};
use testkit::{Binaries, Profile};

use crate::signals::Signals;

/// Send orders under faults, and prove that none was lost or charged twice
#[derive(clap::Args)]
pub(crate) struct Run {
    /// How many orders
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    orders: u32,
    /// Orders a second
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// The schedule's seed, to run it again; without it: another each time
    #[arg(long)]
    seed: Option<u64>,
    /// Only these faults, alone and then together; without it: every fault
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// A few hundred orders and four faults
    #[arg(long, conflicts_with_all = ["orders", "rate", "faults"])]
    short: bool,
    /// Build with optimizations
    #[arg(long)]
    release: bool,
}

impl Run {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let profile = if self.release {
            Profile::Release
        } else {
            Profile::Dev
        };
        let binaries = Binaries::build(profile).await?;
        let seed = self.seed.unwrap_or_else(from_the_clock);
        let chaos = if self.short {
            Chaos::short(seed)
        } else {
            let mut chaos = Chaos::full(self.orders, seed);
            chaos.rate = self.rate;
            if !self.faults.is_empty() {
                chaos.faults = self.faults;
            }
            chaos
        };
        let mut signals = Signals::new()?;
        let report = tokio::select! {
            report = chaos.run(&binaries) => report?,
            () = signals.received() => return Ok(ExitCode::FAILURE),
        };
        print!("{report}");
        Ok(if report.is_clean() && report.is_timely() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn from_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
