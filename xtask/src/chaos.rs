//! `chaos`: orders under faults, on private processes and servers. Exit code 1 if an order was lost, was
//! charged twice, or is not final, or a recovery took too long.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use chaos::{Chaos, Fault, Outage, OutageKind};
use testkit::{Binaries, Profile};

use crate::signals::Signals;

const OUTAGE_RATE: u32 = 10;

/// Send orders under faults, and prove that none was lost or charged twice
#[derive(clap::Args)]
pub(crate) struct Run {
    /// How many orders
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    orders: u32,
    /// Orders a second; without it: 60, and 10 during an outage
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: Option<u32>,
    /// The schedule's seed, to run it again; without it: another each time
    #[arg(long)]
    seed: Option<u64>,
    /// Only these faults, alone and then together; without it: every fault
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Instead of the rounds, one long outage of the payment gateway: 500, hang, refused, wrong-key or 429
    #[arg(long, conflicts_with_all = ["orders", "faults", "short"])]
    outage: Option<OutageKind>,
    /// How long the outage lasts, such as 90s or 10m
    #[arg(long = "for", requires = "outage", default_value = "10m", value_parser = duration)]
    lasts: Duration,
    /// 900 orders and seven faults
    #[arg(long, conflicts_with_all = ["orders", "rate", "faults"])]
    short: bool,
    /// Build with optimizations
    #[arg(long)]
    release: bool,
}

impl Run {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let binaries = Binaries::build(Profile::of(self.release)).await?;
        let seed = self.seed.unwrap_or_else(from_the_clock);
        let mut signals = Signals::new()?;
        if let Some(kind) = self.outage {
            let outage = Outage {
                kind,
                lasts: self.lasts,
                rate: self.rate.unwrap_or(OUTAGE_RATE),
                seed,
            };
            let report = tokio::select! {
                report = outage.run(&binaries) => report?,
                () = signals.received() => return Ok(ExitCode::FAILURE),
            };
            print!("{report}");
            return Ok(exit_code(report.is_clean()));
        }
        let chaos = if self.short {
            Chaos::short(seed)
        } else {
            let mut chaos = Chaos::full(self.orders, seed);
            chaos.rate = self.rate.unwrap_or(chaos.rate);
            if !self.faults.is_empty() {
                chaos.faults = self.faults;
            }
            chaos
        };
        let report = tokio::select! {
            report = chaos.run(&binaries) => report?,
            () = signals.received() => return Ok(ExitCode::FAILURE),
        };
        print!("{report}");
        Ok(exit_code(report.is_clean() && report.is_timely()))
    }
}

pub(crate) fn exit_code(is_success: bool) -> ExitCode {
    if is_success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A number of minutes or seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix('m'), text.strip_suffix('s')) {
        (Some(minutes), _) => (minutes, 60),
        (_, Some(seconds)) => (seconds, 1),
        _ => (text, 1),
    };
    let seconds = number
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(unit));
    let takes = || "takes a time such as 90s or 10m".to_owned();
    seconds.map(Duration::from_secs).ok_or_else(takes)
}

pub(crate) fn from_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_of_minutes_or_seconds() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("5", 5)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "m", "1h", "-1s", "1.5m", "999999999999999999m"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
